"""How much of a run is data, in words."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble

__all__ = ["validity_note"]


def validity_note(run: Trajectory | Ensemble) -> str | None:
    """Say how many frames of a run are valid, or None where all are.

    Parameters
    ----------
    run : Trajectory or Ensemble

    Returns
    -------
    str or None
    """
    run = as_ensemble(run)
    valid, frames = run.valid_frames, len(run.t)
    stopped = int((valid < frames).sum())
    if not stopped:
        return None
    first = int(valid.min())
    until = f"up to t = {number_text(float(run.t[first - 1]))}"
    if len(run) == 1:
        return f"{first} of {counted(frames, 'frame')} {_are(first)} valid, {until}"
    of_them = np.flatnonzero(valid == first)[0]
    return (
        f"{stopped} of {counted(len(run), 'trajectory')} stopped early; of trajectory {of_them}, "
        f"{first} of {counted(frames, 'frame')} {_are(first)} valid, {until}"
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
