"""Who wins a measurement of work and precision, in sentences; also that a surrogate loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import (
    AS_FAST,
    counted,
    duration_text,
    factor_text,
    figure_text,
    speed_text,
)
from nbody_surrogate.evaluation.costs import time_ratio
from nbody_surrogate.evaluation.work_precision.classical_front import (
    Standing,
    best_methods,
    standing_text,
)
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision
from nbody_surrogate.results.bootstrap import Interval, plain
from nbody_surrogate.results.paired import BOUND, PairedTest, corrected, too_few_starts

__all__ = [
    "Duel",
    "at_once",
    "best_sentences",
    "break_even",
    "busy",
    "duels",
    "few_starts",
    "fronts",
    "rival_of",
    "sentences",
    "standing_sentences",
]

SLACK = 0.5  # of the load, beyond the number of cores
TIES = 10.0  # the reference's error within which errors are not told apart


class Duel(NamedTuple):
    """A surrogate against the cheapest solver that is at least as accurate.

    Attributes
    ----------
    point : Point
        Of the surrogate.
    rival : Point or None
        Of as many starts at once, or one by one, whatever is cheaper; None where there is none.
    errors : PairedTest or None
        Of the surrogate against the rival on the same starts, corrected for all duels.
    times : Interval or None
        The surrogate's time over the rival's.
    """

    point: Point
    rival: Point | None
    errors: PairedTest | None
    times: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        rival, times = self.rival, self.times
        return {
            "horizon": self.point.horizon,
            "batch": self.point.batch,
            "first": self.point.label,
            "second": None if rival is None else rival.label,
            "second_batch": None if rival is None else rival.batch,
            "errors": None if self.errors is None else self.errors.to_dict(),
            "time_ratio": None if times is None else plain(asdict(times)),
        }


def duels(found: WorkPrecision, bound: float = BOUND) -> list[Duel]:
    """Hold each surrogate, at each horizon and batch, against its rival.

    Parameters
    ----------
    found : WorkPrecision
    bound : float
        A factor of errors, either way, within which methods are equivalent.
    """
    made = []
    for horizon, batch in found.groups:
        group = found.group(horizon, batch)
        # who has many starts may also run a solver one by one
        beside = [] if batch == 1 else found.group(horizon, 1)
        for point in (each for each in group if each.learned):
            rival = rival_of(point, [*group, *(each for each in beside if not each.learned)])
            made.append(Duel(point, rival, _errors(point, rival, bound), _times(point, rival)))
    tested = [duel for duel in made if duel.errors is not None]
    tests = iter(corrected([duel.errors for duel in tested if duel.errors is not None]))
    return [duel if duel.errors is None else duel._replace(errors=next(tests)) for duel in made]


def _errors(point: Point, rival: Point | None, bound: float) -> PairedTest | None:
    if rival is None or point.errors is None or rival.errors is None:
        return None
    return PairedTest.of(point.errors, rival.errors, bound)


def _times(point: Point, rival: Point | None) -> Interval | None:
    if rival is None or point.times is None or rival.times is None:
        return None
    if point.batch == rival.batch:
        return time_ratio(point.times, rival.times)
    # groups of other sizes are of other starts: what one start costs, by one rule, without pairs
    return Interval(point.milliseconds / rival.milliseconds, 0.0, math.inf)


def rival_of(point: Point, group: list[Point]) -> Point | None:
    """Return the cheapest solver that is at least as accurate as a surrogate, if there is one."""
    accurate = [p for p in group if not p.learned and p.error.value <= point.error.value]
    return min(accurate, key=lambda p: p.milliseconds, default=None)


def break_even(point: Point, rival: Point) -> float | None:
    """Trajectories after which the time saved pays for the training; None where none is saved.

    Where the card does not say how long training took, it counts as nothing.
    """
    saved = 1e-3 * (rival.trajectory_milliseconds - point.trajectory_milliseconds)
    return (point.training_seconds or 0.0) / saved if saved > 0 else None


def sentences(held: Sequence[Duel], stands: Sequence[Standing] = ()) -> list[str]:
    """Say for each surrogate, horizon and batch who wins.

    Parameters
    ----------
    held : sequence of Duel
    stands : sequence of Standing
        How far surrogates are from the classical front between its settings: a win over the
        settings that were measured is none where one between them would be faster still.
    """
    between = {_key(each.point): each.time_ratio for each in stands}
    return [
        f"{_where(duel.point.horizon, duel.point.batch)}: "
        f"{_outcome(duel, between.get(_key(duel.point)))}"
        for duel in held
    ]


def _key(point: Point) -> tuple[str, float, int]:
    return point.label, point.horizon, point.batch


def standing_sentences(found: list[Standing]) -> list[str]:
    """Say of each surrogate, horizon and batch how far it is from the classical front."""
    return [
        f"{_where(each.point.horizon, each.point.batch)}: {standing_text(each)}" for each in found
    ]


def best_sentences(found: WorkPrecision) -> list[str]:
    """Name the classical method that takes the least time for an error, by powers of ten."""
    said = []
    for horizon, batch in found.groups:
        told = [
            f"{error:.0e} by {name} in {figure_text(milliseconds)} ms"
            for error, name, milliseconds in best_methods(found.group(horizon, batch))
        ]
        if told:
            said.append(
                f"{_where(horizon, batch)}: an RMSE within {', '.join(told)} per time unit at best."
            )
    return said


def few_starts(held: Sequence[Duel]) -> list[str]:
    """Say where the starts are too few for any error to be the smaller one; a line, or none."""
    tests = [duel.errors for duel in held if duel.errors is not None]
    return too_few_starts(max((each.starts for each in tests), default=0), len(tests))


def fronts(found: WorkPrecision) -> list[str]:
    """Name the methods on each front, and those that the reference is too coarse to judge."""
    said = []
    for horizon, batch in found.groups:
        group = found.group(horizon, batch)
        front = sorted((p for p in group if p.on_front), key=lambda p: p.milliseconds)
        names = ", ".join(p.label for p in front)
        said.append(f"{_where(horizon, batch)}: on the front, cheapest first: {names}.")
        said += _at_the_floor(group, horizon, batch, found.reference_errors[horizon])
    return said


def busy(found: WorkPrecision) -> str | None:
    """Warn where more processes wanted to run than there are cores: times are too long then."""
    load, cores = found.conditions.get("load"), found.conditions.get("cores")
    if load is None or cores is None or load <= cores + SLACK:
        return None
    if found.conditions.get("clock") == "processor":
        return (
            f"The machine was busy (load {load:.1f} on {cores} cores): processor times are a "
            "little too long."
        )
    return (
        f"The machine was busy (load {load:.1f} on {cores} cores): times are too long and uneven; "
        "measure again on a quiet one, or with --clock processor."
    )


def _where(horizon: float, batch: int) -> str:
    return f"t = {number_text(horizon)}, {at_once(batch)}"


def at_once(batch: int) -> str:
    """Say how many trajectories run side by side."""
    return "one by one" if batch == 1 else f"{batch} at once"


def _outcome(duel: Duel, between: Interval | None) -> str:
    point, rival = duel.point, duel.rival
    if rival is None:
        return f"no solver here is as accurate as {point.label} (RMSE {point.error.value:.1e})."
    name = rival.label if rival.batch == point.batch else f"{rival.label} {at_once(rival.batch)}"
    errors = _errors_text(duel)
    ratio = rival.milliseconds / point.milliseconds
    faster = speed_text(ratio)
    if faster == AS_FAST or not _told_apart(duel):
        return (
            f"the times of {point.label} and {name} are not told apart{_times_text(duel)}; "
            f"{errors}; training is not paid back."
        )
    if ratio < 1:
        return (
            f"{point.label} loses: {name} is {factor_text(1 / ratio)} faster{_times_text(duel)}, "
            f"and its error is no larger; {errors}; training is never paid back."
        )
    if between is not None and between.value > 1:  # a win over a coarse sweep is none
        return (
            f"{point.label} is {faster} {name}{_times_text(duel)}, the cheapest setting measured "
            f"whose error is no larger, and slower than one between; {errors}; training is never "
            "paid back."
        )
    return (
        f"{point.label} wins: it is {faster} {name}{_times_text(duel)}, the cheapest solver whose "
        f"error is no larger; {errors}; {_paid_back(point, rival)}."
    )


def _errors_text(duel: Duel) -> str:
    """Give both errors, and what the same starts say of them."""
    point, rival = duel.point, duel.rival
    assert rival is not None
    said = f"RMSE {point.error.value:.1e} against {rival.error.value:.1e}"
    if duel.errors is None:
        return said
    verdict = duel.errors.verdict(point.label, rival.label)
    return f"{said}, start by start {duel.errors.numbers}: {verdict}"


def _times_text(duel: Duel) -> str:
    if duel.times is None or duel.times.low == 0:  # of one time there is no interval
        return ""
    return f" (ratio of times {duel.times.as_factor()})"


def _told_apart(duel: Duel) -> bool:
    """Whether the interval of the ratio of times is off 1; what has none is taken as it is."""
    times = duel.times
    return times is None or times.low == 0 or times.low > 1 or times.high < 1


def _paid_back(point: Point, rival: Point) -> str:
    count = break_even(point, rival)
    assert count is not None
    if point.training_seconds is None:
        return "how long its training took is not known"
    trained = duration_text(point.training_seconds)
    runs = counted(max(math.ceil(float(f"{count:.1e}")), 1), "trajectory")
    return f"its training of {trained} is paid back after {runs}"


def _at_the_floor(group: list[Point], horizon: float, batch: int, floor: float) -> list[str]:
    lost = [p.label for p in group if p.error.value < TIES * floor]
    if not lost:
        return []
    return [
        f"{_where(horizon, batch)}: the errors of {', '.join(lost)} are within {TIES:g} times "
        "that of the reference and are not told apart."
    ]
