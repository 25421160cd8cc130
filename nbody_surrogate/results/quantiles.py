"""Medians and quantiles of samples in which some values are infinite.

An infinite error is that of a method that stopped, an infinite time one that is not over when the
run is. Where a quantile falls between a number and infinity there is no value to interpolate to,
and NumPy's median gives infinity, or NaN. Both neighbours are quantiles then, and that one is taken
which flatters nobody: of errors the larger, of times that go on beyond the run, the smaller.
Everything else is as in NumPy, whose quantiles are linear between neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["known", "known_median", "median", "quantiles"]


def known(values: np.ndarray) -> np.ndarray:
    """Leave out NaN, which stands for what is not known; one axis is left."""
    return np.asarray(values[~np.isnan(values)])


def median(values: np.ndarray, axis: int = 0, *, censored: bool = False) -> np.ndarray:
    """Median along an axis, for which infinities count at their end.

    Parameters
    ----------
    values : ndarray
        Without NaN.
    axis : int
    censored : bool
        Whether infinity stands for a time that goes on beyond the run, in place of an error. So
        the median of a time of 2 and one beyond the run is 2.
    """
    if np.isfinite(values).all():
        return np.asarray(np.median(values, axis=axis))
    return np.asarray(quantiles(values, [0.5], axis, censored=censored)[0])


def quantiles(
    values: np.ndarray, shares: Sequence[float], axis: int = 0, *, censored: bool = False
) -> np.ndarray:
    """Quantiles along an axis, in the first axis of the result; see `median`."""
    if np.isfinite(values).all():
        return np.asarray(np.quantile(values, shares, axis=axis))
    below = np.asarray(np.quantile(values, shares, axis=axis, method="lower"))
    above = np.asarray(np.quantile(values, shares, axis=axis, method="higher"))
    with np.errstate(invalid="ignore"):  # where a neighbour is infinite, and not asked for
        between = np.asarray(np.quantile(values, shares, axis=axis))
    surely = below if censored else above
    # NumPy's is NaN too where a value is hit exactly, and the next one is infinite
    linear = np.isfinite(below) & np.isfinite(above) & (below < above)
    return np.asarray(np.where(linear, between, surely))


def known_median(values: np.ndarray, *, censored: bool = False) -> float:
    """Median of what is known, as `median` has it; NaN where nothing is."""
    some = known(values)
    return float(median(some, censored=censored)) if some.size else np.nan
