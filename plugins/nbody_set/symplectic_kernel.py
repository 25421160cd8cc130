"""Frames of `SETSymplectic` in compiled code: whole segments in one call, in double precision.

Particles of W trajectories lie side by side, i W + w, behind them the first half of them once more.
Pairs are taken ring by ring: in the ring g each particle i meets i + g, so that each unordered pair
is met once in the rings up to N / 2. Within a ring one loop runs over all particles of all W, on
consecutive numbers, adds nothing across it, and so fills vectors whether there are many particles
or many trajectories. Each element goes through the same operations in the same order whatever W
is: a trajectory is the same bits in a batch of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload, register_jitable

from nbody_surrogate.contracts import FieldLaw

__all__ = ["Block", "Splitting", "compiled_frames", "fits"]


def fits(powers: int, terms: int, field: FieldLaw | None) -> bool:
    """Say whether the kernel has so many powers of the charges, terms of each polynomial, a field.

    Polynomials are written out in `_pair_momenta`: a loop over them would keep it from vectors. A
    law is found inside compiled code by the class of its parameters, so that each needs its own.
    """
    if powers > 3 or terms > 3:
        return False
    if field is None:
        return True
    kind = type(field.parameters)
    return hasattr(kind, "_fields") and _FACTORIES.setdefault(kind, field.factory) is field.factory


class Splitting(NamedTuple):
    """The numbers of a model, as the kernel takes them.

    Attributes
    ----------
    kicks, drifts : ndarray, shapes (K,) and (K + 1,)
        In units of time.
    radial : ndarray, shape (K, 2, 3)
        Of u^0, u^1, u^2 for the powers 2 and 3, with the factors of the force, in units of time.
    coupling, softening2, tau2 : float
    """

    kicks: np.ndarray
    drifts: np.ndarray
    radial: np.ndarray
    coupling: float
    softening2: float
    tau2: float


class Block(NamedTuple):
    """W trajectories side by side; E = N W elements, R = N / 2 rings.

    Shapes: x, v (3, E); charges, masses (E,); c, inverse_mass (R, E).
    """

    x: np.ndarray
    v: np.ndarray
    charges: np.ndarray
    masses: np.ndarray
    c: np.ndarray
    inverse_mass: np.ndarray
    width: int


@register_jitable(error_model="numpy")
def _ring_size(n: int, width: int, ring: int) -> int:
    """Pairs of a ring: with an even number of particles the last one meets each pair twice."""
    return n // 2 * width if 2 * ring == n else n * width


@register_jitable(error_model="numpy")
def _spread(values: np.ndarray, out: np.ndarray) -> None:
    """Write vectors (3, E) behind which the first of them come once more."""
    size = values.shape[1]
    more = out.shape[1] - size
    for d in range(3):
        for e in range(size):
            out[d, e] = values[d, e]
        for e in range(more):
            out[d, size + e] = values[d, e]


@register_jitable(error_model="numpy")
def _fold(sums: np.ndarray, size: int) -> None:
    """Add to the first elements what their copies have got."""
    for d in range(3):
        for e in range(sums.shape[1] - size):
            sums[d, e] += sums[d, size + e]


@register_jitable(error_model="numpy")
def _exchange(force: np.ndarray, count: int, apart: int, sums: np.ndarray) -> None:
    """Give the forces of a ring to both ends of its pairs, with opposite signs."""
    for d in range(3):
        for e in range(count):
            sums[d, e] += force[d, e]
        for e in range(count):
            sums[d, apart + e] -= force[d, e]


@register_jitable(error_model="numpy")
def _pair_momenta(
    block: Block, splitting: Splitting, k: int, at: np.ndarray, force: np.ndarray, sums: np.ndarray
) -> None:
    """Write what the potentials of pairs give each particle in the kick k into `sums`."""
    size, width = block.masses.size, block.width
    n = size // width
    kick, softening2, tau2 = splitting.kicks[k], splitting.softening2, splitting.tau2
    radial = splitting.radial
    a0, a1, a2 = radial[k, 0, 0], radial[k, 0, 1], radial[k, 0, 2]
    b0, b1, b2 = radial[k, 1, 0], radial[k, 1, 1], radial[k, 1, 2]
    sums[:] = 0.0
    for ring in range(1, n // 2 + 1):
        apart, count = ring * width, _ring_size(n, width, ring)
        c, inverse_mass = block.c[ring - 1], block.inverse_mass[ring - 1]
        for e in range(count):
            x = at[0, e] - at[0, apart + e]
            y = at[1, e] - at[1, apart + e]
            z = at[2, e] - at[2, apart + e]
            inverse = 1.0 / (x * x + y * y + z * z + softening2)
            plain = c[e] * inverse * math.sqrt(inverse)
            rate = tau2 * inverse_mass[e] * plain
            u = softening2 * inverse
            learned = ((b2 * u + b1) * u + b0) * rate + ((a2 * u + a1) * u + a0)
            strength = (kick + learned * rate) * plain
            force[0, e], force[1, e], force[2, e] = strength * x, strength * y, strength * z
        # In loops of their own: together with the law, six sums at places which the compiler
        # cannot tell apart would keep it from using vectors.
        _exchange(force, count, apart, sums)
    _fold(sums, size)


@register_jitable(error_model="numpy")
def _plain_accelerations(
    block: Block, splitting: Splitting, at: np.ndarray, force: np.ndarray, sums: np.ndarray
) -> None:
    """Write the accelerations by the law of pairs into `sums`, and their copies behind them."""
    size, width = block.masses.size, block.width
    n = size // width
    sums[:] = 0.0
    for ring in range(1, n // 2 + 1):
        apart, count = ring * width, _ring_size(n, width, ring)
        c = block.c[ring - 1]
        for e in range(count):
            x = at[0, e] - at[0, apart + e]
            y = at[1, e] - at[1, apart + e]
            z = at[2, e] - at[2, apart + e]
            inverse = 1.0 / (x * x + y * y + z * z + splitting.softening2)
            plain = c[e] * inverse * math.sqrt(inverse)
            force[0, e], force[1, e], force[2, e] = plain * x, plain * y, plain * z
        _exchange(force, count, apart, sums)
    _fold(sums, size)
    for d in range(3):
        for e in range(size):
            sums[d, e] = sums[d, e] / block.masses[e]
        for e in range(sums.shape[1] - size):
            sums[d, size + e] = sums[d, e]


@register_jitable(error_model="numpy")
def _add_gradient(
    block: Block,
    splitting: Splitting,
    weight: float,
    at: np.ndarray,
    a: np.ndarray,
    force: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Add the gradient of the many-body term to folded sums; `a` are the plain accelerations."""
    size, width = block.masses.size, block.width
    n = size // width
    sums[:, size:] = 0.0
    for ring in range(1, n // 2 + 1):
        apart, count = ring * width, _ring_size(n, width, ring)
        c = block.c[ring - 1]
        for e in range(count):
            x = at[0, e] - at[0, apart + e]
            y = at[1, e] - at[1, apart + e]
            z = at[2, e] - at[2, apart + e]
            bx = a[0, e] - a[0, apart + e]
            by = a[1, e] - a[1, apart + e]
            bz = a[2, e] - a[2, apart + e]
            inverse = 1.0 / (x * x + y * y + z * z + splitting.softening2)
            strength = weight * c[e] * inverse * math.sqrt(inverse)
            along = 3.0 * (x * bx + y * by + z * bz) * inverse
            force[0, e] = strength * (bx - along * x)
            force[1, e] = strength * (by - along * y)
            force[2, e] = strength * (bz - along * z)
        _exchange(force, count, apart, sums)
    _fold(sums, size)


def _field_force(parameters: Any, x: Any, v: Any, charge: float, mass: float) -> Any:
    """Stand for the field law of `parameters` inside compiled code."""
    raise NotImplementedError


_FACTORIES: dict[type, Callable[..., Any]] = {}
_LAWS: dict[type, Callable[..., Any]] = {}


def _law_of(kind: type) -> Callable[..., Any] | None:
    """Return the law that a class of parameters stands for, built once, or None."""
    if kind not in _LAWS and kind in _FACTORIES:
        _LAWS.setdefault(kind, _FACTORIES[kind](math.sqrt, _where))
    return _LAWS.get(kind)


@register_jitable
def _where(condition: bool, yes: float, no: float) -> float:
    return yes if condition else no


@overload(_field_force, strict=False)  # a law may name its arguments freely
def _field_law_of(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    return _law_of(getattr(parameters, "instance_class", type(None)))


@register_jitable(error_model="numpy")
def _add_field(
    block: Block, field: Any, kick: float, x: np.ndarray, v: np.ndarray, out: np.ndarray
) -> None:
    """Add the kick of the external field to the change of velocities."""
    for e in range(block.masses.size):
        place, speed = (x[0, e], x[1, e], x[2, e]), (v[0, e], v[1, e], v[2, e])
        a, _ = _field_force(field, place, speed, block.charges[e], block.masses[e])
        out[0, e] += kick * a[0]
        out[1, e] += kick * a[1]
        out[2, e] += kick * a[2]


def _frames(
    block: Block,
    splitting: Splitting,
    field: Any,
    gradient: Any,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    """Fill in frames (F, 3, E) from those of a block."""
    x, v, masses, width = block.x, block.v, block.masses, block.width
    size = masses.size
    copies = size // width // 2 * width
    dx, dv, velocity = np.empty((3, size)), np.empty((3, size)), np.empty((3, size))
    at, now, force = np.empty((3, size)), np.empty((3, size)), np.empty((3, size))
    rows = (3, size + copies)
    spread, sums, a = np.empty(rows), np.empty(rows), np.empty(rows)
    for f in range(frames_x.shape[0]):
        dx[:] = 0.0
        dv[:] = 0.0
        for k in range(splitting.drifts.size):
            drift = splitting.drifts[k]
            for d in range(3):
                for e in range(size):
                    velocity[d, e] = v[d, e] + dv[d, e]
                    dx[d, e] += drift * velocity[d, e]
            if k == splitting.kicks.size:
                break
            for d in range(3):
                # Places from the first particle: far from the origin, sums would lose the digits
                # that differences need.
                for i in range(0, size, width):
                    for w in range(width):
                        at[d, i + w] = (x[d, i + w] - x[d, w]) + dx[d, i + w]
            _spread(at, spread)
            _pair_momenta(block, splitting, k, spread, force, sums)
            # What is None must be an argument: only there numba leaves out what depends on it.
            if gradient is not None:
                _plain_accelerations(block, splitting, spread, force, a)
                _add_gradient(block, splitting, gradient[k], spread, a, force, sums)
            for d in range(3):
                for e in range(size):
                    dv[d, e] += sums[d, e] / masses[e]
            if field is not None:
                for d in range(3):
                    for e in range(size):
                        now[d, e] = x[d, e] + dx[d, e]
                _add_field(block, field, splitting.kicks[k], now, velocity, dv)
        for d in range(3):
            for e in range(size):
                x[d, e] += dx[d, e]
                v[d, e] += dv[d, e]
                frames_x[f, d, e], frames_v[f, d, e] = x[d, e], v[d, e]


_cached = numba.njit(cache=True, error_model="numpy", nogil=True)(_frames)
_strangers = numba.njit(error_model="numpy", nogil=True)(_frames)


def compiled_frames(field: Any) -> Callable[..., None]:
    """Return the kernel for the parameters of a field's law.

    What is compiled for a stranger's law is not kept on disk: the cache would name a class that may
    be gone the next time, and then could not be read at all.
    """
    if field is not None and not type(field).__module__.startswith("nbody_simulators."):
        return _strangers
    return _on_any_disk


def _on_any_disk(*arguments: Any) -> None:
    try:
        _cached(*arguments)
    except OSError:
        # what was compiled could not be kept, as on a full disk; it is compiled all the same, and
        # nothing was computed yet
        _cached(*arguments)
