"""A guard at work: it advances a run as the integrator does, and looks at what comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import OK, OVER_BUDGET, Carry, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.time_text import time_text
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.results.guard_events import REASONS, GuardEvent, GuardEvents
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.results.metrics import closest_pair, fastest
from nbody_surrogate.simulation.guard.drift_budget import ConservedQuantities, DriftBudget
from nbody_surrogate.simulation.guard.final_account import FinalAccount, Replays
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.guard.replay import SegmentEdit, standstill
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["GuardMonitor"]


class _Fault(NamedTuple):
    """Where a segment is at fault for one reason: (B, F), by which values, beyond which limit."""

    reason: str
    at: np.ndarray
    value: Callable[[int, int], float]
    limit: float


class _Failure(NamedTuple):
    """Where the method gave up: (B, F), and what it said of each trajectory."""

    at: np.ndarray
    message: tuple[str, ...]
    reason: str = "non-finite"


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

    Attributes
    ----------
    report : GuardReport
        What happened by now.
    stopped : ndarray, shape (B,)
        Trajectories that are not watched any more.
    budget : DriftBudget
    """

    def __init__(
        self, guard: Guard, method: AbstractIntegrator, problem: Problem, start: State, frames: int
    ) -> None:
        batch = len(start.x)
        self.guard, self.method, self.frames = guard, method, frames
        self.limits = guard.limits(method, problem.system)
        self.solver = guard.solver(problem.system, batch, method.options.segment)
        if self.solver is not None:  # what does not fit is said before the run
            self.solver.check(problem.system, start, problem.particles, problem.dt)
        now = ConservedQuantities.of(
            problem.system, start.x[:, None], start.v[:, None], problem.particles
        )
        drifts = guard.drift_thresholds(problem.system)
        self.budget = DriftBudget(drifts, now)
        self.stopped = np.zeros(batch, dtype=bool)
        self._warned: set[str] = set()
        thresholds = drifts | self.limits._asdict()
        self.report = GuardReport(
            guard.policy,
            # what is off, by 0 or infinity, is left out, as JSON has no infinity
            {key: float(value) for key, value in thresholds.items() if 0 < value < np.inf},
            None if self.solver is None else self.solver.description,
            frames,
            (0,) * batch,
        )

    @property
    def segments(self) -> int:
        """Segments of the whole run."""
        return math.ceil(self.frames / self.method.options.segment)

    def restore(
        self, report: GuardReport, account: Mapping[str, np.ndarray], message: Sequence[str]
    ) -> None:
        """Take over what an interrupted run found, of which some trajectories have stopped.

        Raises
        ------
        ValueError
            If the account is of another run.
        """
        wanted = {key: y.shape for key, y in self.budget.arrays.items()}
        found = {key: y.shape for key, y in account.items()}
        if wanted != found:
            raise ValueError("the guard's account is not of its thresholds")
        self.report = report
        self.budget.arrays = dict(account)
        self.stopped = np.array([bool(why) for why in message])
        # the user was warned of these before the interruption
        self._warned = {REASONS[number] for number in np.unique(report.gathered.reason)}

    def on_start(self, run: Recorder) -> None:
        """Announce the guard, and the reference among what may be warmed up."""
        run.info = replace(run.info, guard=self.report)
        if self.solver is not None and run.carry is not None:
            arrays = run.carry.arrays
            state = State(run.problem.t0, arrays["x"], arrays["v"])
            # at t0 whatever frame the carry is of: what is compiled depends on shapes alone
            run.warm_ups.append(lambda: self._warm_up(run.problem, state))

    def _warm_up(self, problem: Problem, state: State) -> None:
        """Compute one frame by the reference, so that nothing is compiled during the run."""
        assert self.solver is not None
        start = self.solver.start(problem.system, state[0], problem.particles[0], problem.dt)
        self.solver.advance(start, 1)

    def on_advance(self, run: Recorder, frames: int, advance: Callable[[], Segment]) -> Segment:
        """Let the method advance, and do to the frames what the guard does."""
        assert run.carry is not None
        past_x, past_v = run.x[:, : run.done + 1], run.v[:, : run.done + 1]
        segment = self._guarded(run.carry, frames, advance, past_x, past_v)
        if run.done + frames == run.frames:
            segment = self._judged(run, segment)
        run.info = replace(run.info, guard=self.report)
        return segment

    def _guarded(
        self,
        carry: Carry,
        frames: int,
        advance: Callable[[], Segment],
        past_x: Float64[np.ndarray, "B T N D"],
        past_v: Float64[np.ndarray, "B T N D"],
    ) -> Segment:
        """Advance, look, and act; the past is the run up to the frame of the carry."""
        outside = self._outside(carry, frames)
        hopeless = outside and self.guard.policy == "fallback"  # the method need not even try
        segment = standstill(carry, frames) if hopeless else advance()
        # after the method, whose own time is no cost of the guard
        began = time.perf_counter()
        with np.errstate(all="ignore"):  # of frames that blew up, which is what is looked for
            now = ConservedQuantities.of(
                carry.problem.system, segment.x, segment.v, carry.problem.particles
            )
        faults: list[_Fault | _Failure] = [*self._known(carry, frames)] if outside else []
        if not hopeless:
            faults = [*self._faults(carry, segment, now), *faults]
        # a trajectory that was stopped is frozen, and would trip in every segment to come
        at = np.stack([fault.at for fault in faults]) & ~self.stopped[:, None]
        if np.any(at):  # the one thing that is asked of every segment
            events = _events(carry.frame, self.method.options.segment, faults, at)
            self._note(time.perf_counter() - began, events)
            return self._act(carry, segment, events, (past_x, past_v), now)
        self.budget.settle(now)
        self._note(time.perf_counter() - began, [])
        return segment

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
            [run.x[:, : run.done + 1], last.x],
            [run.v[:, : run.done + 1], last.v],
            rows,
        )
        replays = Replays(self.solver, tuple(self._replayed(b) for b in rows))
        found = account.overspent(self.budget.thresholds, replays)
        self._note(time.perf_counter() - began, [])
        status, message = last.status.copy(), list(last.message)
        for row, why in found.items():
            status[rows[row]], message[rows[row]] = OVER_BUDGET, why
        return replace(last, status=status, message=tuple(message))

    def _replayed(self, b: int) -> tuple[range, ...]:
        """Return the frames of a trajectory's segments that fell back, each with the one before."""
        length = self.method.options.segment
        segments = [event.segment for event in self.report.events if event.trajectory == b]
        return tuple(range(length * s, min(length * (s + 1), self.frames) + 1) for s in segments)

    def _outside(self, carry: Carry, frames: int) -> bool:
        """Whether the run is known to be outside the limits before it goes there."""
        problem = carry.problem
        end = problem.age(carry.frame + frames)
        return bool(problem.particles.n > self.limits.most or end > self._latest)

    @property
    def _latest(self) -> float:
        return self.limits.longest + SAME_TIME * abs(self.limits.longest)  # t0 + n dt is rounded

    def _faults(
        self, carry: Carry, segment: Segment, now: ConservedQuantities
    ) -> list[_Fault | _Failure]:
        """Look for all that can be wrong with frames."""
        count = segment.x.shape[1]
        good = np.arange(count) < segment.good[:, None]
        # in the order in which they are told: numbers that are not finite break all other rules too
        faults: list[_Fault | _Failure] = [_Failure(~good, segment.message)]
        box = carry.problem.system.box
        with np.errstate(all="ignore"):
            closest, speed = closest_pair(segment.x, box), fastest(segment.v)
        elapsed = (carry.frame + count) / self.frames  # at the end of the segment
        faults += [self._loss(key, now, carry.frame + 1, elapsed) for key in self.budget.thresholds]
        # the comparisons are negated, so that NaN trips too
        low, high = self.limits.closest, self.limits.fastest
        return [
            *faults,
            _Fault("distance", ~(closest >= low), lambda b, f: closest[b, f], low),
            _Fault("speed", ~(speed <= high), lambda b, f: speed[b, f], high),
        ]

    def _loss(self, key: str, now: ConservedQuantities, before: int, elapsed: float) -> _Fault:
        """Compare what was lost of a quantity with its budget at the end of the segment."""
        with np.errstate(all="ignore"):
            errors, scale = self.budget.errors(key, now), self.budget.scale(key, now, before)
        allowed = elapsed * self.budget.thresholds[key]
        return _Fault(
            key.replace("_", " "),
            ~(errors <= allowed * scale[:, None]),
            # particles at rest have no scale: then nothing may be lost
            lambda b, f: errors[b, f] / scale[b] if scale[b] > 0 else np.inf,
            allowed,
        )

    def _known(self, carry: Carry, frames: int) -> list[_Fault]:
        """Say where the run is outside limits that do not depend on its frames."""
        problem, shape = carry.problem, (len(self.stopped), frames)
        n, most, longest = problem.particles.n, self.limits.most, self.limits.longest
        times = [problem.age(carry.frame + 1 + f) for f in range(frames)]
        late = np.array([t > self._latest for t in times])
        return [
            _Fault("particles", np.full(shape, n > most), lambda b, f: n, most),
            _Fault("time", np.broadcast_to(late, shape), lambda b, f: times[f], longest),
        ]

    def _note(self, seconds: float, events: list[GuardEvent]) -> None:
        report = self.report
        self.report = replace(
            report,
            check_time=report.check_time + seconds,
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
        now: ConservedQuantities,
    ) -> Segment:
        """Do what the policy says to the trajectories that tripped."""
        if self.guard.policy == "warn":
            self.stopped = self.stopped | (segment.status != OK)
            self.budget.settle(now)
            return segment
        edit = SegmentEdit(carry, segment)
        for event in events:
            b, valid = event.trajectory, event.frame - carry.frame - 1
            if self.guard.policy == "stop":
                # the method's own words tell more than that numbers are not finite
                why = segment.message[b] if event.reason == "non-finite" else ""
                why = why or f"the guard found {event.detail} {_after(carry, valid)}"
                edit.freeze(b, valid, why)
            else:
                self._replay(edit, b)
            self.stopped[b] = edit.status[b] != OK
        # replays have noted their own time
        began = time.perf_counter()
        changed = edit.segment(self.method, past)
        self._settle(carry, changed, events)
        self._note(time.perf_counter() - began, [])
        return changed

    def _replay(self, edit: SegmentEdit, b: int) -> None:
        """Replay a trajectory's segment by the reference."""
        assert self.solver is not None
        began, carry, problem = time.perf_counter(), edit.carry, edit.carry.problem
        frames = edit.x.shape[1]
        x = carry.arrays["x"][b : b + 1]
        v = carry.arrays["v"][b : b + 1]
        try:
            state = State(problem.time(carry.frame), x, v)
            start = self.solver.start(problem.system, state, problem.particles[b], problem.dt)
            edit.replace(b, self.solver.advance(start, frames))
        # such as of two particles at the same place, from where no solver starts
        except InputError as error:
            edit.freeze(b, 0, f"the guard's reference cannot replay it: {error}")
        report = self.report
        fallen = list(report.fallen_back)
        # where the replay fails as well, some of the frames are nobody's
        fallen[b] += int(edit.good[b])
        spent = report.replay_time + time.perf_counter() - began
        self.report = replace(report, fallen_back=tuple(fallen), replay_time=spent)

    def _settle(self, carry: Carry, segment: Segment, events: list[GuardEvent]) -> None:
        """Bring the account up to date with the frames that stay."""
        problem = carry.problem
        system, particles = problem.system, problem.particles
        # anew, since some of the frames are not the method's any more
        now = ConservedQuantities.of(system, segment.x, segment.v, particles)
        self.budget.settle(now)
        for event in events:
            b = event.trajectory
            if not self.stopped[b]:
                x = carry.arrays["x"][b : b + 1, None]
                v = carry.arrays["v"][b : b + 1, None]
                self.budget.reopen(
                    b, ConservedQuantities.of(system, x, v, particles[b]), now.row(b)
                )


def _events(
    frame: int, length: int, faults: Sequence[_Fault | _Failure], at: np.ndarray
) -> list[GuardEvent]:
    """Name the first fault of each trajectory that has one; `at` is (reasons, B, F)."""
    events = []
    for b in np.flatnonzero(at.any((0, 2))).tolist():
        # the first frame decides; of its reasons, the first that was looked for
        f = int(at[:, b].any(0).argmax())
        fault = faults[int(at[:, b, f].argmax())]
        place = (b, frame // length, frame + 1 + f)
        if isinstance(fault, _Fault):
            value, limit = float(fault.value(b, f)), float(fault.limit)
            events.append(GuardEvent.beyond(place, fault.reason, value, limit))
        else:
            events.append(GuardEvent(*place, fault.reason, fault.message[b]))
    return events


def _after(carry: Carry, valid: int) -> str:
    problem = carry.problem
    return f"after t = {time_text(problem.time(carry.frame + valid), problem.dt)}"
