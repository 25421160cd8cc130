"""What the benchmarks share: ratios of times taken in turn, within one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

REPEATS = 9


class Ratio(NamedTuple):
    """Median times in seconds of a slow and a fast way, and the quotient of each round."""

    slow: float
    fast: float
    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.lowest:.3g} to {self.highest:.3g})"


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time one call."""
    began = clock()
    call()
    return clock() - began


def median_seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Time repeated calls, the first of which warms up and does not count."""
    call()
    return statistics.median(seconds(call) for _ in range(repeats))


def ratio(
    slow: Callable[[], object],
    fast: Callable[[], object],
    share: float = 1.0,
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """Time two ways in turn; `share` is the work of `slow` over that of `fast`.

    The quotient is that of times for equal work. Lowest and highest are over the rounds.
    """
    slow(), fast()
    rounds = [(seconds(slow, clock) / share, seconds(fast, clock)) for _ in range(repeats)]
    quotients = [first / second for first, second in rounds]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return Ratio(*medians, statistics.median(quotients), min(quotients), max(quotients))
