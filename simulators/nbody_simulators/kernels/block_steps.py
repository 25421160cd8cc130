"""Hermite's scheme with individual block time steps, for one trajectory, in numba.

Each particle has a step of its own, a frame divided by a power of two, so that those of one length
fall together. At the next time at which any step ends, all particles are predicted, and those whose
step ends get a force, its rate, and a correction; the others wait. The formulas are those of
Makino and Aarseth, PASJ 44 (1992) 141, section 2. Time is counted in whole ticks, so that no
rounding parts what belongs together. Forces are called through an address: this is compiled once
for all laws.

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
from typing import NamedTuple

import numba
import numpy as np

from nbody_simulators.kernels.addresses import call_force_rates, call_pair_force
from nbody_simulators.kernels.approaches import passing

__all__ = [
    "DONE",
    "EVALUATIONS",
    "FRAME",
    "NEAR",
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
    wanted, ahead, near : ndarray, shape (N,)
        How long the next step should be, and the time until the present one ends, in reduced
        units; how many others a particle may meet within that. One after the other in memory, as
        xp to j1 are.
    masses : ndarray, shape (N,)
    rates, pair : int
        Addresses of the functions of `force_rates` and `integrators.right_hand_side`, the latter 0
        where there are no pairs.
    arguments : ndarray
        What these are handed.
    flat : bool
        Whether there are two dimensions only.
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
    wanted: np.ndarray
    ahead: np.ndarray
    near: np.ndarray
    masses: np.ndarray
    rates: int
    pair: int
    arguments: np.ndarray
    flat: bool
    progress: np.ndarray


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _forces(block: Block, active: np.ndarray) -> bool:
    """Write a1 and j1 of active particles; say whether all is finite."""
    call_force_rates(
        block.rates,
        block.xp.ctypes.data,
        block.wanted.ctypes.data,
        active.ctypes.data,
        active.size,
        block.arguments.ctypes.data,
    )
    block.progress[EVALUATIONS] += active.size
    total = 0.0
    for i in active:
        if block.flat:  # whatever a field pulls out of the plane
            block.a1[2, i], block.j1[2, i] = 0.0, 0.0
        for d in range(3):
            total += abs(block.a1[d, i]) + abs(block.j1[d, i])
    return math.isfinite(total)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _predict(block: Block, tick: int, unit: float) -> None:
    """Extrapolate all particles to a time."""
    for d in range(3):
        x, v, a, j = block.x[d], block.v[d], block.a[d], block.j[d]
        xp, vp = block.xp[d], block.vp[d]
        for i in range(block.last.size):
            h = unit * (tick - block.last[i])
            xp[i] = x[i] + h * (v[i] + h * (0.5 * a[i] + h * (j[i] * (1.0 / 6.0))))
            vp[i] = v[i] + h * (a[i] + h * (0.5 * j[i]))


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _wanted_step(a2: float, j2: float, s2: float, c2: float, h: float, eta: float) -> float:
    """Aarseth's criterion, of squares of |a|, |j| h, |a^(2)| h^2 and |a^(3)| h^3."""
    above = math.sqrt(a2 * s2) + j2
    below = math.sqrt(j2 * c2) + s2
    return math.inf if below == 0.0 else h * math.sqrt(eta * above / below)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _correct(block: Block, active: np.ndarray, tick: int, unit: float, eta: float) -> None:
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


@numba.njit(cache=True, error_model="numpy", nogil=True)
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


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _choose_steps(block: Block, span: float, deepest: int, eta: float) -> bool:
    """Choose first steps, by Aarseth's criterion after a trial as short as the shortest of them.

    A trial, of all particles together, gives the higher derivatives, whatever the force is and
    where its rate is zero, as of particles at rest.
    """
    everyone = np.arange(block.last.size)
    h, least = span, math.ldexp(span, -deepest)
    while True:
        _predict(block, 1, h)
        finite = _forces(block, everyone)
        shortest = _first_wanted(block, h, eta)
        # on the way there something may happen of which only a shorter trial knows
        if finite and shortest >= h:
            return True
        if not h > least:
            return False
        h = min(max(shortest, SLOW * h), QUICK * h) if finite else SLOW * h


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _steep(block: Block, i: int, j: int, d2: float, du: float, u2: float) -> bool:
    """Say whether the force of a pair on the way to its closest point is one that steps miss."""
    known, felt = block.arguments.ctypes.data, FELT * u2 * min(block.masses[i], block.masses[j])
    now = STEEPER * call_pair_force(block.pair, i, j, d2, known)
    closest2, p2 = max(d2 - du * du / u2, 0.0), d2
    for _ in range(LOOKS):
        p2 = max(p2 / (CLOSER * CLOSER), closest2)
        pull = call_pair_force(block.pair, i, j, p2, known)
        # what is not a number, of a collision, is steeper than anything
        if not (pull * math.sqrt(p2) <= felt or pull <= now):
            return True
        if p2 == closest2:
            break
    return False


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _meet(block: Block, i: int) -> None:
    """Bound the next steps of particle i, and of those that it would meet unseen."""
    for j in range(block.last.size):
        d2, du, u2 = 0.0, 0.0, 0.0
        for d in range(3):
            apart, relative = block.xp[d, i] - block.xp[d, j], block.vp[d, i] - block.vp[d, j]
            d2, du, u2 = d2 + apart * apart, du + apart * relative, u2 + relative * relative
        until = max(block.wanted[i], block.ahead[j])
        if passing(d2, du, u2, until, NEAR) and _steep(block, i, j, d2, du, u2):
            bound = NEAR * math.sqrt(d2 / u2)
            block.wanted[i] = min(block.wanted[i], bound)
            if block.ahead[j] > 0.0:
                block.ahead[j] = min(block.ahead[j], bound)
            else:  # whose step ends now too
                block.wanted[j] = min(block.wanted[j], bound)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _meet_all(block: Block, active: np.ndarray) -> bool:
    """Bound steps by encounters; say whether there were any to look at."""
    some = False
    for i in active:
        if block.near[i] > 0.0:
            _meet(block, i)
            some = True
    return some


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _ticks(wanted: float, longest: int, unit: float) -> int:
    """Return the longest step of 2^k ticks that is neither longer than wanted nor than longest."""
    ticks = longest
    while ticks > 0 and not ticks * unit <= wanted:
        ticks >>= 1
    return ticks


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _plan(block: Block, active: np.ndarray, tick: int, unit: float) -> bool:
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


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _wake(block: Block, tick: int, unit: float) -> None:
    """End the steps earlier of particles that would not see whom they meet."""
    for j in range(block.last.size):
        waits = block.last[j] < tick
        if waits and block.ahead[j] < unit * (block.due[j] - tick):
            ticks = max(_ticks(block.ahead[j], tick & -tick, unit), 1)
            block.due[j] = min(block.due[j], tick + ticks)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _copy(source: np.ndarray, out: np.ndarray) -> None:
    """Copy vectors (3, N), by loops: an assignment of arrays takes seconds longer to compile."""
    for d in range(3):
        for i in range(out.shape[1]):
            out[d, i] = source[d, i]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _begin(block: Block, span: float, deepest: int, eta: float) -> int:
    """Compute forces, and choose first steps where none are known; return a status."""
    _copy(block.x, block.xp)
    _copy(block.v, block.vp)
    if not _forces(block, np.arange(block.last.size)):
        return NOT_FINITE
    _copy(block.a1, block.a)
    _copy(block.j1, block.j)
    known = True
    for i in range(block.last.size):
        known = known and block.wanted[i] > 0.0
    if not known and not _choose_steps(block, span, deepest, eta):
        return TOO_SMALL
    _copy(block.x, block.xp)  # which a trial moves on
    _copy(block.v, block.vp)
    for i in range(block.last.size):
        block.wanted[i] = min(block.wanted[i], span)
    if block.pair != 0:
        for i in range(block.last.size):
            _meet(block, i)
    for i in range(block.last.size):
        block.due[i] = max(_ticks(block.wanted[i], 1 << deepest, math.ldexp(span, -deepest)), 1)
    return DONE


@numba.njit(cache=True, error_model="numpy", nogil=True)
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


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _step(block: Block, some: np.ndarray, unit: float, eta: float) -> int:
    """Make the steps that end next; return a status."""
    active = some[: _next(block, some, unit)]
    tick = block.progress[TICK]
    _predict(block, tick, unit)
    if not _forces(block, active):
        return NOT_FINITE
    _correct(block, active, tick, unit, eta)
    met = _meet_all(block, active)
    if not _plan(block, active, tick, unit):
        return TOO_SMALL
    if met:
        _wake(block, tick, unit)
    block.progress[STEPS] += 1
    return DONE


@numba.njit(cache=True, error_model="numpy", nogil=True)
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
    unit, some = math.ldexp(span, -deepest), np.empty(n, np.int64)
    if progress[EVALUATIONS] == 0:
        progress[STATUS] = _begin(block, span, deepest, eta)
        if progress[STATUS] != DONE:
            return
    until = progress[EVALUATIONS] + most
    while progress[FRAME] < frames_x.shape[0]:
        if progress[EVALUATIONS] > until:
            progress[STATUS] = PAUSED
            return
        progress[STATUS] = _step(block, some, unit, eta)
        if progress[STATUS] != DONE:
            return
        if progress[TICK] == 1 << deepest:
            frame = progress[FRAME]
            for i in range(n):
                for d in range(dimensions):
                    frames_x[frame, d, i], frames_v[frame, d, i] = block.x[d, i], block.v[d, i]
                block.due[i] -= block.last[i]  # where all steps ended
                block.last[i] = 0
            progress[FRAME], progress[TICK] = frame + 1, 0
