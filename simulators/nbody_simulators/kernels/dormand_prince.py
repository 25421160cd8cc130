"""DOP853 for one trajectory, in numba: the steps that SciPy takes with the norm of particles.

The method is that of Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I"
(1993), II.5, II.6 and II.10, the coefficients are SciPy's. Forces are called through an address,
so that it is compiled once for all laws.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from scipy.integrate import DOP853

from nbody_simulators.kernels.addresses import call_pair_force, call_right_hand_side
from nbody_simulators.kernels.approaches import passing
from nbody_simulators.kernels.particle_errors import largest_error, mean_squares

__all__ = ["ENDLESS", "NOT_FINITE", "SOLVED", "TOO_SMALL", "encounter_bound", "solve"]

SOLVED, TOO_SMALL, NOT_FINITE, ENDLESS = 0, 1, 2, 3

STAGES = 12
A = np.vstack([np.pad(DOP853.A, ((0, 1), (0, 4))), DOP853.A_EXTRA])
"""Of all 16 stages; that of row 12 is the new state, whose weights are `B`."""
A[STAGES, :STAGES] = DOP853.B
C = np.concatenate([DOP853.C, [1.0], DOP853.C_EXTRA])
E3, E5, D = DOP853.E3.copy(), DOP853.E5.copy(), DOP853.D.copy()
POWERS = 7  # of the dense output

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0  # of the step size, as SciPy has them
EXPONENT = -1.0 / 8.0  # of an error of order 7
TINY, STILL, SHORT = 1e-5, 1e-15, 1e-6  # of the first step, see `particle_norm`


@numba.njit(cache=True, error_model="numpy", nogil=True)
def encounter_bound(
    address: int,
    arguments: int,
    x: np.ndarray,
    v: np.ndarray,
    masses: np.ndarray,
    step: float,
    rtol: float,
    atol: float,
    share: float,
    steeper: float,
    closer: float,
    looks: int,
) -> float:
    """Longest step from x, v (N, D), as `integrators.encounters` defines it."""
    n, dimensions = x.shape
    bound = math.inf
    for i in range(n):
        for j in range(i + 1, n):
            d2, du, u2 = 0.0, 0.0, 0.0
            for k in range(dimensions):
                d, u = x[i, k] - x[j, k], v[i, k] - v[j, k]
                d2, du, u2 = d2 + d * d, du + d * u, u2 + u * u
            if not passing(d2, du, u2, min(step, bound), share):
                continue
            closest2 = max(d2 - du * du / u2, 0.0)
            speed = math.sqrt(u2)
            vi, vj = 0.0, 0.0
            for k in range(dimensions):
                vi, vj = vi + v[i, k] * v[i, k], vj + v[j, k] * v[j, k]
            felt = min(
                masses[i] * (atol + rtol * math.sqrt(vi)), masses[j] * (atol + rtol * math.sqrt(vj))
            )
            now = call_pair_force(address, i, j, d2, arguments)
            p2 = d2
            for _ in range(looks):
                p2 = max(p2 / (closer * closer), closest2)
                force = call_pair_force(address, i, j, p2, arguments)
                # what is not a number, of a collision, is steeper than anything
                if not (force * math.sqrt(p2) <= felt * speed or force <= steeper * now):
                    bound = min(bound, share * math.sqrt(d2) / speed)
                    break
                if p2 == closest2 or force == 0.0:
                    break
    return bound


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _copy(source: np.ndarray, out: np.ndarray) -> None:
    """Copy a vector, by a loop: an assignment of arrays takes seconds longer to compile."""
    for m in range(out.size):
        out[m] = source[m]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _stage(s: int, h: float, y: np.ndarray, stages: np.ndarray, out: np.ndarray) -> None:
    """Write y + h sum_j A[s, j] K[j] into `out`."""
    out[:] = 0.0
    for j in range(s):
        a = A[s, j]
        if a != 0.0:
            for m in range(out.size):
                out[m] += a * stages[j, m]
    for m in range(out.size):
        out[m] = y[m] + h * out[m]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _combined(weights: np.ndarray, stages: np.ndarray, out: np.ndarray) -> None:
    """Write sum_j w[j] K[j] into `out`."""
    out[:] = 0.0
    for j in range(weights.size):
        w = weights[j]
        if w != 0.0:
            for m in range(out.size):
                out[m] += w * stages[j, m]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _interpolants(
    h: float, y: np.ndarray, y_new: np.ndarray, stages: np.ndarray, out: np.ndarray
) -> None:
    """Write the coefficients (7, M) of the dense output (II.6)."""
    for m in range(y.size):
        moved = y_new[m] - y[m]
        out[0, m] = moved
        out[1, m] = h * stages[0, m] - moved
        out[2, m] = 2.0 * moved - h * (stages[STAGES, m] + stages[0, m])
    for power in range(3, POWERS):
        _combined(D[power - 3], stages, out[power])
        for m in range(y.size):
            out[power, m] *= h


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _interpolated(share: float, y: np.ndarray, interpolants: np.ndarray, out: np.ndarray) -> None:
    for m in range(y.size):
        value = 0.0
        for power in range(POWERS):
            value += interpolants[POWERS - 1 - power, m]
            value *= share if power % 2 == 0 else 1.0 - share
        out[m] = y[m] + value


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _first_step(
    y: np.ndarray,
    rate: np.ndarray,
    probe: np.ndarray,
    layout: np.ndarray,
    n: int,
    rtol: float,
    atol: float,
    longest: float,
    h0: float,
) -> float:
    """Choose a first step, or, where `h0` is 0, how far ahead the `probe` of the rate is to be."""
    d0, d1 = np.empty(n), np.empty(n)
    mean_squares(rate, y, layout, n, rtol, atol, d1)
    if h0 == 0.0:
        mean_squares(y, y, layout, n, rtol, atol, d0)
        for i in range(n):
            if d0[i] >= TINY * TINY and d1[i] >= TINY * TINY:
                h = 0.01 * math.sqrt(d0[i]) / math.sqrt(d1[i])
                h0 = h if h0 == 0.0 else min(h0, h)
        return min(SHORT if h0 == 0.0 else h0, longest)
    change = np.empty(y.size)
    for m in range(y.size):
        change[m] = probe[m] - rate[m]
    mean_squares(change, y, layout, n, rtol, atol, d0)
    fastest = max(math.sqrt(d1.max()), math.sqrt(d0.max()) / h0)
    h1 = max(SHORT, 1e-3 * h0) if fastest <= STILL else (0.01 / fastest) ** -EXPONENT
    return min(100.0 * h0, h1, longest)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def solve(
    force: int,
    pair: int,
    arguments: np.ndarray,
    masses: np.ndarray,
    start: np.ndarray,
    dimensions: int,
    begin: float,
    end: float,
    times: np.ndarray,
    tolerances: tuple[float, float, float],
    look: tuple[float, float, float, int],
    endless: tuple[float, int],
    out: np.ndarray,
) -> tuple[int, int, int]:
    """Solve one trajectory from `begin` to `end`.

    Parameters
    ----------
    force, pair : int
        Addresses of the functions of `right_hand_side`; a pair's may be 0.
    arguments : ndarray, shape (K,)
        Theirs; the first of them counts the calls.
    masses : ndarray, shape (N,)
    start : ndarray, shape (M,)
        Positions and velocities, both by component.
    dimensions : int
    begin, end : float
    times : ndarray, shape (F,)
        Of the frames, in order, from `begin` to `end`.
    tolerances : tuple
        rtol, atol and the longest step.
    look : tuple
        `SHARE`, `STEEPER`, `CLOSER` and `LOOKS` of `integrators.encounters`.
    endless : tuple
        `SPECK` and `PATIENCE` of `integrators.outcome`.
    out : ndarray, shape (F, M)
        Filled as far as it gets.

    Returns
    -------
    frames, status, steps : int
    """
    rtol, atol, longest = tolerances
    size, n = start.size, masses.size
    layout = np.empty((2, 4), np.int64)
    for part in range(2):
        layout[part, 0], layout[part, 1] = part * dimensions * n, dimensions
        layout[part, 2], layout[part, 3] = 1, n
    y, y_new, work, error = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    _copy(start, y)
    stages, interpolants = np.empty((16, size)), np.empty((POWERS, size))
    rows, row = stages.ctypes.data, 8 * size
    known = arguments.ctypes.data
    t, frames, steps, short = begin, 0, 0, 0
    speck, patience = endless
    speck *= times[0] - begin

    call_right_hand_side(force, rows, t, y.ctypes.data, known)
    for m in range(size):
        if not math.isfinite(stages[0, m]):
            return frames, NOT_FINITE, steps
    span = min(end - begin, longest)
    h0 = _first_step(y, stages[0], stages[0], layout, n, rtol, atol, span, 0.0)
    for m in range(size):
        work[m] = y[m] + h0 * stages[0, m]
    call_right_hand_side(force, rows + row, t + h0, work.ctypes.data, known)
    size_h = _first_step(y, stages[0], stages[1], layout, n, rtol, atol, span, h0)

    x_now = y[: n * dimensions].reshape((dimensions, n)).T
    v_now = y[n * dimensions :].reshape((dimensions, n)).T
    while t < end:
        least = 10.0 * abs(np.nextafter(t, math.inf) - t)
        size_h = min(size_h, longest)
        if pair != 0 and n > 1:
            bound = encounter_bound(pair, known, x_now, v_now, masses, size_h, rtol, atol, *look)
            size_h = min(size_h, bound)
        size_h = max(size_h, least)
        rejected = False
        while True:
            if not size_h >= least:
                return frames, TOO_SMALL, steps
            t_new = min(t + size_h, end)
            h = t_new - t
            size_h = h
            for s in range(1, STAGES):
                _stage(s, h, y, stages, work)
                call_right_hand_side(force, rows + row * s, t + C[s] * h, work.ctypes.data, known)
            _stage(STAGES, h, y, stages, y_new)
            call_right_hand_side(force, rows + row * STAGES, t_new, y_new.ctypes.data, known)
            _combined(E5, stages, error)
            _combined(E3, stages, work)
            wrong = h * largest_error(error, work, y, y_new, layout, n, rtol, atol)
            if wrong < 1.0:
                factor = GROW if wrong == 0.0 else min(GROW, SAFETY * wrong**EXPONENT)
                size_h *= min(1.0, factor) if rejected else factor
                break
            shrunk = SAFETY * wrong**EXPONENT
            size_h *= shrunk if shrunk > SHRINK else SHRINK  # which NaN is not
            rejected = True
        steps += 1
        short = short + 1 if h < speck else 0
        if short > patience:
            return frames, ENDLESS, steps
        if frames < times.size and times[frames] <= t_new:
            for s in range(STAGES + 1, 16):
                _stage(s, h, y, stages, work)
                call_right_hand_side(force, rows + row * s, t + C[s] * h, work.ctypes.data, known)
            _interpolants(h, y, y_new, stages, interpolants)
            while frames < times.size and times[frames] <= t_new:
                if times[frames] == t_new:  # the state itself, without the interpolant's rounding
                    _copy(y_new, out[frames])
                else:
                    _interpolated((times[frames] - t) / h, y, interpolants, out[frames])
                frames += 1
        _copy(y_new, y)
        _copy(stages[STAGES], stages[0])
        t = t_new
    return frames, SOLVED, steps
