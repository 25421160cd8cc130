"""Starts of grains in a sheath: scattered at their heights, then relaxed, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_surrogate.contracts import ForceLaws

__all__ = ["relaxed", "scattered"]

GOLDEN = np.pi * (3.0 - np.sqrt(5.0))

AREA = 0.4
"""Radius squared of the disc over the number of grains: about one grain in a unit square."""

HIGHEST = 5.0
"""Grains that are much too heavy, or light, begin no farther off."""

MOVES, MOBILITY, LONGEST = 60, 0.1, 0.1
"""Moves of the relaxation, displacement per force, and the longest of a move: a fraction of the
distance of neighbours, about 1."""


def scattered(
    rng: np.random.Generator, n: int, dimensions: int, heights: np.ndarray | float
) -> np.ndarray:
    """Scatter grains (N, D) over a disc, evenly as the seeds of a sunflower, at their heights."""
    order = rng.permutation(n)
    angle = GOLDEN * order + 2.0 * np.pi * rng.random()
    radius = np.sqrt(AREA * (order + 0.5))
    x = 0.1 * rng.normal(size=(n, dimensions))
    x[:, 0] += radius * np.cos(angle)
    x[:, 1] += radius * np.sin(angle)
    if dimensions == 3:
        x[:, 2] += np.clip(heights, -HIGHEST, HIGHEST)
    return x


def relaxed(x: np.ndarray, charges: np.ndarray, masses: np.ndarray, laws: ForceLaws) -> np.ndarray:
    """Let grains (N, D) go some way along the forces on them, as if they had no inertia."""
    place = np.zeros((3, len(x)))
    place[: x.shape[1]] = x.T
    for _ in range(MOVES):
        move = MOBILITY * _forces(place, charges, masses, laws)
        move[x.shape[1] :] = 0.0
        length = np.sqrt((move * move).sum(0))
        place += move * (LONGEST / np.maximum(length, LONGEST))
    return np.ascontiguousarray(place[: x.shape[1]].T)


def _forces(place: np.ndarray, q: np.ndarray, m: np.ndarray, laws: ForceLaws) -> np.ndarray:
    """Return the forces (3, N) on grains at rest."""
    gaps = place[:, :, None] - place[:, None]
    r2 = (gaps * gaps).sum(0)
    np.fill_diagonal(r2, 1.0)  # whatever comes of it, the distance to itself is zero
    both = q[:, None], q[None], m[:, None], m[None]
    total = np.zeros_like(place)
    if laws.pair is not None:
        force, _ = _law(laws.pair)(laws.pair.parameters, r2, *both, 1.0)
        total += (force * gaps).sum(2)
    if laws.directed is not None:
        for part, force in zip(
            total, _law(laws.directed)(laws.directed.parameters, *gaps, *both), strict=True
        ):
            np.fill_diagonal(force, 0.0)
            part += force.sum(1)
    if laws.field is not None:
        a, _ = _law(laws.field)(laws.field.parameters, place, np.zeros_like(place), q, m)
        total += m * np.stack(a)
    return total


def _law(law: Any) -> Any:
    return law.factory(np.sqrt, np.where)
