"""When two times are the same: one tolerance for all that compares frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.spacing import SAME_TIME, same_spacing

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["SAME_TIME", "same_spacing", "same_times", "time_tolerance"]

ULPS = 4
"""Units in the last place of the latest time: t0 + n dt is rounded twice, on either side."""


def time_tolerance(t: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Return how far another program's times of the same frames may be from these.

    Nothing in it is absolute: a run may have frames 1e-13 apart, or begin at 1.7e9.

    Parameters
    ----------
    t : ndarray, shape (T,)
        Frame times in increasing order, in time units.

    Returns
    -------
    ndarray, shape (T,)
        `SAME_TIME` of the time since the first frame, and what rounding does to a time of that
        size, but never as much as would take one frame for its neighbour.
    """
    rounding = ULPS * np.spacing(np.abs(t).max(initial=0.0))
    if len(t) < 2:
        return np.full(t.shape, rounding)
    # a frame more, as the first one is known no better than the second
    since = np.abs(t - t[0]) + abs(t[1] - t[0])
    return np.asarray(np.minimum(SAME_TIME * since + rounding, np.abs(np.diff(t)).min() / 4))


def same_times(one: Float64[np.ndarray, " T"], other: Float64[np.ndarray, " S"]) -> bool:
    """Tell whether two lists of frame times are the same.

    Parameters
    ----------
    one, other : ndarray, shapes (T,) and (S,)
        In time units.

    Returns
    -------
    bool
        Whether there are as many and each pair agrees to the `time_tolerance` of the first.
    """
    if one.shape != other.shape:
        return False
    return bool((np.abs(one - other) <= time_tolerance(one)).all())
