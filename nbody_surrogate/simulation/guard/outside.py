"""The domain of a method at work: starts and frames are held against it, segment by segment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.domain import Domain, Level
from nbody_surrogate.contracts.domain_check import age_text, ages_beyond, beyond, fixed_faults
from nbody_surrogate.contracts.domain_quantities import frame_quantities
from nbody_surrogate.contracts.hidden_variables import listed
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.time_text import time_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.integrators.approximate import with_options
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.registry.lookup import is_surrogate
from nbody_surrogate.results.domain_report import DomainFinding, DomainReport
from nbody_surrogate.simulation.error_estimate.choice import as_surrogate
from nbody_surrogate.simulation.guard.outside_policy import check_policy
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.replay import SegmentEdit, standstill

__all__ = ["DomainWatch", "Outside", "watch_for"]

EVERY = 5
"""Frames from one that is looked at to the next: a cloud is dense or flat for longer than that, and
to look at each would take as long as 3 % of SET."""


@dataclass(frozen=True)
class Outside:
    """What becomes of a run where its method is outside of what it was made for.

    Attributes
    ----------
    policy : {"warn", "refuse", "fallback"}
        ``warn`` says so, once for each reason. ``refuse`` raises where the start is outside, and
        ends a trajectory at its last frame inside. ``fallback`` lets the reference compute the
        segments, for the trajectories that are outside in them.
    reference : str or AbstractIntegrator, optional
        What computes them, of policy ``fallback``; by default the solver that is the ground truth
        for the system.

    Raises
    ------
    InputError
        If the policy is none of these, or the reference is a surrogate or of no use.
    """

    policy: str = "warn"
    reference: str | AbstractIntegrator | None = None

    def __post_init__(self) -> None:
        check_policy(self.policy)
        if self.reference is None:
            return
        if self.policy != "fallback":
            raise InputError(
                f"`reference` goes with `outside` 'fallback' only, got {self.policy!r}; "
                "leave it out"
            )
        kinds = (str, AbstractIntegrator)
        demand_kind("reference", self.reference, kinds, "a solver or its name")
        name = self.reference if isinstance(self.reference, str) else self.reference.name
        if is_surrogate(name):
            raise InputError(f"`reference` of `outside` must be a solver, got {name!r}")

    def solver(self, problem: Problem, start: State, segment: int) -> AbstractIntegrator | None:
        """Build what takes over, for segments of that length; None where nothing does.

        Raises
        ------
        InputError
            If it does not fit, or the system has hidden variables.
        """
        if self.policy != "fallback":
            return None
        system, reference = problem.system, self.reference
        # a surrogate's frames, from which the reference starts, hold none; no solver has a domain
        if system.hidden_variables:
            raise InputError(
                f"`outside` fallback cannot replay system {system.name!r}, which has hidden "
                f"variables, {listed([each.name for each in system.hidden_variables])}; "
                "use warn or refuse"
            )
        if isinstance(reference, AbstractIntegrator):
            made = with_options(reference, segment=segment)
        else:
            name = reference or default_reference(system, len(start.x))
            made = make_integrator(name, segment=segment)
        made.check(system, start, problem.particles, problem.dt)
        return made


def watch_for(
    outside: str | Outside | None,
    method: AbstractIntegrator,
    problem: Problem,
    start: State,
    frames: int,
) -> DomainWatch | None:
    """Return what watches a run, or None where there is nothing to be watched.

    Parameters
    ----------
    outside : str, Outside or None
        A policy stands for an `Outside`; None watches nothing.
    method : AbstractIntegrator
    problem : Problem
    start : State
    frames : int

    Raises
    ------
    InputError
        If the policy is wrong or cannot be kept, or refuses the start.
    """
    if outside is None:
        return None
    policy = outside if isinstance(outside, Outside) else Outside(outside)
    domain = method.domain(problem.system)
    if domain is None and policy.policy != "warn":
        raise InputError(
            f"`outside` {policy.policy!r} cannot be kept: {method.name} has no domain to be "
            "outside of, as solvers and models without a card; leave it out"
        )
    if domain is None:
        return None
    watch = DomainWatch(policy, domain, method, problem, start, frames)
    # only where more was asked for than to be told: of most starts the rest would be silence
    if said := watch.report.unmeasured:
        warn(f"`outside` {policy.policy!r}: {said}")
    return watch


class _Seen(NamedTuple):
    """One reason, and where it holds: (B, F) of the frames that were looked at."""

    reason: str
    detail: str
    at: np.ndarray


@final
class DomainWatch(Observer):
    """The domain of one run's method.

    Parameters
    ----------
    outside : Outside
    domain : Domain
    method : AbstractIntegrator
    problem : Problem
    start : State
        Looked at at once, so that what is refused is before anything is computed.
    frames : int
        Of the whole run, the start not counted.
    report : DomainReport, optional
        Of a run that goes on: its start has been looked at.

    Raises
    ------
    InputError
        If the policy refuses the start, or the reference does not fit.
    """

    def __init__(
        self,
        outside: Outside,
        domain: Domain,
        method: AbstractIntegrator,
        problem: Problem,
        start: State,
        frames: int,
        report: DomainReport | None = None,
    ) -> None:
        self.outside, self.domain, self.method, self.problem = outside, domain, method, problem
        self.solver = outside.solver(problem, start, method.options.segment)
        batch = len(start.x)
        known = problem.particles
        self._fixed = fixed_faults(domain, known.charges, known.masses, known.radii)
        self.report = report or DomainReport(
            outside.policy,
            frames,
            (-1,) * batch,
            (0,) * batch,
            reference=None if self.solver is None else self.solver.description,
            measured=bool(domain.measured),
        )
        if report is None:
            self._look_at_start(start)

    def _look_at_start(self, start: State) -> None:
        began = time.perf_counter()
        everyone = np.ones(len(start.x), dtype=bool)
        seen = self._seen(start.x[:, None], start.v[:, None], np.zeros(1, np.int64), everyone)
        if seen and self.outside.policy == "refuse":
            # nothing is noted: there will be no run that could tell of it
            told = self._noted(seen, [0])
            raise InputError(f"`outside` refuses the start: {self._sentence(told, 0)}")
        self._note(seen, [0], began)

    def _seen(
        self, x: np.ndarray, v: np.ndarray, frames: np.ndarray, watched: np.ndarray
    ) -> list[_Seen]:
        """Return what is outside of x, v (B, F, N, D), some `frames` of those that are watched."""
        problem, rows = self.problem, watched[:, None]
        at = np.broadcast_to(rows, x.shape[:2])
        seen = [_Seen(name, said, at) for name, said in self._fixed.items()]
        ages = np.array([problem.age(int(frame)) for frame in frames])
        if (late := ages_beyond(self.domain, ages)).any():
            seen.append(_Seen("age", age_text(self.domain, float(ages[late][0])), late & rows))
        measured = frame_quantities(problem.system, x, v, problem.particles)
        # of the others, such as those that have stopped, nothing is said
        values = {name: np.where(rows, each, np.nan) for name, each in measured.items()}
        level: Level = "start" if frames[0] == 0 else "run"
        found = beyond(self.domain, problem.particles.n, values, level)
        told = [_Seen(each.reason, str(each), each.at) for each in found]
        return [each for each in seen + told if each.at.any()]

    def on_start(self, run: Recorder) -> None:
        """Announce what is known by now, and the reference among what may be warmed up."""
        run.info = replace(run.info, domain=self.report)
        if self.solver is not None and run.carry is not None:
            arrays = run.carry.arrays
            state = State(run.problem.t0, arrays["x"], arrays["v"])
            run.warm_ups.append(lambda: self._warm_up(state))

    def _warm_up(self, state: State) -> None:
        """Compute one frame by the reference, so that nothing is compiled during the run."""
        assert self.solver is not None
        problem = self.problem
        start = self.solver.start(problem.system, state[0], problem.particles[0], problem.dt)
        self.solver.advance(start, 1)

    def on_advance(self, run: Recorder, frames: int, advance: Callable[[], Segment]) -> Segment:
        """Let the method advance where it may, and do to the rest what the policy says."""
        assert run.carry is not None
        carry, alive = run.carry, np.array([not why for why in run.message])
        began = time.perf_counter()
        known = np.zeros(len(alive), dtype=bool)
        if self.solver is not None:  # the method need not try what is outside as it begins
            known = self._outside_at(carry, alive)
        self._spend(began)
        hopeless = bool(known[alive].all()) and self.solver is not None
        segment = standstill(carry, frames) if hopeless else advance()
        began = time.perf_counter()
        # every fifth frame, counted from the run's start, and the one that the next goes on from
        numbers = np.arange(carry.frame + 1, carry.frame + frames + 1)
        chosen = numbers[(numbers % EVERY == 0) | (numbers == numbers[-1])]
        if not hopeless:
            at = chosen - carry.frame - 1
            seen = self._seen(segment.x[:, at], segment.v[:, at], chosen, alive & ~known)
            self._note(seen, chosen.tolist(), began)
            known |= _anywhere(seen, len(alive))
        if known.any() and self.outside.policy != "warn":
            segment = self._changed(carry, segment, np.flatnonzero(known).tolist(), run.past)
        run.info = replace(run.info, domain=self.report)
        return segment

    def _outside_at(self, carry: Carry, alive: np.ndarray) -> np.ndarray:
        """Tell which trajectories, shape (B,), are outside as a segment begins."""
        x, v = carry.arrays["x"][:, None], carry.arrays["v"][:, None]
        seen = self._seen(x, v, np.array([carry.frame]), alive)
        if carry.frame:
            self._note(seen, [carry.frame], time.perf_counter())
        return _anywhere(seen, len(x))

    def _changed(
        self,
        carry: Carry,
        segment: Segment,
        rows: list[int],
        past: tuple[np.ndarray, np.ndarray],
    ) -> Segment:
        """Freeze trajectories at their last frames inside, or let the reference compute them."""
        edit = SegmentEdit(carry, segment)
        for b in rows:
            if self.solver is None:
                self._freeze(edit, segment, b)
            else:
                self._replay(edit, b)
        return edit.segment(self.method, past)

    def _freeze(self, edit: SegmentEdit, segment: Segment, b: int) -> None:
        """Hold a trajectory at the frame before its first one outside."""
        carry = edit.carry
        numbers = np.arange(carry.frame + 1, carry.frame + 1 + segment.x.shape[1])
        # of those in between, which were not looked at: the last one inside is among them
        values = frame_quantities(
            self.problem.system,
            segment.x[b : b + 1],
            segment.v[b : b + 1],
            self.problem.particles[b],
        )
        found = beyond(self.domain, self.problem.particles.n, values, "run")
        at = ages_beyond(self.domain, np.array([self.problem.age(int(f)) for f in numbers]))
        for each in found:
            at = at | each.at[0]
        valid = int(at.argmax())
        if valid >= segment.good[b]:  # it had failed before
            return
        said = [str(each) for each in found if each.at[0, valid]]
        said = said or [age_text(self.domain, self.problem.age(int(numbers[valid])))]
        when = time_text(self.problem.time(carry.frame + valid), self.problem.dt)
        edit.freeze(b, valid, f"outside of the training after t = {when}: {'; '.join(said)}")

    def _replay(self, edit: SegmentEdit, b: int) -> None:
        assert self.solver is not None
        began, carry, problem = time.perf_counter(), edit.carry, self.problem
        x, v = carry.arrays["x"][b : b + 1], carry.arrays["v"][b : b + 1]
        try:
            state = State(problem.time(carry.frame), x, v)
            start = self.solver.start(problem.system, state, problem.particles[b], problem.dt)
            edit.replace(b, self.solver.advance(start, edit.x.shape[1]), self.solver)
        # such as of two particles at the same place, from where no solver starts
        except InputError as error:
            edit.freeze(b, 0, f"the reference cannot replay it: {error}")
        report, fallen = self.report, list(self.report.fallen_back)
        fallen[b] += int(edit.good[b])
        spent = report.replay_time + time.perf_counter() - began
        self.report = replace(report, fallen_back=tuple(fallen), replay_time=spent)

    # What is told

    def _noted(self, seen: list[_Seen], frames: list[int]) -> list[DomainFinding]:
        """Return findings of what was seen in some frames."""
        return [
            DomainFinding(
                each.reason,
                each.detail,
                frames[int(each.at.any(0).argmax())],
                tuple(np.flatnonzero(each.at.any(1)).tolist()),
            )
            for each in seen
        ]

    def _note(self, seen: list[_Seen], frames: list[int], began: float) -> None:
        """Add what was seen to the report, and warn of what is new."""
        report = self.report
        found = {each.reason: each for each in report.findings}
        told = self._noted(seen, frames)
        new = [each for each in told if each.reason not in found]
        for each in told:
            before = found.get(each.reason)
            if before is not None:
                both = sorted({*before.trajectories, *each.trajectories})
                each = replace(before, trajectories=tuple(both))
            found[each.reason] = each
        since = list(report.since)
        if seen:
            at = np.any([each.at for each in seen], axis=0)
            for b in np.flatnonzero(at.any(1)).tolist():
                since[b] = since[b] if since[b] >= 0 else frames[int(at[b].argmax())]
        self.report = replace(report, since=tuple(since), findings=tuple(found.values()))
        self._spend(began)
        if new:
            words = self._sentence(new, min(each.frame for each in new))
            warn(words)

    def _sentence(self, told: list[DomainFinding], frame: int) -> str:
        where = "at the start" if frame == 0 else f"from frame {frame} on"
        said = "; ".join(each.text(len(self.report.since)) for each in told)
        does = {"warn": "accuracy is not known there", "refuse": "use a solver, or other weights"}
        ends = does.get(self.outside.policy)
        if ends is None:
            assert self.solver is not None
            ends = f"{self.solver.name} takes over there"
        surrogate = as_surrogate(self.method)
        name = self.method.name if surrogate is None else surrogate.label
        return f"{name} is outside of what it was trained for {where}: {said}; {ends}"

    def _spend(self, began: float) -> None:
        spent = self.report.check_time + time.perf_counter() - began
        self.report = replace(self.report, check_time=spent)


def _anywhere(seen: list[_Seen], batch: int) -> np.ndarray:
    """Tell which trajectories, shape (B,), are outside for any reason."""
    at = np.zeros(batch, dtype=bool)
    for each in seen:
        at |= each.at.any(1)
    return at
