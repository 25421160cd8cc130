"""What a guard holds against its thresholds: the start, and the frames of each segment."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem, Segment
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.results.metrics import closest_pair, spread_at_start
from nbody_surrogate.simulation.guard.companion import Companion, companion_of
from nbody_surrogate.simulation.guard.conserved_quantities import (
    ConservedQuantities,
    InternalMotion,
)
from nbody_surrogate.simulation.guard.drift_budget import DriftBudget
from nbody_surrogate.simulation.guard.faults import Failure, Fault
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.guard.spot_checks import spot_checks_of
from nbody_surrogate.simulation.guard.start_scales import StartScales

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Bounding", "Spent", "Watch"]

COMPANION = "companion."
"""Begins the names of the account's arrays that are the companion's."""


class Bounding(Protocol):
    """What bounds the error of frames that may yet be replaced: the error estimate of a run."""

    def ahead(
        self,
        frame: int,
        x: Float64[np.ndarray, "B T N D"],
        v: Float64[np.ndarray, "B T N D"],
        vouched: Float64[np.ndarray, "B F"] | None,
        hidden: Hidden,
    ) -> Float64[np.ndarray, "B F"]:
        """Return bounds of the position RMSE of the frames after the first, F = T - 1."""
        ...


@dataclass
class Spent:
    """What the checks that compute something have cost by now.

    Attributes
    ----------
    checked : int
        Frames that were spot-checked.
    spot_checks, companion : float
        Seconds.
    """

    checked: int = 0
    spot_checks: float = 0.0
    companion: float = 0.0

    def restore(self, report: GuardReport) -> None:
        """Go on from what an interrupted run had spent."""
        self.checked, self.spot_checks = report.spot_checked, report.spot_check_time
        self.companion = report.companion_time


@final
class Watch:
    """All that a guard looks at in one run, and its account.

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
    limits : Limits
    budget : DriftBudget
    companion : Companion or None
        Of a surrogate, where positions are watched; what is a solver itself needs none.
    estimator : Bounding or None
        The run's own, of which bounds are asked in advance.
    spent : Spent
    """

    def __init__(
        self,
        guard: Guard,
        method: AbstractIntegrator,
        problem: Problem,
        start: State,
        frames: int,
        estimated: bool,
    ) -> None:
        self.frames, self._start = frames, start
        system, length = problem.system, method.options.segment
        self.thresholds, self.limits = guard.thresholds, guard.limits(method, system)
        now = ConservedQuantities.of(system, start.x[:, None], start.v[:, None], problem.particles)
        scales = StartScales.of(system, start.x, start.v, problem.particles)
        self.budget = DriftBudget(guard.drift_thresholds(system), now, scales)
        self.companion: Companion | None = None
        # of a surrogate alone: a solver's own tolerance may be tighter than that of the companion
        if method.fingerprint and self.thresholds.position < np.inf:
            self.companion = companion_of(problem, start, length)
        self.spots = None
        if self.thresholds.local < np.inf:
            plan = (guard.spot_checks, frames, length)
            self.spots = spot_checks_of(problem, start, *plan, method.keeps_hidden)
        self.estimated, self.spread = estimated, spread_at_start(start.x[:, None])
        self.estimator: Bounding | None = None
        self.spent = Spent()

    @property
    def watched(self) -> dict[str, float]:
        """Thresholds of what is looked at, without those that are switched off."""
        own = self.budget.thresholds | self.limits._asdict()
        own["position"] = self.thresholds.position if self.companion is not None else np.inf
        own["local"] = self.thresholds.local if self.spots is not None else np.inf
        own["estimate"] = self.thresholds.estimate if self.estimated else np.inf
        # what is off, by 0 or infinity, is left out, as JSON has no infinity
        return {key: float(value) for key, value in own.items() if 0 < value < np.inf}

    @property
    def solvers(self) -> list[AbstractIntegrator]:
        """Solvers of the checks, which may have code to compile."""
        checking = (self.companion, self.spots)
        return [each.solver for each in checking if each is not None]

    @property
    def account(self) -> dict[str, np.ndarray]:
        """Arrays that the rest of the run depends on, for a restart."""
        if self.companion is None:
            return self.budget.arrays
        more = {COMPANION + key: y for key, y in self.companion.arrays.items()}
        return self.budget.arrays | more

    def restore(self, problem: Problem, frame: int, account: Mapping[str, np.ndarray]) -> None:
        """Take over an account that was stored at a boundary.

        Raises
        ------
        ValueError
            If it is of another run.
        """
        apart = {key: y for key, y in account.items() if key.startswith(COMPANION)}
        own = {key: y for key, y in account.items() if key not in apart}
        at_start = problem.system.invariants(self._start.x, self._start.v, problem.particles)
        self.budget.restore(own, at_start._asdict())
        if not apart:  # of a release before companions, or of a start that none could take
            self.companion = None
        elif self.companion is None:
            raise ValueError(
                "the guard's account has a companion that its thresholds do not ask for"
            )
        else:
            stored = {key.removeprefix(COMPANION): y for key, y in apart.items()}
            self.companion.restore(frame, stored)

    # Before anything is computed

    def outside(self, carry: Carry, frames: int) -> bool:
        """Whether the run is known to be outside the limits before it goes there."""
        problem = carry.problem
        end = problem.age(carry.frame + frames)
        return bool(problem.particles.n > self.limits.most or end > self._latest)

    @property
    def _latest(self) -> float:
        return self.limits.longest + SAME_TIME * abs(self.limits.longest)  # n dt is rounded

    def known(self, carry: Carry, frames: int) -> list[Fault]:
        """Say where the run is outside limits that do not depend on its frames."""
        problem, shape = carry.problem, (len(carry.arrays["x"]), frames)
        n, most, longest = problem.particles.n, self.limits.most, self.limits.longest
        # since the start of the run, but for systems whose forces depend on the time
        times = [problem.age(carry.frame + 1 + f) for f in range(frames)]
        late = np.array([t > self._latest for t in times])
        return [
            Fault("particles", np.full(shape, n > most), lambda b, f: n, most),
            Fault("time", np.broadcast_to(late, shape), lambda b, f: times[f], longest),
        ]

    def of_start(self, carry: Carry) -> list[Fault]:
        """Look at the start, as at a frame of its own."""
        x, v = carry.arrays["x"][:, None], carry.arrays["v"][:, None]
        return self._limits(carry, x, v, closest_pair(x, carry.problem.system.box))

    # After a segment

    def of_segment(
        self, carry: Carry, segment: Segment, alive: np.ndarray
    ) -> list[Fault | Failure]:
        """Look for all that can be wrong with frames; in the order in which reasons are told."""
        problem, count = carry.problem, segment.x.shape[1]
        good = np.arange(count) < segment.good[:, None]
        with np.errstate(all="ignore"):  # of frames that blew up, which is what is looked for
            now = ConservedQuantities.of(problem.system, segment.x, segment.v, problem.particles)
            closest = closest_pair(segment.x, problem.system.box)
            drifts = self._drifts(now, (carry.frame + count) / self.frames)
            limits = self._limits(carry, segment.x, segment.v, closest)
        # numbers that are not finite break all other rules too
        faults: list[Fault | Failure] = [Failure(~good, segment.message), *drifts, *limits]
        computed = self._positions(carry, segment), self._estimates(carry, segment)
        return [*faults, *itertools.chain(*computed), *self._spots(carry, segment, alive)]

    def _drifts(self, now: ConservedQuantities, elapsed: float) -> list[Fault]:
        """Compare what was lost with the budget at the end of the segment."""
        return [
            self._drift(key, self.budget.errors(key, now), elapsed * threshold)
            for key, threshold in self.budget.thresholds.items()
        ]

    def _drift(self, key: str, errors: np.ndarray, allowed: float) -> Fault:
        scale = self.budget.scales.scales[key]
        return Fault(
            key.replace("_", " "),
            self.budget.beyond(key, errors, allowed),
            lambda b, f: errors[b, f] / scale[b] if scale[b] > 0 else np.inf,
            allowed,
        )

    def _limits(
        self, carry: Carry, x: np.ndarray, v: np.ndarray, closest: np.ndarray
    ) -> list[Fault]:
        """Compare with what the method is for."""
        system, particles = carry.problem.system, carry.problem.particles
        speed = InternalMotion.of(system, x, v, particles).speeds.max(2)
        low, high = self.limits.closest, self.limits.fastest
        # the comparisons are negated, so that NaN trips too
        return [
            Fault("distance", ~(closest >= low), lambda b, f: closest[b, f], low),
            Fault("speed", ~(speed <= high), lambda b, f: speed[b, f], high),
        ]

    def _positions(self, carry: Carry, segment: Segment) -> list[Fault]:
        """Hold the frames against those of the companion."""
        if self.companion is None:
            return []
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            errors = self.companion.errors(segment.x)
        elapsed = (carry.frame + segment.x.shape[1]) / self.frames
        allowed = elapsed * self.thresholds.position
        # the end of the segment decides: a tight pair is out of step for moments and back again
        at = (errors > allowed) & (errors[:, -1:] > allowed)
        self.spent.companion += time.perf_counter() - began
        return [Fault("position", at, lambda b, f: errors[b, f], allowed)]

    def _estimates(self, carry: Carry, segment: Segment) -> list[Fault]:
        """Compare the bounds of the run's error estimate."""
        if self.estimator is None or self.thresholds.estimate == np.inf:
            return []
        x, v = self._with_boundary(carry, segment)
        hidden = self._hidden_with_boundary(carry, segment)
        bounds = self.estimator.ahead(carry.frame, x, v, segment.vouched, hidden)
        bounds = bounds / self.spread[:, None]
        allowed = self.thresholds.estimate * (carry.frame + x.shape[1] - 1) / self.frames
        at = (bounds > allowed) & (bounds[:, -1:] > allowed)
        return [Fault("estimate", at, lambda b, f: bounds[b, f], allowed)]

    def _with_boundary(self, carry: Carry, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Return a segment's frames and the one before them, (B, F + 1, N, D)."""
        x = np.concatenate([carry.arrays["x"][:, None], segment.x], axis=1)
        v = np.concatenate([carry.arrays["v"][:, None], segment.v], axis=1)
        return x, v

    def _hidden_with_boundary(self, carry: Carry, segment: Segment) -> Hidden:
        """Return hidden variables likewise; none, where the method keeps none."""
        return {
            name: np.concatenate([carry.hidden[name][:, None], values], axis=1)
            for name, values in segment.hidden.items()
        }

    def _spots(self, carry: Carry, segment: Segment, alive: np.ndarray) -> list[Fault]:
        """Recompute some frames."""
        if self.spots is None:
            return []
        began = time.perf_counter()
        x, v = self._with_boundary(carry, segment)
        hidden = self._hidden_with_boundary(carry, segment)
        found = self.spots.check(carry.frame, x, v, alive, hidden)
        limit = self.thresholds.local
        self.spent.checked += found.checked
        self.spent.spot_checks += time.perf_counter() - began
        # of what was not checked nothing is known: it is NaN, and no fault
        at = found.errors > limit
        return [Fault("local error", at, lambda b, f: found.errors[b, f], limit)]

    # After the guard has acted

    def replayed_from(self, carry: Carry, b: int) -> State:
        """Return where a replay of trajectory `b` begins: the last frame that was verified.

        That is the companion's, where there is one. Else it is the run's own, with whatever error
        it has by then.
        """
        x, v = carry.arrays["x"][b : b + 1], carry.arrays["v"][b : b + 1]
        if self.companion is not None and not self.companion.lost[b]:
            x, v = self.companion.frame_of(b)
        hidden = {name: values[b : b + 1] for name, values in carry.hidden.items()}
        return State(carry.problem.time(carry.frame), x, v, hidden=hidden)

    def settle(self, carry: Carry, segment: Segment, replayed: list[int]) -> None:
        """Bring the account up to date with the frames that stay."""
        problem = carry.problem
        if self.companion is not None:
            self.companion.settle(segment, replayed)
        for b in replayed:
            few, row = problem.particles[b], slice(b, b + 1)
            before = carry.arrays["x"][row, None], carry.arrays["v"][row, None]
            self.budget.reopen(
                b,
                ConservedQuantities.of(problem.system, *before, few),
                ConservedQuantities.of(
                    problem.system, segment.x[row, -1:], segment.v[row, -1:], few
                ),
            )
