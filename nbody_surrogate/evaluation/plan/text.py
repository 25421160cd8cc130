"""A plan in words: a table of what was measured, and sentences of what follows."""

from __future__ import annotations

import math

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted, duration_text, figure_text, range_text
from nbody_surrogate.evaluation.plan.result import Payback, Plan
from nbody_surrogate.results.bootstrap import Interval

__all__ = ["plan_table", "sentences"]

BUSY = 0.5  # of the load, beyond the number of cores
MANY = 1e4  # a count from which on three digits are all that is said


def plan_table(plan: Plan) -> TextTable:
    """Lay a plan out as a table with its sentences below.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    TextTable
    """
    rows = [*_force_rows(plan), *_frame_rows(plan), *_training_rows(plan)]
    return TextTable(
        _title(plan), ("", "measured", ""), tuple(rows), tuple(sentences(plan)), words=True
    )


def _title(plan: Plan) -> str:
    asked, c = plan.asked, plan.conditions
    span = range_text(asked.horizon, asked.horizon, "time unit")
    return (
        f"{asked.system['system']}, {counted(asked.particles, 'particle')}; {plan.surrogate.name}, "
        f"not trained; 1 thread of {c['processor']}, {c.get('clock', 'wall')} time\n"
        f"asked: position RMSE of at most {asked.accuracy:.1e} after {span} "
        f"({counted(asked.horizon_frames, 'frame')})"
    )


def _force_rows(plan: Plan) -> list[tuple[str, str, str]]:
    return [
        (f"force, {each.name}", _durations(each.seconds), counted(each.calls, "call"))
        for each in plan.forces
    ]


def _frame_rows(plan: Plan) -> list[tuple[str, str, str]]:
    classical, surrogate = plan.classical, plan.surrogate
    needs = f"{figure_text(classical.evaluations)} force evaluations a frame"
    made = f"{surrogate.engine}, {counted(surrogate.parameters, 'parameter')}, first frame "
    return [
        ("cheapest classical method", classical.label, f"{needs}, RMSE {classical.error}"),
        ("a frame of it", duration_text(classical.frame_seconds), ""),
        (
            f"a frame of {surrogate.name}",
            duration_text(surrogate.frame_seconds),
            f"{made}{duration_text(surrogate.compile_seconds)}",
        ),
        (
            "break-even force",
            duration_text(plan.break_even_force),
            f"here {duration_text(classical.force_seconds)}, the method's arithmetic included",
        ),
        ("gain", plan.factor.as_factor(), "times faster; below 1 it is a loss"),
    ]


def _training_rows(plan: Plan) -> list[tuple[str, str, str]]:
    cost = plan.training
    if cost is None:
        return [("training", "not known", "there is no recipe; give one")]
    of = f"{counted(cost.trajectories, 'trajectory')}, {_counted(cost.frames, 'frame')}"
    each = duration_text(cost.step_seconds)
    return [
        (
            "making its data",
            duration_text(cost.label_seconds),
            f"{of}, {_many(cost.force_calls)} force calls by {cost.labels}",
        ),
        (
            "training",
            duration_text(cost.seconds - cost.label_seconds),
            f"{counted(cost.steps, 'step')} of {each}, by {cost.recipe}",
        ),
    ]


def sentences(plan: Plan) -> list[str]:
    """Say whether the surrogate pays, what was assumed for that, and how sure it is.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    list of str
    """
    said = [_verdict(plan), *_payback(plan), _assumption(plan), _sureness(plan)]
    return [*said, *_doubts(plan), *_busy(plan)]


def _verdict(plan: Plan) -> str:
    name, rival, factor = plan.surrogate.name, plan.classical.label, plan.factor
    even = duration_text(plan.break_even_force)
    if plan.verdict == "yes":
        return (
            f"Yes: a frame of {name} is {factor.as_factor()} times faster than one by {rival}, the "
            f"cheapest classical method as accurate as asked."
        )
    if plan.verdict == "no":
        inverse = Interval(1 / factor.value, 1 / factor.high, _over(factor.low))
        return (
            f"No: a frame of {name} takes {inverse.as_factor()} times as long as one by {rival}, "
            f"which is as accurate as asked. It would pay from {even} for a force evaluation on."
        )
    return (
        f"Open: the gain of {name} over {rival} is {factor.as_factor()}, which is not told apart "
        f"from none. It pays from {even} for a force evaluation on."
    )


def _over(value: float) -> float:
    return 1 / value if value > 0 else math.inf


def _payback(plan: Plan) -> list[str]:
    found, cost = plan.payback, plan.training
    if cost is None or found is None:
        return [
            f"What a training costs is not known, as {plan.surrogate.name} names no recipe of its "
            "own: give one."
        ]
    if plan.verdict == "no":
        return ["Training is never paid back."]
    of = counted(plan.asked.frames, "frame")
    return [f"Training, {duration_text(cost.seconds)} with its data, {_after(found)} of {of}."]


def _after(found: Payback) -> str:
    if math.isinf(found.trajectories):
        return "is never paid back by trajectories"
    if math.isinf(found.most):
        ends = f"{_many(found.least)} or more, or never"
    else:
        ends = f"{_many(found.least)}..{_many(found.most)}"
    whole = "trajectory" if found.trajectories == 1 else "trajectories"
    return f"is paid back after {_many(found.trajectories)} ({ends}) {whole}"


def _assumption(plan: Plan) -> str:
    return (
        f"Assumed: that {plan.surrogate.name} is as accurate as asked once it is trained. Nobody "
        "knows that before, and nothing here has measured it."
    )


def _sureness(plan: Plan) -> str:
    effort = plan.effort
    calls = f"{_many(effort.force_calls)} force calls"
    if effort.approximate_calls:
        calls += f" and {_many(effort.approximate_calls)} of approximations"
    starts = counted(effort.starts, "start")
    seconds, compiling = map(duration_text, (effort.seconds, effort.compile_seconds))
    return f"Measured on {starts} by {calls}, in {seconds} and {compiling} of compiling."


def _doubts(plan: Plan) -> list[str]:
    return [f"Less sure: {each}." for each in plan.effort.notes]


def _busy(plan: Plan) -> list[str]:
    load, cores = plan.conditions.get("load"), plan.conditions.get("cores")
    if load is None or cores is None or load <= cores + BUSY:
        return []
    processor = plan.conditions.get("clock") == "processor"
    advice = "processor times are a little too long" if processor else "try --clock processor"
    return [f"The machine was busy (load {load:.1f} on {cores} cores): {advice}."]


def _durations(seconds: Interval) -> str:
    ends = f"{duration_text(seconds.low)}..{duration_text(seconds.high)}"
    told = duration_text(seconds.value)
    return told if seconds.low == seconds.high else f"{told} ({ends})"


def _counted(count: float, noun: str) -> str:
    return counted(round(count), noun) if count < MANY else f"{_many(count)} {noun}s"


def _many(count: float) -> str:
    return number_text(count, 3) if count >= MANY else str(round(count))
