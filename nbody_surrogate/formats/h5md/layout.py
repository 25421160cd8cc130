"""What writer and reader agree on: names, types and limits."""

from __future__ import annotations

__all__ = [
    "MAX_BYTES",
]

FORMAT = 1
"""Version of what stands below ``parameters/nbody_surrogate``."""


OURS = "parameters/nbody_surrogate"
FRAMES_WRITTEN = "parameters/frames_written"
OBSERVABLES = "observables"
LABEL_ERROR = "label_error"
VALID = "valid"
"""One observable for all trajectories, of shape (T, B): 1 where a frame is data, 0 where it repeats
the last one of a trajectory that stopped, and where it is not written yet."""


MAX_BYTES = 16 * 2**30
"""Largest trajectory that is read into memory at once, unless asked otherwise."""


def trajectory_name(b: int) -> str:
    """Name of the groups of trajectory `b`."""
    return f"trajectory_{b:04d}"
