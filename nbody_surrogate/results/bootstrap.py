"""Summaries and intervals for numbers that come of a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.wording import figure_text
from nbody_surrogate.results.quantiles import known, median, quantiles

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    "Interval",
    "Summary",
    "bootstrap_mean",
    "bootstrap_median",
    "finite_or_none",
    "mean_interval",
    "plain",
    "student_quantile",
]

RESAMPLES = 2000  # 50 beyond each end of the interval: its ends are steady to some percent
CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
CHUNK = 1 << 20  # numbers that are drawn at a time: 8 MB, whatever the sample
QUANTILES = (0.05, 0.25, 0.75, 0.95)
FEW = 10  # values below which a bootstrap, which cannot leave their range, is too narrow


@dataclass(frozen=True)
class Summary:
    """A quantity over the trajectories of an ensemble.

    Attributes
    ----------
    mean, median : float
    q05, q25, q75, q95 : float
        Quantiles over trajectories.
    low, high : float
        Bootstrap interval of 95 % for the median; the median itself for a single trajectory.
    """

    mean: float
    median: float
    q05: float
    q25: float
    q75: float
    q95: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Float64[np.ndarray, " S"], *, censored: bool = False) -> Summary:
        """Summarise a value of each trajectory; infinities count, at their end.

        NaN, of a trajectory of which nothing is known, is left out; all is NaN where there is
        nothing else. Infinite values are errors of what failed; `censored` ones are times that go
        on beyond the run, see `nbody_surrogate.results.quantiles`.
        """
        values = known(values)
        if not values.size:
            return cls(*[np.nan] * len(fields(cls)))
        low, high = bootstrap_median(values[:, None], censored=censored)
        # values of the sample: between a number and infinity there is none
        q05, q25, q75, q95 = np.quantile(values, QUANTILES, method="closest_observation")
        return cls(
            mean=float(values.mean()),  # a mean of infinities, which JSON gets as None
            median=float(median(values, censored=censored)),
            q05=float(q05),
            q25=float(q25),
            q75=float(q75),
            q95=float(q95),
            low=low,
            high=high,
        )

    def to_dict(self) -> dict[str, float | None]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return {key: finite_or_none(value) for key, value in vars(self).items()}


def finite_or_none(value: float) -> float | None:
    """Return a number as JSON has it."""
    return value if np.isfinite(value) else None


def plain(content: Any) -> Any:
    """Return numbers, and dicts and lists of them, as JSON has them: what is not finite is None."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    return finite_or_none(content) if isinstance(content, float) else content


def bootstrap_mean(
    values: Float64[np.ndarray, " S"], seed: int = 0, tail: float = TAIL
) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for a mean (Efron 1979), by a fixed seed.

    `tail` is the share of the resamples beyond each end.
    """
    # a seed of its own: a table that is made again shows the same intervals
    rng = np.random.default_rng(seed)
    size = len(values)
    at_once = max(CHUNK // size, 1)
    means = []
    for begin in range(0, RESAMPLES, at_once):
        draws = rng.integers(size, size=(min(at_once, RESAMPLES - begin), size))
        means.append(values[draws].mean(1))
    return _ends(np.concatenate(means), tail)


def mean_interval(values: Float64[np.ndarray, " S"]) -> Interval:
    """Return a mean and its 95 % interval, which holds it as often as that of few values too.

    Of fewer than `FEW` values by Student's t. Of more by the bootstrap, its tails made longer by as
    much as Student's t has longer ones (Hesterberg, American Statistician 69 (2015) 371). One value
    says nothing of its scatter: its interval is the whole line; of none all is NaN.
    """
    size = len(values)
    if size < 2:
        return Interval(float(values[0]), -np.inf, np.inf) if size else Interval(*[np.nan] * 3)
    mean, t = float(values.mean()), student_quantile(size - 1)
    if size < FEW:
        half = t * float(values.std(ddof=1)) / np.sqrt(size)
        return Interval(mean, mean - half, mean + half)
    tail = math.erfc(t * math.sqrt(size / (size - 1)) / math.sqrt(2)) / 2
    return Interval(mean, *bootstrap_mean(values, tail=tail))


def student_quantile(freedom: float) -> float:
    """Quantile of Student's t that a two-sided 95 % interval goes out to."""
    from scipy.special import stdtrit  # as heavy as all of NumPy, and not always needed

    return float(stdtrit(freedom, 1 - TAIL))


def bootstrap_median(
    values: Float64[np.ndarray, "S F"], seed: int = 0, *, censored: bool = False
) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for the median of all values, over the S samples.

    Infinite values are errors, or `censored` times, as in `nbody_surrogate.results.quantiles`.
    """
    size = len(values)
    if size == 1:  # there is nothing to draw from
        alone = float(median(values.ravel(), censored=censored))
        return alone, alone
    rng = np.random.default_rng(seed)
    # The same draws both ways: all at once is faster, one by one fits into memory.
    if values.size * RESAMPLES <= CHUNK:
        draws = rng.integers(size, size=(RESAMPLES, size))
        medians = median(values[draws].reshape(RESAMPLES, -1), axis=1, censored=censored)
    else:
        each = (values[rng.integers(size, size=size)].ravel() for _ in range(RESAMPLES))
        medians = np.array([median(some, censored=censored) for some in each])
    return _ends(medians)


def _ends(resampled: np.ndarray, tail: float = TAIL) -> tuple[float, float]:
    """Return the ends of the interval; next to infinity, outwards."""
    (low,) = quantiles(resampled, [tail], censored=True)
    (high,) = quantiles(resampled, [1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1e} ({self.low:.1e}..{self.high:.1e})"

    def as_factor(self) -> str:
        """Write it as a ratio: ``0.44 (0.36..0.54)``."""
        value, low, high = map(_factor, (self.value, self.low, self.high))
        return f"{value} ({low}..{high})"

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> Interval:
        """Read it from JSON, which has no infinity: open ends are None, and no value is NaN."""
        value, low, high = (values[key] for key in ("value", "low", "high"))
        return cls(
            np.nan if value is None else value,
            -np.inf if low is None else low,
            np.inf if high is None else high,
        )


def _factor(value: float) -> str:
    # methods may differ by twenty powers of ten
    return figure_text(value, 2) if 1e-3 <= value < 1e4 or value == 0 else f"{value:.1e}"
