"""What follows from the places of spheres alone, for the compiled code of `SETSpheres`.

Of each pair the axis, between which rows of the tables its distance is, with what weights, and the
low components of moments about the axis.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from nbody_set.sphere_functions import FADE, NEAR, OVERLAP, STEPS, T_NEAR
from nbody_set.sphere_layout import TURNS, Workspace

__all__ = ["Knot", "jitted", "knot_of", "pairs"]

END = 2.0 / (T_NEAR / STEPS * math.floor(2.0 / FADE[1] / (T_NEAR / STEPS)))
"""Where high moments end: at the step of the tables beyond which all is zero."""
ROOT3 = math.sqrt(3.0)
LANES, SINGLES = TURNS.low, TURNS.low_single

jitted = numba.njit(
    cache=True, error_model="numpy", nogil=True, fastmath={"contract", "nsz", "arcp"}
)


class Knot(NamedTuple):
    """A place between two rows of a table, and how the distance bends there."""

    k: int
    s: float
    by_r: float


@jitted
def knot_of(r: float, steps: int) -> Knot:
    """Return where a distance in radii is in a table, held near contact as functions are."""
    kept, bend = r, 1.0
    if r < 2.0 + NEAR:
        near = 2.0 + NEAR - r
        below = near * near + NEAR * NEAR
        kept = r + near * near * near / below
        bend = 1.0 - (near**4 + 3.0 * near * near * NEAR * NEAR) / (below * below)
    t = 2.0 / kept
    place = t * (steps / T_NEAR)
    k = min(int(place), steps - 1)
    return Knot(k, place - k, -0.5 * t * t * bend * (steps / T_NEAR))


@jitted
def _weights(r: float, steps: int, out: np.ndarray) -> int:
    """Write the weights of two rows, for values and slopes, and how both fade in overlap."""
    knot = knot_of(r, steps)
    s, by_r = knot.s, knot.by_r
    q = 1.0 - s
    out[0], out[1], out[2], out[3] = (
        q * q * (1.0 + 2.0 * s),
        s * q * q,
        s * s * (3.0 - 2.0 * s),
        -s * s * q,
    )
    out[4], out[5], out[6] = (
        6.0 * s * q * by_r,
        q * (1.0 - 3.0 * s) * by_r,
        s * (3.0 * s - 2.0) * by_r,
    )
    out[7], out[8] = 1.0, 0.0
    if r < OVERLAP[1]:
        width = OVERLAP[1] - OVERLAP[0]
        y = min(max((r - OVERLAP[0]) / width, 0.0), 1.0)
        out[7] = y * y * y * (10.0 + y * (6.0 * y - 15.0))
        out[8] = 30.0 * (y * (1.0 - y)) ** 2 / width
    return knot.k


@jitted
def _write(out: np.ndarray, slot: int, first: int, count: int, values: np.ndarray) -> None:
    for c in range(count):
        out[LANES + 4 * (first + c) + slot] = values[c]


@jitted
def _tensor(a: np.ndarray, b: np.ndarray, factor: float, out: np.ndarray) -> None:
    """Add the part of degree 2 of (a s)(b s), times a factor."""
    third = factor / 3.0
    root = factor / ROOT3
    out[0] += third * (2.0 * a[2] * b[2] - a[0] * b[0] - a[1] * b[1])
    out[1] += root * (a[0] * b[2] + a[2] * b[0])
    out[2] += root * (a[1] * b[2] + a[2] * b[1])
    out[3] += root * (a[0] * b[0] - a[1] * b[1])
    out[4] += root * (a[0] * b[1] + a[1] * b[0])


@jitted
def _low_turns(axis: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    """Write the low components of axial moments; see `sphere_layout.TURNS`."""
    e, f, two = scratch[0], scratch[1], scratch[2]
    # any direction across the axis will do; one that is never along it
    if abs(axis[0]) < 0.6:
        x, y, z = 0.0, -axis[2], axis[1]
    else:
        x, y, z = axis[2], 0.0, -axis[0]
    size = 1.0 / math.sqrt(x * x + y * y + z * z)
    x, y, z = x * size, y * size, z * size
    e[0], e[1], e[2] = x, y, z
    f[0], f[1], f[2] = (
        axis[1] * z - axis[2] * y,
        axis[2] * x - axis[0] * z,
        axis[0] * y - axis[1] * x,
    )
    for c in range(3):
        d = (c + 2) % 3  # components of degree 1 are z, x, y
        out[SINGLES + c] = axis[d]
        out[LANES + 4 * c], out[LANES + 4 * c + 1] = e[d], f[d]
        out[LANES + 4 * c + 2] = out[LANES + 4 * c + 3] = 0.0
    two[:5] = 0.0
    _tensor(axis, axis, 1.5, two)
    for c in range(5):
        out[SINGLES + 3 + c] = two[c]
    two[:5] = 0.0
    _tensor(axis, e, ROOT3, two)
    _write(out, 0, 3, 5, two)
    two[:5] = 0.0
    _tensor(axis, f, ROOT3, two)
    _write(out, 1, 3, 5, two)
    # cos and sin of twice the angle
    two[:5] = 0.0
    _tensor(e, e, 0.5 * ROOT3, two)
    _tensor(f, f, -0.5 * ROOT3, two)
    _write(out, 2, 3, 5, two)
    two[:5] = 0.0
    _tensor(e, f, ROOT3, two)
    _write(out, 3, 3, 5, two)


@jitted
def pairs(x: np.ndarray, steps: int, work: Workspace, scratch: np.ndarray) -> int:
    """Write all about pairs that follows from places alone; the number of those near each other."""
    n = len(x)
    near, far = 0, n * (n - 1) // 2
    for i in range(n):
        for j in range(i + 1, n):
            a, b, c = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            r = math.sqrt(max(a * a + b * b + c * c, 1e-300))
            if r < END:
                q, near = near, near + 1
            else:
                far -= 1
                q = far
            work.i[q], work.j[q] = i, j
            axis = work.axes[q]
            axis[0], axis[1], axis[2], axis[3] = a / r, b / r, c / r, 1.0 / r
            work.knots[q] = _weights(r, steps, work.weights[q])
            _low_turns(axis, scratch, work.turns[q])
    return near
