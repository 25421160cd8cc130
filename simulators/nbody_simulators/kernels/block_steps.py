"""Hermite's scheme with individual block time steps, for one trajectory, in numba.

Each particle has a step of its own, a frame divided by a power of two, so that those of one length
fall together. At the next time at which any step ends, all particles are predicted, and those whose
step ends get a force, its rate, and a correction; the others wait. Formulas and letters are those of
Makino and Aarseth, PASJ 44 (1992) 141, section 2; the time is counted in whole ticks, so that no
rounding parts what belongs together.

==========  ========================================================
paper       here
==========  ========================================================
a, j        ``a``, ``j``, at the particle's own time ``last``
x_p, v_p    ``xp``, ``vp``
a^(2) h^2   ``snap``
a^(3) h^3   ``crackle``
eta         ``eta``
==========  ========================================================
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload, register_jitable

from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.dual_numbers import differentiable_law, dual, rate_of, value_of
from nbody_simulators.kernels.forces import REASSOCIATE

__all__ = [
    "DONE",
    "EVALUATIONS",
    "FRAME",
    "NOT_FINITE",
    "PAUSED",
    "STATUS",
    "STEPS",
    "TICK",
    "TOO_SMALL",
    "UNKNOWN",
    "Block",
    "march",
]

DONE, PAUSED, TOO_SMALL, NOT_FINITE = 0, 1, 2, 3
FRAME, TICK, STATUS, STEPS, EVALUATIONS = range(5)  # what `Block.progress` holds
UNKNOWN = -1  # a level that is still to be chosen

FASTEST, SLOWEST = 0.5, 1 / 64
"""Of the first guess of a step, what the next one is at most and at least, until it stands."""

NEAR = 0.5
"""A pair that would pass its closest point within a step bounds it by this share of its distance
over its relative speed, as in `integrators.encounters`."""

STEEPER, CLOSER, LOOKS = 2.0, 4.0, 10  # see `integrators.encounters`


class Block(NamedTuple):
    """One trajectory under way. Vectors (3, N), in two dimensions the third component is zero.

    Attributes
    ----------
    x, v, a, j : ndarray, shape (3, N)
        Of each particle at the time of its latest step, `last`.
    xp, vp, a1, j1 : ndarray, shape (3, N)
        At the time of the step that is taken.
    last, level : ndarray of int64, shape (N,)
        In ticks since the latest frame; a step is the frame divided by 2^level.
    charges, masses : ndarray, shape (N,)
    couplings : ndarray, shape (N, N), or None
    pair, field : named tuple or None
        Parameters of the laws.
    progress : ndarray of int64, shape (5,)
        Frames filled in, ticks since the latest, status, block steps, particles evaluated.
    """

    x: np.ndarray
    v: np.ndarray
    a: np.ndarray
    j: np.ndarray
    xp: np.ndarray
    vp: np.ndarray
    a1: np.ndarray
    j1: np.ndarray
    last: np.ndarray
    level: np.ndarray
    charges: np.ndarray
    masses: np.ndarray
    couplings: Any
    pair: Any
    field: Any
    progress: np.ndarray


def pair_rates(
    parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
) -> Any:
    """Stand for the pair law and its rate of change, where r2 changes at a rate `slope`."""


def field_rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    """Stand for the acceleration of a field, and its rate of change along v."""


@overload(pair_rates, strict=False)
def _pair_rates(
    parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
) -> Any:
    law: Any = differentiable_law(parameters.instance_class)

    def rates(
        parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
    ) -> Any:
        force, _ = law(parameters, dual(r2, slope), qi, qj, mi, mj, coupling)
        return value_of(force), rate_of(force)

    return rates


@overload(field_rates, strict=False)
def _field_rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    law: Any = differentiable_law(parameters.instance_class)

    def rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        place = (dual(x[0], v[0]), dual(x[1], v[1]), dual(x[2], v[2]))
        a, _ = law(parameters, place, v, charge, mass)
        value = (value_of(a[0]), value_of(a[1]), value_of(a[2]))
        return value, (rate_of(a[0]), rate_of(a[1]), rate_of(a[2]))

    return rates


@register_jitable(error_model="numpy", fastmath=REASSOCIATE)
def _row(
    i: int,
    x: Any,
    v: Any,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
) -> tuple[float, float, float, float, float, float]:
    """Sum the forces on particle i and their rates; x, v are tuples of three components (N,)."""
    xi, yi, zi, ui, vi, wi = x[0][i], x[1][i], x[2][i], v[0][i], v[1][i], v[2][i]
    qi, mi = charges[i], masses[i]
    fx, fy, fz, gx, gy, gz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(charges.size):
        dx, dy, dz = xi - x[0][j], yi - x[1][j], zi - x[2][j]
        du, dv, dw = ui - v[0][j], vi - v[1][j], wi - v[2][j]
        r2 = dx * dx + dy * dy + dz * dz
        slope = 2.0 * (dx * du + dy * dv + dz * dw)
        bond = 1.0 if couplings is None else couplings[i, j]
        force, rate = pair_rates(pair, r2, slope, qi, charges[j], mi, masses[j], bond)
        # a choice of numbers, not a branch, which would keep this loop from using vectors
        force = force if i != j else 0.0
        rate = rate if i != j else 0.0
        fx, fy, fz = fx + force * dx, fy + force * dy, fz + force * dz
        gx += force * du + rate * dx
        gy += force * dv + rate * dy
        gz += force * dw + rate * dz
    return fx / mi, fy / mi, fz / mi, gx / mi, gy / mi, gz / mi


@register_jitable(error_model="numpy")
def _evaluate(
    block: Block, pair: Any, couplings: Any, field: Any, active: Any, flat: bool
) -> bool:
    """Write a1 and j1 of the active particles, or of all; say whether all is finite."""
    x, v = (block.xp[0], block.xp[1], block.xp[2]), (block.vp[0], block.vp[1], block.vp[2])
    total = 0.0
    for i in active:
        ax, ay, az, jx, jy, jz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if pair is not None:
            ax, ay, az, jx, jy, jz = _row(i, x, v, block.charges, block.masses, couplings, pair)
        if field is not None:
            place, velocity = (x[0][i], x[1][i], x[2][i]), (v[0][i], v[1][i], v[2][i])
            pull, change = field_rates(field, place, velocity, block.charges[i], block.masses[i])
            ax, ay, az = ax + pull[0], ay + pull[1], az + pull[2]
            jx, jy, jz = jx + change[0], jy + change[1], jz + change[2]
        if flat:
            az, jz = 0.0, 0.0
        block.a1[0, i], block.a1[1, i], block.a1[2, i] = ax, ay, az
        block.j1[0, i], block.j1[1, i], block.j1[2, i] = jx, jy, jz
        total += abs(ax) + abs(ay) + abs(az) + abs(jx) + abs(jy) + abs(jz)
    block.progress[EVALUATIONS] += len(active)
    return math.isfinite(total)


@register_jitable(error_model="numpy")
def _forces(block: Block, active: Any, flat: bool) -> bool:
    # What is None must be an argument: only there numba leaves out what depends on it.
    return _evaluate(block, block.pair, block.couplings, block.field, active, flat)


@register_jitable(error_model="numpy")
def _predict(block: Block, tick: int, unit: float) -> None:
    """Extrapolate all particles to a time."""
    x, v, a, j, xp, vp = block.x, block.v, block.a, block.j, block.xp, block.vp
    n = block.last.size
    for i in range(n):
        h = unit * (tick - block.last[i])
        for d in range(3):
            xp[d, i] = x[d, i] + h * (v[d, i] + h * (0.5 * a[d, i] + h * (j[d, i] / 6.0)))
            vp[d, i] = v[d, i] + h * (a[d, i] + h * (0.5 * j[d, i]))


@register_jitable(error_model="numpy")
def _wanted_step(a2: float, j2: float, s2: float, c2: float, h: float, eta: float) -> float:
    """Aarseth's criterion, of squares of |a|, |j| h, |a^(2)| h^2 and |a^(3)| h^3."""
    above = math.sqrt(a2 * s2) + j2
    below = math.sqrt(j2 * c2) + s2
    return math.inf if below == 0.0 else h * math.sqrt(eta * above / below)


@register_jitable(error_model="numpy")
def _correct(block: Block, i: int, h: float, eta: float) -> float:
    """Correct particle i, which makes its step of h, and return the one that it wants next."""
    a2, j2, s2, c2 = 0.0, 0.0, 0.0, 0.0
    for d in range(3):
        a0, a1 = block.a[d, i], block.a1[d, i]
        j0, j1 = h * block.j[d, i], h * block.j1[d, i]
        gained = a1 - a0
        snap = 6.0 * gained - (4.0 * j0 + 2.0 * j1)
        crackle = 6.0 * (j0 + j1) - 12.0 * gained
        block.x[d, i] = block.xp[d, i] + h * h * (snap / 24.0 + crackle / 120.0)
        block.v[d, i] = block.vp[d, i] + h * (snap / 6.0 + crackle / 24.0)
        block.a[d, i], block.j[d, i] = a1, block.j1[d, i]
        snap += crackle  # at the end of the step
        a2, j2, s2, c2 = a2 + a1 * a1, j2 + j1 * j1, s2 + snap * snap, c2 + crackle * crackle
    return _wanted_step(a2, j2, s2, c2, h, eta)


@register_jitable(error_model="numpy")
def _level(wanted: float, span: float, deepest: int) -> int:
    """Return the level of the longest step that is not longer than wanted; deepest + 1 of none."""
    level, h = 0, span
    while level <= deepest and not h <= wanted:
        level, h = level + 1, 0.5 * h
    return level


@register_jitable(error_model="numpy")
def _first_wanted(block: Block, i: int, h: float, eta: float) -> float:
    """Return the step that particle i wants at its present time, after a trial of h."""
    a2, j2, s2, c2 = 0.0, 0.0, 0.0, 0.0
    for d in range(3):
        a0 = block.a[d, i]
        j0, j1 = h * block.j[d, i], h * block.j1[d, i]
        gained = block.a1[d, i] - a0
        snap = 6.0 * gained - (4.0 * j0 + 2.0 * j1)
        crackle = 6.0 * (j0 + j1) - 12.0 * gained
        a2, j2, s2, c2 = a2 + a0 * a0, j2 + j0 * j0, s2 + snap * snap, c2 + crackle * crackle
    return _wanted_step(a2, j2, s2, c2, h, eta)


@register_jitable(error_model="numpy")
def _choose_levels(block: Block, span: float, deepest: int, eta: float, flat: bool) -> int:
    """Choose first steps, by Aarseth's criterion after a trial as short as the shortest of them.

    A trial, of all particles together, gives the higher derivatives, whatever the force is and
    where its rate is zero, as of particles at rest.
    """
    n = block.last.size
    everyone = np.arange(n)
    h, least = span, span * 0.5**deepest
    while True:
        _predict(block, 1, h)
        finite = _forces(block, everyone, flat)
        shortest = math.inf
        for i in range(n):
            shortest = min(shortest, _first_wanted(block, i, h, eta))
        # of a collision on the way, a shorter trial knows nothing
        if finite and shortest >= h:
            break
        if not h > least:
            return TOO_SMALL
        h = min(max(shortest, SLOWEST * h), FASTEST * h) if finite else SLOWEST * h
    for i in range(n):
        block.level[i] = min(_level(_first_wanted(block, i, h, eta), span, deepest), deepest)
    return DONE


@register_jitable(error_model="numpy")
def _next_level(level: int, wanted: float, tick: int, span: float, deepest: int) -> int:
    """Return the level that a particle goes on with: any deeper one, or one up where it fits."""
    h = math.ldexp(span, -level)
    if wanted >= 2.0 * h:
        # a longer step begins at a multiple of its length only
        fits = level > 0 and tick % (1 << (deepest - level + 1)) == 0
        return level - 1 if fits else level
    return level + _level(wanted, h, deepest - level)


@compiled
def march(
    block: Block,
    span: float,
    deepest: int,
    eta: float,
    most: int,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    """Fill in frames (F, D, N), `span` apart, until they are all there or so many evaluations done.

    `Block.progress` says how far it got and why no further; called again, it goes on.
    """
    progress = block.progress
    n, dimensions = block.last.size, frames_x.shape[1]
    flat = dimensions == 2
    unit = math.ldexp(span, -deepest)
    everyone, some = np.arange(n), np.empty(n, np.int64)
    if progress[STEPS] == 0 and progress[FRAME] == 0 and progress[TICK] == 0:
        block.xp[:], block.vp[:] = block.x, block.v
        if not _forces(block, everyone, flat):
            progress[STATUS] = NOT_FINITE
            return
        block.a[:], block.j[:] = block.a1, block.j1
        if block.level[0] == UNKNOWN:
            progress[STATUS] = _choose_levels(block, span, deepest, eta, flat)
            if progress[STATUS] != DONE:
                return
    done = 0
    while progress[FRAME] < frames_x.shape[0]:
        if done > most:
            progress[STATUS] = PAUSED
            return
        tick = 1 << deepest
        for i in range(n):
            tick = min(tick, block.last[i] + (1 << (deepest - block.level[i])))
        count = 0
        for i in range(n):
            if block.last[i] + (1 << (deepest - block.level[i])) == tick:
                some[count] = i
                count += 1
        active = some[:count]
        _predict(block, tick, unit)
        if not _forces(block, active, flat):
            progress[STATUS] = NOT_FINITE
            return
        for i in active:
            wanted = _correct(block, i, math.ldexp(span, -block.level[i]), eta)
            level = _next_level(block.level[i], wanted, tick, span, deepest)
            if level > deepest:
                progress[STATUS] = TOO_SMALL
                return
            block.level[i], block.last[i] = level, tick
        progress[STEPS] += 1
        done += count
        progress[TICK] = tick
        if tick == 1 << deepest:
            frame = progress[FRAME]
            for d in range(dimensions):
                frames_x[frame, d], frames_v[frame, d] = block.x[d], block.v[d]
            block.last[:] = 0
            progress[FRAME], progress[TICK] = frame + 1, 0
    progress[STATUS] = DONE
