"""Errors of one run against another, frame by frame, and what interpolation has made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.results.bootstrap import Summary, finite_or_none
from nbody_surrogate.results.metrics import (
    displacement,
    mse,
    normalised_rmse,
    relative_rmse,
    rmse,
)
from nbody_surrogate.results.quantiles import known, known_median
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["MSE_FRAMES", "Errors", "InterpolationError"]

MSE_FRAMES = (1, 5, 10, 20, 50, 100)  # one step, and horizons of published benchmarks
ALIKE = 2.0
"""Times the error of interpolation up to which a difference may be of it alone: that of the
candidate's own interpolation is of the size of the reference's, which is the one that is known."""


class Errors(NamedTuple):
    """Errors at each frame, all (B, T); NaN where nothing is known, infinite after a failure."""

    position: Float64[np.ndarray, "B T"]
    velocity: Float64[np.ndarray, "B T"]
    normalised: Float64[np.ndarray, "B T"]
    relative: Float64[np.ndarray, "B T"]
    squared: Float64[np.ndarray, "B T"]
    displacement: Float64[np.ndarray, "B T"]

    @classmethod
    def of(
        cls,
        reference: Ensemble,
        run: Ensemble,
        judged: Callable[[np.ndarray], np.ndarray],
    ) -> Errors:
        """Take all of them; `judged` says what NaN stands for."""
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that blew up
            return cls(
                judged(rmse(reference.x, run.x)),
                judged(rmse(reference.v, run.v)),
                judged(normalised_rmse(reference.x, run.x)),
                judged(relative_rmse(reference.x, run.x)),
                judged(mse(reference.x, run.x)),
                judged(displacement(reference.x, run.x)),
            )

    def at(self, frames: list[int]) -> dict[str, tuple[float, ...]]:
        """Return medians over trajectories at some frames, by the names of `Comparison`."""
        return {
            f"{name}_rmse": tuple(known_median(getattr(self, name)[:, n]) for n in frames)
            for name in ("position", "velocity", "normalised")
        }

    def of_trajectories(self) -> dict[str, np.ndarray]:
        """Return the errors that the literature gives, of each trajectory, (B,)."""
        count = self.squared.shape[1]
        found = {f"mse {n}": self.squared[:, n] for n in MSE_FRAMES if n < count}
        if count > 1:
            found["ade"] = _over_time(self.displacement)
            found["fde"] = self.displacement[:, -1]
        return found

    def summaries(self) -> dict[str, Summary]:
        """Summaries of them over trajectories."""
        return {key: Summary.of(values) for key, values in self.of_trajectories().items()}


class InterpolationError(NamedTuple):
    """What interpolation alone does: errors of the reference taken to other times and back.

    Attributes
    ----------
    position_rmse, velocity_rmse, normalised_rmse : tuple of float
        At the horizons of the comparison.
    errors : dict of str to Summary
        As those of the comparison.
    mean, candidate : float
        RMSE of positions over the reference's spread at the start, a mean over time and the median
        over trajectories: of interpolation alone, and of the candidate.
    """

    position_rmse: tuple[float, ...]
    velocity_rmse: tuple[float, ...]
    normalised_rmse: tuple[float, ...]
    errors: dict[str, Summary]
    mean: float
    candidate: float

    @classmethod
    def of(cls, errors: Errors, back: Errors, frames: list[int]) -> InterpolationError:
        """Summarise the errors of the way there and back beside those of the candidate."""
        return cls(
            **back.at(frames),
            errors=back.summaries(),
            mean=known_median(_over_time(back.normalised)),
            candidate=known_median(_over_time(errors.normalised)),
        )

    @property
    def explains_it(self) -> bool:
        """Whether the candidate is no farther off than interpolation takes the reference."""
        return self.candidate <= ALIKE * self.mean

    def __str__(self) -> str:
        said = (
            f"Interpolation alone takes the reference {self.mean:.1e} of the spread away from "
            f"itself, a mean over time; the candidate is {self.candidate:.1e} away: "
        )
        if self.explains_it:
            return said + "nothing beyond interpolation."
        return said + "more than that."

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        lists = ("position_rmse", "velocity_rmse", "normalised_rmse")
        return {
            **{key: [finite_or_none(value) for value in getattr(self, key)] for key in lists},
            "errors": {key: each.to_dict() for key, each in self.errors.items()},
            "mean": finite_or_none(self.mean),
            "candidate": finite_or_none(self.candidate),
            "explains_it": self.explains_it,
        }


def _over_time(values: Float64[np.ndarray, "B T"]) -> Float64[np.ndarray, " B"]:
    """Average over the known frames after the start, which is given and not predicted."""
    some = [known(row) for row in values[:, 1:]]
    return np.array([row.mean() if row.size else np.nan for row in some])
