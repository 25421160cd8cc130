"""Draws of all unknowns: what else the tracks would have said, had their noise been another.

A multiplier bootstrap (Kline and Santos, J. Econom. Methods 1 (2012) 23) over blocks of runs and
times: the scores of the blocks are weighted anew, the information stays, so that no draw loses the
only block that tells something. It holds where noise is not what the model says. What smoothing
takes off a curve is no part of it: it comes from the smoothness' own distribution, as in the
intervals of Wahba and Nychka (J. Am. Stat. Assoc. 83 (1988) 1134).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.discovery.estimate import Estimate, solve, within_scales
from nbody_surrogate.discovery.normal import blocks_of, normal_equations

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["BLOCKS", "draws_of", "interval"]

BLOCKS = 60
"""Blocks of time: enough for their scatter to be known to a tenth."""


def draws_of(
    estimate: Estimate, count: int, rng: np.random.Generator
) -> Float64[np.ndarray, "S P"]:
    """Return draws of the unknowns about their estimate.

    Parameters
    ----------
    estimate : Estimate
    count : int
        How many.
    rng : numpy.random.Generator
    """
    problem, unknowns = estimate.problem, estimate.unknowns
    normal = normal_equations(problem, unknowns, blocks_of(problem, BLOCKS))
    penalty = estimate.smoothness.matrix(problem)
    directions = within_scales(unknowns, estimate.freedom.directions(problem.layout))
    blocks = len(normal.score)
    # with few blocks their own mean takes up part of their scatter
    scores = (normal.score - normal.score.mean(0)) * np.sqrt(blocks / max(blocks - 1, 1))
    shaken = scores.T @ rng.standard_normal((blocks, count))
    values, vectors = np.linalg.eigh(penalty)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shaken += root @ rng.standard_normal((len(values), count))
    steps, _ = solve(normal.information.sum(0) + penalty, shaken, directions)
    return np.asarray(unknowns.vector + steps.T)


def interval(value: float, draws: np.ndarray) -> dict[str, Any]:
    """Return a value with its 95 % interval, as plain numbers; None without draws."""
    if not len(draws):
        return {"value": float(value), "low": None, "high": None}
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}
