"""Intervals and tests of a study: seeds scatter, and so does the test set that all models share.

Errors of a model are a table of seeds and test trajectories. A mean over it would be another one
with other seeds, and with another test set, so an interval holds both. Trajectories are many, and
are drawn by a bootstrap, the same ones for all seeds and models. Seeds are few, three or so: a
bootstrap of three values is far too narrow, so their part is by Student's t.

Two models are held against each other by the logarithm of the ratio of their mean errors, seed by
seed and on the same draws of trajectories: models share what makes most of the scatter, the close
encounters of the test set and the seed's order of the data. The variances of seeds and of the test
set add; the degrees of freedom are those of Satterthwaite, Biometrics Bulletin 2 (1946) 110. That
counts what seeds and trajectories scatter together twice, which is on the safe side.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.results.bootstrap import RESAMPLES, Interval, bootstrap_mean, student_quantile
from nbody_surrogate.results.paired import told_apart
from nbody_surrogate.results.quantiles import quantiles

__all__ = ["Ratio", "mean_error", "mean_over_seeds", "ratio_of_means", "verdict"]

ENDS = (0.025, 0.975)
SEED = 0  # of the draws, so that a table that is made again shows the same intervals

Errors = Float64[np.ndarray, "S B"]


class Ratio(NamedTuple):
    """A model's mean error over another one's, and p of their being equal."""

    value: Interval
    p: float


def mean_error(errors: Errors) -> Interval:
    """Mean over seeds and test trajectories, with a 95 % interval over both, cut off at zero.

    Of one seed it is over trajectories: of these weights, not of the model.
    """
    mean = float(errors.mean())
    if len(errors) == 1:
        return Interval(mean, *bootstrap_mean(errors[0]))
    if not np.isfinite(errors).all():  # what failed: its mean has no upper end
        return Interval(np.inf, float(errors.mean(1).min()), np.inf)
    seeds, rng = len(errors), np.random.default_rng(SEED)
    each = errors @ _draws(errors.shape[1])
    scatter = each.std(0, ddof=1) / math.sqrt(seeds) * rng.standard_t(seeds - 1, each.shape[1])
    low, high = quantiles(each.mean(0) + scatter, ENDS)
    return Interval(mean, max(float(low), 0.0), float(high))  # errors are not negative


def mean_over_seeds(values: list[float]) -> Interval | None:
    """Mean and 95 % interval by Student's t of means of which the trajectories are not known.

    Returns
    -------
    Interval or None
        None where there is no value.
    """
    if not values:
        return None
    if len(values) == 1:
        return Interval(values[0], 0.0, np.inf)
    if not np.isfinite(values).all():  # a seed that failed: its mean has no upper end
        return Interval(np.inf, float(np.min(values)), np.inf)
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = student_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    return Interval(mean, max(mean - half, 0.0), mean + half)


def ratio_of_means(one: Errors, other: Errors) -> Ratio | None:
    """Hold two models against each other on the same seeds and test trajectories.

    Returns
    -------
    Ratio or None
        None where there is none, as of a mean that is infinite or zero.
    """
    draws = _draws(one.shape[1])
    with np.errstate(all="ignore"):  # of infinite errors
        logs = np.log(one.mean(1)) - np.log(other.mean(1))
        drawn = (np.log(one @ draws) - np.log(other @ draws)).mean(0)
    if not (np.isfinite(logs).all() and np.isfinite(drawn).all()):
        return None
    by_seeds = float(logs.var(ddof=1)) / len(logs) if len(logs) > 1 else 0.0
    by_test = float(drawn.var(ddof=1))
    return _tested(float(logs.mean()), by_seeds, by_test, *one.shape)


def _tested(mean: float, by_seeds: float, by_test: float, seeds: int, trajectories: int) -> Ratio:
    """Return the ratio of a mean logarithm, of the variance of its two sources."""
    variance = by_seeds + by_test
    if variance == 0:  # the same in all seeds and trajectories
        return Ratio(Interval(*[math.exp(mean)] * 3), 0.0 if mean else 1.0)
    squares = by_seeds**2 / max(seeds - 1, 1) + by_test**2 / max(trajectories - 1, 1)
    freedom = variance**2 / squares
    from scipy.special import stdtr  # as heavy as all of NumPy

    deviation = math.sqrt(variance)
    half = student_quantile(freedom) * deviation
    ends = (math.exp(min(each, 700.0)) for each in (mean, mean - half, mean + half))
    return Ratio(Interval(*ends), 2 * float(stdtr(freedom, -abs(mean) / deviation)))


def verdict(mine: Interval | None, best: Interval | None, ratio: Ratio | None, bound: float) -> str:
    """Say how a model stands against the one of the lowest mean.

    Parameters
    ----------
    mine : Interval or None
        None where no seed was trained to the end.
    best : Interval or None
        Of the model of the lowest mean, which is another one.
    ratio : Ratio or None
        Of the two, p corrected for all pairs of the table.
    bound : float
        A factor of mean errors within which models are equivalent.

    Returns
    -------
    str
        ``not done``, ``worse``, ``equivalent`` or ``not told apart``.
    """
    if mine is None or best is None:
        return "not done"
    if ratio is None:
        return "not told apart"
    told = told_apart(ratio.p, ratio.value, bound)
    return "worse" if told == "different" else told


@lru_cache(maxsize=1)  # all models of a table, and all pairs of them, are drawn alike
def _draws(count: int) -> Float64[np.ndarray, "B R"]:
    """Weights of trajectories in each resample, of sum 1."""
    rng = np.random.default_rng(SEED)
    return np.asarray(rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).T / count)
