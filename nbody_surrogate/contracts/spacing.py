"""When two times between frames are the same; told without NumPy, as before a run is begun."""

from __future__ import annotations

import math

__all__ = ["SAME_TIME", "same_spacing"]

SAME_TIME = 1e-9
"""Relative to the time since the first frame. Far above rounding, also of a program that sums a
million steps rather than multiply (1e-10), and far below the spacing of any frames."""


def same_spacing(one: float, other: float) -> bool:
    """Tell whether two times between frames are the same, relative to their size."""
    return math.isclose(one, other, rel_tol=SAME_TIME)
