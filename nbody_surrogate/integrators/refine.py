"""How far a classical run may be wrong: the same start once more, by a sharper integrator."""

from __future__ import annotations

from typing import Any

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.approximate import Approximated, with_options

__all__ = ["FINER", "SMALLEST_RTOL", "TIGHTER", "sharper"]

TIGHTER = 100.0  # tolerances
FINER = 4  # sub-steps
SMALLER = 10.0  # eta, whose square errors are as
SMALLEST_RTOL = 3e-14  # about 100 machine epsilons of float64, as SciPy has it
ROUNDING = 1e-9  # so that the least that a message names is itself accepted


def sharper(integrator: AbstractIntegrator, *, clip: bool = False) -> AbstractIntegrator:
    """Return the same integrator with 100 times tighter tolerances, or 4 times the sub-steps.

    Parameters
    ----------
    integrator : AbstractIntegrator
        With options ``rtol`` or ``atol``, ``substeps`` or ``step``, or ``eta``, of which it takes a
        tenth; all others are kept. One that moves by approximate forces gets the system's own: they
        are part of its error.
    clip : bool
        Take the smallest relative tolerance that float64 allows where 100 times tighter is below
        it, in place of an error.

    Raises
    ------
    InputError
        If there is no tolerance, no sub-steps and no eta, or the tolerance cannot be tightened.
    """
    if isinstance(integrator, Approximated):
        return sharper(integrator.inner, clip=clip)
    options = dict(integrator.options)
    given = {key: value for key, value in options.items() if value is not None}
    changes: dict[str, Any] = {}
    for key in given.keys() & {"rtol", "atol"}:
        changes[key] = given[key] / TIGHTER
    if "rtol" in changes:
        changes["rtol"] = max(changes["rtol"], SMALLEST_RTOL)
        _check_rtol(integrator.name, given["rtol"], clip)
    if not changes and "substeps" in given:
        changes["substeps"] = FINER * given["substeps"]
    elif not changes and "step" in given:
        changes["step"] = given["step"] / FINER
    elif not changes and "eta" in given:
        changes["eta"] = given["eta"] / SMALLER
    if not changes:
        raise InputError(
            "`verify` needs a solver with a tolerance or sub-steps, integrator "
            f"{integrator.name!r} has neither; use one such as dop853"
        )
    return with_options(integrator, **changes)


def _check_rtol(name: str, rtol: float, clip: bool) -> None:
    """Demand that `rtol` can be tightened within float64."""
    least = TIGHTER * SMALLEST_RTOL
    if not clip and rtol < least * (1 - ROUNDING):
        raise InputError(
            f"`rtol` of integrator {name!r} must be at least {least:g} with `verify`, which runs "
            f"it again {TIGHTER:g} times tighter, and float64 allows {SMALLEST_RTOL:g}; "
            f"got {rtol:g}"
        )
