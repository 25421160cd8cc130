"""Summaries and intervals for numbers that come of a sample."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64

__all__ = [
    "Interval",
    "Summary",
    "bootstrap_mean",
    "bootstrap_median",
    "finite_or_none",
    "known",
    "known_median",
    "plain",
    "quantiles",
]

RESAMPLES = 2000  # 50 beyond each end of the interval: its ends are steady to some percent
CONFIDENCE = 0.95
CHUNK = 1 << 20  # numbers that are drawn at a time: 8 MB, whatever the sample
QUANTILES = (0.05, 0.25, 0.75, 0.95)


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
    def of(cls, values: Float64[np.ndarray, " S"]) -> Summary:
        """Summarise a value of each trajectory; infinities count, at their end.

        NaN, of a trajectory of which nothing is known, is left out; all is NaN where there is
        nothing else.
        """
        values = known(values)
        if not values.size:
            return cls(*[np.nan] * len(fields(cls)))
        with np.errstate(invalid="ignore"):  # a mean of infinities, which JSON gets as None
            # Quantiles are values of the sample: between a number and infinity there is none.
            quantiles = np.quantile(values, QUANTILES, method="closest_observation")
            alone = (values[0], values[0])
            interval = bootstrap_median(values[:, None]) if len(values) > 1 else alone
            return cls(
                mean=float(values.mean()),
                median=float(np.median(values)),
                q05=float(quantiles[0]),
                q25=float(quantiles[1]),
                q75=float(quantiles[2]),
                q95=float(quantiles[3]),
                low=float(interval[0]),
                high=float(interval[1]),
            )

    def to_dict(self) -> dict[str, float | None]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return {key: finite_or_none(value) for key, value in vars(self).items()}


def known(values: np.ndarray) -> np.ndarray:
    """Leave out NaN, which stands for what is not known; one axis is left."""
    return np.asarray(values[~np.isnan(values)])


def known_median(values: Float64[np.ndarray, " S"]) -> float:
    """Median of what is known; NaN where nothing is."""
    some = known(values)
    return float(np.median(some)) if some.size else np.nan


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


def bootstrap_mean(values: Float64[np.ndarray, " S"], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for a mean (Efron 1979), by a fixed seed."""
    # a seed of its own: a table that is made again shows the same intervals
    rng = np.random.default_rng(seed)
    size = len(values)
    at_once = max(CHUNK // size, 1)
    means = []
    for begin in range(0, RESAMPLES, at_once):
        draws = rng.integers(size, size=(min(at_once, RESAMPLES - begin), size))
        means.append(values[draws].mean(1))
    return _ends(np.concatenate(means))


def bootstrap_median(values: Float64[np.ndarray, "S F"], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for the median of all values, over the S samples."""
    rng = np.random.default_rng(seed)
    size = len(values)
    # The same draws both ways: all at once is faster, one by one fits into memory.
    if values.size * RESAMPLES <= CHUNK:
        draws = rng.integers(size, size=(RESAMPLES, size))
        medians = np.median(values[draws].reshape(RESAMPLES, -1), axis=1)
    else:
        each = (values[rng.integers(size, size=size)] for _ in range(RESAMPLES))
        medians = np.array([np.median(some) for some in each])
    return _ends(medians)


def _ends(resampled: np.ndarray) -> tuple[float, float]:
    """Return the ends of the interval."""
    tail = (1 - CONFIDENCE) / 2
    low, high = quantiles(resampled, [tail, 1 - tail])
    return float(low), float(high)


def quantiles(values: Float64[np.ndarray, " S"], shares: list[float]) -> np.ndarray:
    """Return quantiles; where some values are infinite, values of the sample itself."""
    if np.isfinite(values).all():
        return np.asarray(np.quantile(values, shares))
    # between a number and infinity, the error of what failed, there is none
    return np.asarray(np.quantile(values, shares, method="closest_observation"))


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1e} ({self.low:.1e}..{self.high:.1e})"
