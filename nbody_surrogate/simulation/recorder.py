"""What a run gathers, segment by segment: frames, failures, counters and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.memory import demand_memory, frame_bytes
from nbody_surrogate.contracts.segment import FAILED, OK, Carry, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE, SYSTEM_ERROR
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.frame_series import AbstractSeries, KeptSeries, LatestSeries
from nbody_surrogate.simulation.reporters import Reporter

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

    from nbody_surrogate.formats.h5md.mapped import MappedRun

    # it is handed over by who runs
    from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator

__all__ = ["Recorder", "demand_frames_memory"]


SHORTER = "use a shorter `duration`, or fewer of them at a time"


def demand_frames_memory(start: State, frames: int, runs: int = 1, instead: str = SHORTER) -> None:
    """Demand the memory that all frames of some runs from a start take; else say what would do.

    Raises
    ------
    InputError
        If there is not so much.
    """
    batch, n, dimensions = start.x.shape
    hidden = sum(each.nbytes for each in start.hidden.values())
    needed = runs * (frame_bytes(batch, frames + 1, n, dimensions) + (frames + 1) * hidden)
    what = f"{frames} `frames` of {batch} `trajectories` with {n} particles"
    demand_memory(needed, what, instead)


def _frame_times(problem: Problem, frames: int) -> Float64[np.ndarray, " T"]:
    """Return the times of all frames, each of which must be later than the one before.

    Raises
    ------
    InputError
        If rounding makes some of them equal.
    """
    # products, as in `Problem.time`: a running sum would drift from the frames' own times
    t = problem.t0 + np.arange(frames + 1) * problem.dt
    if not (np.isfinite(t[-1]) and (t[1:] > t[:-1]).all()):
        raise InputError(
            f"`dt` {number_text(problem.dt)} is lost in the rounding of times near "
            f"t = {number_text(float(t[-1]))}; use a larger one, fewer frames, or start at t = 0"
        )
    return t


@final
class Recorder:
    """A run under way: B trajectories of N particles in D dimensions.

    Parameters
    ----------
    integrator : AbstractIntegrator
    carry : Carry
        What the first segment starts from.
    start : State, shape (B, N, D)
    frames : int
        Of the whole run, the start not counted.
    info : RunInfo
        What is known before the run.
    truth : Recorder, optional
        A sharper run of the same start, which is done: it gives the label error.
    reporters : sequence of Reporter
        What to take of each frame.
    estimator : ErrorEstimator, optional
        Estimates the run's error, an observable of its own.
    keep : bool
        Whether all frames stay in memory. Otherwise the latest do, and `read_from` says where the
        others are.
    finer : Recorder, optional
        A run as the truth of a finer version of the system, which is done too: against the truth
        it gives the error of the system, an observable.

    Attributes
    ----------
    x, v : ndarray, shape (B, frames + 1, N, D)
        Filled up to and including frame `done`. Of a run that is not kept, what its file shows,
        read-only; before there is a file, the start.
    hidden : dict of str to ndarray, shape (B, frames + 1, N, ...)
        The hidden variables, likewise, where the system has some and the method keeps them.
    done : int
    carry : Carry or None
        What the next segment starts from; None after the last.
    good : ndarray, shape (B,)
        Valid frames of each trajectory, the start included.
    message : list of str
        Why a trajectory failed, empty where it did not.
    status : list of int
        One for each trajectory, as in `RunInfo`.
    counters : dict of str to int
    wall_time : float
        Seconds spent stepping.
    estimator : ErrorEstimator or None
    trusted : ndarray, shape (B,)
        Frames of each trajectory, the start included, that a run may be judged by.
    label_error : ndarray, shape (B, frames + 1), or None
        Position RMSE against the truth; infinite where the truth is not to be trusted any more,
        and NaN where either run is not good any more.
    observables : dict of str to ndarray, shape (B, frames + 1, ...)
        What the reporters gave, the error estimate, and the error of the system.
    info : RunInfo
    warm_ups : list of callable
        Each lets one method of the run compute a frame that is not kept.
    """

    def __init__(
        self,
        integrator: AbstractIntegrator,
        carry: Carry,
        start: State,
        frames: int,
        info: RunInfo,
        truth: Recorder | None = None,
        reporters: Sequence[Reporter] = (),
        estimator: ErrorEstimator | None = None,
        keep: bool = True,
        finer: Recorder | None = None,
    ) -> None:
        batch = len(start.x)
        self.keep = keep
        demand_frames_memory(start, frames if keep else min(frames, integrator.options.segment))
        self.integrator, self.problem, self.info = integrator, carry.problem, info
        self._t = _frame_times(carry.problem, frames)
        self.carry: Carry | None = carry
        self.frames, self.done, self.wall_time = frames, 0, 0.0
        self._x, self._v = self._series(start.x[:, None]), self._series(start.v[:, None])
        # before its first frame a surrogate may have those of the start, to warm up with
        held = carry.hidden if integrator.keeps_hidden else NOTHING_HIDDEN
        self._hidden = {name: self._series(values[:, None]) for name, values in held.items()}
        self._truth, self._finer = truth, finer
        # zero at the start, which both runs share
        self.label_error = None if truth is None else np.zeros((batch, frames + 1))
        self.trusted = np.full(batch, frames + 1)
        self.good = np.full(batch, frames + 1)
        self._reporters = reporters
        self._observables: dict[str, AbstractSeries] = {}
        self._measure(slice(0, 1))
        self.estimator = estimator
        if estimator is not None:
            # zero at the start, which is given
            self._observables[ERROR_ESTIMATE] = self._series(np.zeros((batch, 1)))
        if finer is not None:
            self._observables[SYSTEM_ERROR] = self._series(np.zeros((batch, 1)))
        self.message = [""] * batch
        self.status = [OK] * batch
        self.counters: dict[str, int] = {}
        self._calls = dict(carry.problem.system.computed)
        self.warm_ups: list[Callable[[], object]] = [lambda: integrator.advance(carry, 1)]
        if estimator is not None:
            self.warm_ups.append(lambda: estimator.warm_up(start))

    def _series(self, start: np.ndarray) -> AbstractSeries:
        """Begin a series with its values at the start, shape (B, 1, ...)."""
        if self.keep:
            return KeptSeries(self.frames + 1, start)
        # what a method goes on from, and the frame that a segment is measured from
        return LatestSeries(max(self.integrator.history, 1), start)

    @property
    def x(self) -> Float64[np.ndarray, "B T N D"]:
        """Positions of all frames."""
        return self._x.whole

    @property
    def v(self) -> Float64[np.ndarray, "B T N D"]:
        """Velocities of all frames."""
        return self._v.whole

    @property
    def hidden(self) -> dict[str, np.ndarray]:
        """Hidden variables of all frames."""
        return {name: each.whole for name, each in self._hidden.items()}

    @property
    def observables(self) -> dict[str, np.ndarray]:
        """What was reported of all frames."""
        return {name: each.whole for name, each in self._observables.items()}

    def take(
        self, frames: slice
    ) -> tuple[Float64[np.ndarray, "B F N D"], Float64[np.ndarray, "B F N D"]]:
        """Return positions and velocities of some frames that are done."""
        return self._x.take(frames), self._v.take(frames)

    def take_hidden(self, frames: slice) -> dict[str, np.ndarray]:
        """Return the hidden variables of some frames that are done, shape (B, F, N, ...) each."""
        return {name: each.take(frames) for name, each in self._hidden.items()}

    def reported(self, frames: slice) -> dict[str, np.ndarray]:
        """Return what was reported of some frames that are done, shape (B, F, ...) each."""
        return {name: each.take(frames) for name, each in self._observables.items()}

    @property
    def past(self) -> tuple[Float64[np.ndarray, "B W N D"], Float64[np.ndarray, "B W N D"]]:
        """The latest frames, as many as the method goes on from or there are by now."""
        first = max(self.done + 1 - max(self.integrator.history, 1), 0)
        return self.take(slice(first, self.done + 1))

    def read_from(self, file: MappedRun | None) -> None:
        """Say what shows the frames of a run that is not kept; None, that nothing does for now."""
        of_file = {} if file is None else {"x": file.x, "v": file.v}
        observables, hidden = ({}, {}) if file is None else (file.observables, file.hidden)
        for known, shown in (
            ({"x": self._x, "v": self._v}, of_file),
            (self._observables, observables),
            (self._hidden, hidden),
        ):
            for name, each in known.items():
                if isinstance(each, LatestSeries):
                    each.read_from(file, shown.get(name))

    def restore(
        self,
        frame: int,
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        good: Sequence[int],
        message: Sequence[str],
        observables: Mapping[str, np.ndarray],
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> None:
        """Take over a run up to and including a frame, by the F latest frames that are kept."""
        latest = slice(frame + 1 - x.shape[1], frame + 1)
        for name, series in self._hidden.items():
            series.put(latest, hidden[name])
        for name, values in observables.items():
            self._observables[name].put(latest, values[:, latest])
        self._x.put(latest, x)
        self._v.put(latest, v)
        self.done, self.good, self.message = frame, np.array(good), list(message)
        # a budget is judged at the end only, so that all that failed by now have stopped
        self.status = [FAILED if why else OK for why in message]

    @property
    def next_frames(self) -> int:
        """Frames of the next segment."""
        return min(self.integrator.options.segment, self.frames - self.done)

    def add(self, segment: Segment) -> slice:
        """Take over a segment's frames; trajectories that failed before stay frozen."""
        length = segment.x.shape[1]
        new = slice(self.done + 1, self.done + 1 + length)
        for series, values in self._moving(segment):
            last = series.take(slice(self.done, self.done + 1))
            kept = series.put(new, values)
            for b, why in enumerate(self.message):
                # the method computes it along with the batch, whatever became of it
                if why:
                    kept[b] = last[b]
        for b, why in enumerate(segment.message):
            if why and not self.message[b]:
                self.message[b], self.status[b] = why, int(segment.status[b])
                self.good[b] = self.done + 1 + segment.good[b]
        for key, count in segment.counters.items():
            self.counters[key] = self.counters.get(key, 0) + count
        if segment.convergence and (report := self.info.parareal) is not None:
            self.info = replace(self.info, parareal=report.after(segment.convergence))
        self.carry = segment.carry
        new = self._done(new, segment.vouched)
        self._count()
        return new

    def _moving(self, segment: Segment) -> Iterator[tuple[AbstractSeries, np.ndarray]]:
        """Yield what a method moves on, each with its frames of a segment."""
        yield self._x, segment.x
        yield self._v, segment.v
        for name, series in self._hidden.items():
            yield series, segment.hidden[name]

    def count_from(self, calls: Mapping[str, int]) -> None:
        """Count what the system has computed since it had computed so much, as of `calls`."""
        self._calls = dict(calls)

    def _count(self) -> None:
        """Add what the system has really computed since, whoever asked it."""
        now = dict(self.problem.system.computed)
        for key, count in now.items():
            new = count - self._calls.get(key, 0)
            self.counters[key] = self.counters.get(key, 0) + new
        self._calls = now

    def valid(self, frames: slice) -> Bool[np.ndarray, "B F"]:
        """Tell which of some frames are data, and no repeats of a trajectory's last one."""
        return np.arange(frames.start, frames.stop) < self.good[:, None]

    def stand_still(self) -> slice:
        """Repeat the last frame to the end of the run; by segments, where frames are not kept."""
        length = self.frames - self.done if self.keep else self.next_frames
        new = slice(self.done + 1, self.done + 1 + length)
        for series in (self._x, self._v, *self._hidden.values()):
            last = series.take(slice(self.done, self.done + 1))
            series.put(new, np.broadcast_to(last, (len(last), length, *last.shape[2:])))
        self.carry = None
        return self._done(new)

    def _done(self, new: slice, vouched: np.ndarray | None = None) -> slice:
        """Count new frames, and judge them by the truth where there is one."""
        self.done = new.stop - 1
        self._measure(new)
        self._estimate(new, vouched)
        if self._truth is not None and self.label_error is not None:
            self.label_error[:, new] = self._error(self._x.take(new), self.good, new)
            if self._finer is not None:
                error = self._error(self._finer.x[:, new], self._finer.good, new)
                self._observables[SYSTEM_ERROR].put(new, error)
        return new

    def _error(self, x: np.ndarray, valid: np.ndarray, new: slice) -> np.ndarray:
        """Position RMSE of new frames (B, F, N, D) against the truth, of valid frames (B,)."""
        assert self._truth is not None
        numbers, good = np.arange(new.start, new.stop), np.minimum(valid, self._truth.good)
        error = rmse(self._truth.x[:, new], x)
        error = np.where(numbers < self._truth.trusted[:, None], error, np.inf)
        return np.where(numbers < good[:, None], error, np.nan)

    def _measure(self, new: slice) -> None:
        """Take what is reported of new frames."""
        problem, valid = self.problem, self.valid(new)
        for each in self._reporters:
            values = each.measure(self._t[new], *self.take(new), problem.particles, valid)
            if new.start == 0:
                self._observables[each.name] = self._series(values)
                continue
            series = self._observables[each.name]
            wanted = (*values.shape[:2], *series.whole.shape[2:])
            if values.shape != wanted:
                raise InputError(
                    f"`quantity` of reporter {each.name!r} must return shape {wanted}, as of "
                    f"the frames before, got {values.shape}"
                )
            series.put(new, values)

    def _estimate(self, new: slice, vouched: np.ndarray | None) -> None:
        """Estimate the error of new frames; of what is no data it is NaN."""
        if self.estimator is None:
            return
        valid, before = self.valid(new), new.start - 1
        values = np.full(valid.shape, np.nan)
        if valid.any():
            some = slice(before, new.stop)
            hidden = self.take_hidden(some)
            values = self.estimator.extend(before, *self.take(some), vouched, hidden)
        self._observables[ERROR_ESTIMATE].put(new, np.where(valid, values, np.nan))
        self.info = replace(self.info, error_estimate=self.estimator.report)

    def complete(self) -> None:
        """Say in `info` how the run went."""
        self._count()
        self.info = replace(
            self.info,
            wall_time=self.wall_time,
            counters=self.counters,
            status=tuple(self.status),
            message=tuple(self.message),
            good=tuple(int(count) for count in self.good),
        )

    def ensemble(self) -> Ensemble:
        """Return the result."""
        problem: Problem = self.problem
        frames, particles = (self._t, self.x, self.v), problem.particles
        more = (self.label_error, self.observables, self.hidden)
        return Ensemble(*frames, particles, self.info, *more)
