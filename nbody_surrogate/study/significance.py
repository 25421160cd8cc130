"""Intervals over seeds, the paired test of two models, and when a difference is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from nbody_surrogate.results.bootstrap import Interval

__all__ = ["LEVEL", "over_seeds", "p_of_pairs", "verdict"]

LEVEL = 0.05  # of the paired test


def over_seeds(values: list[float]) -> Interval | None:
    """Mean and 95 % interval by Student's t of at least two values, cut off at zero.

    Seeds are few, three or so: a bootstrap of three values is far too narrow, and the normal
    distribution's 1.96 would stand for 4.30.

    Returns
    -------
    Interval or None
        None where there is no value.
    """
    if not values:
        return None
    if not np.isfinite(values).all():  # a seed that failed: its mean has no upper end
        return Interval(np.inf, float(np.min(values)), np.inf)
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * deviation / np.sqrt(len(values))
    return Interval(mean, max(mean - half, 0.0), mean + half)  # errors are not negative


def p_of_pairs(
    one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray
) -> float | None:
    """Return p of the paired t-test of as many values, or None where it has none.

    It is paired since models share what makes most of the scatter: the seed's data order, or the
    test trajectory and its close encounters.
    """
    with np.errstate(all="ignore"):  # pairs without any scatter
        p = float(stats.ttest_rel(one, other).pvalue)
    return p if np.isfinite(p) else None


def verdict(mine: Interval | None, best: Interval | None, p: float | None) -> str:
    """Say whether a model is worse than the one of the lowest mean.

    It is worse only where both the intervals are apart and the paired test tells the two apart:
    with three seeds either alone is wrong too often.

    Parameters
    ----------
    mine : Interval or None
        None where no seed was trained to the end.
    best : Interval or None
        Of the model of the lowest mean, which is another one.
    p : float or None
        Of the paired test.
    """
    if mine is None or best is None:
        return "not done"
    return "worse" if mine.low > best.high and p is not None and p < LEVEL else "no difference"
