"""Pairs that come together within a time, on straight lines, in numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["approaching", "passing"]


@numba.extending.register_jitable(error_model="numpy")
def passing(d2: float, du: float, u2: float, ahead: float, share: float) -> bool:
    """Whether a pair passes its closest point within a time, and one of its own before it.

    Parameters
    ----------
    d2, du, u2 : float
        Squared distance, distance times relative velocity, squared relative speed.
    ahead : float
        How far to look.
    share : float
        A time of its own is this share of distance over speed.
    """
    # by products: no root and no division, as it is asked of each pair before each step
    return du < 0.0 and -du < ahead * u2 and share * share * d2 < ahead * ahead * u2


@numba.njit(cache=True, error_model="numpy", nogil=True)
def approaching(
    x: np.ndarray, v: np.ndarray, periods: np.ndarray, ahead: float, share: float
) -> Any:
    """Find the pairs that are `passing`: x, v (N, D) to their numbers i, j (P,).

    Along an axis of a period that is not zero, the nearest images count.
    """
    n, dimensions = x.shape
    firsts, seconds = np.empty(0, np.int64), np.empty(0, np.int64)
    for counting in (True, False):  # first how many: there are none as a rule
        found = 0
        for i in range(n):
            for j in range(i + 1, n):
                d2, du, u2 = 0.0, 0.0, 0.0
                for k in range(dimensions):
                    d, u = x[i, k] - x[j, k], v[i, k] - v[j, k]
                    if periods[k] > 0.0:
                        d -= periods[k] * np.rint(d / periods[k])
                    d2, du, u2 = d2 + d * d, du + d * u, u2 + u * u
                if passing(d2, du, u2, ahead, share):
                    if not counting:
                        firsts[found], seconds[found] = i, j
                    found += 1
        if counting:
            if found == 0:
                break
            firsts, seconds = np.empty(found, np.int64), np.empty(found, np.int64)
    return firsts, seconds
