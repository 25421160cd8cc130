"""When two times are the same: one tolerance for all that compares frames."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["SAME_TIME", "same_spacing", "same_times"]

SAME_TIME = 1e-9
"""Relative, and absolute in time units. Far above rounding, also of a program that sums a million
steps rather than multiply (1e-10), and far below the spacing of any frames."""


def same_times(one: float | np.ndarray, other: float | np.ndarray) -> bool:
    """Tell whether two times, or two lists of as many times, are the same.

    Parameters
    ----------
    one, other : float or ndarray, shape (T,)
        In time units.

    Returns
    -------
    bool
        Whether they have the same shape and each pair agrees to `SAME_TIME`.
    """
    if np.shape(one) != np.shape(other):
        return False
    return bool(np.allclose(one, other, rtol=SAME_TIME, atol=SAME_TIME))


def same_spacing(one: float, other: float) -> bool:
    """Tell whether two times between frames are the same, relative to their size."""
    return math.isclose(one, other, rel_tol=SAME_TIME)
