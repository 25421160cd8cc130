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

import numpy as np
from numba.extending import overload, register_jitable

from nbody_simulators.kernels.approaches import passing
from nbody_simulators.kernels.compiled_laws import compiled, pair_force
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
    "Block",
    "march",
]

DONE, PAUSED, TOO_SMALL, NOT_FINITE = 0, 1, 2, 3
FRAME, TICK, STATUS, STEPS, EVALUATIONS = range(5)  # what `Block.progress` holds

QUICK, SLOW = 0.5, 1 / 64
"""Of a trial step that is too long, what the next one is at most and at least."""

NEAR = 0.5
"""A pair that would pass its closest point unseen bounds the steps of both by this share of its
distance over its relative speed, as in `integrators.encounters`."""

STEEPER, CLOSER, LOOKS = 2.0, 4.0, 10  # see there

FELT = 1e-10
"""Of its relative speed, the change by an encounter from where it matters."""


class Block(NamedTuple):
    """One trajectory under way. Vectors (3, N), in two dimensions the third component is zero.

    Attributes
    ----------
    x, v, a, j : ndarray, shape (3, N)
        Of each particle at the time of its latest step, `last`.
    xp, vp, a1, j1 : ndarray, shape (3, N)
        At the time of the step that is taken.
    last, due : ndarray of int64, shape (N,)
        When the latest step began and the next one ends, in ticks since the latest frame.
    ahead, near, wanted : ndarray, shape (N,)
        Time until a step ends; pairs that may meet within it; the length that the next one should
        have. In reduced units.
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
    due: np.ndarray
    ahead: np.ndarray
    near: np.ndarray
    wanted: np.ndarray
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
def _rows(
    active: Any,
    x: Any,
    v: Any,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    wanted: np.ndarray,
    ahead: np.ndarray,
    near: np.ndarray,
    a: np.ndarray,
    jerk: np.ndarray,
) -> None:
    """Sum the forces on active particles and their rates, and count whom each may meet.

    x, v are tuples of three components (N,). A pair may meet that passes its closest point before
    the next step of either ends.
    """
    for i in active:
        xi, yi, zi, ui, vi, wi = x[0][i], x[1][i], x[2][i], v[0][i], v[1][i], v[2][i]
        qi, mi, own = charges[i], masses[i], wanted[i]
        fx, fy, fz, gx, gy, gz, met = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(charges.size):
            dx, dy, dz = xi - x[0][j], yi - x[1][j], zi - x[2][j]
            du, dv, dw = ui - v[0][j], vi - v[1][j], wi - v[2][j]
            r2 = dx * dx + dy * dy + dz * dz
            closing = dx * du + dy * dv + dz * dw
            u2 = du * du + dv * dv + dw * dw
            bond = 1.0 if couplings is None else couplings[i, j]
            force, rate = pair_rates(pair, r2, 2.0 * closing, qi, charges[j], mi, masses[j], bond)
            # a choice of numbers, not a branch, which would keep this loop from using vectors
            force = force if i != j else 0.0
            rate = rate if i != j else 0.0
            fx, fy, fz = fx + force * dx, fy + force * dy, fz + force * dz
            gx += force * du + rate * dx
            gy += force * dv + rate * dy
            gz += force * dw + rate * dz
            # as `passing` has it, without its branches
            until = own if own > ahead[j] else ahead[j]
            soon = (-closing < until * u2) & (NEAR * NEAR * r2 < until * until * u2)
            met += 1.0 if (closing < 0.0) & soon else 0.0
        a[0, i], a[1, i], a[2, i] = fx / mi, fy / mi, fz / mi
        jerk[0, i], jerk[1, i], jerk[2, i] = gx / mi, gy / mi, gz / mi
        near[i] = met


@register_jitable(error_model="numpy")
def _add_field(block: Block, field: Any, active: Any) -> None:
    """Add the accelerations of the field to a1, and their rates to j1."""
    x, v, a, jerk = block.xp, block.vp, block.a1, block.j1
    for i in active:
        place, velocity = (x[0, i], x[1, i], x[2, i]), (v[0, i], v[1, i], v[2, i])
        pull, change = field_rates(field, place, velocity, block.charges[i], block.masses[i])
        a[0, i], a[1, i], a[2, i] = a[0, i] + pull[0], a[1, i] + pull[1], a[2, i] + pull[2]
        jerk[0, i] += change[0]
        jerk[1, i] += change[1]
        jerk[2, i] += change[2]


@register_jitable(error_model="numpy")
def _evaluate(block: Block, pair: Any, couplings: Any, field: Any, active: Any, flat: bool) -> bool:
    """Write a1 and j1 of active particles; say whether all is finite."""
    a, jerk = block.a1, block.j1
    if pair is not None:
        x, v = (block.xp[0], block.xp[1], block.xp[2]), (block.vp[0], block.vp[1], block.vp[2])
        _rows(
            active,
            x,
            v,
            block.charges,
            block.masses,
            couplings,
            pair,
            block.wanted,
            block.ahead,
            block.near,
            a,
            jerk,
        )
    else:
        for i in active:
            a[:, i], jerk[:, i] = 0.0, 0.0
    if field is not None:
        _add_field(block, field, active)
    total = 0.0
    for i in active:
        if flat:
            a[2, i], jerk[2, i] = 0.0, 0.0
        for d in range(3):
            total += abs(a[d, i]) + abs(jerk[d, i])
    block.progress[EVALUATIONS] += len(active)
    return math.isfinite(total)


@register_jitable(error_model="numpy")
def _forces(block: Block, active: Any, flat: bool) -> bool:
    # What is None must be an argument: only there numba leaves out what depends on it.
    return _evaluate(block, block.pair, block.couplings, block.field, active, flat)


@register_jitable(error_model="numpy")
def _predict(block: Block, tick: int, unit: float) -> None:
    """Extrapolate all particles to a time."""
    for d in range(3):
        x, v, a, j = block.x[d], block.v[d], block.a[d], block.j[d]
        xp, vp = block.xp[d], block.vp[d]
        for i in range(block.last.size):
            h = unit * (tick - block.last[i])
            xp[i] = x[i] + h * (v[i] + h * (0.5 * a[i] + h * (j[i] * (1.0 / 6.0))))
            vp[i] = v[i] + h * (a[i] + h * (0.5 * j[i]))


@register_jitable(error_model="numpy")
def _wanted_step(a2: float, j2: float, s2: float, c2: float, h: float, eta: float) -> float:
    """Aarseth's criterion, of squares of |a|, |j| h, |a^(2)| h^2 and |a^(3)| h^3."""
    above = math.sqrt(a2 * s2) + j2
    below = math.sqrt(j2 * c2) + s2
    return math.inf if below == 0.0 else h * math.sqrt(eta * above / below)


@register_jitable(error_model="numpy")
def _correct(block: Block, active: Any, tick: int, unit: float, eta: float) -> None:
    """Correct the particles whose steps end, and note the steps that they want next."""
    x, v, a, j, last = block.x, block.v, block.a, block.j, block.last
    xp, vp, a1, j1, wanted = block.xp, block.vp, block.a1, block.j1, block.wanted
    for i in active:
        h = unit * (tick - last[i])
        a2, j2, s2, c2 = 0.0, 0.0, 0.0, 0.0
        for d in range(3):
            begun, ended = h * j[d, i], h * j1[d, i]
            gained = a1[d, i] - a[d, i]
            snap = 6.0 * gained - (4.0 * begun + 2.0 * ended)
            crackle = 6.0 * (begun + ended) - 12.0 * gained
            x[d, i] = xp[d, i] + h * h * (snap / 24.0 + crackle / 120.0)
            v[d, i] = vp[d, i] + h * (snap / 6.0 + crackle / 24.0)
            a[d, i], j[d, i] = a1[d, i], j1[d, i]
            snap += crackle  # at the end of the step
            a2, j2 = a2 + a[d, i] * a[d, i], j2 + ended * ended
            s2, c2 = s2 + snap * snap, c2 + crackle * crackle
        wanted[i] = min(_wanted_step(a2, j2, s2, c2, h, eta), 2.0 * h)


@register_jitable(error_model="numpy")
def _first_wanted(block: Block, h: float, eta: float) -> float:
    """Note the steps that particles want at their present time, after a trial of h; the least."""
    least = math.inf
    for i in range(block.last.size):
        a2, j2, s2, c2 = 0.0, 0.0, 0.0, 0.0
        for d in range(3):
            a, begun, ended = block.a[d, i], h * block.j[d, i], h * block.j1[d, i]
            gained = block.a1[d, i] - a
            snap = 6.0 * gained - (4.0 * begun + 2.0 * ended)
            crackle = 6.0 * (begun + ended) - 12.0 * gained
            a2, j2 = a2 + a * a, j2 + begun * begun
            s2, c2 = s2 + snap * snap, c2 + crackle * crackle
        block.wanted[i] = _wanted_step(a2, j2, s2, c2, h, eta)
        least = min(least, block.wanted[i])
    return least


@register_jitable(error_model="numpy")
def _choose_steps(block: Block, span: float, deepest: int, eta: float, flat: bool) -> bool:
    """Choose first steps, by Aarseth's criterion after a trial as short as the shortest of them.

    A trial, of all particles together, gives the higher derivatives, whatever the force is and
    where its rate is zero, as of particles at rest.
    """
    everyone = np.arange(block.last.size)
    h, least = span, math.ldexp(span, -deepest)
    while True:
        _predict(block, 1, h)
        finite = _forces(block, everyone, flat)
        shortest = _first_wanted(block, h, eta)
        # on the way there something may happen of which only a shorter trial knows
        if finite and shortest >= h:
            return True
        if not h > least:
            return False
        h = min(max(shortest, SLOW * h), QUICK * h) if finite else SLOW * h


@register_jitable(error_model="numpy")
def _steep(
    block: Block, pair: Any, couplings: Any, i: int, j: int, d2: float, du: float, u2: float
) -> bool:
    """Say whether the force of a pair on the way to its closest point is one that steps miss."""
    bond = 1.0 if couplings is None else couplings[i, j]
    qi, qj, mi, mj = block.charges[i], block.charges[j], block.masses[i], block.masses[j]
    force, _ = pair_force(pair, d2, qi, qj, mi, mj, bond)
    now = STEEPER * abs(force) * math.sqrt(d2)
    closest2, p2 = max(d2 - du * du / u2, 0.0), d2
    for _ in range(LOOKS):
        p2 = max(p2 / (CLOSER * CLOSER), closest2)
        force, _ = pair_force(pair, p2, qi, qj, mi, mj, bond)
        pull = abs(force) * math.sqrt(p2)
        # what is not a number, of a collision, is steeper than anything
        if not (pull * math.sqrt(p2) <= FELT * u2 * min(mi, mj) or pull <= now):
            return True
        if p2 == closest2:
            break
    return False


@register_jitable(error_model="numpy")
def _meet(block: Block, pair: Any, couplings: Any, i: int) -> None:
    """Bound the next steps of particle i, and of those that it would meet unseen."""
    if pair is None:
        return
    for j in range(block.last.size):
        d2, du, u2 = 0.0, 0.0, 0.0
        for d in range(3):
            apart, relative = block.xp[d, i] - block.xp[d, j], block.vp[d, i] - block.vp[d, j]
            d2, du, u2 = d2 + apart * apart, du + apart * relative, u2 + relative * relative
        until = max(block.wanted[i], block.ahead[j])
        if passing(d2, du, u2, until, NEAR) and _steep(block, pair, couplings, i, j, d2, du, u2):
            bound = NEAR * math.sqrt(d2 / u2)
            block.wanted[i] = min(block.wanted[i], bound)
            if block.ahead[j] > 0.0:
                block.ahead[j] = min(block.ahead[j], bound)
            else:  # whose step ends now too
                block.wanted[j] = min(block.wanted[j], bound)


@register_jitable(error_model="numpy")
def _meet_all(block: Block, active: Any) -> bool:
    """Bound steps by encounters; say whether there were any to look at."""
    some = False
    for i in active:
        if block.near[i] > 0.0:
            _meet(block, block.pair, block.couplings, i)
            some = True
    return some


@register_jitable(error_model="numpy")
def _ticks(wanted: float, longest: int, unit: float) -> int:
    """Return the longest step of 2^k ticks that is neither longer than wanted nor than longest."""
    ticks = longest
    while ticks > 0 and not ticks * unit <= wanted:
        ticks >>= 1
    return ticks


@register_jitable(error_model="numpy")
def _plan(block: Block, active: Any, tick: int, unit: float) -> bool:
    """Set when the next steps end of particles that end one now; say whether all are long enough.

    At most twice as long as the last one, and from multiples of its length only: so steps of one
    length fall together.
    """
    aligned = tick & -tick
    for i in active:
        longest = aligned
        while longest > 2 * (tick - block.last[i]):
            longest >>= 1
        ticks = _ticks(block.wanted[i], longest, unit)
        if ticks == 0:
            return False
        block.last[i], block.due[i] = tick, tick + ticks
    return True


@register_jitable(error_model="numpy")
def _wake(block: Block, tick: int, unit: float) -> None:
    """End the steps earlier of particles that would not see whom they meet."""
    for j in range(block.last.size):
        if block.due[j] > tick and block.ahead[j] < unit * (block.due[j] - tick):
            ticks = max(_ticks(block.ahead[j], tick & -tick, unit), 1)
            block.due[j] = min(block.due[j], tick + ticks)


@register_jitable(error_model="numpy")
def _begin(block: Block, span: float, deepest: int, eta: float, flat: bool) -> int:
    """Compute forces, and choose first steps where none are known; return a status."""
    block.xp[:], block.vp[:] = block.x, block.v
    if not _forces(block, np.arange(block.last.size), flat):
        return NOT_FINITE
    block.a[:], block.j[:] = block.a1, block.j1
    if not block.wanted.min() > 0.0 and not _choose_steps(block, span, deepest, eta, flat):
        return TOO_SMALL
    for i in range(block.last.size):
        block.due[i] = max(_ticks(block.wanted[i], 1 << deepest, math.ldexp(span, -deepest)), 1)
    return DONE


@register_jitable(error_model="numpy")
def _next(block: Block, some: np.ndarray, unit: float) -> int:
    """Write whose steps end next, and return how many; note how far ahead those of others do."""
    due, last, ahead, wanted = block.due, block.last, block.ahead, block.wanted
    tick = due[0]
    for i in range(due.size):
        tick = min(tick, due[i])
    count = 0
    for i in range(due.size):
        ahead[i] = unit * (due[i] - tick)
        if due[i] == tick:
            wanted[i] = 2.0 * unit * (tick - last[i])  # at most
            some[count] = i
            count += 1
    block.progress[TICK] = tick
    return count


@register_jitable(error_model="numpy")
def _step(block: Block, some: np.ndarray, unit: float, eta: float, flat: bool) -> int:
    """Make the steps that end next; return a status."""
    active = some[: _next(block, some, unit)]
    tick = block.progress[TICK]
    _predict(block, tick, unit)
    if not _forces(block, active, flat):
        return NOT_FINITE
    _correct(block, active, tick, unit, eta)
    met = _meet_all(block, active)
    if not _plan(block, active, tick, unit):
        return TOO_SMALL
    if met:
        _wake(block, tick, unit)
    block.progress[STEPS] += 1
    return DONE


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
    flat, unit, some = dimensions == 2, math.ldexp(span, -deepest), np.empty(n, np.int64)
    if progress[EVALUATIONS] == 0:
        progress[STATUS] = _begin(block, span, deepest, eta, flat)
        if progress[STATUS] != DONE:
            return
    until = progress[EVALUATIONS] + most
    while progress[FRAME] < frames_x.shape[0]:
        if progress[EVALUATIONS] > until:
            progress[STATUS] = PAUSED
            return
        progress[STATUS] = _step(block, some, unit, eta, flat)
        if progress[STATUS] != DONE:
            return
        if progress[TICK] == 1 << deepest:
            frame = progress[FRAME]
            for d in range(dimensions):
                frames_x[frame, d], frames_v[frame, d] = block.x[d], block.v[d]
            block.due[:] -= block.last  # where all steps ended
            block.last[:] = 0
            progress[FRAME], progress[TICK] = frame + 1, 0
