"""SciPy's Runge-Kutta solvers with the error of the worst particle in the place of a mean.

SciPy takes the root mean square of the error over all components of the state. There a particle
that hardly moves makes room for the errors of others: a tight pair beside a thousand idle
particles is solved thirty times worse than alone. Here each particle has an error of its own,

    E_i = sqrt( sum_s |e_is|^2 / (atol + rtol max(|y_is|, |y_is'|))^2 / K ),

and the error of a step is the largest E_i. The sum goes over what particle i has: its position,
its velocity and its hidden variables; e_is is the error of one of them, as a vector, y_is and y_is'
are its values before and after the step, and K is the number of all components of a particle. By
vectors and not by components it does not depend on the choice of axes. A single particle along an
axis has the error that SciPy gives it. Of `DOP853`, which joins two errors of orders 5 and 3, the
norm is taken of each particle's two (Hairer, Norsett, Wanner 1993, II.10).

The first step is that of the same book, II.4, for the particle that needs the shortest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, final

import numpy as np
from scipy import integrate

__all__ = ["ParticleDOP853", "ParticleNorm", "ParticleRK45", "first_step"]

NOTHING = 1e-5  # of a scaled state or rate: it says nothing of a time scale (II.4)
STILL = 1e-15  # of scaled rates (II.4)
SHORT = 1e-6  # a first step where nothing says how long it may be


@final
class ParticleNorm:
    """Takes states apart by particle.

    Parameters
    ----------
    shapes : iterable of tuple of int
        What lies behind each other in a flat state y (M,), such as (N, D) for positions; the first
        axis of each is that of particles.
    rtol, atol : float
    """

    def __init__(self, shapes: Iterable[tuple[int, ...]], rtol: float, atol: float) -> None:
        # numba with its kernels, which a run that is refused does without
        from nbody_simulators.kernels.particle_errors import largest_error, mean_squares

        self._largest, self._mean_squares = largest_error, mean_squares
        rows, begin = [], 0
        for shape in shapes:
            width = math.prod(shape[1:])
            rows.append((begin, width, width, 1))
            begin += math.prod(shape)
            self.particles = shape[0]
        self.layout = np.array(rows)
        self.rtol, self.atol = rtol, atol
        self.zeros = np.zeros(begin)

    def error(self, error: np.ndarray, y: np.ndarray, y_new: np.ndarray) -> float:
        """Return the largest error of a particle."""
        return self.joined_error(error, self.zeros, y, y_new)

    def joined_error(
        self, fifth: np.ndarray, third: np.ndarray, y: np.ndarray, y_new: np.ndarray
    ) -> float:
        """Return the largest of two errors that are joined, particle by particle."""
        states = fifth, third, y, y_new
        return float(self._largest(*states, self.layout, self.particles, self.rtol, self.atol))

    def sizes(self, vector: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Root mean square (N,) of a vector (M,) over the components of each particle, scaled."""
        out = np.empty(self.particles)
        self._mean_squares(vector, y, self.layout, self.particles, self.rtol, self.atol, out)
        return np.sqrt(out)


def first_step(
    norm: ParticleNorm,
    order: int,
    y: np.ndarray,
    f: np.ndarray,
    probe: Callable[[float], np.ndarray],
    longest: float,
) -> float:
    """Choose a first step.

    Parameters
    ----------
    norm : ParticleNorm
    order : int
        Of the error estimator.
    y, f : ndarray, shape (M,)
        The start and its rate.
    probe : callable
        Takes a step h, returns the rate after an Euler step of that length.
    longest : float

    Returns
    -------
    float
        0 where rates are beyond what a float holds.
    """
    d0, d1 = norm.sizes(y, y), norm.sizes(f, y)
    telling = (d0 >= NOTHING) & (d1 >= NOTHING)
    h0 = min(float((0.01 * d0[telling] / d1[telling]).min()) if telling.any() else SHORT, longest)
    if not h0 > 0:  # of rates beyond what a float holds, which the solver ends at its first step
        return 0.0
    d2 = float(norm.sizes(probe(h0) - f, y).max()) / h0
    fastest = max(float(d1.max()), d2)
    h1 = max(SHORT, 1e-3 * h0) if fastest <= STILL else (0.01 / fastest) ** (1 / (order + 1))
    return min(100 * h0, h1, longest)


class _PerParticle(integrate.OdeSolver):  # type: ignore[misc]  # SciPy has no types
    """What both share: a norm in the place of SciPy's; stages and steps are SciPy's.

    Parameters
    ----------
    fun, t0, y0, t_bound
        As of SciPy's.
    norm : ParticleNorm
    step : float or None
        The first one; None chooses it.
    max_step : float
    """

    B: np.ndarray
    error_estimator_order: int

    def __init__(
        self,
        fun: Any,
        t0: float,
        y0: np.ndarray,
        t_bound: float,
        norm: ParticleNorm,
        first_step: float | None,
        max_step: float,
    ) -> None:
        self.norm = norm
        span = t_bound - t0
        options: dict[str, Any] = {"rtol": norm.rtol, "atol": norm.atol, "max_step": max_step}
        # any will do: where there is none, it is chosen below, from the rate that SciPy computes
        super().__init__(fun, t0, y0, t_bound, first_step=first_step or span, **options)
        if first_step is None:
            self.h_abs = self._first_step(min(span, max_step))

    def _first_step(self, longest: float) -> float:
        if not np.isfinite(self.f).all():
            return longest  # the caller ends it
        order = self.error_estimator_order
        return first_step(self.norm, order, self.y, self.f, self._after, longest)

    def _after(self, h: float) -> np.ndarray:
        rate: np.ndarray = self.fun(self.t + h, self.y + h * self.f)
        return rate

    def _new(self, K: np.ndarray, h: float) -> np.ndarray:
        # SciPy hands over the scales of components only; this is the sum that it took itself
        state: np.ndarray = self.y + h * np.dot(K[:-1].T, self.B)
        return state


@final
class ParticleRK45(_PerParticle, integrate.RK45):  # type: ignore[misc]
    """`scipy.integrate.RK45` with the error of the worst particle."""

    def _estimate_error_norm(self, K: np.ndarray, h: float, scale: np.ndarray) -> float:
        del scale
        return self.norm.error(self._estimate_error(K, h), self.y, self._new(K, h))


@final
class ParticleDOP853(_PerParticle, integrate.DOP853):  # type: ignore[misc]
    """`scipy.integrate.DOP853` with the error of the worst particle."""

    def _estimate_error_norm(self, K: np.ndarray, h: float, scale: np.ndarray) -> float:
        del scale
        errors = np.dot(K.T, self.E5), np.dot(K.T, self.E3)
        return abs(h) * self.norm.joined_error(*errors, self.y, self._new(K, h))
