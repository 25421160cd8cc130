"""Frames of `SETSpheres` in compiled code: one trajectory after the other, in double precision.

The same as `nbody_set.sphere_forces`, but that of pairs far apart nothing is computed that is zero,
and that the induced moments come from conjugate gradients (Hestenes and Stiefel, J. Res. Natl. Bur.
Stand. 49 (1952) 409). Their steps are made in float32, for what the step before left over in
float64, until that is 1e-12 of the field (iterative refinement: Langou et al., Proc. ACM/IEEE
Supercomputing (2006)). So the angular momentum is that of the exact least energy, to rounding. They
begin with nothing: a force depends on the places alone, to the bit.

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
    sphere_places,
    sphere_solve_code,
)
from nbody_set.sphere_layout import HIGHS, LOWS, Workspace, sparse
from nbody_set.sphere_pairs import HIGH, LOW
from nbody_set.sphere_places import jitted, knot_of, pairs
from nbody_surrogate.layers import code, code_functions, fused

__all__ = ["Law", "fast_forces", "kernels"]

ENOUGH = 1e-12
"""Of the field that induces, what is left over."""
ENOUGH_SINGLE = 3e-7
"""Of what was left over before, by steps in float32."""
ROUNDS = 6
MOST = 40  # steps of a round; some 11 are usual
FADED = 40.0  # widths of the repulsion, beyond which it is nothing
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
    inner : int
        Steps by pairs before and after each kick by what is induced.
    times, kicks : ndarray, shapes (K + 1,) and (K,)
        Between kicks, and their weights.
    stages : ndarray, shape (S, 2)
        Drifts, each before a kick, of a step by pairs.
    """

    pairs: np.ndarray
    least_gap: float
    width: float
    strength: float
    radius: float
    frame_dt: float
    inner: int
    times: np.ndarray
    kicks: np.ndarray
    stages: np.ndarray


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
            knot = knot_of(r, steps)
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


inlined = numba.njit(error_model="numpy", inline="always")
"""Parts of one function, so that the code that was made is compiled once, and not at each level."""

_matrices = fused.emitted_by_number(sphere_code.emit_pairs)
_push = fused.emitted_by_number(sphere_force_code.emit_forces)
_respond = fused.emitted_by_number(sphere_solve_code.emit_respond)
_own = fused.emitted_by_number(sphere_solve_code.emit_own)
_mutual = fused.emitted_by_number(sphere_solve_code.emit_mutual)
_seen_high = fused.emitted_by_number(sphere_solve_code.emit_seen_high)
_drive = fused.emitted_by_number(sphere_solve_code.emit_drive)


@inlined
def _product(like, work, near, count):  # type: ignore[no-untyped-def]
    """Write the energy's derivative by u, of second order, in float64."""
    n = len(work.u)
    work.t[:] = 0.0
    _respond(like, work.table, 0, near, 1)
    _own(like, work.table, 0, n, 1)
    _mutual(like, work.table, 0, count, 1)
    _seen_high(like, work.table, 0, n, 1)
    _drive(like, work.table, 0, near, 1)


@inlined
def _product_r(like, work, near, count):  # type: ignore[no-untyped-def]
    """Write the same in float32."""
    n = len(work.u)
    work.t_r[:] = 0.0
    _respond(like, work.table, 0, near, 0)
    _own(like, work.table, 0, n, 0)
    _mutual(like, work.table, 0, count, 0)
    _seen_high(like, work.table, 0, n, 0)
    _drive(like, work.table, 0, near, 0)


@inlined
def _refined(like, work, near, count, enough, solution):  # type: ignore[no-untyped-def]
    """Add to the solution what is left over, solved for by steps in float32."""
    rest, direction, u, out = (
        work.rest.ravel(), work.direction.ravel(), work.u_r.ravel(), work.out_r.ravel(),
    )  # fmt: skip
    size = _dot(rest, rest)
    goal = max(ENOUGH_SINGLE, enough) ** 2 * size
    made = np.zeros(u.size, np.float64)
    direction[:] = rest
    steps = 0
    while size > goal and steps < MOST:
        u[:] = direction
        _product_r(like, work, near, count)
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


@inlined
def _solve(like, work, near, count):  # type: ignore[no-untyped-def]
    """Write the moments of least energy; the number of steps."""
    n = len(work.u)
    u, field, out = work.u.ravel(), work.field.ravel(), work.out.ravel()
    # the field, with what high moments of charges add to it
    work.out[:], work.seen_out[:], work.t[:] = work.field, 0.0, work.direct
    _seen_high(like, work.table, 0, n, 1)
    _drive(like, work.table, 0, near, 1)
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
        enough = 0.5 * ENOUGH * math.sqrt(scale2) / left
        some = _refined(like, work, near, count, enough, u)
        for k in range(u.size):
            u[k] *= left
        if some < 0:
            # no least energy, far outside of what the model is for: nothing is induced
            u[:] = 0.0
            break
        steps += some
        rounds += 1
        # what float32 rounds in a second round is a millionth of a millionth
        if rounds > 1 and _dot(rest, rest) * left2 <= ENOUGH * ENOUGH * scale2:
            break
        _product(like, work, near, count)
        for k in range(u.size):
            wide[k] = -field[k] - out[k]
        left2 = _dot(wide, wide)
    work.t[:] = work.direct
    _respond(like, work.table, 0, near, 1)
    return steps


@inlined
def _forces(like, x, steps, work, scratch, out):  # type: ignore[no-untyped-def]
    """Write forces by all that is induced, less the exact energies of pairs."""
    n = len(x)
    count = n * (n - 1) // 2
    near = pairs(x, steps, work, scratch)
    work.own[:], work.own_response[:], work.field[:], work.direct[:] = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        for a in range(LOWS):
            work.own[i, a, a] = 1.0
    _matrices(like, work.table, 0, near, 1)
    _matrices(like, work.table, near, count, 0)
    _narrow(work.own.ravel(), work.own_r.ravel())
    _narrow(work.own_response.ravel(), work.own_response_r.ravel())
    for i in range(n):
        for c in range(LOWS):
            for a in range(HIGHS):
                work.own_back_r[i, a, c] = work.own_response[i, c, a]
    made = _solve(like, work, near, count)
    _turned(work.u, LOW_TURN, LOW_TURN_VALUES, work.moved)
    _turned(work.t, HIGH_TURN, HIGH_TURN_VALUES, work.high_moved)
    _push(like, work.table, 0, near, 1)
    _push(like, work.table, near, count, 0)
    _gather(work, count, out)
    return made


@cache
def kernels() -> tuple[Any, Any]:
    """Return what makes frames, and what makes forces of what is induced, both compiled.

    ``frames(like, law, steps, work, masses, x, v, frames_x, frames_v)`` fills in the frames
    (F, N, 3) of a trajectory from x, v (N, 3). ``forces(like, x, steps, work, scratch, out)``
    writes forces (N, 3) at places in radii, and returns the number of steps of conjugate gradients
    (and a number that means nothing). `like` is an array of float32; charges are those of the work,
    in units in which the force constant is 1.

    Returns
    -------
    frames, forces : callable
    """
    modules = (
        *(
            sphere_code,
            sphere_force_code,
            sphere_solve_code,
            sphere_layout,
            sphere_pairs,
            sphere_places,
        ),
        *(sphere_functions, sphere_harmonics, code, code_functions, fused),
    )
    return _compiled(fused.source_number(*modules))


def _compiled(sources: int) -> tuple[Any, Any]:
    @numba.njit(cache=True, error_model="numpy", nogil=True)
    def frames(like, law, steps, work, masses, x, v, frames_x, frames_v):  # type: ignore[no-untyped-def]
        n = len(x)
        now_x, now_v, scratch = x.copy(), v.copy(), np.empty((3, 8))
        dx, dv, at = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
        fast, out = np.empty((n, 3)), np.empty((n, 3))
        unit = 1.0 / (law.radius * law.radius)  # of forces
        for f in range(len(frames_x)):
            dx[:], dv[:] = 0.0, 0.0
            # forces of pairs are those of now, and stay so as what is induced kicks
            _place(now_x, dx, law.radius, at)
            fast_forces(at, work.charges, law, fast)
            for k in range(len(law.times)):
                step = law.times[k] * law.frame_dt / law.inner
                for _ in range(law.inner):
                    for stage in range(len(law.stages)):
                        drift, kick = law.stages[stage]
                        if drift != 0.0:
                            _drift(drift * step, now_v, dv, dx)
                            _place(now_x, dx, law.radius, at)
                            fast_forces(at, work.charges, law, fast)
                        _kick(kick * step * unit, fast, masses, dv)
                if k < len(law.kicks):
                    _forces(like, at, steps, work, scratch, out)
                    _kick(law.kicks[k] * law.frame_dt * unit, out, masses, dv)
            for i in range(n):
                for d in range(3):
                    now_x[i, d] += dx[i, d]
                    now_v[i, d] += dv[i, d]
            frames_x[f], frames_v[f] = now_x, now_v
        return sources  # a free variable, by which the compiled code is known

    @numba.njit(cache=True, error_model="numpy", nogil=True)
    def forces(like, x, steps, work, scratch, out):  # type: ignore[no-untyped-def]
        return _forces(like, x, steps, work, scratch, out), sources

    return frames, forces
