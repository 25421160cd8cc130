"""Who wins a measurement of work and precision, in sentences; also that a surrogate loses."""

from __future__ import annotations

import math

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import (
    AS_FAST,
    counted,
    duration_text,
    factor_text,
    speed_text,
)
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision

__all__ = ["break_even", "busy", "fronts", "rival_of", "sentences"]

SLACK = 0.5  # of the load, beyond the number of cores
TIES = 10.0  # the reference's error within which errors are not told apart


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


def sentences(found: WorkPrecision) -> list[str]:
    """Say for each surrogate, horizon and batch who wins."""
    return [
        f"{_where(horizon, batch)}: {_surrogate(point, found.group(horizon, batch))}"
        for horizon, batch in found.groups
        for point in found.group(horizon, batch)
        if point.learned
    ]


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
    return f"t = {number_text(horizon)}, " + (
        "one at a time" if batch == 1 else f"batches of {batch}"
    )


def _surrogate(point: Point, group: list[Point]) -> str:
    rival = rival_of(point, group)
    if rival is None:
        return f"no solver here is as accurate as {point.label} (RMSE {point.error.value:.1e})."
    errors = f"RMSE {rival.error.value:.1e} against {point.error.value:.1e}"
    if rival.error.high >= point.error.low:
        errors += ", intervals overlap"
    ratio = rival.milliseconds / point.milliseconds
    faster = speed_text(ratio)
    if _overlap(point, rival) or faster == AS_FAST:
        within = ", within the quartiles of the repeats" if _overlap(point, rival) else ""
        return (
            f"{point.label} and {rival.label} ({errors}) take the same time{within}; training is "
            "not paid back."
        )
    if ratio < 1:
        return (
            f"{point.label} loses: {rival.label} is as accurate or better ({errors}) and "
            f"{factor_text(1 / ratio)} faster; training is never paid back."
        )
    return (
        f"{point.label} wins: it is {faster} {rival.label}, the cheapest solver "
        f"that is as accurate ({errors}); {_paid_back(point, rival)}."
    )


def _overlap(one: Point, other: Point) -> bool:
    """Whether the quartiles of the times overlap."""
    first, second = sorted((one, other), key=lambda p: p.lower_quartile)
    return second.lower_quartile <= first.upper_quartile


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
