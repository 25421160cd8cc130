"""DOC."""

from __future__ import annotations

import math

__all__ = []


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _range(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


def _extent(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ranges), max(high for _, high in ranges)
