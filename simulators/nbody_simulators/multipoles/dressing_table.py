"""Stiffness of the low moments of two spheres whose high ones are eliminated, in tables.

In the frame of a pair, whose z axis is its line, moments of different m do not see each other. For
each m, of all moments l up to convergence, those above p are eliminated: what is left is the Schur
complement K_LL - K_LH K_HH^-1 K_HL, an effective stiffness of the moments up to p of both spheres,
exact for the two alone. Moments are scaled, q = R^(l + 1/2) g_l y with g_l^2 = alpha_l / R^(2l+1),
so that a sphere alone has stiffness 1 for l >= 1, which is left out here.

References
----------
Durlofsky, Brady and Bossis, J. Fluid Mech. 180 (1987) 21, for a far field with exact pairs in it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from nbody_simulators.multipoles.pair_table import HERMITE, LEAST_GAP
from nbody_simulators.multipoles.two_spheres import converged_orders
from nbody_surrogate.contracts import InputError

__all__ = ["DressingTables", "addresses", "dressing_tables", "effective_stiffness"]

ENOUGH = 0.6
"""Of the orders that pairs take to rounding: 1e-9, where the approximation itself errs by 1e-2."""

NODES, CELLS, MOST_TABLES = 48, 96, 100


class DressingTables(NamedTuple):
    """Tables of all pairs of some spheres, as `PairTables` are.

    Attributes
    ----------
    index : ndarray of int32, shape (B, N, N)
    sums, starts, nearest : ndarray, shape (T,)
    cells : ndarray, shape (T, CELLS, 6, F)
        Coefficients of each element on and below the diagonals of all m.
    """

    index: np.ndarray
    sums: np.ndarray
    starts: np.ndarray
    nearest: np.ndarray
    cells: np.ndarray


def addresses(order: int) -> np.ndarray:
    """Say where each function of a table stands: m, and row and column among 2 (p + 1 - m).

    Parameters
    ----------
    order : int

    Returns
    -------
    ndarray of int64, shape (F, 3)
        Rows are those of the first sphere, then of the second, by l from m.
    """
    return np.array(
        [
            (m, a, b)
            for m in range(order + 1)
            for a in range(2 * (order + 1 - m))
            for b in range(a + 1)
        ]
    )


def effective_stiffness(
    r: float, first: float, second: float, order: int, permittivity: float | None = None
) -> np.ndarray:
    """Return the functions of a table at one distance.

    Parameters
    ----------
    r : float
        Distance of the centres; the first sphere is at z = r.
    first, second : float
        Radii.
    order : int
        p, of the moments that are kept.
    permittivity : float or None
        Relative to the medium; None is a conductor.

    Returns
    -------
    ndarray, shape (F,)
    """
    orders = [math.ceil(ENOUGH * each) for each in converged_orders(r, first, second)]
    high = max(order + 4, *orders)
    return np.concatenate(
        [
            block[np.tril_indices(len(block))]
            for m in range(order + 1)
            for block in [_without_high(r, (first, second), m, order, high, permittivity)]
        ]
    )


def _without_high(
    r: float,
    radii: tuple[float, float],
    m: int,
    order: int,
    high: int,
    permittivity: float | None,
) -> np.ndarray:
    """Return the stiffness of order m of the kept moments, less that of spheres alone."""
    l = np.arange(m, high + 1)  # noqa: E741
    factorials = np.cumsum(np.log(np.maximum(np.arange(2 * high + 1), 1)))
    norm = 0.5 * (factorials[l - m] + factorials[l + m])
    log = factorials[l[:, None] + l] - norm[:, None] - norm - (l[:, None] + l + 1) * math.log(r)
    log += ((l + 0.5) * math.log(radii[0]))[:, None] + (l + 0.5) * math.log(radii[1])
    g = _response(l, permittivity)
    t = np.where((l + m) % 2, -1.0, 1.0)[:, None] * g[:, None] * g * np.exp(log)
    kept = order + 1 - m
    # K_HH = [[1, t_HH], [t_HH^T, 1]]; what reaches the high moments of one sphere comes of the other
    size = len(l) - kept
    inside = np.eye(2 * size)
    inside[:size, size:] = t[kept:, kept:]
    inside[size:, :size] = t[kept:, kept:].T
    reach = np.zeros((2 * size, 2 * kept))
    reach[:size, kept:] = t[kept:, :kept]
    reach[size:, :kept] = t[:kept, kept:].T
    made = -reach.T @ np.linalg.solve(inside, reach)
    made[:kept, kept:] += t[:kept, :kept]
    made[kept:, :kept] += t[:kept, :kept].T
    return made


def _response(l: np.ndarray, permittivity: float | None) -> np.ndarray:  # noqa: E741
    """Return g_l, and 1 for the charge."""
    if permittivity is None:
        return np.ones(len(l))
    g = np.sqrt(l * (permittivity - 1.0) / (l * (permittivity + 1.0) + 1.0))
    return np.where(l == 0, 1.0, g)


def dressing_tables(radii: np.ndarray, order: int, permittivity: float | None) -> DressingTables:
    """Return the tables for spheres of these radii (B, N); those of before are kept in memory.

    Parameters
    ----------
    radii : ndarray, shape (B, N)
    order : int
    permittivity : float or None

    Returns
    -------
    DressingTables

    Raises
    ------
    InputError
        If there are too many unlike pairs of radii.
    """
    return _tables(radii.tobytes(), radii.shape, order, permittivity)


@lru_cache(maxsize=32)
def _tables(
    radii: bytes, shape: tuple[int, int], order: int, permittivity: float | None
) -> DressingTables:
    known = np.frombuffer(radii).reshape(shape)
    both = np.stack(np.broadcast_arrays(known[:, :, None], known[:, None, :]), axis=-1)
    pairs, index = np.unique(both.reshape(-1, 2), axis=0, return_inverse=True)
    if len(pairs) > MOST_TABLES:
        raise InputError(
            f"`dressed` needs a table for each pair of unlike radii, at most {MOST_TABLES}, and "
            f"there are {len(pairs)}; use fewer radii, or a higher `order` with `pairs`"
        )
    made = [_table(*map(float, pair), order, permittivity) for pair in pairs]
    sums, starts, nearest = (np.array([each[k] for each in made]) for k in range(3))
    index = index.reshape(*shape, shape[1]).astype(np.int32)
    return DressingTables(index, sums, starts, nearest, np.stack([each[3] for each in made]))


@lru_cache(maxsize=2 * MOST_TABLES)
def _table(
    first: float, second: float, order: int, permittivity: float | None
) -> tuple[float, float, float, np.ndarray]:
    """Return the sum of the radii, the least u, the least distance and the cells of a pair."""
    total = first + second
    near = total + LEAST_GAP * 2 * first * second / total
    start = float(np.log((near - total) / near))
    nodes = chebyshev.chebpts1(NODES)
    distances = total / -np.expm1(start * (1 - nodes) / 2)  # gap / r = exp(u)
    found = [effective_stiffness(r, first, second, order, permittivity) for r in distances]
    series = chebyshev.chebfit(nodes, np.stack(found), NODES - 1)
    ends = np.linspace(-1, 1, CELLS + 1)
    jets = [chebyshev.chebval(ends, chebyshev.chebder(series, k, 2 / CELLS)) for k in range(3)]
    given = np.stack([*(jet[:, :-1] for jet in jets), *(jet[:, 1:] for jet in jets)])
    return total, start, near, np.ascontiguousarray(np.einsum("cg,gfm->mcf", HERMITE, given))
