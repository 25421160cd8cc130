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
EXPORTED = f"{OURS}/exported"
"""There, and 1, in an exported trajectory. For the sake of other programs its vectors have three
components, of which the third is 0 in a flat run, charges and masses have a time axis, and
couplings stand below `OURS`."""

MAX_BYTES = 16 * 2**30
"""Largest trajectory that is read into memory at once, unless asked otherwise."""


def trajectory_name(b: int) -> str:
    """Name of the groups of trajectory `b`."""
    return f"trajectory_{b:04d}"
