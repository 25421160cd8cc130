"""The numbers of `SETSymplectic` from data, by least squares: Gauss and Newton's steps, damped.

There are some thirty of them, which stand in each other's way: a splitting is good where terms of
both signs cancel. And a frame costs microseconds. So all derivatives of a roll-out are taken, by
one more roll-out for each number, and some twenty steps are enough.

Levenberg, Quart. Appl. Math. 2 (1944) 164; Marquardt, J. Soc. Indust. Appl. Math. 11 (1963) 431.
What is minimised is the mean over starts of

    sum_q w_q log(1 + e^2 / s_q^2),

e^2 the mean squared error after some frames, in units of dt^2 / 2 and dt, and s_q^2 the quantile q
of e^2 over the starts: easy starts, ordinary ones and close encounters all count. To that comes a
small multiple of the numbers' own squares, where they are to be no larger than they must.
Least squares with weights that follow (Holland and Welsch, Commun. Stat. A 6 (1977) 813).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from nbody_surrogate.contracts import AbstractSurrogate, Particles, ParticleTensors

__all__ = ["Roll", "draw_starts", "least_squares", "roll_out_errors"]

Roll = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From the learned numbers (M,) to errors of starts, (S, E), after each of some horizons."""

LEVELS = ((0.1, 1.0), (0.5, 1.0), (0.98, 8.0))
"""Quantiles and their weights. The rare close encounters make the error of a long run."""
STEPS = 30
ENOUGH = 2e-4  # of the loss, below which a step is the last
SHIFT = 1e-7  # of a number, for its derivative: the root of rounding, 1e-16, twice over
STALE = 4  # steps after which the quantiles are taken anew
TINY = 1e-26  # of e^2: rounding
FIRST_DAMPING, LEAST_DAMPING, EASED, HARDENED, TRIES = 1e-3, 1e-12, 5.0, 6.0, 8


def draw_starts(
    trajectories: int, frames: int, horizon: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories and frames to start from, which have `horizon` frames behind them."""
    room = frames - horizon
    total = trajectories * room
    chosen = np.random.default_rng(0).permutation(total)[:most]
    return chosen // room, chosen % room


def roll_out_errors(
    model: AbstractSurrogate,
    dt: float,
    truth: list[tuple[Tensor, Tensor]],
    horizons: list[int],
    particles: ParticleTensors,
) -> list[np.ndarray]:
    """Return errors of roll-outs, (S, 2 N D), in units of dt^2 / 2 and dt, per coordinate.

    Parameters
    ----------
    model : AbstractSurrogate
        Without a cache.
    dt : float
    truth : list of pairs of Tensor, float64, shape (S, N, D)
        Positions and velocities of the starts, then after each horizon.
    horizons : list of int
        Frames, ascending.
    particles : ParticleTensors, shape (S, N)
    """
    (x, v), *later = truth
    frames = _rolled_out(model, x, v, particles, horizons[-1])
    units, size = (dt * dt / 2, dt), x[0].numel() ** 0.5
    return [
        np.concatenate(
            [
                ((made[:, h - 1] - true.cpu().numpy()) / (unit * size)).reshape(len(made), -1)
                for made, true, unit in zip(frames, wanted, units, strict=True)
            ],
            axis=1,
        )
        for h, wanted in zip(horizons, later, strict=True)
    ]


def _rolled_out(
    model: AbstractSurrogate, x: Tensor, v: Tensor, particles: ParticleTensors, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames that follow, (S, count, N, D): compiled where they can be."""
    plain = Particles(particles.charges.cpu().numpy(), particles.masses.cpu().numpy())
    steps = model.fused_steps(plain, x.shape[-1], particles.field)
    made_x, made_v = np.empty((2, len(x), count, *x.shape[1:]))
    if steps is not None:
        steps.advance({}, x.cpu().numpy(), v.cpu().numpy(), made_x, made_v, 1)
        return made_x, made_v
    for f in range(count):
        dx, dv, _ = model.step_cache({}, x, v, particles)
        x, v = x + dx, v + dv
        made_x[:, f], made_v[:, f] = x.cpu().numpy(), v.cpu().numpy()
    return made_x, made_v


def least_squares(roll: Roll, begin: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Return numbers of smaller errors than those to begin with, or these where there are none.

    Parameters
    ----------
    roll : callable
        May return what is not finite.
    begin : ndarray, shape (M,)
    ridge : ndarray, shape (M,)
        What is added to the loss for the square of each number.
    """
    now, damping = begin, FIRST_DAMPING
    errors = roll(now)
    scales = _scales(errors)
    for step in range(STEPS):
        matrix, gradient = _normal_equations(roll, now, errors, scales)
        loss = _loss(errors, scales) + ridge @ now**2
        for _ in range(TRIES):
            tried: np.ndarray = now + _solved(
                matrix + np.diag(ridge), gradient + ridge * now, damping
            )
            its_errors = roll(tried)
            gain = loss - _loss(its_errors, scales) - ridge @ tried**2
            if gain > 0:  # and so a number
                break
            damping *= HARDENED
        else:
            return now
        now, errors = tried, its_errors
        if gain < ENOUGH:
            return now
        damping = max(damping / EASED, LEAST_DAMPING)
        if step % STALE == STALE - 1:
            scales = _scales(errors)
    return now


def _squares(errors: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [(each * each).sum(1) for each in errors]


def _scales(errors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return s_q^2 of each horizon."""
    levels = [q for q, _ in LEVELS]
    return [np.quantile(each, levels) + TINY for each in _squares(errors)]


def _loss(errors: Sequence[np.ndarray], scales: Sequence[np.ndarray]) -> float:
    return float(
        sum(
            weight * np.log1p(squared / scale).mean()
            for squared, of_horizon in zip(_squares(errors), scales, strict=True)
            for scale, (_, weight) in zip(of_horizon, LEVELS, strict=True)
        )
    )


def _normal_equations(
    roll: Roll, now: np.ndarray, errors: Sequence[np.ndarray], scales: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return J^T W J and J^T W e, the weights W as they are at these errors."""
    shifted = [roll(now + shift) for shift in SHIFT * np.eye(len(now))]
    matrix, gradient = np.zeros((len(now), len(now))), np.zeros(len(now))
    for h, (squared, of_horizon) in enumerate(zip(_squares(errors), scales, strict=True)):
        levels = zip(of_horizon, LEVELS, strict=True)
        weights = sum(weight / (scale + squared) for scale, (_, weight) in levels)
        root = np.sqrt(weights / len(squared))[:, None]
        derivatives = [(root * (each[h] - errors[h]) / SHIFT).ravel() for each in shifted]
        jacobian = np.stack(derivatives, axis=1)
        matrix += jacobian.T @ jacobian
        gradient += jacobian.T @ (root * errors[h]).ravel()
    return matrix, gradient


def _solved(matrix: np.ndarray, gradient: np.ndarray, damping: float) -> np.ndarray:
    diagonal = np.diag(matrix)
    # a number that changes nothing, as where there is one particle, stays as it is
    ridge = damping * diagonal + np.finfo(np.float64).eps * diagonal.max() + TINY
    return -np.linalg.solve(matrix + np.diag(ridge), gradient)
