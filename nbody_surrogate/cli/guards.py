"""The guard that `nbody-sim run` was asked for, and what it found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.cli.parameters import key_and_value
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.cli.request import Request
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.results.guard_report import GuardReport
    from nbody_surrogate.simulation.guard.options import Guard

__all__ = ["guard_lines", "guard_of"]

MOST_LINES = 5


def guard_of(request: Request, reference: AbstractIntegrator | None) -> Guard | None:
    """Build the guard, which falls back on the run's reference.

    Raises
    ------
    InputError
        If a threshold is wrong, or there is no guard to have one.
    """
    if request.guard is None:
        if request.threshold:
            raise InputError("`threshold` goes with `guard` only; add --guard fallback")
        return None
    from nbody_surrogate.simulation.guard.options import Guard

    thresholds = {}
    for text in request.threshold:
        key, value = key_and_value(text, "threshold", "energy=0.005")
        if key in thresholds:
            raise InputError(f"`threshold` {key!r} is given twice, the second time as {text!r}")
        thresholds[key] = value
    return Guard(request.guard, reference=reference, **thresholds)


def guard_lines(report: GuardReport) -> list[str]:
    """Say what tripped, what became of it, and what the guard cost."""
    events, trajectories = report.events, len(report.fallen_back)
    if report.policy == "fallback":
        done = f"{report.share:.3g} of all frames fell back on {_name(report)}"
    else:
        done = f"{len({event.trajectory for event in events})} of {trajectories} tripped"
    cost = f"{1e3 * report.check_time:.3g} ms for checks"
    if report.reference is not None:
        cost += f", {1e3 * report.replay_time:.3g} ms for replays"
    lines = [f"Guard ({report.policy}): {done}; {cost}, part of the wall time."]
    lines += [f"  {event}" for event in events[:MOST_LINES]]
    if len(events) > MOST_LINES:
        lines.append(f"  and {len(events) - MOST_LINES} more segments")
    return lines


def _name(report: GuardReport) -> str:
    return "nothing" if report.reference is None else str(report.reference["integrator"])
