"""The cheapest classical method at an accuracy: all that fit, each from coarse to fine settings.

A method's settings end where one is accurate enough, or would take longer than the best so far. Of
a system with approximations, the best method by its own forces is run by each of them, the cheapest
first: where that is accurate, or nearly, the best solvers move by them too. The setting is then
looked for between the last two, whole sub-steps one by one, as those of
`nbody_surrogate.evaluation.work_precision` are powers of two, or of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, final

from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.forces import COMPILED
from nbody_surrogate.evaluation.plan.meter import Meter, OutOfTimeError
from nbody_surrogate.evaluation.plan.result import ForceCost
from nbody_surrogate.evaluation.plan.trial import Starts, Trial, tried
from nbody_surrogate.evaluation.work_precision.benchmark import segment_for
from nbody_surrogate.integrators.approximation_text import SIGN
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.integrators.known_methods import FRONT, classical_names
from nbody_surrogate.integrators.method_text import Contender, contender, short_number, sweep
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.results.bootstrap import Interval

__all__ = ["Search", "families"]

SLACK = 1.5  # times the time of the best, that another may take before it is given up
RIVAL = 2.0  # times the time of the best, up to which a method is worth a finer look
SAME = 1e-2  # relative, within which two settings err alike: the rest is of the forces
DEAR = 5e-4  # seconds of a force, from which on few methods are worth their time
NEARLY = 2.0  # times the accuracy asked, up to which an approximation is worth a finer look
HALVINGS = 4  # of the gap between two settings
FEW = 10  # evaluations of a run, of which a method's own arithmetic would be much
CLOSE = 0.1  # relative, to which a whole number of sub-steps is looked for

OVER = (
    "the time was over before all classical methods were tried, and a cheaper one would make the "
    "gain less: allow more seconds"
)


class Family(NamedTuple):
    """A method with all its settings, from coarse to fine."""

    name: str
    texts: list[str]


def families(starts: Starts, force: float) -> list[Family]:
    """Return the methods that fit a system, those that take sub-steps first.

    Where a force takes long, as one without laws may, those are left out that are never the best
    then: of each order there is one with the least error for its evaluations.
    """
    there = classical_names()
    known = [name for name in FRONT if name in there] if force > DEAR else there
    fitting = [name for name in known if _fits(sweep(name)[0], starts)]
    return [Family(name, sweep(name)) for name in sorted(fitting, key=_is_adaptive)]


def _is_adaptive(name: str) -> bool:
    """Whether steps are chosen by tolerances: those come last, as even coarse ones are many."""
    return "rtol" in find_method(name).options


def _fits(text: str, starts: Starts) -> bool:
    try:
        made = _made(text, starts)
        made.method.check(starts.system, starts.state[0], starts.particles[0], starts.dt)
    except InputError:
        return False
    return True


def _made(text: str, starts: Starts) -> Contender:
    return contender(text, segment=segment_for(starts.frames), threads=1)


@final
class Search:
    """Looks for the cheapest method at an accuracy.

    Parameters
    ----------
    starts : Starts
    accuracy : float
        Position RMSE at the last frame, the median over starts.
    asked : float
        That at the horizon, which may be later: refusals tell it.
    meter : Meter
    warm : bool
        Whether methods run a frame first that is not timed: code may have to be compiled.

    Attributes
    ----------
    reached : dict of str to Trial
        Of each method that is as accurate, the cheapest setting known.
    nearest : Trial or None
        The most accurate of all that was tried.
    least_force : ForceCost or None
        The least time that a method took for an evaluation, where forces are laws.
    """

    def __init__(
        self, starts: Starts, accuracy: float, asked: float, meter: Meter, warm: bool
    ) -> None:
        self._starts, self._accuracy, self._asked = starts, accuracy, asked
        self._meter = meter
        self._warm = warm
        self._known: dict[str, Trial] = {}
        self._coarser: dict[str, Trial] = {}  # the setting before one that is accurate
        self.reached: dict[str, Trial] = {}
        self.nearest: Trial | None = None
        self.least_force: ForceCost | None = None

    def run(
        self, among: list[Family], forces: Sequence[ForceCost], tick: Callable[[], None]
    ) -> list[Trial]:
        """Search, and return a setting of each method that may be the cheapest, in that order.

        Parameters
        ----------
        among : list of Family
            By the system's own forces; the best of them are tried by its approximations too.
        forces : sequence of ForceCost
            The system's own, then those of its approximations.
        tick : callable
            Called for each family and approximation.

        Raises
        ------
        InputError
            If no method is as accurate.
        """
        for family in among:
            self._coarse_to_fine(family)
            tick()
        if not self.reached:
            raise self._nobody()
        own, *others = forces
        for each in sorted(others, key=lambda force: force.seconds.value):
            if each.seconds.value < own.seconds.value:
                self._approximate(each.name)
            tick()
        for name, found in list(self.reached.items()):
            if self._is_rival(found):
                self._between(name)
        rivals = [each for each in self.reached.values() if self._is_rival(each)]
        return sorted(rivals, key=lambda each: each.time)

    def _approximate(self, approximation: str) -> None:
        """Try solvers by an approximation, if its forces are nearly good enough.

        That is told by a method and setting that is good enough by the system's own forces.
        """
        own = [each for name, each in self.reached.items() if SIGN not in name]
        best = min(own, key=lambda each: each.time).contender.label
        found = self._tried(_made(f"{best}{SIGN}{approximation}", self._starts))
        if found is None or not found.error <= NEARLY * self._accuracy:
            return
        for name in (each for each in FRONT if each in names("integrators")):
            converged = self._coarse_to_fine(Family(name, sweep(f"{name}{SIGN}{approximation}")))
            if converged:  # what is left is the forces' error, for any method
                return

    @property
    def _best(self) -> float:
        """Seconds of the fastest that is as accurate."""
        return min((each.time for each in self.reached.values()), default=math.inf)

    def _is_rival(self, each: Trial) -> bool:
        return each.time <= RIVAL * self._best

    def _coarse_to_fine(self, family: Family) -> bool:
        """Try settings until one is accurate, too slow, or no better than a coarser one.

        Returns whether it was the last of these.
        """
        before: Trial | None = None
        for text in family.texts:
            made = _made(text, self._starts)
            if before is not None and _foreseen(made, before) > SLACK * self._best:
                return False
            found = self._tried(made)
            if found is None:
                return False
            if before is not None and _alike(found, before):
                return True
            if self._is_accurate(found):
                self.reached[made.family] = found
                if before is not None:
                    self._coarser[made.family] = before
                return False
            before = found
        return False

    def _tried(self, made: Contender) -> Trial | None:
        """Run a method, once; None where it takes too long."""
        label = made.label
        if label in self._known:
            return self._known[label]
        with suppress(OutOfTimeError):
            found = self._known[label] = tried(
                made, self._starts, self._meter, SLACK * self._best, self._warm
            )
            if self.nearest is None or not self.nearest.error <= found.error:
                self.nearest = found
            self._note_force(found)
            return found
        if self._meter.left == 0:
            self._meter.note(OVER)
        return None

    def _note_force(self, found: Trial) -> None:
        calls = round(found.evaluations * self._starts.frames)
        if self._starts.system.force_laws() is None or calls < FEW:
            return
        each = found.time / calls
        if self.least_force is None or each < self.least_force.seconds.value:
            self.least_force = ForceCost(COMPILED, Interval(each, each, each), calls)

    def _is_accurate(self, found: Trial) -> bool:
        return found.error <= self._accuracy

    def _between(self, name: str) -> None:
        """Look for a cheaper setting between one that is accurate and the one before."""
        if name not in self._coarser:
            return
        low = self._coarser[name].contender.parameter
        high = self.reached[name].contender.parameter
        for _ in range(HALVINGS):
            middle = _middle(low, high)
            if middle is None:
                return
            found = self._tried(_made(_with_number(name, middle), self._starts))
            if found is not None and self._is_accurate(found):
                high = middle
                if found.time < self.reached[name].time:
                    self.reached[name] = found
            else:
                low = middle

    def _nobody(self) -> InputError:
        if self.nearest is None:
            return InputError(
                "`seconds`: no classical method was done in that time; allow more, or ask for a "
                "shorter `horizon`"
            )
        return InputError(
            f"`accuracy` {self._asked:.1e}: no classical method that was tried reaches it; the "
            f"most accurate, {self.nearest.contender.label}, has "
            f"{self.nearest.error * self._asked / self._accuracy:.1e}; ask for that or more"
        )


def _foreseen(made: Contender, before: Trial) -> float:
    """Seconds that a setting will take, by those of a coarser one: at least as many."""
    now, then = made.parameter, before.contender.parameter
    if now is None or then is None or then < 1:  # tolerances say nothing of the time
        return before.time
    return before.time * now / then


def _alike(one: Trial, other: Trial) -> bool:
    return abs(one.error - other.error) <= SAME * other.error


def _middle(low: float | None, high: float | None) -> float | None:
    """Return a setting between one that is too coarse and a finer one; None where they are close.

    Sub-steps are whole numbers of 1 or more, tolerances are less and are halved as powers of ten.
    """
    if low is None or high is None:
        return None
    if low < 1:
        return math.sqrt(low * high)
    gap = high - low
    return None if gap <= max(1.0, CLOSE * high) else (low + high) // 2


def _with_number(name: str, number: float) -> str:
    """Write a method with a setting, before the approximation that it moves by."""
    method, at, approximation = name.partition(SIGN)
    return f"{method}:{short_number(number)}{at}{approximation}"
