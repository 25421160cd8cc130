"""How far a sharper run may be trusted that another is verified by."""

from __future__ import annotations

from nbody_surrogate.errors import warn
from nbody_surrogate.integrators.missed_encounters import Frames, missed_encounters, usual_step
from nbody_surrogate.simulation.recorder import Recorder

__all__ = ["doubt_missed"]

NAMED = 3  # encounters in a warning


def doubt_missed(truth: Recorder) -> None:
    """Trust the trajectories of a whole run up to the first encounter that it stepped over."""
    problem, method = truth.problem, truth.integrator
    time = problem.elapsed(truth.frames) * len(truth.x)
    step = usual_step(method, problem.dt, time, truth.counters.get("steps", 0))
    missed = missed_encounters(Frames(problem, truth.x, truth.v, truth.good), method, step)
    for each in missed:
        truth.trusted[each.trajectory] = each.frame + 1
    if not missed:
        return
    which = "" if len(truth.x) == 1 else " of trajectory {}"
    named = [f"{each}{which.format(each.trajectory)}" for each in missed[:NAMED]]
    more = f", and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
    warn(
        f"`verify`: {'; '.join(named)}{more}: after it the label error is not known. Use "
        "dop853 with `norm` particle, a smaller `max_step`, or more sub-steps"
    )
