"""The errors that are stored with a run as observables, and how its estimate was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nbody_surrogate.contracts.brief import brief

__all__ = ["ERROR_ESTIMATE", "SYSTEM_ERROR", "EstimateReport", "ToleranceReport"]

ERROR_ESTIMATE = "error_estimate"
"""The name of the observable that the estimate is in a run and in its file."""

SYSTEM_ERROR = "system_error"
"""That of the error of a verified run's system, whose own model is truncated."""


@dataclass(frozen=True)
class ToleranceReport:
    """What became of a run whose frames were held to a tolerance.

    Attributes
    ----------
    tolerance : float
        Most that the position RMSE of one frame may be estimated to be, in reduced units.
    solver : dict
        Name and options of what made the frames that were beyond.
    frames : int
        Of all trajectories, the start not counted.
    by_solver : int
        Of them made by the solver.
    discarded : int
        Frames of the method that were made and not kept.
    """

    tolerance: float
    solver: dict[str, Any]
    frames: int = 0
    by_solver: int = 0
    discarded: int = 0

    __repr__ = brief


@dataclass(frozen=True)
class EstimateReport:
    """How an error estimate was made, and what it cost.

    Attributes
    ----------
    coverage : float
        Share of runs whose true error is to be below the estimate.
    calibrated : bool
        Whether that was made so on held-out starts of the method.
    solver : str
        What the method's frames were held against.
    substeps : int
        Its steps to a frame, of the finer of the two estimates.
    force_calls : int
        Evaluations of all forces of one state.
    seconds : float
        Not part of the wall time.
    model : dict
        The factors, as `ErrorModel` has them.
    """

    coverage: float
    calibrated: bool
    solver: str
    substeps: int
    force_calls: int = 0
    seconds: float = 0.0
    model: dict[str, Any] = field(default_factory=dict)

    __repr__ = brief

    @property
    def label(self) -> str:
        """The coverage in words, and whether anybody has looked."""
        return f"{100 * self.coverage:g} %" if self.calibrated else "not calibrated"
