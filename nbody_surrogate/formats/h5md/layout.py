"""What writer and reader agree on: names and limits. To check a name takes no NumPy."""

from __future__ import annotations

from nbody_surrogate.files.limits import FRAMES

__all__ = [
    "MAX_BYTES",
    "SUFFIXES",
]

SUFFIXES = (".h5", ".h5md", ".hdf5")
"""Names of a file of ours may end so; it is one format."""

FORMAT, GUARDED_FORMAT, ENSEMBLE_FORMAT = 1, 2, 3
"""Versions of what stands below ``parameters/nbody_surrogate``.

In the second, which guarded runs have, what the guard found is in arrays. Releases that do not know
these would read that it found nothing, so they are to refuse it. In the third, which runs of
several trajectories have, guarded or not, the frames are in arrays too.
"""

VECTORS = ("position", "velocity")
RADIUS = "radius"

OURS = "parameters/nbody_surrogate"
ENSEMBLE = f"{OURS}/ensemble"
FRAMES_WRITTEN = "parameters/frames_written"
OBSERVABLES = "observables"
PARTICLES = "particles"
HIDDEN_PREFIX = "hidden_"
"""Of the elements of hidden variables, whose names H5MD does not know."""
LABEL_ERROR = "label_error"
VALID = "valid"
"""One observable for all trajectories, of shape (T, B): 1 where a frame is data, 0 where it repeats
the last one of a trajectory that stopped, and where it is not written yet."""
EXPORTED = f"{OURS}/exported"
"""There, and 1, in an exported trajectory. For the sake of other programs its vectors have three
components, of which the third is 0 in a flat run, charges, masses and radii have a time axis, and
couplings stand below `OURS`."""


MAX_BYTES = FRAMES.largest
"""Largest trajectory that is read into memory at once, unless asked otherwise."""


def trajectory_name(b: int) -> str:
    """Name of the groups of trajectory `b`."""
    return f"trajectory_{b:04d}"
