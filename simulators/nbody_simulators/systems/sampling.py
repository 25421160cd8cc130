"""Draws that the samplers of several systems share, and the ranges they are drawn from."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, FiniteFloat
from pydantic_core import PydanticCustomError

__all__ = [
    "NonNegativeRange",
    "PositiveRange",
    "isotropic",
    "log_uniform",
    "mirrored",
    "reflected",
    "spread_of",
    "uniform",
]

SPEED = 0.5
"""|v| of the presets, as in Kipf et al., "Neural Relational Inference", ICML 2018."""

WALL = 5.0
"""Half the width of the box that the published starts are put in."""

Range = tuple[float, float]


def _non_negative(bounds: Range) -> Range:
    return _ordered(bounds, "<=")


def _positive(bounds: Range) -> Range:
    return _ordered(bounds, "<")


def _ordered(bounds: Range, sign: Literal["<", "<="]) -> Range:
    low, high = bounds
    if low > high or low < 0 or (sign == "<" and low == 0):
        raise PydanticCustomError("range", f"must be (lo, hi) with 0 {sign} lo <= hi")
    return bounds


NonNegativeRange = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_non_negative)]
PositiveRange = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_positive)]


def spread_of(n: int) -> float:
    """Return (N / 5)^(1/3): clouds scaled by it are equally dense, whatever the number."""
    return float((n / 5) ** (1 / 3))


def isotropic(rng: np.random.Generator, n: int, dimensions: int) -> np.ndarray:
    """Draw velocities (N, D) of length 0.5 in any direction."""
    direction = rng.normal(size=(n, dimensions))  # a Gaussian's direction is uniform
    v: np.ndarray = SPEED * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return v


def mirrored(x: np.ndarray, v: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mirror each particle, with its velocity, to where it is positive on some axes."""
    sign = np.ones_like(x)
    for axis in axes:
        if axis < x.shape[1]:
            sign[:, axis] = np.where(x[:, axis] < 0, -1.0, 1.0)
    return sign * x, sign * v


def uniform(rng: np.random.Generator, bounds: Range, n: int) -> np.ndarray:
    """Draw from a range, shape (N,); nothing is drawn where the range is a point."""
    low, high = bounds
    return np.full(n, low) if low == high else rng.uniform(low, high, size=n)


def log_uniform(rng: np.random.Generator, bounds: Range, n: int) -> np.ndarray:
    """Draw from a positive range, uniform in the logarithm; nothing is drawn of a point."""
    low, high = bounds
    return np.full(n, low) if low == high else np.exp(rng.uniform(np.log(low), np.log(high), n))


def reflected(x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reflect positions beyond the walls at +5 and -5 once, and turn velocities inwards."""
    over, under = x > WALL, x < -WALL
    folded = np.where(over, 2 * WALL - x, np.where(under, -2 * WALL - x, x))
    turned = np.where(over, -abs(v), np.where(under, abs(v), v))
    return folded, turned
