"""Frames of `SETSpheres` in compiled code: one trajectory after the other, in double precision.

The same as `nbody_set.sphere_forces`, but that pairs far apart have no high moments, and that the
induced moments come from conjugate gradients (Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49
(1952) 409). Their steps are made in float32, for what the step before left over in float64, until
that is 1e-12 of the field (iterative refinement: Langou et al., Proc. ACM/IEEE Supercomputing
(2006)). So the angular momentum is that of the exact least energy, to rounding. They begin with
nothing: a force depends on the places alone, to the bit.

The code of a kernel is kept on disk, as numba does: see `nbody_surrogate.layers.fused`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from nbody_set import (
    sphere_code,
    sphere_force_code,
    sphere_functions,
    sphere_harmonics,
    sphere_layout,
    sphere_pairs,
    sphere_solve_code,
)
from nbody_set.sphere_functions import FADE, NEAR, OVERLAP, STEPS, T_NEAR
from nbody_set.sphere_layout import HIGHS, LOWS, TURNS, Workspace, sparse
from nbody_set.sphere_pairs import HIGH, LOW
from nbody_surrogate.layers import code, fused

__all__ = ["Law", "fast_forces", "kernels"]

END = 2.0 / (T_NEAR / STEPS * math.floor(2.0 / FADE[1] / (T_NEAR / STEPS)))
"""Where high moments end: at the step of the tables beyond which all is zero."""
ENOUGH = 1e-12
"""Of the field that induces, what is left over."""
ENOUGH_SINGLE = 3e-7
"""Of what was left over before, by steps in float32."""
ROUNDS = 6
MOST = 40  # steps of a round; some 11 are usual
FADED = 40.0  # widths of the repulsion, beyond which it is nothing
ROOT3 = math.sqrt(3.0)
LANES, SINGLES = TURNS.low, TURNS.low_single
LOW_TURN, LOW_TURN_VALUES = sparse(range(1, LOW + 1))
HIGH_TURN, HIGH_TURN_VALUES = sparse(range(LOW + 1, HIGH + 1))


class Law(NamedTuple):
    """The numbers of a model, as the kernel takes them, lengths in radii.

    Attributes
    ----------
    pairs : ndarray, shape (steps + 1, 2, 2)
        See `nbody_set.sphere_functions.tables`.
    least_gap, width, strength : float
        Of the repulsion.
    radius, frame_dt : float
    substeps, inner : int
        Kicks by what is induced per frame, and of pairs in each half of what is between them.
    """

    pairs: np.ndarray
    least_gap: float
    width: float
    strength: float
    radius: float
    frame_dt: float
    substeps: int
    inner: int


jitted = numba.njit(
    cache=True, error_model="numpy", nogil=True, fastmath={"contract", "nsz", "arcp"}
)


class _Knot(NamedTuple):
    """A place between two rows of a table, and how the distance bends there."""

    k: int
    s: float
    by_r: float


@jitted
def _knot(r: float, steps: int) -> _Knot:
    kept, bend = r, 1.0
    if r < 2.0 + NEAR:
        near = 2.0 + NEAR - r
        below = near * near + NEAR * NEAR
        kept = r + near * near * near / below
        bend = 1.0 - (near**4 + 3.0 * near * near * NEAR * NEAR) / (below * below)
    t = 2.0 / kept
    place = t * (steps / T_NEAR)
    k = min(int(place), steps - 1)
    return _Knot(k, place - k, -0.5 * t * t * bend * (steps / T_NEAR))


@jitted
def _weights(r: float, steps: int, out: np.ndarray) -> int:
    """Write the weights of two rows, for values and slopes, and how both fade in overlap."""
    knot = _knot(r, steps)
    s, by_r = knot.s, knot.by_r
    q = 1.0 - s
    out[0], out[1], out[2], out[3] = q * q * (1.0 + 2.0 * s), s * q * q, s * s * (3.0 - 2.0 * s), -s * s * q
    out[4], out[5], out[6] = 6.0 * s * q * by_r, q * (1.0 - 3.0 * s) * by_r, s * (3.0 * s - 2.0) * by_r
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
def _product(a: np.ndarray, b: np.ndarray, factor: float, out: np.ndarray) -> None:
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
    f[0], f[1], f[2] = axis[1] * z - axis[2] * y, axis[2] * x - axis[0] * z, axis[0] * y - axis[1] * x
    for c in range(3):
        d = (c + 2) % 3  # components of degree 1 are z, x, y
        out[SINGLES + c] = axis[d]
        out[LANES + 4 * c], out[LANES + 4 * c + 1] = e[d], f[d]
        out[LANES + 4 * c + 2] = out[LANES + 4 * c + 3] = 0.0
    two[:5] = 0.0
    _product(axis, axis, 1.5, two)
    for c in range(5):
        out[SINGLES + 3 + c] = two[c]
    two[:5] = 0.0
    _product(axis, e, ROOT3, two)
    _write(out, 0, 3, 5, two)
    two[:5] = 0.0
    _product(axis, f, ROOT3, two)
    _write(out, 1, 3, 5, two)
    # cos and sin of twice the angle
    two[:5] = 0.0
    _product(e, e, 0.5 * ROOT3, two)
    _product(f, f, -0.5 * ROOT3, two)
    _write(out, 2, 3, 5, two)
    two[:5] = 0.0
    _product(e, f, ROOT3, two)
    _write(out, 3, 3, 5, two)


@jitted
def _pairs(x: np.ndarray, steps: int, work: Workspace, scratch: np.ndarray) -> int:
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


@jitted
def _narrow(wide: np.ndarray, out: np.ndarray) -> None:
    for k in range(out.size):
        out[k] = wide[k]


@jitted
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@jitted
def _turned(u: np.ndarray, places: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """Write how moments (N, A) change as they turn about x, y, z, (N, 3, A)."""
    out[:] = 0.0
    for i in range(len(u)):
        for k in range(len(places)):
            out[i, places[k, 0], places[k, 1]] += values[k] * u[i, places[k, 2]]


@jitted
def _gather(work: Workspace, count: int, forces: np.ndarray) -> None:
    """Add up the forces of all pairs; each acts on both, against each other to the bit."""
    forces[:] = 0.0
    for q in range(count):
        i, j = work.i[q], work.j[q]
        for d in range(3):
            forces[i, d] += work.pushed[q, d]
            forces[j, d] -= work.pushed[q, d]


@jitted
def fast_forces(x: np.ndarray, charges: np.ndarray, law: Law, forces: np.ndarray) -> None:
    """Write forces by the exact energies of pairs and by the repulsion, (N, 3)."""
    n, steps = len(x), law.pairs.shape[0] - 1
    forces[:] = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            a, b, c = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            r = math.sqrt(max(a * a + b * b + c * c, 1e-300))
            knot = _knot(r, steps)
            s = knot.s
            e, f, g = 6.0 * s * (1.0 - s), (1.0 - s) * (1.0 - 3.0 * s), s * (3.0 * s - 2.0)
            low, high = law.pairs[knot.k], law.pairs[knot.k + 1]
            one = e * (high[0, 0] - low[0, 0]) + f * low[1, 0] + g * high[1, 0]
            both = e * (high[0, 1] - low[0, 1]) + f * low[1, 1] + g * high[1, 1]
            qi, qj = charges[i], charges[j]
            slope = (0.5 * (qi * qi + qj * qj) * one + qi * qj * both) * knot.by_r
            gap = max(r - 2.0, 0.0)
            if gap < FADED * law.width:
                slope -= law.strength / law.width * math.exp((law.least_gap - gap) / law.width)
            slope /= r
            forces[i, 0] += slope * a
            forces[i, 1] += slope * b
            forces[i, 2] += slope * c
            forces[j, 0] -= slope * a
            forces[j, 1] -= slope * b
            forces[j, 2] -= slope * c


@jitted
def _drift(time: float, v: np.ndarray, dv: np.ndarray, dx: np.ndarray) -> None:
    for i in range(len(v)):
        for d in range(3):
            dx[i, d] += time * (v[i, d] + dv[i, d])


@jitted
def _place(x: np.ndarray, dx: np.ndarray, radius: float, out: np.ndarray) -> None:
    """Write places in radii, from the first sphere: far from the origin sums would lose digits."""
    for i in range(len(x)):
        for d in range(3):
            out[i, d] = ((x[i, d] - x[0, d]) + dx[i, d]) / radius


@jitted
def _kick(factor: float, forces: np.ndarray, masses: np.ndarray, dv: np.ndarray) -> None:
    for i in range(len(dv)):
        for d in range(3):
            dv[i, d] += factor * forces[i, d] / masses[i]


@cache
def kernels() -> tuple[Any, Any]:
    """Return what makes frames, and what makes forces of what is induced, both compiled.

    ``frames(like, law, work, masses, x, v, frames_x, frames_v)`` fills in the frames (F, N, 3) of a
    trajectory from x, v (N, 3). ``forces(like, x, steps, work, scratch, out)`` writes forces (N, 3)
    at places in radii, and returns the number of steps of conjugate gradients. `like` is an array
    of float32; charges are those of the work, in units in which the force constant is 1.

    Returns
    -------
    frames, forces : callable
    """
    makers = (
        *(sphere_code.emit_pairs(near) for near in (True, False)),
        *(sphere_force_code.emit_forces(near) for near in (True, False)),
        *(
            each(wide)
            for wide in (True, False)
            for each in (
                sphere_solve_code.emit_respond,
                sphere_solve_code.emit_own,
                sphere_solve_code.emit_mutual,
                sphere_solve_code.emit_seen_high,
                sphere_solve_code.emit_drive,
            )
        ),
    )
    modules = (
        *(sphere_code, sphere_force_code, sphere_solve_code, sphere_layout, sphere_pairs),
        *(sphere_functions, sphere_harmonics, code, fused),
    )
    return _compiled(*map(fused.emitted, makers), fused.source_number(*modules))


def _compiled(
    near_pairs: Any,
    far_pairs: Any,
    near_forces: Any,
    far_forces: Any,
    respond: Any,
    own: Any,
    mutual: Any,
    seen_high: Any,
    drive: Any,
    respond_r: Any,
    own_r: Any,
    mutual_r: Any,
    seen_high_r: Any,
    drive_r: Any,
    sources: int,
) -> tuple[Any, Any]:
    # Of one function, so that the code that was made is compiled once, and not at each level.
    options = {"error_model": "numpy", "inline": "always"}

    @numba.njit(**options)
    def product(like, work, near, count):  # type: ignore[no-untyped-def]
        """Write the energy's derivative by u, of second order, in float64."""
        n = len(work.u)
        work.t[:] = 0.0
        respond(like, work.table, 0, near)
        own(like, work.table, 0, n)
        mutual(like, work.table, 0, count)
        seen_high(like, work.table, 0, n)
        drive(like, work.table, 0, near)

    @numba.njit(**options)
    def product_r(like, work, near, count):  # type: ignore[no-untyped-def]
        """The same in float32."""
        n = len(work.u)
        work.t_r[:] = 0.0
        respond_r(like, work.table, 0, near)
        own_r(like, work.table, 0, n)
        mutual_r(like, work.table, 0, count)
        seen_high_r(like, work.table, 0, n)
        drive_r(like, work.table, 0, near)

    @numba.njit(**options)
    def refined(like, work, near, count, solution):  # type: ignore[no-untyped-def]
        """Add to the solution what is left over, solved for by steps in float32."""
        rest, direction, u, out = (
            work.rest.ravel(), work.direction.ravel(), work.u_r.ravel(), work.out_r.ravel(),
        )  # fmt: skip
        size = _dot(rest, rest)
        goal = ENOUGH_SINGLE * ENOUGH_SINGLE * size
        made = np.zeros(u.size, np.float64)
        direction[:] = rest
        steps = 0
        while size > goal and steps < MOST:
            u[:] = direction
            product_r(like, work, near, count)
            curvature = _dot(direction, out)
            if not curvature > 0.0:
                return -1
            length = np.float32(size / curvature)
            for k in range(u.size):
                made[k] += length * direction[k]
                rest[k] -= length * out[k]
            before, size = size, _dot(rest, rest)
            share = np.float32(size / before)
            for k in range(u.size):
                direction[k] = rest[k] + share * direction[k]
            steps += 1
        for k in range(u.size):
            solution[k] += made[k]
        return steps

    @numba.njit(**options)
    def solve(like, work, near, count):  # type: ignore[no-untyped-def]
        """Write the moments of least energy; the number of steps."""
        n = len(work.u)
        u, field, out = work.u.ravel(), work.field.ravel(), work.out.ravel()
        # the field, with what high moments of charges add to it
        work.out[:], work.seen_out[:], work.t[:] = work.field, 0.0, work.direct
        seen_high(like, work.table, 0, n)
        drive(like, work.table, 0, near)
        field[:] = out
        u[:] = 0.0
        rest, scale2 = work.rest.ravel(), _dot(field, field)
        left2, steps, rounds = scale2, 0, 0
        wide = np.empty(u.size)
        for k in range(u.size):
            wide[k] = -field[k]
        while left2 > ENOUGH * ENOUGH * scale2 and rounds < ROUNDS:
            left = math.sqrt(left2)
            for k in range(u.size):
                rest[k] = wide[k] / left
            # in units of what is left
            for k in range(u.size):
                u[k] /= left
            some = refined(like, work, near, count, u)
            for k in range(u.size):
                u[k] *= left
            if some < 0:
                # no least energy, far outside of what the model is for: nothing is induced
                u[:] = 0.0
                break
            steps += some
            rounds += 1
            product(like, work, near, count)
            for k in range(u.size):
                wide[k] = -field[k] - out[k]
            left2 = _dot(wide, wide)
        work.t[:] = work.direct
        respond(like, work.table, 0, near)
        return steps

    @numba.njit(cache=True, error_model="numpy", nogil=True)
    def forces(like, x, steps, work, scratch, out):  # type: ignore[no-untyped-def]
        """Write forces by all that is induced, less the exact energies of pairs."""
        n = len(x)
        count = n * (n - 1) // 2
        near = _pairs(x, steps, work, scratch)
        work.own[:], work.own_response[:], work.field[:], work.direct[:] = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            for a in range(LOWS):
                work.own[i, a, a] = 1.0
        near_pairs(like, work.table, 0, near)
        far_pairs(like, work.table, near, count)
        _narrow(work.own.ravel(), work.own_r.ravel())
        _narrow(work.own_response.ravel(), work.own_response_r.ravel())
        for i in range(n):
            for c in range(LOWS):
                for a in range(HIGHS):
                    work.own_back_r[i, a, c] = work.own_response[i, c, a]
        made = solve(like, work, near, count)
        _turned(work.u, LOW_TURN, LOW_TURN_VALUES, work.moved)
        _turned(work.t, HIGH_TURN, HIGH_TURN_VALUES, work.high_moved)
        near_forces(like, work.table, 0, near)
        far_forces(like, work.table, near, count)
        _gather(work, count, out)
        return made

    @numba.njit(cache=True, error_model="numpy", nogil=True)
    def frames(like, law, steps, work, masses, x, v, frames_x, frames_v):  # type: ignore[no-untyped-def]
        n = len(x)
        now_x, now_v, scratch = x.copy(), v.copy(), np.empty((3, 8))
        dx, dv, at, out = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
        kick = law.frame_dt / law.substeps
        step = kick / (2 * law.inner)
        unit = 1.0 / (law.radius * law.radius)  # of forces
        for f in range(len(frames_x)):
            dx[:], dv[:] = 0.0, 0.0
            for _k in range(law.substeps):
                for half in range(2):
                    for _ in range(law.inner):
                        _drift(0.5 * step, now_v, dv, dx)
                        _place(now_x, dx, law.radius, at)
                        fast_forces(at, work.charges, law, out)
                        _kick(step * unit, out, masses, dv)
                        _drift(0.5 * step, now_v, dv, dx)
                    if half == 0:
                        _place(now_x, dx, law.radius, at)
                        forces(like, at, steps, work, scratch, out)
                        _kick(kick * unit, out, masses, dv)
            for i in range(n):
                for d in range(3):
                    now_x[i, d] += dx[i, d]
                    now_v[i, d] += dv[i, d]
            frames_x[f], frames_v[f] = now_x, now_v
        return sources  # a free variable, by which the compiled code is known

    return frames, forces
