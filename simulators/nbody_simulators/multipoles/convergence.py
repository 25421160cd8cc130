"""How well an order describes a pair: the rule by which starts are refused.

Two conductors have images within images, whose moments fall by exp(-beta) from degree to degree,

    cosh beta = (r^2 - R_i^2 - R_j^2) / (2 R_i R_j),

so the force of a pair by order p is off by about 4 exp(-beta p) / (3 beta^2), relative. The rate is
that of the bispherical coordinates of the pair; the factor was fitted to the force between equal
spheres of opposite charges, where it is 1 to 1.5 times the error at p = 4 to 8 and gaps of 0.15 to
1 radius. Dielectrics, and charges of one sign, converge faster.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["LEAST_GAP", "pair_error", "sufficient_distance", "sufficient_order"]

LEAST_GAP = 0.01
"""Of the harmonic mean of the radii: gaps that the table of exact pairs covers."""


def _rate(distance: float, radii: tuple[float, float]) -> float:
    a, b = radii
    ratio: float = (distance * distance - a * a - b * b) / (2 * a * b)
    return float(np.arccosh(max(ratio, 1.0)))


def pair_error(distance: float, radii: tuple[float, float], order: int) -> float:
    """Return about how far off the force of a pair of conductors is, relative.

    Parameters
    ----------
    distance : float
        Of the centres, in reduced units.
    radii : pair of float
    order : int

    Returns
    -------
    float
        Infinite where they touch.
    """
    rate = _rate(distance, radii)
    return math.inf if rate == 0 else 4 * math.exp(-rate * order) / (3 * rate * rate)


def sufficient_order(distance: float, radii: tuple[float, float], error: float) -> int:
    """Return the least order whose `pair_error` is at most an error.

    Parameters
    ----------
    distance : float
    radii : pair of float
    error : float

    Returns
    -------
    int
    """
    rate = _rate(distance, radii)
    return max(math.ceil(math.log(4 / (3 * rate * rate * error)) / rate), 0)


def sufficient_distance(radii: tuple[float, float], order: int, error: float) -> float:
    """Return the least distance at which the `pair_error` of an order is at most an error.

    Parameters
    ----------
    radii : pair of float
    order : int
    error : float

    Returns
    -------
    float
    """
    low, high = 1e-9, 50.0  # of the rate, by which the error falls
    for _ in range(100):
        rate = 0.5 * (low + high)
        if 4 * math.exp(-rate * order) / (3 * rate * rate) > error:
            low = rate
        else:
            high = rate
    a, b = radii
    return math.sqrt(a * a + b * b + 2 * a * b * math.cosh(high))
