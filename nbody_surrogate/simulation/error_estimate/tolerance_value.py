"""What a tolerance may be, and of which methods: known before anything is imported."""

from __future__ import annotations

import math

from nbody_surrogate.contracts.arguments import demand_number
from nbody_surrogate.errors import InputError

__all__ = ["check_tolerance", "no_surrogate"]


def check_tolerance(tolerance: float) -> float:
    """Return a tolerance that is finite and above 0.

    Raises
    ------
    InputError
    """
    tolerance = demand_number("tolerance", tolerance)
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"`tolerance` must be finite and > 0, got {tolerance:g}")
    return tolerance


def no_surrogate(method: str) -> InputError:
    """Return the error of a tolerance for a solver, by its name."""
    return InputError(
        f"`tolerance` holds the frames of a surrogate to it, {method!r} is none; "
        "a solver takes `rtol` and `atol`, or `substeps`"
    )
