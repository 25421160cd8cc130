"""What the exact energy of two spheres adds to that of order p, for all pairs, from a table.

The difference of `two_sphere_energy` to convergence and to order p is E = a Q^2 + b Q Q' + c Q'^2,
with functions of the distance that depend on the two radii, the permittivity and p. They are
tabulated, over the fourth power of (R + R') / r that all of them fall with, by u = log(gap / r),
from 0, far away, down to a gap of `LEAST_GAP`: in u they are smooth, as what happens near contact
goes as the logarithm of the gap. Polynomials of degree 5 in each cell have the value and two
derivatives of a Chebyshev series at its ends, so that forces are the exact derivatives of the
energy, and continuous with their first derivatives. Nearer than the table goes, the energy is a
straight line in r: a repulsion of its own must hold spheres apart there.

Energies are off by less than 1e-9 of that of the two spheres, forces by less than 1e-8.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.polynomial import chebyshev

from nbody_simulators.multipoles.convergence import LEAST_GAP
from nbody_simulators.multipoles.two_spheres import polarisation_energy
from nbody_surrogate.contracts import InputError

__all__ = ["LEAST_GAP", "PairTables", "pair_corrections", "pair_tables"]

NODES, CELLS = 48, 160
"""Of the Chebyshev series, and the cells of a table."""

MOST_TABLES = 1000
"""Of 23 kB and some 50 ms each."""

HERMITE = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0.5, 0, 0, 0],
        [-10, -6, -1.5, 10, -4, 0.5],
        [15, 8, 1.5, -15, 7, -1],
        [-6, -3, -0.5, 6, -3, 0.5],
    ]
)
"""Coefficients of a polynomial on [0, 1] by its value and two derivatives at 0, then at 1."""


class PairTables(NamedTuple):
    """Tables of all pairs of some spheres.

    Attributes
    ----------
    numbers : ndarray of int32, shape (B, N, N)
        Number of the table of a pair.
    sums : ndarray, shape (T,)
        Radii of both spheres together.
    starts : ndarray, shape (T,)
        u at the least gap.
    nearest : ndarray, shape (T,)
        Distance at the least gap.
    cells : ndarray, shape (T, CELLS, 6, 3)
        Coefficients of a, b and c in each cell.
    """

    numbers: np.ndarray
    sums: np.ndarray
    starts: np.ndarray
    nearest: np.ndarray
    cells: np.ndarray


def pair_corrections(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
    coupling: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact energies of all pairs less those of order p, and the forces of that.

    Parameters
    ----------
    x : ndarray, shape (B, N, 3)
        Centres, in reduced units.
    charges, radii : ndarray, shape (B, N)
    order : int
        p, of the energy that they are added to; 0 is point charges.
    permittivity : float or None
        Relative to the medium; None is a conductor.
    coupling : float
        k.

    Returns
    -------
    energy : ndarray, shape (B,)
    forces : ndarray, shape (B, N, 3)

    Raises
    ------
    InputError
        If there are too many unlike pairs of radii.
    """
    tables = pair_tables(np.ascontiguousarray(radii, dtype=float), order, permittivity)
    energy, forces = np.zeros(len(x)), np.zeros(x.shape)
    # a copy always, as numba compiles anew for arrays that may not be written to
    charges = np.array(charges, order="C")
    _add(np.ascontiguousarray(x), charges, tables, coupling, energy, forces)
    return energy, forces


def pair_tables(radii: np.ndarray, order: int, permittivity: float | None) -> PairTables:
    """Return the tables for spheres of these radii (B, N); those of before are kept in memory.

    Parameters
    ----------
    radii : ndarray, shape (B, N)
    order : int
    permittivity : float or None

    Returns
    -------
    PairTables

    Raises
    ------
    InputError
        If there are too many unlike pairs of radii.
    """
    return _tables(radii.tobytes(), radii.shape, order, permittivity)


@lru_cache(maxsize=32)
def _tables(
    radii: bytes, shape: tuple[int, int], order: int, permittivity: float | None
) -> PairTables:
    known = np.frombuffer(radii).reshape(shape)
    both = np.stack(np.broadcast_arrays(known[:, :, None], known[:, None, :]), axis=-1)
    pairs, index = np.unique(both.reshape(-1, 2), axis=0, return_inverse=True)
    if len(pairs) > MOST_TABLES:
        raise InputError(
            f"`pairs` needs a table for each pair of unlike radii, at most {MOST_TABLES}, and "
            f"there are {len(pairs)}; use fewer radii, or a higher `order` without `pairs`"
        )
    made = [_table(*map(float, pair), order, permittivity) for pair in pairs]
    sums, starts, nearest = (np.array([each[k] for each in made]) for k in range(3))
    index = index.reshape(*shape, shape[1]).astype(np.int32)
    return PairTables(index, sums, starts, nearest, np.stack([each[3] for each in made]))


@lru_cache(maxsize=2 * MOST_TABLES)
def _table(
    first: float, second: float, order: int, permittivity: float | None
) -> tuple[float, float, float, np.ndarray]:
    """Return the sum of the radii, the least u, the least distance and the cells of a pair."""
    if first > second:  # the same two spheres, named the other way round
        total, start, near, cells = _table(second, first, order, permittivity)
        return total, start, near, np.ascontiguousarray(cells[..., ::-1])
    total = first + second
    near = total + LEAST_GAP * 2 * first * second / total
    start = float(np.log((near - total) / near))

    def wanted(u: np.ndarray) -> np.ndarray:
        """Return the energies at some u, shape (..., 3)."""
        share = -np.expm1(u)  # (R + R') / r, as gap / r = exp(u)
        each = [_difference(total / y, first, second, order, permittivity) for y in share]
        scaled: np.ndarray = np.stack(each) / share[:, None] ** 4
        return scaled

    nodes = chebyshev.chebpts1(NODES)
    series = chebyshev.chebfit(nodes, wanted(start * (1 - nodes) / 2), NODES - 1)
    ends = np.linspace(-1, 1, CELLS + 1)
    # by the length of a cell, which a polynomial of it goes through from 0 to 1
    jets = [chebyshev.chebval(ends, chebyshev.chebder(series, m, 2 / CELLS)) for m in range(3)]
    given = np.stack([*(jet[:, :-1] for jet in jets), *(jet[:, 1:] for jet in jets)])
    cells = np.ascontiguousarray(np.einsum("cg,gfm->mcf", HERMITE, given))
    return total, start, near, cells


def _difference(
    r: float, first: float, second: float, order: int, permittivity: float | None
) -> np.ndarray:
    exact = polarisation_energy(r, first, second, permittivity)
    made: np.ndarray = exact - polarisation_energy(r, first, second, permittivity, order)
    return made


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _add(
    x: np.ndarray,
    charges: np.ndarray,
    tables: PairTables,
    coupling: float,
    energy: np.ndarray,
    forces: np.ndarray,
) -> None:
    """Add the energies (B,) and the forces (B, N, 3) of all pairs."""
    numbers, sums, starts, nearest, cells = tables
    count = cells.shape[1]
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(i):
                dx, dy = x[b, i, 0] - x[b, j, 0], x[b, i, 1] - x[b, j, 1]
                dz = x[b, i, 2] - x[b, j, 2]
                r = np.sqrt(dx * dx + dy * dy + dz * dz)
                t = numbers[b, i, j]
                at = max(r, nearest[t])
                gap = at - sums[t]
                place = (np.log(gap / at) - starts[t]) * (count / -starts[t])
                # a NaN of a trajectory that fails must not become a place in memory
                cell = min(max(int(place), 0), count - 1) if place == place else 0
                s, qi, qj = place - cell, charges[b, i], charges[b, j]
                first, both, second = qi * qi, qi * qj, qj * qj
                value, slope = 0.0, 0.0
                for k in range(5, -1, -1):
                    slope = slope * s + value
                    value = value * s + (
                        first * cells[t, cell, k, 0]
                        + both * cells[t, cell, k, 1]
                        + second * cells[t, cell, k, 2]
                    )
                slope *= count / -starts[t] * sums[t] / (at * gap)  # du / dr is the last part
                share = sums[t] / at
                fall = coupling * (share * share) * (share * share)
                slope = fall * (slope - 4.0 * value / at)
                energy[b] += fall * value + slope * (r - at)
                pull = -slope / r
                for d, part in enumerate((dx, dy, dz)):
                    forces[b, i, d] += pull * part
                    forces[b, j, d] -= pull * part
