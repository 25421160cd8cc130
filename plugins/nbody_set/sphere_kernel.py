"""Frames of `SETSpheres` in compiled code: one trajectory after the other, in double precision.

The same as `nbody_set.sphere_forces`, but that functions come from tables (cubic Hermite
interpolation, so that slopes are those of the values), that pairs far apart have no high moments,
and that the induced moments come from conjugate gradients (Hestenes and Stiefel, J. Res. Natl. Bur.
Stand. 49 (1952) 409), begun at what they were in the sub-step before. They end at 1e-12 of the
field: so the angular momentum is that of the exact least energy, to rounding.

Of a sphere seen from the other end of a pair, components of odd degree change sign. A pair's matrix
serves both its spheres thereby, always read along its rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from nbody_set.sphere_functions import FADE, NEAR, OVERLAP, STEPS, T_NEAR
from nbody_set.sphere_harmonics import generators, raised, raising
from nbody_set.sphere_pairs import HIGH, LOW, TERMS

__all__ = ["Law", "frames"]

LOWS = (LOW + 1) ** 2 - 1  # induced low components of a sphere: 3 of degree 1, 5 of degree 2
HIGHS = (HIGH + 1) ** 2 - (LOW + 1) ** 2
SLOTS = 5  # of an axial moment: orders 0, 1 cos, 1 sin, 2 cos, 2 sin
COUNT = len(TERMS)
LOW_COUNT = sum(term.kind == "S" for term in TERMS)
DEGREES = HIGH - LOW
END = 2.0 / (T_NEAR / STEPS * math.floor(2.0 / FADE[1] / (T_NEAR / STEPS)))
"""Where high moments end: at the step of the tables beyond which all is zero."""
ENOUGH = 1e-12
"""Of the field that induces, what conjugate gradients leave over."""
MOST = 100  # of their steps; some 15 are usual


class Law(NamedTuple):
    """The numbers of a model, as the kernel takes them, lengths in radii.

    Attributes
    ----------
    functions, pairs : ndarray
        See `nbody_set.sphere_functions.tables`.
    least_gap, width, strength : float
        Of the repulsion.
    radius, frame_dt : float
    substeps, inner : int
        Kicks by what is induced per frame, and of pairs in each half of what is between them.
    """

    functions: np.ndarray
    pairs: np.ndarray
    least_gap: float
    width: float
    strength: float
    radius: float
    frame_dt: float
    substeps: int
    inner: int


def _places(kind: str, degrees: range) -> np.ndarray:
    """Return the numbers of terms by (mutual, l, k, m); -1 where there are none."""
    made = np.full((2, len(degrees), LOW + 1, LOW + 1), -1)
    for f, term in enumerate(TERMS):
        if term.kind == kind:
            made[int(term.mutual), term.l - degrees.start, term.k, term.m] = f
            if kind == "S":
                made[int(term.mutual), term.k, term.l, term.m] = f
    return made


LOW_PLACES = _places("S", range(LOW + 1))
HIGH_PLACES = _places("R", range(LOW + 1, HIGH + 1))
FIRST = np.array([(LOW + 1 + d) ** 2 - (LOW + 1) ** 2 for d in range(DEGREES + 1)])
"""The first high component of each degree, and their number."""
ORDER = np.array([0, 1, 1, 2, 2])
LOW_SIGN = np.array([-1.0] * 3 + [1.0] * 5)
HIGH_SIGN = np.array(
    [(-1.0) ** l for l in range(LOW + 1, HIGH + 1) for _ in range(2 * l + 1)]  # noqa: E741
)


def _sparse(degrees: range) -> tuple[np.ndarray, np.ndarray]:
    """Return the generators' non-zero places (n, 3), of axis, row and column, and values."""
    places, values, first = [], [], 0
    for l in degrees:  # noqa: E741
        for k, a, b in zip(*np.nonzero(generators(l)), strict=True):
            places.append((k, first + a, first + b))
            values.append(generators(l)[k, a, b])
        first += 2 * l + 1
    return np.array(places), np.array(values)


LOW_TURN, LOW_TURN_VALUES = _sparse(range(1, LOW + 1))
HIGH_TURN, HIGH_TURN_VALUES = _sparse(range(LOW + 1, HIGH + 1))
UP_ROWS, UP_COLUMNS = 2 * HIGH + 1, 2 * HIGH - 1
UP = np.zeros((DEGREES, 3, UP_ROWS, UP_COLUMNS))
RAISED = np.zeros((DEGREES, SLOTS))
for _d in range(DEGREES):
    UP[_d, :, : 2 * (LOW + _d) + 3, : 2 * (LOW + _d) + 1] = raising(LOW + _d)
    RAISED[_d] = [1.0 / raised(LOW + _d, m) for m in ORDER]
ROOT3 = math.sqrt(3.0)

jitted = numba.njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "nsz", "arcp"})


@jitted
def _look_up(r, table, first, count, out):
    """Write values (row 0) and slopes by r (row 1) of some functions at a distance."""
    kept, bend = r, 1.0
    if r < 2.0 + NEAR:
        near = 2.0 + NEAR - r
        below = near * near + NEAR * NEAR
        kept = r + near * near * near / below
        bend = 1.0 - (near**4 + 3.0 * near * near * NEAR * NEAR) / (below * below)
    steps = table.shape[0] - 1
    t = 2.0 / kept
    place = t * (steps / T_NEAR)
    k = min(int(place), steps - 1)
    s = place - k
    q = 1.0 - s
    a, b, c, d = q * q * (1.0 + 2.0 * s), s * q * q, s * s * (3.0 - 2.0 * s), -s * s * q
    e, f, g = 6.0 * s * q, q * (1.0 - 3.0 * s), s * (3.0 * s - 2.0)
    by_r = -0.5 * t * t * bend * (steps / T_NEAR)
    for n in range(first, count):
        v0, w0, v1, w1 = table[k, 0, n], table[k, 1, n], table[k + 1, 0, n], table[k + 1, 1, n]
        out[0, n] = a * v0 + b * w0 + c * v1 + d * w1
        out[1, n] = (e * (v1 - v0) + f * w0 + g * w1) * by_r


@jitted
def _fade_in_overlap(r, count, out):
    width = OVERLAP[1] - OVERLAP[0]
    y = min(max((r - OVERLAP[0]) / width, 0.0), 1.0)
    value = y * y * y * (10.0 + y * (6.0 * y - 15.0))
    slope = 30.0 * (y * (1.0 - y)) ** 2 / width
    for n in range(count):
        out[1, n] = out[1, n] * value + out[0, n] * slope
        out[0, n] *= value


@jitted
def _frame_of(axis, frame):
    """Write the axis and two directions across it: rows of `frame`."""
    if abs(axis[0]) < 0.6:
        x, y, z = 0.0, -axis[2], axis[1]
    else:
        x, y, z = axis[2], 0.0, -axis[0]
    size = 1.0 / math.sqrt(x * x + y * y + z * z)
    x, y, z = x * size, y * size, z * size
    for d in range(3):
        frame[0, d] = axis[d]
    frame[1, 0], frame[1, 1], frame[1, 2] = x, y, z
    frame[2, 0] = axis[1] * z - axis[2] * y
    frame[2, 1] = axis[2] * x - axis[0] * z
    frame[2, 2] = axis[0] * y - axis[1] * x


@jitted
def _product(a, b, factor, out):
    """Write the part of degree 2 of (a s)(b s), times a factor, from the third place on."""
    third = factor / 3.0
    root = factor / ROOT3
    out[3] = third * (2.0 * a[2] * b[2] - a[0] * b[0] - a[1] * b[1])
    out[4] = root * (a[0] * b[2] + a[2] * b[0])
    out[5] = root * (a[1] * b[2] + a[2] * b[1])
    out[6] = root * (a[0] * b[0] - a[1] * b[1])
    out[7] = root * (a[0] * b[1] + a[1] * b[0])


@jitted
def _low_columns(frame, out):
    """Write the low components of axial moments, (5, 8)."""
    for s in range(3):
        out[s, 0], out[s, 1], out[s, 2] = frame[s, 2], frame[s, 0], frame[s, 1]
        out[3, s] = out[4, s] = 0.0
    _product(frame[0], frame[0], 1.5, out[0])
    _product(frame[0], frame[1], ROOT3, out[1])
    _product(frame[0], frame[2], ROOT3, out[2])
    # cos and sin of twice the angle
    e, f = frame[1], frame[2]
    half, third = 0.5 * ROOT3, ROOT3
    cc = np.empty(8)
    _product(e, e, half, out[3])
    _product(f, f, half, cc)
    for c in range(3, 8):
        out[3, c] -= cc[c]
    _product(e, f, third, out[4])


@jitted
def _high_columns(axis, low, out):
    """Write the high components of axial moments, (5, H)."""
    for degree in range(DEGREES):
        l = LOW + degree
        for a in range(2 * l + 3):
            row = FIRST[degree] + a
            for s in range(SLOTS):
                out[s, row] = 0.0
            for c in range(2 * l + 1):
                x = UP[degree, 0, a, c] * axis[0] + UP[degree, 1, a, c] * axis[1]
                x += UP[degree, 2, a, c] * axis[2]
                if x != 0.0:
                    if degree == 0:
                        for s in range(SLOTS):
                            out[s, row] += x * low[s, 3 + c]
                    else:
                        for s in range(SLOTS):
                            out[s, row] += x * out[s, FIRST[degree - 1] + c]
            for s in range(SLOTS):
                out[s, row] *= RAISED[degree, s]


@jitted
def _low_matrix(mutual, value, columns, out):
    """Write the matrix (8, 8) of a pair's low moments."""
    sign = -1.0 if mutual == 1 else 1.0
    for a in range(LOWS):
        for c in range(LOWS):
            out[a, c] = 0.0
    for s in range(SLOTS):
        m = ORDER[s]
        p = value[LOW_PLACES[mutual, 2, 2, m]]
        o = q = 0.0
        if m < 2:
            o, q = value[LOW_PLACES[mutual, 1, 1, m]], value[LOW_PLACES[mutual, 1, 2, m]]
        for a in range(LOWS):
            d = columns[s, a]
            near, far = (o * d, q * d) if a < 3 else (sign * q * d, p * d)
            for c in range(3):
                out[a, c] += near * columns[s, c]
            for c in range(3, LOWS):
                out[a, c] += far * columns[s, c]


@jitted
def _high_matrix(mutual, value, columns, high, out):
    """Write the matrix (8, H) by which high moments follow low ones."""
    for c in range(LOWS):
        for a in range(HIGHS):
            out[c, a] = 0.0
    for degree in range(DEGREES):
        first, last = FIRST[degree], FIRST[degree + 1]
        for s in range(SLOTS):
            m = ORDER[s]
            near = value[HIGH_PLACES[mutual, degree, 1, m]] if m < 2 else 0.0
            far = value[HIGH_PLACES[mutual, degree, 2, m]]
            for c in range(LOWS):
                factor = (near if c < 3 else far) * columns[s, c]
                for a in range(first, last):
                    out[c, a] += factor * high[s, a]


class Work(NamedTuple):
    """Arrays of a trajectory: P pairs."""

    i: np.ndarray  # (P,)
    j: np.ndarray  # (P,)
    near: np.ndarray  # (P,) whether high moments follow
    axis: np.ndarray  # (P, 3)
    r: np.ndarray  # (P,)
    made: np.ndarray  # (P, 2, F) values and slopes
    columns: np.ndarray  # (P, 5, 8)
    high: np.ndarray  # (P, 5, H)
    mutual: np.ndarray  # (P, 8, 8)
    response: np.ndarray  # (P, 8, H)
    transposed: np.ndarray  # (P, H, 8)
    own: np.ndarray  # (N, 8, 8)
    own_response: np.ndarray  # (N, 8, H)
    field: np.ndarray  # (N, 8)
    direct: np.ndarray  # (N, H) high moments by charges
    u: np.ndarray  # (N, 8)
    before: np.ndarray  # (N, 8) in the sub-step before
    t: np.ndarray  # (N, H)
    scratch: np.ndarray  # (3, N, 8) of conjugate gradients
    bars: np.ndarray  # (2, N, 8) a vector seen from the other side, and its product
    high_bars: np.ndarray  # (N, H)


@jitted
def _work(n):
    pairs = n * (n - 1) // 2
    i, j = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    q = 0
    for a in range(n):
        for b in range(a + 1, n):
            i[q], j[q] = a, b
            q += 1
    return Work(
        i, j, np.zeros(pairs, np.bool_), np.empty((pairs, 3)), np.empty(pairs),
        np.empty((pairs, 2, COUNT)), np.empty((pairs, SLOTS, LOWS)), np.empty((pairs, SLOTS, HIGHS)),
        np.empty((pairs, LOWS, LOWS)), np.empty((pairs, LOWS, HIGHS)), np.empty((pairs, HIGHS, LOWS)),
        np.empty((n, LOWS, LOWS)), np.empty((n, LOWS, HIGHS)), np.empty((n, LOWS)),
        np.empty((n, HIGHS)), np.zeros((n, LOWS)), np.zeros((n, LOWS)), np.empty((n, HIGHS)),
        np.empty((3, n, LOWS)), np.empty((2, n, LOWS)), np.empty((n, HIGHS)),
    )  # fmt: skip


@jitted
def _assemble(x, charges, law, work):
    """Fill in the matrices of pairs and what charges drive."""
    n = len(x)
    own, own_response, field, direct = work.own, work.own_response, work.field, work.direct
    own[:], own_response[:], field[:], direct[:] = 0.0, 0.0, 0.0, 0.0
    frame = np.empty((3, 3))
    block, response = np.empty((LOWS, LOWS)), np.empty((LOWS, HIGHS))
    for i in range(n):
        for a in range(LOWS):
            own[i, a, a] = 1.0
    for q in range(len(work.r)):
        i, j = work.i[q], work.j[q]
        r2 = 0.0
        axis = work.axis[q]
        for d in range(3):
            axis[d] = x[j, d] - x[i, d]
            r2 += axis[d] * axis[d]
        r = math.sqrt(max(r2, 1e-300))
        for d in range(3):
            axis[d] /= r
        work.r[q] = r
        made, near = work.made[q], r < END
        work.near[q] = near
        _look_up(r, law.functions, 0, COUNT if near else LOW_COUNT, made)
        if r < OVERLAP[1]:
            _fade_in_overlap(r, COUNT, made)
        value, columns = made[0], work.columns[q]
        _frame_of(axis, frame)
        _low_columns(frame, columns)
        qi, qj = charges[i], charges[j]
        _low_matrix(0, value, columns, block)
        for a in range(LOWS):
            for c in range(LOWS):
                own[i, a, c] += block[a, c]
                own[j, a, c] += LOW_SIGN[a] * LOW_SIGN[c] * block[a, c]
        _low_matrix(1, value, columns, work.mutual[q])
        for a in range(LOWS):
            l = 1 if a < 3 else 2
            alone = value[LOW_PLACES[0, 0, l, 0]] * columns[0, a]
            other = value[LOW_PLACES[1, 0, l, 0]] * columns[0, a]
            field[i, a] += qi * alone + LOW_SIGN[a] * qj * other
            field[j, a] += LOW_SIGN[a] * qj * alone + qi * other
        if not near:
            continue
        high = work.high[q]
        _high_columns(axis, columns, high)
        _high_matrix(0, value, columns, high, response)
        for c in range(LOWS):
            for a in range(HIGHS):
                own_response[i, c, a] += response[c, a]
                own_response[j, c, a] += LOW_SIGN[c] * HIGH_SIGN[a] * response[c, a]
        _high_matrix(1, value, columns, high, work.response[q])
        for a in range(HIGHS):
            for c in range(LOWS):
                work.transposed[q, a, c] = work.response[q, c, a]
        for degree in range(DEGREES):
            alone = value[HIGH_PLACES[0, degree, 0, 0]]
            other = value[HIGH_PLACES[1, degree, 0, 0]]
            for a in range(FIRST[degree], FIRST[degree + 1]):
                direct[i, a] += (alone * qi + other * qj) * high[0, a]
                direct[j, a] += HIGH_SIGN[a] * (alone * qj + other * qi) * high[0, a]


@jitted
def _respond(u, work, t):
    """Add to t the high moments that follow low ones."""
    n = len(u)
    bar, high_bar = work.bars[0], work.high_bars
    high_bar[:] = 0.0
    for i in range(n):
        for c in range(LOWS):
            bar[i, c] = LOW_SIGN[c] * u[i, c]
            value = u[i, c]
            for a in range(HIGHS):
                t[i, a] += work.own_response[i, c, a] * value
    for q in range(len(work.r)):
        if work.near[q]:
            i, j = work.i[q], work.j[q]
            for c in range(LOWS):
                of_j, of_i = u[j, c], bar[i, c]
                for a in range(HIGHS):
                    response = work.response[q, c, a]
                    t[i, a] += response * of_j
                    high_bar[j, a] += response * of_i
    for i in range(n):
        for a in range(HIGHS):
            t[i, a] += HIGH_SIGN[a] * high_bar[i, a]


@jitted
def _drive(t, work, out):
    """Take from `out` (N, 8) what high moments do to low ones."""
    n = len(t)
    back, high_bar = work.bars[1], work.high_bars
    back[:] = 0.0
    for i in range(n):
        for a in range(HIGHS):
            high_bar[i, a] = HIGH_SIGN[a] * t[i, a]
        for c in range(LOWS):
            total = 0.0
            for a in range(HIGHS):
                total += work.own_response[i, c, a] * t[i, a]
            out[i, c] -= total
    for q in range(len(work.r)):
        if work.near[q]:
            i, j = work.i[q], work.j[q]
            for a in range(HIGHS):
                of_i, of_j = t[i, a], high_bar[j, a]
                for c in range(LOWS):
                    response = work.transposed[q, a, c]
                    out[j, c] -= response * of_i
                    back[i, c] -= response * of_j
    for i in range(n):
        for c in range(LOWS):
            out[i, c] += LOW_SIGN[c] * back[i, c]


@jitted
def _apply(u, work, out):
    """Write the derivative of the energy's part of second order in u."""
    n = len(u)
    bar, back = work.bars[0], work.bars[1]
    work.t[:] = 0.0
    _respond(u, work, work.t)
    back[:] = 0.0
    for i in range(n):
        for a in range(LOWS):
            out[i, a] = 0.0
        for c in range(LOWS):
            value = u[i, c]
            for a in range(LOWS):
                out[i, a] += work.own[i, c, a] * value
    for q in range(len(work.r)):
        i, j = work.i[q], work.j[q]
        for c in range(LOWS):
            of_i, of_j = u[i, c], bar[j, c]
            for a in range(LOWS):
                mutual = work.mutual[q, c, a]
                out[j, a] += mutual * of_i
                back[i, a] += mutual * of_j
    for i in range(n):
        for a in range(LOWS):
            out[i, a] += LOW_SIGN[a] * back[i, a]
    _drive(work.t, work, out)


@jitted
def _dot(a, b):
    total = 0.0
    for i in range(a.shape[0]):
        for c in range(a.shape[1]):
            total += a[i, c] * b[i, c]
    return total


@jitted
def _solve(work):
    """Bring u from what it is to the least energy; the number of steps."""
    u, (residual, direction, product) = work.u, work.scratch
    n = len(u)
    # the field with what high moments of charges add to it
    _drive(work.direct, work, work.field)
    goal = ENOUGH * ENOUGH * _dot(work.field, work.field)
    _apply(u, work, product)
    for i in range(n):
        for c in range(LOWS):
            residual[i, c] = -work.field[i, c] - product[i, c]
            direction[i, c] = residual[i, c]
    size = _dot(residual, residual)
    steps = 0
    while size > goal and steps < MOST:
        _apply(direction, work, product)
        curvature = _dot(direction, product)
        if not curvature > 0.0:
            # no least energy, far outside of what the model is for: nothing is induced
            u[:] = 0.0
            break
        length = size / curvature
        for i in range(n):
            for c in range(LOWS):
                u[i, c] += length * direction[i, c]
                residual[i, c] -= length * product[i, c]
        after = _dot(residual, residual)
        for i in range(n):
            for c in range(LOWS):
                direction[i, c] = residual[i, c] + after / size * direction[i, c]
        size = after
        steps += 1
    work.t[:] = work.direct
    _respond(u, work, work.t)
    return steps


@jitted
def _slow_forces(x, charges, law, work, forces):
    """Write forces by all that is induced, less the exact energies of pairs, (N, 3)."""
    _assemble(x, charges, law, work)
    steps = _solve(work)
    forces[:] = 0.0
    frame, torque, force = np.empty((3, 3)), np.empty(3), np.empty(3)
    yi, yj = np.empty((3, SLOTS)), np.empty((3, SLOTS))
    gi, gj = np.empty((3, SLOTS)), np.empty((3, SLOTS))
    bi, bj = np.empty((DEGREES, SLOTS)), np.empty((DEGREES, SLOTS))
    hi, hj = np.empty((DEGREES, SLOTS)), np.empty((DEGREES, SLOTS))
    lab_i, lab_j = np.empty(HIGHS), np.empty(HIGHS)
    for q in range(len(work.r)):
        i, j = work.i[q], work.j[q]
        _axial_low(charges[i], work.u[i], work.columns[q], yi)
        _axial_low(charges[j], work.u[j], work.columns[q], yj)
        along = _low_part(work.made[q], yi, yj, gi, gj)
        near = work.near[q]
        if near:
            _axial_high(work.t[i], work.high[q], bi)
            _axial_high(work.t[j], work.high[q], bj)
            along += _high_part(work.made[q], yi, yj, bi, bj, gi, gj, hi, hj)
        _frame_of(work.axis[q], frame)
        torque[:] = 0.0
        _add_axial_torque(gi, yi, frame, torque)
        _add_axial_torque(gj, yj, frame, torque)
        if near:
            _lab_high(hi, work.high[q], lab_i)
            _lab_high(hj, work.high[q], lab_j)
            _take_torque(lab_i, work.t[i], torque)
            _take_torque(lab_j, work.t[j], torque)
        axis, r = work.axis[q], work.r[q]
        # across the axis: minus the torque, crossed with the axis
        force[0] = along * axis[0] - (torque[1] * axis[2] - torque[2] * axis[1]) / r
        force[1] = along * axis[1] - (torque[2] * axis[0] - torque[0] * axis[2]) / r
        force[2] = along * axis[2] - (torque[0] * axis[1] - torque[1] * axis[0]) / r
        for d in range(3):
            forces[i, d] += force[d]
            forces[j, d] -= force[d]
    return steps


@jitted
def _axial_low(charge, u, columns, out):
    """Write low moments about the axis of a pair, by degree and slot."""
    for s in range(SLOTS):
        out[0, s] = 0.0
        near = far = 0.0
        for c in range(3):
            near += columns[s, c] * u[c]
        for c in range(3, LOWS):
            far += columns[s, c] * u[c]
        out[1, s], out[2, s] = near, far
    out[0, 0] = charge


@jitted
def _axial_high(t, high, out):
    for degree in range(DEGREES):
        for s in range(SLOTS):
            total = 0.0
            for a in range(FIRST[degree], FIRST[degree + 1]):
                total += high[s, a] * t[a]
            out[degree, s] = total


@jitted
def _lab_high(axial, high, out):
    for degree in range(DEGREES):
        for a in range(FIRST[degree], FIRST[degree + 1]):
            total = 0.0
            for s in range(SLOTS):
                total += high[s, a] * axial[degree, s]
            out[a] = total


@jitted
def _low_part(made, yi, yj, gi, gj):
    """Return the energy's slope; write its derivatives by the low moments of both spheres."""
    along = 0.0
    for l in range(LOW + 1):  # noqa: E741
        for s in range(SLOTS):
            gi[l, s] = gj[l, s] = 0.0
    for l in range(LOW + 1):  # noqa: E741
        for k in range(l, LOW + 1):
            odd = -1.0 if (l + k) % 2 == 1 else 1.0
            share = 0.5 if l == k else 1.0
            for s in range(2 * l + 1):
                own, mutual = LOW_PLACES[0, l, k, ORDER[s]], LOW_PLACES[1, l, k, ORDER[s]]
                value, other = made[0, own], made[0, mutual]
                cross = yi[l, s] * yj[k, s]
                if l != k:
                    cross += odd * yi[k, s] * yj[l, s]
                along += share * made[1, own] * (yi[l, s] * yi[k, s] + odd * yj[l, s] * yj[k, s])
                along += made[1, mutual] * cross
                gi[l, s] += value * yi[k, s] + other * yj[k, s]
                gj[l, s] += odd * (value * yj[k, s] + other * yi[k, s])
                if l != k:
                    gi[k, s] += value * yi[l, s] + odd * other * yj[l, s]
                    gj[k, s] += odd * value * yj[l, s] + other * yi[l, s]
    return along


@jitted
def _high_part(made, yi, yj, bi, bj, gi, gj, hi, hj):
    """The same of high moments; write how high moments follow low ones."""
    along = 0.0
    for degree in range(DEGREES):
        for s in range(SLOTS):
            hi[degree, s] = hj[degree, s] = 0.0
        for k in range(LOW + 1):
            odd = -1.0 if (degree + LOW + 1 + k) % 2 == 1 else 1.0
            for s in range(2 * k + 1):
                m = ORDER[s]
                own, mutual = HIGH_PLACES[0, degree, k, m], HIGH_PLACES[1, degree, k, m]
                value, other = made[0, own], made[0, mutual]
                first, second = bi[degree, s], odd * bj[degree, s]
                along -= made[1, own] * (first * yi[k, s] + second * yj[k, s])
                along -= made[1, mutual] * (first * yj[k, s] + second * yi[k, s])
                hi[degree, s] += value * yi[k, s] + other * yj[k, s]
                hj[degree, s] += odd * (value * yj[k, s] + other * yi[k, s])
                gi[k, s] -= value * first + other * second
                gj[k, s] -= value * second + other * first
    return along


@jitted
def _add_axial_torque(g, y, frame, torque):
    """Add what turns low moments, of derivatives g; only across the axis it matters."""
    for n in range(len(LOW_TURN)):
        k, a, b = LOW_TURN[n]
        if k < 2:  # about x and y of the axial frame, whose z is the axis
            if a < 3:
                part = LOW_TURN_VALUES[n] * g[1, a] * y[1, b]
            else:
                part = LOW_TURN_VALUES[n] * g[2, a - 3] * y[2, b - 3]
            for d in range(3):
                torque[d] += part * frame[k + 1, d]


@jitted
def _take_torque(h, t, torque):
    for n in range(len(HIGH_TURN)):
        k, a, b = HIGH_TURN[n]
        torque[k] -= HIGH_TURN_VALUES[n] * h[a] * t[b]


@jitted
def _fast_forces(x, charges, law, forces):
    """Write forces by the exact energies of pairs and by the repulsion, (N, 3)."""
    n = len(x)
    forces[:] = 0.0
    made = np.empty((2, 2))
    for i in range(n):
        for j in range(i + 1, n):
            a, b, c = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            r = math.sqrt(max(a * a + b * b + c * c, 1e-300))
            _look_up(r, law.pairs, 0, 2, made)
            qi, qj = charges[i], charges[j]
            slope = 0.5 * (qi * qi + qj * qj) * made[1, 0] + qi * qj * made[1, 1]
            gap = max(r - 2.0, 0.0)
            if gap < 40.0 * law.width:
                slope -= law.strength / law.width * math.exp((law.least_gap - gap) / law.width)
            slope /= r
            forces[i, 0] += slope * a
            forces[i, 1] += slope * b
            forces[i, 2] += slope * c
            forces[j, 0] -= slope * a
            forces[j, 1] -= slope * b
            forces[j, 2] -= slope * c


@jitted
def frames(law, charges, masses, x, v, frames_x, frames_v):
    """Fill in the frames (F, N, 3) of a trajectory from x, v (N, 3); steps of the solver.

    Charges are in units in which the force constant is 1.
    """
    n = len(x)
    work = _work(n)
    now_x, now_v = x.copy(), v.copy()
    dx, dv, at, forces = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    kick = law.frame_dt / law.substeps
    step = kick / (2 * law.inner)
    unit = 1.0 / (law.radius * law.radius)  # of forces
    steps = 0
    for f in range(len(frames_x)):
        dx[:], dv[:] = 0.0, 0.0
        work.u[:], work.before[:] = 0.0, 0.0
        for k in range(law.substeps):
            for half in range(2):
                for _ in range(law.inner):
                    _drift(0.5 * step, now_v, dv, dx)
                    _place(now_x, dx, law.radius, at)
                    _fast_forces(at, charges, law, forces)
                    _kick(step * unit, forces, masses, dv)
                    _drift(0.5 * step, now_v, dv, dx)
                if half == 0:
                    _place(now_x, dx, law.radius, at)
                    _guess(k, work)
                    steps += _slow_forces(at, charges, law, work, forces)
                    _kick(kick * unit, forces, masses, dv)
        for i in range(n):
            for d in range(3):
                now_x[i, d] += dx[i, d]
                now_v[i, d] += dv[i, d]
        frames_x[f], frames_v[f] = now_x, now_v
    return steps


@jitted
def _guess(k, work):
    """Extend u of the two sub-steps before, within a frame."""
    for i in range(len(work.u)):
        for c in range(LOWS):
            last = work.u[i, c]
            if k > 1:
                work.u[i, c] = 2.0 * last - work.before[i, c]
            work.before[i, c] = last


@jitted
def _drift(time, v, dv, dx):
    for i in range(len(v)):
        for d in range(3):
            dx[i, d] += time * (v[i, d] + dv[i, d])


@jitted
def _place(x, dx, radius, out):
    """Write places in radii, from the first sphere: far from the origin sums would lose digits."""
    for i in range(len(x)):
        for d in range(3):
            out[i, d] = ((x[i, d] - x[0, d]) + dx[i, d]) / radius


@jitted
def _kick(factor, forces, masses, dv):
    for i in range(len(dv)):
        for d in range(3):
            dv[i, d] += factor * forces[i, d] / masses[i]
