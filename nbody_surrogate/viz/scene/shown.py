"""Which frames are drawn: those that are valid in all runs of a picture.

A run that stopped early repeats its last valid frame. Such repeats are no data: under a later time
they would show what was never computed.
"""

from __future__ import annotations

from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.results.validity import validity_note

__all__ = ["common_frames", "is_stopped", "shown_part", "stop_notes"]


def common_frames(*runs: Trajectory) -> int:
    """Count the frames that are valid in all runs, the start included."""
    return min(run.valid_frames for run in runs)


def shown_part(*runs: Trajectory) -> list[Trajectory]:
    """Return runs of the same frames up to the last one that is valid in all of them."""
    frames = common_frames(*runs)
    return [as_ensemble(run).valid_part(frames)[0] for run in runs]


def is_stopped(run: Trajectory) -> bool:
    """Whether a run stopped before its last frame, at one that is the last valid of it."""
    return run.valid_frames < len(run.t)


def stop_notes(*runs: Trajectory | Ensemble) -> list[str]:
    """Say of each run that stopped early how many of its frames are valid.

    Parameters
    ----------
    runs : Trajectory or Ensemble
        The candidate, and the reference where there is one.

    Returns
    -------
    list of str
    """
    roles = ("run", "reference")
    noted = [
        (role, run.info.label, validity_note(run)) for role, run in zip(roles, runs, strict=False)
    ]
    return [f"{role} {label!r}: {note}" for role, label, note in noted if note is not None]
