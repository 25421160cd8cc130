"""What a measurement of work and precision finds: points, and the front of the best ones."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from nbody_surrogate.results.bootstrap import Interval, plain

__all__ = ["Point", "WorkPrecision", "with_front"]

SAME = 1.05  # a ratio of errors within which methods count as equally accurate


@dataclass(frozen=True)
class Point:
    """A method at one horizon and batch.

    Attributes
    ----------
    error : Interval
        Position RMSE per coordinate, with its 95 % interval.
    milliseconds : float
        Per trajectory and simulated time unit: the median of the timed starts, of each the median
        of its repeats.
    lower_quartile, upper_quartile : float
        Of the timed starts; of a single one, of its repeats.
    repeats : int
        How often the timed starts were run.
    trajectory_milliseconds : float
        Per trajectory, up to the longest horizon.
    evaluations : float or None
        Of the force on each particle, per trajectory and time unit, where they are counted.
    failures : int
        Starts that did not reach the end; their error is infinite from there on.
    training_seconds : float or None
        As the model's card has it, making the data not counted.
    device : str
    on_front : bool
        Whether no cheaper method of the horizon and batch is as accurate, to 5 %.
    errors : ndarray, shape (S,), or None
        Of each start, NaN where the truth is not known; not part of the dict, as `times` are not.
    times : ndarray, shape (R, G), or None
        Of R repeats of G groups of starts, in seconds per trajectory; the same groups for all
        methods of a batch.
    """

    label: str
    family: str
    parameter: float | None
    learned: bool
    horizon: float
    batch: int
    error: Interval
    milliseconds: float
    lower_quartile: float
    upper_quartile: float
    repeats: int
    trajectory_milliseconds: float
    evaluations: float | None
    failures: int
    training_seconds: float | None
    device: str
    on_front: bool = False
    errors: np.ndarray | None = field(default=None, repr=False, compare=False)
    times: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays as plain types, fit for JSON; what is not finite is None."""
        found = asdict(self)
        del found["errors"], found["times"]
        return dict(plain(found))


@dataclass(frozen=True)
class WorkPrecision:
    """All points of a measurement, and what they were taken with."""

    points: list[Point]
    reference: str
    reference_errors: dict[float, float]
    """Of each horizon: the median difference of the reference from itself ten times looser."""
    conditions: dict[str, Any]

    def elsewhere(self) -> str:
        """Say which methods ran on which accelerator, or nothing."""
        return "".join(
            f"; on {name}: "
            + ", ".join(dict.fromkeys(p.family for p in self.points if p.device == d))
            for d, name in self.conditions.get("devices", {}).items()
        )

    def group(self, horizon: float, batch: int) -> list[Point]:
        """Return the points of one horizon and batch."""
        return [p for p in self.points if (p.horizon, p.batch) == (horizon, batch)]

    @property
    def groups(self) -> list[tuple[float, int]]:
        """Each horizon and batch that there is."""
        return list(dict.fromkeys((point.horizon, point.batch) for point in self.points))


def with_front(points: list[Point]) -> list[Point]:
    """Mark those that no cheaper one of the same horizon and batch equals in accuracy."""
    return [replace(point, on_front=_best(point, points)) for point in points]


def _best(point: Point, points: list[Point]) -> bool:
    # what fails on most starts is no answer, however cheap
    return math.isfinite(point.error.value) and not _beaten(point, points)


def _beaten(point: Point, points: list[Point]) -> bool:
    return any(
        rival.milliseconds < point.milliseconds and rival.error.value <= SAME * point.error.value
        for rival in points
        if (rival.horizon, rival.batch) == (point.horizon, point.batch)
    )
