"""How much noise the positions have, and how strong the kicks are, by maximum likelihood."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from nbody_surrogate.discovery.equations import Equations
from nbody_surrogate.discovery.innovations import HUBER, whitener
from nbody_surrogate.discovery.normal import Residuals
from nbody_surrogate.discovery.unknowns import Unknowns

__all__ = ["estimate_noise"]

REACH = 4.0
"""How far a logarithm moves in one round: the curves are smooth, and rounds follow each other."""

FLOOR = 1e-30
"""Variances below this, in the tracks' own units, are nothing."""


def estimate_noise(residuals: Residuals, unknowns: Unknowns, robust: bool) -> None:
    """Improve the noise of positions of each axis and the kicks of each particle, in place."""
    if residuals.joint is not None:
        residuals.joint.improve(unknowns)
        return
    every = list(zip(residuals.particles, residuals.parts, strict=True))
    for m in sorted(set(residuals.particles)):
        mine = [part for k, part in every if k == m]

        def of_kicks(log: float, mine: list[Equations] = mine) -> float:
            return sum(_cost(part, unknowns.noise, float(np.exp(log)), robust) for part in mine)

        unknowns.kicks[m] = _best(of_kicks, unknowns.kicks[m])
    for d in range(unknowns.noise.size):

        def of_noise(log: float, d: int = d) -> float:
            noise = unknowns.noise.copy()
            noise[d] = np.exp(log)
            # without robust weights the axes do not see each other
            axes = None if robust else [d]
            return sum(_cost(part, noise, unknowns.kicks[m], robust, axes) for m, part in every)

        unknowns.noise[d] = _best(of_noise, unknowns.noise[d])


def _best(cost: object, now: float) -> float:
    start = np.log(max(now, FLOOR))
    low = max(start - REACH, np.log(FLOOR))
    found = minimize_scalar(
        cost,
        bounds=(low, max(start, low) + REACH),
        method="bounded",
        options={"xatol": 0.1, "maxiter": 9},
    )
    return float(np.exp(found.x))


def _cost(
    part: Equations, noise: np.ndarray, kicks: float, robust: bool, axes: list[int] | None = None
) -> float:
    """Return the negative log-likelihood of the rows of one stretch."""
    axes = list(range(len(part.rows))) if axes is None else axes
    total, size = 0.0, np.zeros(part.rows.shape[1])
    for d in axes:
        white = whitener(part.step, part.scale * noise[d], kicks)
        size += white(part.rows[d]) ** 2
        total += white.log_determinant
    if robust:
        size = np.where(size <= HUBER**2, size, 2.0 * HUBER * np.sqrt(size) - HUBER**2)
    return total + 0.5 * float(size.sum())
