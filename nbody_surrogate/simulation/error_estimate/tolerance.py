"""A tolerance for a surrogate: frames whose error is estimated to be larger go to a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import FAILED, OK, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.integrators.solver_doubt import solver_doubt
from nbody_surrogate.results.error_estimate import ToleranceReport
from nbody_surrogate.simulation.error_estimate.choice import as_surrogate
from nbody_surrogate.simulation.error_estimate.frame_errors import frame_bounds, frame_errors
from nbody_surrogate.simulation.error_estimate.frame_solver import FrameSolver, PhaseSpace
from nbody_surrogate.simulation.error_estimate.tolerance_value import check_tolerance, no_surrogate
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.replay import SegmentEdit

if TYPE_CHECKING:  # it needs torch
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = ["ToleranceKeeper"]


@final
class ToleranceKeeper(Observer):
    """Holds each frame of a surrogate to a tolerance.

    A frame whose estimated error, `frame_bounds`, is above it is made by the reference from the
    frame before. The surrogate goes on from there with its history refilled, first for one frame,
    then for twice as many each time, so that what it makes in vain stays few.

    Parameters
    ----------
    tolerance : float
        Of the position RMSE that a frame may add, in reduced units.
    method : AbstractIntegrator
        A surrogate.
    problem : Problem
    start : State
    report : ToleranceReport, optional
        Of a run that goes on.

    Attributes
    ----------
    report : ToleranceReport
        What became of the run by now.

    Raises
    ------
    InputError
        If the tolerance is no positive number, the method is a solver, or the system has hidden
        variables.
    """

    def __init__(
        self,
        tolerance: float,
        method: AbstractIntegrator,
        problem: Problem,
        start: State,
        report: ToleranceReport | None = None,
    ) -> None:
        tolerance = check_tolerance(tolerance)
        surrogate = as_surrogate(method)
        if surrogate is None:
            raise no_surrogate(method.name)
        self._method: SurrogateIntegrator = surrogate
        self._model = surrogate.card.error_model or ErrorModel()
        self._frame_solver = FrameSolver(problem.system, problem.dt)
        # one frame at a time: a segment that is longer would be looked ahead of for nothing
        name = default_reference(problem.system, len(start.x))
        self._solver = make_integrator(name, segment=1)
        self._solver.check(problem.system, start, problem.particles, problem.dt)
        fresh = ToleranceReport(tolerance, self._solver.description)
        self.report = fresh if report is None else report

    def on_start(self, run: Recorder) -> None:
        """Announce the tolerance, and the solver among what may be warmed up."""
        run.info = replace(run.info, tolerance=self.report)
        problem, state = run.problem, State(run.problem.t0, run.x[:1, 0], run.v[:1, 0])
        alone = problem.particles[0]
        run.warm_ups.append(
            lambda: self._solver.advance(
                self._solver.start(problem.system, state, alone, problem.dt), 1
            )
        )

    def on_advance(self, run: Recorder, frames: int, advance: Callable[[], Segment]) -> Segment:
        """Let the method advance, and make anew what is beyond the tolerance."""
        carry, segment = run.carry, advance()
        assert carry is not None
        report = self.report
        self.report = replace(report, frames=report.frames + segment.x.shape[0] * frames)
        past = run.past
        made = PhaseSpace(
            np.concatenate([past[0][:, -1:], segment.x], axis=1),
            np.concatenate([past[1][:, -1:], segment.v], axis=1),
        )
        kept = self._kept(run.problem, made, segment.good)
        # a trajectory that stopped before stays where it is
        rows = [b for b in np.flatnonzero(kept < frames).tolist() if not run.message[b]]
        if rows:
            edit = SegmentEdit(carry, segment)
            for b in rows:
                self._remake(run, edit, b, int(kept[b]))
            segment = edit.segment(self._method, past)
        run.info = replace(run.info, tolerance=self.report)
        return segment

    def _kept(self, problem: Problem, frames: PhaseSpace, good: np.ndarray) -> np.ndarray:
        """Count the frames of each trajectory before the first that is beyond the tolerance."""
        errors = frame_errors(self._frame_solver, problem.particles, frames, self._model.substeps)
        beyond = frame_bounds(errors, self._model) > self.report.tolerance
        first = np.where(beyond.any(1), beyond.argmax(1), beyond.shape[1])
        return np.asarray(np.minimum(first, good))

    def _remake(self, run: Recorder, edit: SegmentEdit, b: int, f: int) -> None:
        """Make the frames of trajectory `b` from frame `f` of its segment on."""
        count = edit.x.shape[1]
        # what the method made in one go, of which the rest is not kept
        self._note(discarded=count - f)
        edit.status[b], edit.good[b], edit.message[b] = OK, count, ""
        row = _Row(run, edit, b)
        while f < count:
            why = self._by_solver(row, f)
            if why:
                edit.freeze(b, f, why)
                break
            f += 1
            length = 1
            while f < count and row.seen(f) >= self._method.model.min_history:
                wanted = min(length, count - f)
                kept = self._by_method(row, f, wanted)
                f += kept
                if kept < wanted:
                    break
                length *= 2
        edit.mark_replayed(b)

    def _by_solver(self, row: _Row, f: int) -> str:
        """Make one frame by the solver; return why it could not."""
        problem, now = row.problem, row.before(f, 1)
        state = State(problem.time(row.frame + f), now.x[:, -1], now.v[:, -1])
        try:
            made = self._solver.advance(
                self._solver.start(problem.system, state, problem.particles, problem.dt), 1
            )
        # such as of two particles at the same place, from where no solver starts
        except InputError as error:
            return f"the solver of the tolerance cannot go on: {error}"
        row.put(f, made, 1, solver_doubt(self._solver, made.x[0, :1]))
        for key, count in made.counters.items():
            row.count(f"tolerance_{key}", count)
        self._note(by_solver=1)
        return made.message[0] if made.status[0] == FAILED else ""

    def _by_method(self, row: _Row, f: int, wanted: int) -> int:
        """Let the method make some frames; keep those within the tolerance, and count them."""
        latest = row.before(f, self._method.history)
        carry = self._method.restart(row.problem, row.frame + f, latest.x, latest.v)
        made = self._method.advance(carry, wanted)
        frames = PhaseSpace(
            np.concatenate([latest.x[:, -1:], made.x], 1),
            np.concatenate([latest.v[:, -1:], made.v], 1),
        )
        kept = int(self._kept(row.problem, frames, made.good)[0])
        row.put(f, made, kept)
        for key, count in made.counters.items():
            row.count(key, count)
        self._note(discarded=wanted - kept)
        return kept

    def _note(self, by_solver: int = 0, discarded: int = 0) -> None:
        report = self.report
        self.report = replace(
            report,
            by_solver=report.by_solver + by_solver,
            discarded=report.discarded + discarded,
        )


@final
class _Row:
    """One trajectory of a segment in the making."""

    def __init__(self, run: Recorder, edit: SegmentEdit, b: int) -> None:
        self._run, self._edit, self._b = run, edit, b
        self.problem = replace(run.problem, particles=run.problem.particles[b])
        self.frame = edit.carry.frame

    def seen(self, f: int) -> int:
        """Frames before frame `f` of the segment, the start of the run included."""
        return self._run.done + 1 + f

    def before(self, f: int, most: int) -> PhaseSpace:
        """Return the latest frames before frame `f` of the segment, (1, W, N, D)."""
        rows, (past_x, past_v) = slice(self._b, self._b + 1), self._run.past
        parts = [
            np.concatenate([old[rows], new[rows, :f]], axis=1)[:, -most:]
            for old, new in ((past_x, self._edit.x), (past_v, self._edit.v))
        ]
        return PhaseSpace(parts[0], parts[1])

    def put(self, f: int, made: Segment, count: int, vouched: np.ndarray | float = np.nan) -> None:
        """Take the first frames of what was made for those from `f` on, and what vouches for it."""
        self._edit.vouched[self._b, f : f + count] = vouched
        self._edit.x[self._b, f : f + count] = made.x[0, :count]
        self._edit.v[self._b, f : f + count] = made.v[0, :count]

    def count(self, key: str, amount: int) -> None:
        """Add to a counter of the segment."""
        self._edit.counters[key] = self._edit.counters.get(key, 0) + amount
