"""The compiled function; its text stays as it is, by which numba finds it on disk."""

from __future__ import annotations

import numba
import numpy as np

from nbody_set.fused.kernel import frames
from nbody_surrogate.layers.fused import emitted

__all__ = ["advance"]

_frames = emitted(frames)


@numba.njit(cache=True, nogil=True)
def advance(like: np.ndarray, table: np.ndarray, begin: int, end: int) -> None:
    """Make the frames of some trajectories, in the precision of `like`; see `arguments`."""
    _frames(like, table, begin, end)
