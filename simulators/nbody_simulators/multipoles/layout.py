"""Where moments, tables and constants stand in the arrays of the compiled code.

Moments are rows of an array (k, padded N), with k = l^2 + m of the cosines m = 0 to l, and
k = l^2 + l + m of the sines m = 1 to l. Pairs are worked on four at a time, a block: one sphere i
and four neighbouring places of the row, j to j + 3; zeros leave out those with j <= i.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from nbody_simulators.multipoles.rotations import series

__all__ = ["LANES", "Constants", "constants", "matrices", "moment", "table_size", "translations"]

LANES = 4
"""Pairs of a block: a vector of float64 of 32 bytes."""


def moment(degree: int, m: int, sine: bool) -> int:
    """Return the row of a moment."""
    return degree * degree + m + (degree if sine else 0)


def matrices(order: int) -> list[tuple[int, bool, int, int]]:
    """List the rotations of a block's table: degree, whether of sines, size, and first vector.

    Phases come first, cos m phi and then sin m phi for m = 1 to p.
    """
    made, place = [], 2 * order
    for degree in range(order + 1):
        for sine in (False, True) if degree else (False,):
            size = degree + 1 - int(sine)
            made.append((degree, sine, size, place))
            place += size * size
    return made


def table_size(order: int) -> int:
    """Return the vectors of a block's table."""
    _, _, size, place = matrices(order)[-1]
    return place + size * size


def translations(order: int) -> list[tuple[int, bool, int, int]]:
    """List the translations along z: m, whether of sines, size, and first constant."""
    made, place = [], 0
    for m in range(order + 1):
        size = order + 1 - m
        for sine in (False, True) if m else (False,):
            made.append((m, sine, size, place))
        place += size * size
    return made


class Constants(NamedTuple):
    """What all pairs share.

    Attributes
    ----------
    shifts : ndarray
        (l + l')! / sqrt((l - m)! (l + m)! (l' - m)! (l' + m)!), of all m: signs left out.
    terms : ndarray
        Coefficients of the rotations' elements, those of cosines first in each matrix.
    places : ndarray of int64
        Where in its matrix each of these elements stands.
    """

    shifts: np.ndarray
    terms: np.ndarray
    places: np.ndarray


@cache
def constants(order: int) -> Constants:
    """Return the constants of an order.

    Parameters
    ----------
    order : int

    Returns
    -------
    Constants
    """
    shifts = [
        math.factorial(one + other) / math.sqrt(_weight(one, m) * _weight(other, m))
        for m in range(order + 1)
        for one in range(m, order + 1)
        for other in range(m, order + 1)
    ]
    terms, places = [], []
    for degree, sine, size, _ in matrices(order):
        of_matrix = series(degree, sine).reshape(size * size, degree + 1)
        for place in _by_parity(size):
            terms.append(of_matrix[place])
            places.append(place)
    return Constants(np.array(shifts), np.concatenate(terms), np.array(places))


def _weight(degree: int, m: int) -> int:
    return math.factorial(degree - m) * math.factorial(degree + m)


def _by_parity(size: int) -> list[int]:
    """List places of a matrix: those that are sums of cosines, then those of sines."""
    places = [
        (r, c)
        for parity in (0, 1)
        for r in range(size)
        for c in range(size)
        if (r + c) % 2 == parity
    ]
    return [r * size + c for r, c in places]
