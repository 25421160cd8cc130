"""Intervals for numbers that come of a sample."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

__all__ = ["bootstrap_mean", "bootstrap_median"]

RESAMPLES = 2000
CONFIDENCE = 0.95
CHUNK = 1 << 20  # numbers that are drawn at a time


def bootstrap_mean(values: Float64[np.ndarray, " S"], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for a mean (Efron 1979), by a fixed seed."""
    rng = np.random.default_rng(seed)
    size = len(values)
    at_once = max(CHUNK // size, 1)
    means = []
    for begin in range(0, RESAMPLES, at_once):
        draws = rng.integers(size, size=(min(at_once, RESAMPLES - begin), size))
        means.append(values[draws].mean(1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_median(values: Float64[np.ndarray, "S F"], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % for the median of all values, over the S samples."""
    rng = np.random.default_rng(seed)
    size = len(values)
    medians = [np.median(values[rng.integers(size, size=size)]) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return float(low), float(high)
