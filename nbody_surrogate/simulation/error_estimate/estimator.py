"""The error of a whole run, estimated while it goes on.

The error of frame n is e_n = x_n - z_n, with z the exact motion from the run's start. It obeys

    e_{n+1} = L(x_n) - L(x_n - e_n) + r_{n+1}

with L the motion over a frame and r the error that the frame itself adds, both by the solver of
`frame_errors`. This is the global error estimate by solving for the correction, method 6 of Skeel,
"Thirteen ways to estimate global error", Numer. Math. 48 (1986) 1. Nothing in it is linear, so it
stops to grow where a run has lost its start: at the size of the cloud.

It is done twice, with K/2 and R_K and with K/4 and R_{K/2}. The finer one is the estimate, and the
largest difference of the two by then, times a calibrated factor, the doubt about it: 5 % of the
size at least.

Of a frame that a solver with tolerances made, as after a fallback, r is known better by these
tolerances than by the cheap solver: where what they vouch for is less than the bound of r, r is
made as much smaller. What came before it is followed on all the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.results.error_estimate import EstimateReport
from nbody_surrogate.simulation.error_estimate.frame_errors import (
    FrameErrors,
    bound_of,
    frame_errors,
    in_parts,
    vouched_for,
)
from nbody_surrogate.simulation.error_estimate.frame_solver import (
    LARGEST,
    FrameSolver,
    PhaseSpace,
    rms,
)

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["ErrorEstimator"]


class _Ahead(NamedTuple):
    """What was found of frames that were only looked at."""

    frame: int
    x: np.ndarray
    v: np.ndarray
    bounds: np.ndarray
    arrays: dict[str, np.ndarray]
    vouched: np.ndarray

    def is_of(self, frame: int, x: np.ndarray, v: np.ndarray, vouched: np.ndarray) -> bool:
        """Whether it is of these frames, to the bit, and by the same makers."""
        same = frame == self.frame and np.array_equal(x, self.x) and np.array_equal(v, self.v)
        return same and np.array_equal(vouched, self.vouched, equal_nan=True)


@final
class ErrorEstimator:
    """Estimates the error of one run, segment by segment.

    Parameters
    ----------
    problem : Problem
    dimensions : int
        D of positions.
    model : ErrorModel, optional
        Of the method's card; by default a cautious one.
    keeps_hidden : bool
        Whether the frames hold the hidden variables of the system.

    Attributes
    ----------
    arrays : dict
        The state of the estimate, a flat mapping of arrays: what a restart needs.
    seconds : float
        Spent by now.

    Raises
    ------
    InputError
        If the system has hidden variables, and frames do not hold them.
    """

    def __init__(
        self,
        problem: Problem,
        dimensions: int,
        model: ErrorModel | None = None,
        keeps_hidden: bool = False,
    ) -> None:
        self.model = ErrorModel() if model is None else model
        self._particles: Particles = problem.particles
        self._solver = FrameSolver(problem.system, problem.dt, keeps_hidden)
        self._before, self.seconds = 0, 0.0
        self._looked: _Ahead | None = None
        shape = (problem.particles.batch, problem.particles.n, dimensions)
        keys = ("fine.x", "fine.v", "coarse.x", "coarse.v")
        self.arrays: dict[str, np.ndarray] = {key: np.zeros(shape) for key in keys}
        self._hidden = [each.name for each in problem.system.hidden_variables]
        for each in problem.system.hidden_variables:
            whole = (shape[0], *each.axes(*shape[1:]))
            for name in ("fine", "coarse"):
                self.arrays[f"{name}.hidden.{each.name}"] = np.zeros(whole)
        self.arrays["doubt"] = np.zeros(shape[0])

    def restore(self, arrays: Mapping[str, np.ndarray], report: EstimateReport) -> None:
        """Take over the state of an interrupted run.

        Raises
        ------
        ValueError
            If the arrays are of another run.
        """
        wanted = {key: (y.shape, y.dtype) for key, y in self.arrays.items()}
        if wanted != {key: (y.shape, y.dtype) for key, y in arrays.items()}:
            raise ValueError("the state of the error estimate is not of its particles")
        self.arrays = dict(arrays)
        self._before, self.seconds = report.force_calls, report.seconds

    @property
    def report(self) -> EstimateReport:
        """How the estimate is made, and what it has cost by now."""
        model = self.model
        return EstimateReport(
            coverage=model.coverage,
            calibrated=model.calibrated,
            solver=self._solver.description,
            substeps=self._solver.steps(model.substeps),
            force_calls=self._before + self._solver.calls,
            seconds=self.seconds,
            model=model.model_dump(mode="json"),
        )

    def warm_up(self, start: State) -> None:
        """Advance a start by a frame that is not kept, so that nothing is compiled in the run."""
        now = PhaseSpace(start.x, start.v, start.hidden)
        self._solver.frame(self._particles, now, self.model.substeps)

    def ahead(
        self,
        frame: int,
        x: Float64[np.ndarray, "B T N D"],
        v: Float64[np.ndarray, "B T N D"],
        vouched: Float64[np.ndarray, "B F"] | None = None,
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> Float64[np.ndarray, "B F"]:
        """Return what `extend` would, of frames that may yet be replaced.

        Where they stay, `extend` does not compute it again.
        """
        kept = self.arrays
        bounds = self.extend(frame, x, v, vouched, hidden)
        by = _by(vouched, x)
        self._looked, self.arrays = _Ahead(frame, x, v, bounds, self.arrays, by), kept
        return bounds

    def extend(
        self,
        frame: int,
        x: Float64[np.ndarray, "B T N D"],
        v: Float64[np.ndarray, "B T N D"],
        vouched: Float64[np.ndarray, "B F"] | None = None,
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> Float64[np.ndarray, "B F"]:
        """Estimate the error of new frames.

        Parameters
        ----------
        frame : int
            Number of the first of the frames, of which the error is known by now.
        x, v : ndarray, shape (B, T, N, D)
            That one and the F = T - 1 new ones.
        vouched : ndarray, shape (B, F), optional
            As a `Segment` has it: what solvers add at most to each frame that they made.
        hidden : mapping of str to ndarray, shape (B, T, N, ...)
            The hidden variables of all of them, where the system has some.

        Returns
        -------
        ndarray, shape (B, F)
            The bound of the position RMSE against the exact motion from the start; finite.
        """
        looked, self._looked, by = self._looked, None, _by(vouched, x)
        if looked is not None and looked.is_of(frame, x, v, by):
            self.arrays = looked.arrays
            return looked.bounds
        began = time.perf_counter()
        bounds: list[np.ndarray] = []
        for part in in_parts(PhaseSpace(x, v, hidden)):
            errors = frame_errors(self._solver, self._particles, part, self.model.substeps)
            done = sum(each.shape[1] for each in bounds)
            count = part.x.shape[1] - 1
            errors = vouched_for(errors, self.model, by[:, done : done + count])
            bounds.append(self._follow(frame, part, errors))
            frame += count
        self.seconds += time.perf_counter() - began
        return np.concatenate(bounds, axis=1)

    def _follow(
        self, frame: int, frames: PhaseSpace, errors: FrameErrors
    ) -> Float64[np.ndarray, "B F"]:
        """Carry both errors along some frames."""
        half, quarter = self.model.substeps // 2, self.model.substeps // 4
        fine = self._followed("fine", frames, errors.fine_map, errors.fine, half)
        coarse = self._followed("coarse", frames, errors.coarse_map, errors.coarse, quarter)
        with np.errstate(all="ignore"):
            # the largest by now: two errors that cross are not known to be right there
            apart = np.concatenate([self.arrays["doubt"][:, None], rms(fine.x - coarse.x)], axis=1)
            doubts = np.fmax.accumulate(apart, axis=1)[:, 1:]
            self.arrays = {
                **_last("fine", fine),
                **_last("coarse", coarse),
                "doubt": doubts[:, -1].copy(),
            }
            ages = np.arange(frame + 1, frame + 1 + doubts.shape[1])
            # of each frame that of as many additions as it has sub-steps, in random directions
            rounding = np.finfo(np.float64).eps * np.sqrt(self.model.substeps) * ages
            rounding = rounding * np.abs(frames.x[:, 1:]).max((2, 3))
            bounds = bound_of(rms(fine.x), self.model.factor(ages) * doubts)
            return np.asarray(np.fmin(bounds + rounding, LARGEST))

    def _followed(
        self, name: str, frames: PhaseSpace, mapped: PhaseSpace, added: PhaseSpace, substeps: int
    ) -> PhaseSpace:
        """Return the errors of further frames, of shape (B, F, N, D)."""
        hidden = {each: self.arrays[f"{name}.hidden.{each}"] for each in self._hidden}
        error = PhaseSpace(self.arrays[f"{name}.x"], self.arrays[f"{name}.v"], hidden)
        return self._solver.follow(self._particles, frames, error, mapped, added, substeps)


def _last(name: str, errors: PhaseSpace) -> dict[str, np.ndarray]:
    """Return the errors of the last frame, by the names of the arrays that they are kept in."""
    last = errors.made(lambda y: y[:, -1].copy())
    hidden = {f"{name}.hidden.{each}": values for each, values in last.hidden.items()}
    return {f"{name}.x": last.x, f"{name}.v": last.v, **hidden}


def _by(vouched: np.ndarray | None, x: np.ndarray) -> Float64[np.ndarray, "B F"]:
    """Return what was vouched for: NaN of all frames where there is none."""
    return np.full((len(x), x.shape[1] - 1), np.nan) if vouched is None else vouched
