"""The guard that `nbody-sim run` was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.parameters import key_and_value
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.cli.request import Request
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.simulation.guard.options import Guard

__all__ = ["guard_of"]


def guard_of(request: Request, reference: AbstractIntegrator | None) -> Guard | None:
    """Build the guard, which falls back on the run's reference.

    Raises
    ------
    InputError
        If a threshold is wrong, or there is no guard to have one.
    """
    if request.guard is None:
        for name in ("threshold", "spot_checks"):
            if getattr(request, name) not in ((), None):
                raise InputError(f"`{name}` goes with `guard` only; add --guard fallback")
        return None
    from nbody_surrogate.simulation.guard.options import Guard

    thresholds = {}
    for text in request.threshold:
        key, value = key_and_value(text, "threshold", "energy=0.005")
        if key in thresholds:
            raise InputError(f"`threshold` {key!r} is given twice, the second time as {text!r}")
        thresholds[key] = value
    # the other policies replay nothing, and a guard refuses a reference that is of no use
    options: dict[str, Any] = {"reference": reference} if request.guard == "fallback" else {}
    if request.spot_checks is not None:
        options["spot_checks"] = request.spot_checks
    return Guard(request.guard, **options, **thresholds)
