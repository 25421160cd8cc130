"""Pair sums in numba, compiled once for every pair law and cached on disk.

A law is attached to the class of its parameters, a named tuple. The kernels call
`pair_force`, which numba resolves by that class, so that the law is inlined and the compiled
kernel can be cached under a key that is the same in every process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from nbody_surrogate.system import PairLaw

__all__ = ["compiled", "energies", "pair_acceleration", "register_law", "sum_accelerations"]

_laws: dict[type, Callable[..., Any]] = {}


def register_law(law: PairLaw) -> None:
    """Make a pair law known to the kernels, under the class of its parameters."""
    _laws[type(law.parameters)] = law.factory(math.sqrt, _where)


@numba.extending.register_jitable
def _where(condition: bool, yes: float, no: float) -> float:
    return yes if condition else no


def pair_force(parameters: Any, r2: float, qi: float, qj: float, mi: float, mj: float) -> Any:
    """Stand for the law of `parameters` inside compiled code."""
    return _laws[type(parameters)](parameters, r2, qi, qj, mi, mj)


@overload(pair_force, strict=False)  # a law may name its arguments freely
def _law_of(parameters: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any) -> Any:
    return _laws.get(getattr(parameters, "instance_class", type(None)))


def compiled(kernel: Callable[..., None]) -> Callable[[PairLaw], Callable[..., None]]:
    """Compile a kernel, and return what chooses its version for a pair law.

    What is compiled for this package's own laws is cached on disk. For a stranger's it is not:
    the cache names the class of the law's parameters, and could not be read any more, not even
    for other laws, once that class is gone.
    """
    own = numba.njit(cache=True, error_model="numpy", nogil=True)(kernel)
    strangers = numba.njit(error_model="numpy", nogil=True)(kernel)

    def version(law: PairLaw) -> Callable[..., None]:
        cls = type(law.parameters)
        if cls not in _laws:
            register_law(law)
        return own if cls.__module__.startswith("nbody_simulators.") else strangers

    return version


@numba.extending.register_jitable(error_model="numpy")  # has no cache of its own
def pair_acceleration(
    x: np.ndarray, charges: np.ndarray, masses: np.ndarray, parameters: Any, out: np.ndarray
) -> None:
    """Write the accelerations of one configuration into `out`; x and out have shape (N, D).

    Each unordered pair is evaluated once.
    """
    n, dimensions = x.shape
    out[:] = 0.0
    for i in range(n):
        ax, ay, az = 0.0, 0.0, 0.0
        for j in range(i + 1, n):
            dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
            dz = x[i, 2] - x[j, 2] if dimensions == 3 else 0.0
            r2 = dx * dx + dy * dy + dz * dz
            force, _ = pair_force(parameters, r2, charges[i], charges[j], masses[i], masses[j])
            ax, ay, az = ax + force * dx, ay + force * dy, az + force * dz
            out[j, 0] -= force * dx
            out[j, 1] -= force * dy
            if dimensions == 3:
                out[j, 2] -= force * dz
        out[i, 0] += ax
        out[i, 1] += ay
        if dimensions == 3:
            out[i, 2] += az
    for i in range(n):
        for d in range(dimensions):
            out[i, d] /= masses[i]


@compiled
def _sum_accelerations(
    x: np.ndarray, charges: np.ndarray, masses: np.ndarray, parameters: Any, out: np.ndarray
) -> None:
    for b in range(x.shape[0]):
        pair_acceleration(x[b], charges[b], masses[b], parameters, out[b])


@compiled
def _sum_energies(
    x: np.ndarray, charges: np.ndarray, masses: np.ndarray, parameters: Any, out: np.ndarray
) -> None:
    for b in range(x.shape[0]):
        total = 0.0
        for i in range(x.shape[1]):
            for j in range(i + 1, x.shape[1]):
                r2 = 0.0
                for d in range(x.shape[2]):
                    r2 += (x[b, i, d] - x[b, j, d]) ** 2
                _, energy = pair_force(
                    parameters, r2, charges[b, i], charges[b, j], masses[b, i], masses[b, j]
                )
                total += energy
        out[b] = total


def sum_accelerations(
    x: np.ndarray, charges: np.ndarray, masses: np.ndarray, law: PairLaw
) -> np.ndarray:
    """Pair accelerations of a batch: x (B, N, D), charges and masses (B, N) to (B, N, D)."""
    out = np.empty(x.shape)
    _sum_accelerations(law)(np.ascontiguousarray(x), charges, masses, law.parameters, out)
    return out


def energies(x: np.ndarray, charges: np.ndarray, masses: np.ndarray, law: PairLaw) -> np.ndarray:
    """Pair energies of a batch: x (B, N, D), charges and masses (B, N) to (B,)."""
    out = np.empty(x.shape[0])
    _sum_energies(law)(np.ascontiguousarray(x), charges, masses, law.parameters, out)
    return out
