"""The moments of spheres by conjugate gradients, in numba over the code of `block_code`.

With q = R^(l+1/2) g_l y, where g_l^2 = alpha_l / R^(2l+1), the moments y of l >= 1 at rest solve

    (1 + S T S) y = -S T Q,     S = R^(l+1/2) g_l,

whose matrix is near 1 for spheres apart, so that conjugate gradients take 12 to 25 products in the
clouds of the preset (benchmarks/sphere_forces.py). They begin with nothing: the moments are a
function of the places alone, to the bit, and a run that goes on does not depend on what was before.

References
----------
Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952) 409.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from nbody_simulators.multipoles import block_code, layout, rotations
from nbody_simulators.multipoles.layout import LANES, constants, table_size
from nbody_surrogate.layers import code, fused

__all__ = ["MOST_ITERATIONS", "RESIDUAL", "Workspace", "solver", "workspace"]

RESIDUAL = 1e-13
"""Of the field of the charges: momentum and angular momentum are then kept to rounding."""
MOST_ITERATIONS = 300
"""Spheres that overlap may have no solution; then there is none after these."""
GEOMETRY = len(block_code.GEOMETRY)


class Workspace(NamedTuple):
    """Arrays that one configuration after the other is solved in.

    Attributes
    ----------
    table : ndarray of int64
        The arguments of the compiled code.
    rows, starts : ndarray of int64
        Blocks of pairs.
    moments, fields : ndarray, shape ((p + 1)^2 * padded,)
    geometry : ndarray, shape (blocks, 5, 4)
    forces : ndarray, shape (blocks, 3, 4)
    scale, solution, rest, direction : ndarray, shape ((p + 1)^2 * padded,)
        Of conjugate gradients.
    kept : tuple
        What the table points to.
    """

    table: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    moments: np.ndarray
    fields: np.ndarray
    geometry: np.ndarray
    forces: np.ndarray
    scale: np.ndarray
    solution: np.ndarray
    rest: np.ndarray
    direction: np.ndarray
    kept: tuple[Any, ...]


def workspace(n: int, order: int) -> Workspace:
    """Make the arrays for N spheres at an order.

    Parameters
    ----------
    n, order : int

    Returns
    -------
    Workspace
    """
    padded = -(-n // LANES) * LANES
    size = (order + 1) ** 2
    # the blocks of i whose last place is beyond i
    blocks = [list(range((i + 1) // LANES * LANES, n, LANES)) for i in range(n)]
    rows = np.array([j for each in blocks for j in each], dtype=np.int64)
    starts = np.cumsum([0, *map(len, blocks)], dtype=np.int64)
    moments, fields, scale, solution, rest, direction = np.zeros((6, size * padded))
    geometry = np.zeros((max(len(rows), 1), GEOMETRY, LANES))
    forces = np.zeros((max(len(rows), 1), 3, LANES))
    tables = np.zeros(max(len(rows), 1) * table_size(order) * LANES)
    room = np.zeros(5 * size * LANES)
    shared = constants(order)
    arrays = (rows, starts, moments, fields, geometry, tables, room, *shared, forces)
    table = np.array([padded, *(each.ctypes.data for each in arrays)], dtype=np.int64)
    return Workspace(
        *(table, rows, starts, moments, fields, geometry, forces),
        *(scale, solution, rest, direction),
        kept=arrays,
    )


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _place(x: np.ndarray, rows: np.ndarray, starts: np.ndarray, geometry: np.ndarray) -> None:
    """Write the directions and inverse distances of all blocks; those of no pair are zero."""
    n = len(x)
    for i in range(n):
        for block in range(starts[i], starts[i + 1]):
            for w in range(LANES):
                j = rows[block] + w
                if j <= i or j >= n:
                    geometry[block, :, w] = 0.0
                    continue
                dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
                across2 = dx * dx + dy * dy
                across, r = math.sqrt(across2), math.sqrt(across2 + dz * dz)
                # on the axis any angle will do
                geometry[block, 0, w] = dx / across if across > 0 else 1.0
                geometry[block, 1, w] = dy / across if across > 0 else 0.0
                geometry[block, 2, w], geometry[block, 3, w] = dz / r, across / r
                geometry[block, 4, w] = 1.0 / r


# Below, arrays of moments are flat, rows of `padded` numbers one after the other: numba compiles a
# loop over numbers several times faster than an expression of arrays.


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _scales(radii: np.ndarray, response: np.ndarray, out: np.ndarray, padded: int) -> None:
    """Write S = R^(l + 1/2) g_l, for l = 0 as for others."""
    for i in range(len(radii)):
        scale = math.sqrt(radii[i])
        for degree in range(len(response)):
            for k in range(degree * degree, (degree + 1) * (degree + 1)):
                out[k * padded + i] = scale * response[degree]
            scale *= radii[i]


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "nsz"})
def _dot(a: np.ndarray, b: np.ndarray, count: int) -> float:
    total = 0.0
    for k in range(count):
        total += a[k] * b[k]
    return total


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _put(
    charges: np.ndarray, scale: np.ndarray, y: np.ndarray, share: float, q: np.ndarray
) -> None:
    """Write the moments that y stands for, with a share of the charges."""
    for k in range(q.size):
        q[k] = scale[k] * y[k]
    for i in range(len(charges)):
        q[i] = share * charges[i]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _begin(
    scale: np.ndarray, field: np.ndarray, rest: np.ndarray, direction: np.ndarray, padded: int
) -> None:
    """Begin at nothing: the residual is the field of the charges, which do not change."""
    for k in range(rest.size):
        rest[k] = -scale[k] * field[k] if k >= padded else 0.0
        direction[k] = rest[k]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _weigh(scale: np.ndarray, direction: np.ndarray, field: np.ndarray, padded: int) -> None:
    """Turn a field into the product of the scaled matrix."""
    for k in range(field.size):
        field[k] = direction[k] + scale[k] * field[k] if k >= padded else 0.0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _step(
    length: float, direction: np.ndarray, field: np.ndarray, y: np.ndarray, rest: np.ndarray
) -> None:
    for k in range(y.size):
        y[k] += length * direction[k]
        rest[k] -= length * field[k]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _turned(share: float, rest: np.ndarray, direction: np.ndarray) -> None:
    for k in range(rest.size):
        direction[k] = rest[k] + share * direction[k]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _clear(values: np.ndarray) -> None:
    for k in range(values.size):
        values[k] = 0.0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _gather(pushed: np.ndarray, rows: np.ndarray, starts: np.ndarray, forces: np.ndarray) -> None:
    """Add up the forces of all pairs; each acts on both, against each other to the bit."""
    n = len(forces)
    forces[:] = 0.0
    for i in range(n):
        for block in range(starts[i], starts[i + 1]):
            for w in range(LANES):
                j = rows[block] + w
                if i < j < n:
                    for d in range(3):
                        forces[j, d] += pushed[block, d, w]
                        forces[i, d] -= pushed[block, d, w]


_tables = fused.emitted_by_number(block_code.emit_tables)
_fields = fused.emitted_by_number(block_code.emit_fields)
_pushes = fused.emitted_by_number(block_code.emit_forces)


@cache
def solver(order: int) -> Any:
    """Return what solves configurations at an order, compiled.

    It writes energies (B,), forces (B, N, 3) and iterations (B,), at k = 1; where conjugate
    gradients come to no end, NaN and -1.

    Parameters
    ----------
    order : int

    Returns
    -------
    callable
    """
    return _compiled(order, fused.source_number(block_code, layout, rotations, code, fused))


def _compiled(order: int, sources: int) -> Any:
    # the free variables are numbers: functions would be others in each process, for which numba
    # does not find what it compiled before
    @numba.njit(cache=True, error_model="numpy", nogil=True)
    def solve(
        x: np.ndarray,
        charges: np.ndarray,
        radii: np.ndarray,
        response: np.ndarray,
        table: np.ndarray,
        rows: np.ndarray,
        starts: np.ndarray,
        q: np.ndarray,
        field: np.ndarray,
        geometry: np.ndarray,
        pushed: np.ndarray,
        scale: np.ndarray,
        y: np.ndarray,
        rest: np.ndarray,
        direction: np.ndarray,
        energies: np.ndarray,
        forces: np.ndarray,
        iterations: np.ndarray,
    ) -> int:
        n, padded, size = charges.shape[1], table[0], q.size
        for b in range(len(x)):
            _place(x[b], rows, starts, geometry)
            _tables(x, table, 0, len(rows), order)
            _scales(radii[b], response, scale, padded)
            _clear(y)
            # the first product is of the charges alone
            _put(charges[b], scale, y, 1.0, q)
            _clear(field)
            _fields(x, table, 0, n, order)
            _begin(scale, field, rest, direction, padded)
            norm = _dot(rest, rest, size)
            least, count, fails = RESIDUAL * RESIDUAL * norm, 0, False
            while norm > least and count < MOST_ITERATIONS and not fails:
                _put(charges[b], scale, direction, 0.0, q)
                _clear(field)
                _fields(x, table, 0, n, order)
                _weigh(scale, direction, field, padded)
                curvature = _dot(direction, field, size)
                fails = not curvature > 0.0  # spheres overlap, or something is no number
                _step(norm / curvature, direction, field, y, rest)
                before, norm = norm, _dot(rest, rest, size)
                _turned(norm / before, rest, direction)
                count += 1
            _put(charges[b], scale, y, 1.0, q)
            _clear(field)
            _fields(x, table, 0, n, order)
            _pushes(x, table, 0, n, order)
            fails = fails or not norm <= least
            energies[b] = np.nan if fails else 0.5 * _dot(charges[b], field, n)
            iterations[b] = -1 if fails else count
            _gather(pushed, rows, starts, forces[b])
            if fails:
                forces[b] = np.nan
        return sources  # a free variable, by which the compiled code is known

    return solve
