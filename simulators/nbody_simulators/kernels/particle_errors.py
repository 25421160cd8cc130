"""The error of the worst particle, in numba."""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["largest_error", "mean_squares"]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def largest_error(
    fifth: np.ndarray,
    third: np.ndarray,
    y: np.ndarray,
    y_new: np.ndarray,
    layout: np.ndarray,
    n: int,
    rtol: float,
    atol: float,
) -> float:
    """Largest over particles of E5 / sqrt(E5 + E3 / 100), of mean squares over components.

    Parameters
    ----------
    fifth, third : ndarray, shape (M,)
        Errors of orders 5 and 3; with a third of zeros it is the root of E5.
    y, y_new : ndarray, shape (M,)
        The state before and after the step.
    layout : ndarray of int, shape (S, 4)
        For each of S vectors that a particle has: where that of the first begins in the state, its
        components, how far the next particle's lies, how far the next component.
    n : int
        Particles.
    rtol, atol : float
    """
    components = layout[:, 1].sum()
    largest = 0.0
    for i in range(n):
        e5, e3 = 0.0, 0.0
        for s in range(layout.shape[0]):
            begin = layout[s, 0] + i * layout[s, 2]
            before, after, of_5, of_3 = 0.0, 0.0, 0.0, 0.0
            for k in range(layout[s, 1]):
                m = begin + k * layout[s, 3]
                before += y[m] * y[m]
                after += y_new[m] * y_new[m]
                of_5 += fifth[m] * fifth[m]
                of_3 += third[m] * third[m]
            scale = atol + rtol * math.sqrt(max(before, after))
            e5 += of_5 / (scale * scale)
            e3 += of_3 / (scale * scale)
        e5, e3 = e5 / components, e3 / components
        joined = e5 + 0.01 * e3
        if joined == 0.0:
            continue
        error: float = e5 / math.sqrt(joined)
        if not error <= largest:  # so that NaN comes through, by which a step is refused
            if math.isnan(error):
                return error
            largest = error
    return largest


@numba.njit(cache=True, error_model="numpy", nogil=True)
def mean_squares(
    error: np.ndarray,
    y: np.ndarray,
    layout: np.ndarray,
    n: int,
    rtol: float,
    atol: float,
    out: np.ndarray,
) -> None:
    """Write the mean square (N,) of a scaled vector over the components of each particle."""
    components = layout[:, 1].sum()
    for i in range(n):
        total = 0.0
        for s in range(layout.shape[0]):
            begin = layout[s, 0] + i * layout[s, 2]
            length2, error2 = 0.0, 0.0
            for k in range(layout[s, 1]):
                m = begin + k * layout[s, 3]
                length2 += y[m] * y[m]
                error2 += error[m] * error[m]
            scale = atol + rtol * math.sqrt(length2)
            total += error2 / (scale * scale)
        out[i] = total / components
