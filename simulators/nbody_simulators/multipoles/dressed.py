r"""Spheres by low moments whose stiffness holds the high ones of each pair: two-body dressing.

The energy is E = 1/2 y (1 + sum of pairs A_ij) y, with moments y up to order p, of which the
charges are given, and A_ij as in `dressing_table`, exact for each pair alone. At rest

    (1 + P A P) y = -P A Q,     P: the moments of l >= 1,

solved by conjugate gradients from nothing, so that a force is a function of the places alone. The
force of a pair is that of A_ij at fixed moments: of its distance, and of the turning of its frame.

References
----------
Durlofsky, Brady and Bossis, J. Fluid Mech. 180 (1987) 21; Hestenes and Stiefel, J. Res. Natl. Bur.
Stand. 49 (1952) 409.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numba
import numpy as np

from nbody_simulators.multipoles.dressing_table import (
    DressingTables,
    addresses,
    dressing_tables,
)
from nbody_simulators.multipoles.rotations import generator, series

__all__ = ["HIGHEST", "dressed_energies_and_forces"]

HIGHEST = 4
"""Order: of higher ones, tables are larger than what they save."""

RESIDUAL, MOST_ITERATIONS = 1e-13, 300


class _Constants(NamedTuple):
    """What depends on the order alone; moments of l stand as c_0 to c_l, s_1 to s_l from l^2."""

    degrees: np.ndarray  # (S,)
    orders: np.ndarray  # (S,)
    sines: np.ndarray  # (S,) of bool
    turns: np.ndarray  # (p + 1, 2 p + 1, 2 p + 1, p + 1), by cos or sin of k beta
    swings: np.ndarray  # (2, S, S), of the frame's z axis towards its x and y axes
    places: np.ndarray  # (F, 3)


def dressed_energies_and_forces(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
    coupling: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and forces by dressed moments, each configuration by itself.

    Parameters
    ----------
    x : ndarray, shape (B, N, 3)
        Centres, in reduced units.
    charges, radii : ndarray, shape (B, N)
    order : int
        p, from 1 to `HIGHEST`.
    permittivity : float or None
        Relative to the medium; None is a conductor.
    coupling : float
        k.

    Returns
    -------
    energies : ndarray, shape (B,)
    forces : ndarray, shape (B, N, 3)
        NaN where the moments have no solution, as of spheres that overlap far.

    Raises
    ------
    InputError
        If there are too many unlike pairs of radii.
    """
    tables = dressing_tables(np.ascontiguousarray(radii, dtype=float), order, permittivity)
    energies, forces = np.zeros(len(x)), np.zeros(x.shape)
    known, scaled = _constants(order), charges / np.sqrt(radii)
    for b in range(len(x)):
        one = np.ascontiguousarray(x[b])
        energies[b] = _solved(one, scaled[b], tables.index[b], tables, known, forces[b])
    return coupling * energies, coupling * forces


@cache
def _constants(order: int) -> _Constants:
    size = (order + 1) ** 2
    degrees = np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)
    within = np.arange(size) - degrees**2
    sines = within > degrees
    orders = np.where(sines, within - degrees, within)
    turns = np.zeros((order + 1, 2 * order + 1, 2 * order + 1, order + 1))
    swings = np.zeros((2, size, size))
    turn = np.zeros((size, size))  # of the frame about z, by a right angle
    for k in range(size):
        m, sign = orders[k], 1.0 if sines[k] else -1.0
        turn[k, k] = math.cos(m * math.pi / 2)
        if m > 0:
            turn[k, k + (-m if sines[k] else m) + (degrees[k] - m) * (-1 if sines[k] else 1)] = (
                -sign * math.sin(m * math.pi / 2)
            )
    for l in range(order + 1):  # noqa: E741
        cosine = slice(0, l + 1)
        turns[l, cosine, cosine, : l + 1] = series(l, False)
        first = l * l
        swings[0, first : first + l + 1, first : first + l + 1] = -generator(l, False)
        if l > 0:
            sine = slice(l + 1, 2 * l + 1)
            turns[l, sine, sine, : l + 1] = series(l, True)
            some = slice(first + l + 1, first + 2 * l + 1)
            swings[0, some, some] = -generator(l, True)
    swings[1] = turn.T @ swings[0] @ turn
    return _Constants(degrees, orders, sines, turns, swings, addresses(order))


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _frame(d, known, axes, turned):
    """Write the axes of the frame of a pair, and the matrix (S, S) of moments into it."""
    r = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    across = math.sqrt(d[0] * d[0] + d[1] * d[1])
    c, s = (d[0] / across, d[1] / across) if across > 0.0 else (1.0, 0.0)
    cb, sb = d[2] / r, across / r
    axes[0, 0], axes[0, 1], axes[0, 2] = cb * c, cb * s, -sb
    axes[1, 0], axes[1, 1], axes[1, 2] = -s, c, 0.0
    axes[2, 0], axes[2, 1], axes[2, 2] = sb * c, sb * s, cb
    p = known.turns.shape[0] - 1
    cos_phi, sin_phi = np.ones(p + 1), np.zeros(p + 1)
    cos_beta, sin_beta = np.ones(p + 1), np.zeros(p + 1)
    for m in range(p):
        cos_phi[m + 1] = cos_phi[m] * c - sin_phi[m] * s
        sin_phi[m + 1] = sin_phi[m] * c + cos_phi[m] * s
        cos_beta[m + 1] = cos_beta[m] * cb - sin_beta[m] * sb
        sin_beta[m + 1] = sin_beta[m] * cb + cos_beta[m] * sb
    turned[:] = 0.0
    for l in range(p + 1):
        first = l * l
        for part in range(2):
            begin, size = (0, l + 1) if part == 0 else (l + 1, l)
            for a in range(size):
                for b in range(size):
                    even = (a + b) % 2 == 0
                    value = 0.0
                    for k in range(l + 1):
                        value += known.turns[l, begin + a, begin + b, k] * (
                            cos_beta[k] if even else sin_beta[k]
                        )
                    m = b + part  # after the turn by phi about z
                    row = first + begin + a
                    if m == 0:
                        turned[row, first] += value
                    elif part == 0:
                        turned[row, first + m] += value * cos_phi[m]
                        turned[row, first + l + m] += value * sin_phi[m]
                    else:
                        turned[row, first + m] -= value * sin_phi[m]
                        turned[row, first + l + m] += value * cos_phi[m]
    return r


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _stiffness(r, t, tables, values, slopes):
    """Write the functions of a table at a distance, and their derivatives by it."""
    count = tables.cells.shape[1]
    at = max(r, tables.nearest[t])
    gap = at - tables.sums[t]
    rate = count / -tables.starts[t]
    place = (math.log(gap / at) - tables.starts[t]) * rate
    # a NaN of a trajectory that fails must not become a place in memory
    cell = min(max(int(place), 0), count - 1) if place == place else 0
    s, by_r = place - cell, rate * tables.sums[t] / (at * gap)
    values[:] = 0.0
    slopes[:] = 0.0
    for k in range(5, -1, -1):
        for f in range(values.size):
            slopes[f] = slopes[f] * s + values[f]
            values[f] = values[f] * s + tables.cells[t, cell, k, f]
    for f in range(values.size):
        slopes[f] *= by_r
        values[f] += slopes[f] * (r - at)  # nearer than the table goes, a straight line


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _full(values, known, block):
    """Write the stiffness (2 S, 2 S) of a pair in its frame."""
    size = known.degrees.size
    block[:] = 0.0
    for f in range(values.size):
        m, a, b = known.places[f, 0], known.places[f, 1], known.places[f, 2]
        kept = known.turns.shape[0] - m
        la, lb = m + a % kept, m + b % kept
        row, column = la * la + (a // kept) * size + m, lb * lb + (b // kept) * size + m
        block[row, column], block[column, row] = values[f], values[f]
        if m > 0:
            block[row + la, column + lb], block[column + lb, row + la] = values[f], values[f]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _assembled(x, index, tables, known):
    """Return the sum of the stiffness of all pairs in space, shape (N S, N S)."""
    n, size, functions = len(x), known.degrees.size, known.places.shape[0]
    whole = np.zeros((n * size, n * size))
    values, slopes = np.empty(functions), np.empty(functions)
    axes, turned = np.empty((3, 3)), np.empty((size, size))
    block, half = np.empty((2 * size, 2 * size)), np.empty((size, size))
    p = known.turns.shape[0] - 1
    for i in range(n):
        for j in range(i):
            r = _frame(x[i] - x[j], known, axes, turned)
            _stiffness(r, index[i, j], tables, values, slopes)
            _full(values, known, block)
            for u in range(2):
                for v in range(u + 1):
                    first = (j if u else i) * size
                    second = (j if v else i) * size
                    # D^T K D, of which K is in m and D in l alone
                    for l in range(p + 1):
                        for k in range(size):
                            lk = known.degrees[k]
                            for a in range(l * l, (l + 1) * (l + 1)):
                                value = 0.0
                                row = a - l * l
                                m = row if row <= l else row - l
                                if m <= lk:
                                    b = lk * lk + (m if row <= l else lk + m)
                                    value = block[u * size + a, v * size + b] * turned[b, k]
                                half[a, k] = value
                    for l in range(p + 1):
                        for a in range(l * l, (l + 1) * (l + 1)):
                            for k in range(size):
                                value = 0.0
                                for b in range(l * l, (l + 1) * (l + 1)):
                                    value += turned[b, a] * half[b, k]
                                whole[first + a, second + k] += value
                                if u != v:
                                    whole[second + k, first + a] += value
    return whole


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "nsz", "contract"})
def _product(whole, y, out):
    for a in range(len(y)):
        value = 0.0
        for b in range(len(y)):
            value += whole[a, b] * y[b]
        out[a] = value


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _at_rest(whole, charges, size):
    """Return the moments, scaled, with the charges in them; NaN where there is no solution."""
    y, field = np.zeros(len(whole)), np.empty(len(whole))
    for i in range(len(charges)):
        y[i * size] = charges[i]
    _product(whole, y, field)
    rest = -field
    rest[::size] = 0.0
    direction = rest.copy()
    now = (rest * rest).sum()
    enough = RESIDUAL * RESIDUAL * now
    for _ in range(MOST_ITERATIONS):
        if now <= enough:
            return y
        _product(whole, direction, field)
        field += direction
        field[::size] = 0.0
        curvature = (direction * field).sum()
        if not curvature > 0.0:
            break
        length = now / curvature
        y += length * direction
        rest -= length * field
        after = (rest * rest).sum()
        direction = rest + (after / now) * direction
        now = after
    y[:] = np.nan
    return y


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _solved(x, charges, index, tables, known, forces):
    """Write the forces (N, 3), and return the energy."""
    n, size, functions = len(x), known.degrees.size, known.places.shape[0]
    whole = _assembled(x, index, tables, known)
    y = _at_rest(whole, charges, size)
    energy = 0.0
    for i in range(n):
        potential = 0.0
        for b in range(n * size):
            potential += whole[i * size, b] * y[b]
        energy += 0.5 * charges[i] * potential
    values, slopes = np.empty(functions), np.empty(functions)
    axes, turned = np.empty((3, 3)), np.empty((size, size))
    block, w, g = np.empty((2 * size, 2 * size)), np.empty(2 * size), np.empty(2 * size)
    pull = np.empty(3)
    for i in range(n):
        for j in range(i):
            r = _frame(x[i] - x[j], known, axes, turned)
            _stiffness(r, index[i, j], tables, values, slopes)
            for a in range(size):
                first, second = 0.0, 0.0
                for b in range(size):
                    first += turned[a, b] * y[i * size + b]
                    second += turned[a, b] * y[j * size + b]
                w[a], w[size + a] = first, second
            _full(values, known, block)
            for a in range(2 * size):
                value = 0.0
                for b in range(2 * size):
                    value += block[a, b] * w[b]
                g[a] = value
            for axis in range(2):
                value = 0.0
                for a in range(size):
                    for b in range(size):
                        swing = known.swings[axis, a, b]
                        if swing != 0.0:
                            value += swing * (g[a] * w[b] + g[size + a] * w[size + b])
                pull[axis] = -value / r
            _full(slopes, known, block)
            value = 0.0
            for a in range(2 * size):
                for b in range(2 * size):
                    value += w[a] * block[a, b] * w[b]
            pull[2] = -0.5 * value
            for d in range(3):
                part = pull[0] * axes[0, d] + pull[1] * axes[1, d] + pull[2] * axes[2, d]
                forces[i, d] += part
                forces[j, d] -= part
    return energy
