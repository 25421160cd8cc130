"""A guard at work: it advances a run as the integrator does, and looks at what comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import OK, OVER_BUDGET, Carry, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.time_text import time_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.results.guard_events import REASONS, GuardEvent, GuardEvents
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.simulation.guard.faults import first_events
from nbody_surrogate.simulation.guard.final_account import FinalAccount, Replays
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.guard.watch import Watch
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.replay import SegmentEdit, standstill

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["GuardMonitor"]

AT_ONCE = 64  # frames that are read from the file of a run that is not kept in memory


@final
class GuardMonitor(Observer):
    """The guard of one run: it takes the place of each segment's computation.

    Parameters
    ----------
    guard : Guard
    method : AbstractIntegrator
        What is guarded.
    problem : Problem
    start : State
    frames : int
        Of the whole run, the start not counted.
    estimated : bool
        Whether the run has an error estimate.

    Attributes
    ----------
    report : GuardReport
        What happened by now.
    stopped : ndarray, shape (B,)
        Trajectories that are not watched any more.
    watch : Watch
        What is looked at, with its account.
    """

    def __init__(
        self,
        guard: Guard,
        method: AbstractIntegrator,
        problem: Problem,
        start: State,
        frames: int,
        estimated: bool = False,
    ) -> None:
        batch = len(start.x)
        self.guard, self.method, self.frames = guard, method, frames
        length, kept = method.options.segment, method.keeps_hidden
        self.solver = guard.solver(problem.system, batch, length, kept)
        if self.solver is not None:  # what does not fit is said before the run
            self.solver.check(problem.system, start, problem.particles, problem.dt)
        self.watch = Watch(guard, method, problem, start, frames, estimated)
        self.stopped = np.zeros(batch, dtype=bool)
        self._warned: set[str] = set()
        self.report = GuardReport(
            guard.policy,
            self.watch.watched,
            None if self.solver is None else self.solver.description,
            frames,
            (0,) * batch,
        )

    @property
    def segments(self) -> int:
        """Segments of the whole run."""
        return math.ceil(self.frames / self.method.options.segment)

    def restore(
        self,
        report: GuardReport,
        account: Mapping[str, np.ndarray],
        message: Sequence[str],
        problem: Problem,
        frame: int,
    ) -> None:
        """Take over what an interrupted run found, of which some trajectories have stopped.

        Raises
        ------
        ValueError
            If the account is of another run.
        """
        self.watch.restore(problem, frame, account)
        self.report = report
        self.watch.spent.restore(report)
        self.stopped = np.array([bool(why) for why in message])
        # the user was warned of these before the interruption
        self._warned = {REASONS[number] for number in np.unique(report.gathered.reason)}

    def on_start(self, run: Recorder) -> None:
        """Announce the guard, and what of it may be warmed up."""
        run.info = replace(run.info, guard=self.report)
        if run.carry is None:
            return
        arrays = run.carry.arrays
        state = State(run.problem.t0, arrays["x"], arrays["v"], hidden=run.carry.hidden)
        # at t0 whatever frame the carry is of: what is compiled depends on shapes alone
        run.warm_ups.append(lambda: self._warm_up(run.problem, state))

    def _warm_up(self, problem: Problem, state: State) -> None:
        """Compute one frame by all solvers, so that nothing is compiled during the run."""
        for solver in [self.solver, *self.watch.solvers]:
            if solver is not None:
                start = solver.start(problem.system, state[0], problem.particles[0], problem.dt)
                solver.advance(start, 1)

    def on_advance(self, run: Recorder, frames: int, advance: Callable[[], Segment]) -> Segment:
        """Let the method advance, and do to the frames what the guard does."""
        assert run.carry is not None
        began = time.perf_counter()
        self.watch.estimator = run.estimator
        segment = self._guarded(run.carry, frames, advance, *run.past)
        if run.done + frames == run.frames:
            segment = self._judged(run, segment)
        self._note(0.0, [], time.perf_counter() - began)
        run.info = replace(run.info, guard=self.report)
        return segment

    def _guarded(
        self,
        carry: Carry,
        frames: int,
        advance: Callable[[], Segment],
        past_x: Float64[np.ndarray, "B W N D"],
        past_v: Float64[np.ndarray, "B W N D"],
    ) -> Segment:
        """Advance, look, and act; the past are the latest frames up to that of the carry."""
        began, watch = time.perf_counter(), self.watch
        events = self._of_start(carry)
        refused = len(events) == len(self.stopped) and self.guard.policy != "warn"
        outside = watch.outside(carry, frames)
        hopeless = refused or (outside and self.guard.policy == "fallback")
        known = watch.known(carry, frames) if outside else []
        seconds = time.perf_counter() - began
        segment = standstill(carry, frames) if hopeless else advance()  # it need not even try
        # after the method, whose own time is no cost of the guard
        began = time.perf_counter()
        faults = [*([] if hopeless else watch.of_segment(carry, segment, ~self.stopped)), *known]
        if faults:
            told = np.array([event.trajectory for event in events], dtype=np.int64)
            watched = ~self.stopped & ~np.isin(np.arange(len(self.stopped)), told)
            number = carry.frame // self.method.options.segment
            events += first_events(carry.frame + 1, number, faults, watched)
        self._note(seconds + time.perf_counter() - began, events)
        if events:
            return self._act(carry, segment, sorted(events, key=_trajectory), (past_x, past_v))
        self.watch.settle(carry, segment, [])
        return segment

    def _of_start(self, carry: Carry) -> list[GuardEvent]:
        """Look at the start, before anything is computed."""
        if carry.frame > 0:
            return []
        return first_events(0, 0, self.watch.of_start(carry), ~self.stopped)

    def _judged(self, run: Recorder, last: Segment) -> Segment:
        """Say of the last segment where the replays themselves have overspent the budget."""
        # what neither tripped nor stopped is within its budget
        tripped = {event.trajectory for event in self.report.events}
        rows = sorted(b for b in tripped if not self.stopped[b])
        if self.solver is None or not rows:
            return last
        began, problem = time.perf_counter(), run.problem
        account = FinalAccount(
            problem.system,
            problem.particles[np.array(rows)],
            _parts(run, last),
            rows,
            self.watch.budget.scales,
        )
        replays = Replays(self.solver, tuple(self._replayed(b) for b in rows))
        found = account.overspent(self.watch.budget.thresholds, replays)
        self._note(time.perf_counter() - began, [])
        status, message = last.status.copy(), list(last.message)
        for row, why in found.items():
            status[rows[row]], message[rows[row]] = OVER_BUDGET, why
        return replace(last, status=status, message=tuple(message))

    def _replayed(self, b: int) -> tuple[range, ...]:
        """Return the frames of a trajectory's segments that fell back, and where each began."""
        length = self.method.options.segment
        segments = [event.segment for event in self.report.events if event.trajectory == b]
        # from the companion's frame the path jumps, which is no loss of the reference
        skipped = int(self.watch.companion is not None)
        return tuple(
            range(length * s + skipped, min(length * (s + 1), self.frames) + 1) for s in segments
        )

    def _note(self, seconds: float, events: list[GuardEvent], whole: float = 0.0) -> None:
        """Add to the report: seconds of checks, what tripped, and seconds of the whole run."""
        report, spent = self.report, self.watch.spent
        self.report = replace(
            report,
            check_time=report.check_time + seconds,
            run_time=report.run_time + whole,
            spot_checked=spent.checked,
            spot_check_time=spent.spot_checks,
            companion_time=spent.companion,
            events=report.gathered + GuardEvents.of(events),
        )
        for event in events:
            # once for each reason: a run that has gone wrong trips in every segment from there on
            if self.guard.policy == "warn" and event.reason not in self._warned:
                self._warned.add(event.reason)
                warn(f"guard: {event}; the run goes on")

    def _act(
        self,
        carry: Carry,
        segment: Segment,
        events: list[GuardEvent],
        past: tuple[np.ndarray, np.ndarray],
    ) -> Segment:
        """Do what the policy says to the trajectories that tripped."""
        if self.guard.policy == "warn":
            self.stopped = self.stopped | (segment.status != OK)
            self.watch.settle(carry, segment, [])
            return segment
        edit = SegmentEdit(carry, segment)
        for event in events:
            b, valid = event.trajectory, max(event.frame - carry.frame - 1, 0)
            if self.guard.policy == "stop":
                # the method's own words tell more than that numbers are not finite
                why = segment.message[b] if event.reason == "non-finite" else ""
                where = "at the start" if event.frame == 0 else _after(carry, valid)
                edit.freeze(b, valid, why or f"the guard found {event.detail} {where}")
            else:
                self._replay(edit, b)
            self.stopped[b] = edit.status[b] != OK
        replayed = [event.trajectory for event in events if not self.stopped[event.trajectory]]
        began = time.perf_counter()
        changed = edit.segment(self.method, past)  # which refills the history of each
        refilled = time.perf_counter()
        self.report = replace(self.report, replay_time=self.report.replay_time + refilled - began)
        self.watch.settle(carry, changed, replayed if self.solver is not None else [])
        self._note(time.perf_counter() - refilled, [])
        return changed

    def _replay(self, edit: SegmentEdit, b: int) -> None:
        """Replay a trajectory's segment by the reference."""
        assert self.solver is not None
        began, carry, problem = time.perf_counter(), edit.carry, edit.carry.problem
        try:
            state = self.watch.replayed_from(carry, b)
            start = self.solver.start(problem.system, state, problem.particles[b], problem.dt)
            edit.replace(b, self.solver.advance(start, edit.x.shape[1]), self.solver)
            if self.watch.companion is not None:  # from its frame the path jumps, to be nearer
                edit.vouched[b, 0] = np.nan
        # such as of two particles at the same place, from where no solver starts
        except InputError as error:
            edit.freeze(b, 0, f"the guard's reference cannot replay it: {error}")
        report = self.report
        fallen = list(report.fallen_back)
        # where the replay fails as well, some of the frames are nobody's
        fallen[b] += int(edit.good[b])
        spent = report.replay_time + time.perf_counter() - began
        self.report = replace(report, fallen_back=tuple(fallen), replay_time=spent)


def _parts(run: Recorder, last: Segment) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and velocities of a run, a part at a time, and of its last segment."""
    stop = run.done + 1
    length = stop if run.keep else AT_ONCE
    for first in range(0, stop, length):
        yield run.take(slice(first, min(first + length, stop)))
    yield last.x, last.v


def _trajectory(event: GuardEvent) -> int:
    return event.trajectory


def _after(carry: Carry, valid: int) -> str:
    problem = carry.problem
    return f"after t = {time_text(problem.time(carry.frame + valid), problem.dt)}"
