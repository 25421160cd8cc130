"""How much noise the positions have, and how strong the kicks are, by maximum likelihood."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from nbody_surrogate.discovery.equations import HUBER, Equations
from nbody_surrogate.discovery.innovations import whitener
from nbody_surrogate.discovery.normal import Residuals
from nbody_surrogate.discovery.unknowns import Unknowns

__all__ = ["estimate_noise"]

REACH = 4.0
"""How far a logarithm moves in one round: the curves are smooth, and rounds follow each other."""

FLOOR = 1e-30
"""Variances below this, in the tracks' own units, are nothing."""


def estimate_noise(residuals: Residuals, unknowns: Unknowns, robust: bool) -> None:
    """Improve the noise of positions of each axis and the kicks of each particle, in place."""
    for m in sorted(set(residuals.particles)):
        mine = [
            part for k, part in zip(residuals.particles, residuals.parts, strict=True) if k == m
        ]

        def of_kicks(log: float, mine: list[Equations] = mine) -> float:
            return sum(_cost(part, d, unknowns.noise[d], float(np.exp(log)), robust)
                       for part in mine for d in range(unknowns.noise.size))  # fmt: skip

        unknowns.kicks[m] = _best(of_kicks, unknowns.kicks[m])
    every = list(zip(residuals.particles, residuals.parts, strict=True))
    for d in range(unknowns.noise.size):

        def of_noise(log: float, d: int = d) -> float:
            return sum(_cost(part, d, float(np.exp(log)), unknowns.kicks[m], robust)
                       for m, part in every)  # fmt: skip

        unknowns.noise[d] = _best(of_noise, unknowns.noise[d])


def _best(cost: object, now: float) -> float:
    start = np.log(max(now, FLOOR))
    low = max(start - REACH, np.log(FLOOR))
    found = minimize_scalar(
        cost, bounds=(low, max(start, low) + REACH), method="bounded", options={"xatol": 0.03}
    )
    return float(np.exp(found.x))


def _cost(part: Equations, d: int, noise: float, kicks: float, robust: bool) -> float:
    """Return the negative log-likelihood of the rows of one stretch along one axis."""
    white = whitener(part.step, part.scale * noise, kicks)
    size = np.abs(white(part.rows[:, d]))
    if robust:
        terms = np.where(size <= HUBER, 0.5 * size**2, HUBER * size - 0.5 * HUBER**2)
    else:
        terms = 0.5 * size**2
    return float(terms.sum()) + white.log_determinant
