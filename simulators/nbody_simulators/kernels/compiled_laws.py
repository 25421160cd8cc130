"""Force laws inside compiled code: each kernel is written once and serves every law.

A law is attached to the class of its parameters, a named tuple. The kernels call `pair_force`,
`directed_force` and `field_force`, which numba resolves by that class, so that the law is inlined
and the compiled kernel can be cached under a key that is the same in every process. Where a system
has no such law, None stands in its place, and numba leaves that part of the kernel out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
from numba.extending import overload

from nbody_simulators.kernels.known_laws import factory_of, register_law
from nbody_surrogate.contracts import ForceLaws, Problem

__all__ = [
    "compiled",
    "directed_force",
    "field_force",
    "is_own",
    "laws_of",
    "pair_force",
    "parameters_of",
]


_laws: dict[type, Callable[..., Any]] = {}


def _law_of(kind: type) -> Callable[..., Any] | None:
    """Return the law that a class of parameters stands for, or None; each is built once."""
    if kind not in _laws and (factory := factory_of(kind)) is not None:
        # math.sqrt: numba has it for floats as one instruction
        _laws.setdefault(kind, factory(math.sqrt, _where))
    return _laws.get(kind)


@numba.extending.register_jitable
def _where(condition: bool, yes: float, no: float) -> float:
    return yes if condition else no  # both are numbers already, so that no branch is left to take


def pair_force(
    parameters: Any, r2: float, qi: float, qj: float, mi: float, mj: float, coupling: float
) -> Any:
    """Stand for the pair law of `parameters` inside compiled code."""
    law = _law_of(type(parameters))
    assert law is not None
    return law(parameters, r2, qi, qj, mi, mj, coupling)


def directed_force(
    parameters: Any, dx: float, dy: float, dz: float, qi: float, qj: float, mi: float, mj: float
) -> Any:
    """Stand for the directed law of `parameters` inside compiled code."""
    law = _law_of(type(parameters))
    assert law is not None
    return law(parameters, dx, dy, dz, qi, qj, mi, mj)


def field_force(parameters: Any, x: Any, v: Any, charge: float, mass: float) -> Any:
    """Stand for the field law of `parameters` inside compiled code."""
    law = _law_of(type(parameters))
    assert law is not None
    return law(parameters, x, v, charge, mass)


# A law may name its arguments freely. It is always put in place, however long it is: a call would
# keep loops over pairs from using vectors, and compute the energy where the force alone is wanted.
@overload(pair_force, strict=False, jit_options={"forceinline": True})
def _pair_law_of(
    parameters: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
) -> Any:
    # Numba's type of a named tuple knows its class; other types have none, and no law.
    return _law_of(getattr(parameters, "instance_class", type(None)))


@overload(directed_force, strict=False, jit_options={"forceinline": True})
def _directed_law_of(
    parameters: Any, dx: Any, dy: Any, dz: Any, qi: Any, qj: Any, mi: Any, mj: Any
) -> Any:
    return _law_of(getattr(parameters, "instance_class", type(None)))


@overload(field_force, strict=False)
def _field_law_of(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    return _law_of(getattr(parameters, "instance_class", type(None)))


def laws_of(problem: Problem) -> ForceLaws:
    """Return the laws of a system that was checked to have them."""
    laws = problem.system.force_laws()
    assert laws is not None
    return laws


def parameters_of(laws: ForceLaws) -> tuple[Any, Any, Any]:
    """Return what the kernels know the laws by: their parameters, or None where there is none.

    In the order pair, field, directed.
    """
    every = (laws.pair, laws.field, laws.directed)
    for law in every:  # a stranger's law is met here for the first time
        if law is not None:
            register_law(law)
    pair, field, directed = (None if law is None else law.parameters for law in every)
    return pair, field, directed


def is_own(*parameters: Any) -> bool:
    """Say whether all these laws are this package's own."""
    return all(
        each is None or type(each).__module__.startswith("nbody_simulators.") for each in parameters
    )


def compiled(kernel: Callable[..., None]) -> Callable[..., Callable[..., None]]:
    """Compile a kernel, and return what chooses its version for the parameters of laws.

    What is compiled for this package's own laws is cached on disk. For a stranger's it is not:
    the cache names the class of the law's parameters, and could not be read any more, not even
    for other laws, once that class is gone.
    """
    # As NumPy has it, 1 / 0 is infinite: an exception would cost a test in every division, and a
    # trajectory that fails is found by its infinities. Without the lock, blocks run on threads.
    cached = numba.njit(cache=True, error_model="numpy", nogil=True)(kernel)
    strangers = numba.njit(error_model="numpy", nogil=True)(kernel)

    def own(*arguments: Any) -> None:
        try:
            cached(*arguments)
        except OSError:
            # what was compiled could not be kept, as on a full disk; it is compiled all the same,
            # and nothing was computed yet
            cached(*arguments)

    return lambda *parameters: own if is_own(*parameters) else strangers
