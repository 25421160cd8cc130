"""Starts of `Spheres`: clouds as dense as random packing easily makes them, and what is refused."""

from __future__ import annotations

import math

import numpy as np

from nbody_simulators.multipoles.convergence import pair_error, sufficient_order
from nbody_surrogate.contracts import InputError, Particles, State

__all__ = ["packed", "refuse_gaps", "refuse_truncation"]

FILLING = 0.22
"""Share of the ball that spheres of the sampled radius fill."""
ROUNDING = 1e-12
"""By which a gap may seem less than it is: 2.15 - 2 is less than 0.15."""
TRIES = 2000  # before the ball grows by a fiftieth


def packed(
    rng: np.random.Generator, n: int, dimensions: int, distance: float, filling: float = FILLING
) -> np.ndarray:
    """Draw centres in a ball that are at least a distance apart: uniform, one after the other.

    Parameters
    ----------
    rng : numpy.random.Generator
    n, dimensions : int
    distance : float
        In reduced units.
    filling : float
        Share of the ball that balls of this distance as diameter fill; in a plane they are as
        close. It is less where the last of them find no place.

    Returns
    -------
    ndarray, shape (n, dimensions)
    """
    # the ball of the centres; the spheres stand out of it by half a distance
    size = 0.5 * distance * max(n ** (1 / dimensions) / filling ** (1 / 3) - 1.0, 1e-9)
    placed, count, tries = np.empty((n, dimensions)), 0, 0
    innermost = math.inf  # how far from the middle the nearest one is that has its place
    while count < n:
        if tries == TRIES:
            size, tries = 1.02 * size, 0
        direction = rng.normal(size=dimensions)
        length = size * rng.random() ** (1 / dimensions)
        tries += 1
        # Thousands of tries take longer than all the rest of a start. In most of those for few
        # spheres even the opposite side is too near, by more than any rounding.
        if length + innermost < 0.999 * distance:
            continue
        centre = length * direction / math.sqrt(direction.dot(direction))
        apart = placed[:count] - centre
        apart *= apart
        if not count or np.add.reduce(apart, 1).min() >= distance**2:
            placed[count] = centre
            count, innermost = count + 1, min(innermost, length)
    return placed


def closest(state: State, particles: Particles, b: int) -> tuple[int, int, float, float]:
    """Return the pair with the smallest gap over its mean radius, its distance, and that ratio."""
    assert particles.radii is not None
    x, radii = state.x[b], particles.radii[b]
    i, j = np.triu_indices(len(radii), 1)
    r = np.linalg.norm(x[i] - x[j], axis=1)
    ratio = 2 * r / (radii[i] + radii[j]) - 2
    k = int(np.argmin(ratio))
    return int(i[k]), int(j[k]), float(r[k]), float(ratio[k])


def refuse_gaps(state: State, particles: Particles, least_gap: float) -> None:
    """Raise where spheres of a start overlap, or are nearer than the least gap.

    Parameters
    ----------
    state : State
    particles : Particles
    least_gap : float
        Over the mean radius of a pair.

    Raises
    ------
    InputError
    """
    assert particles.radii is not None
    if particles.n < 2:
        return
    for b in range(len(state.x)):
        i, j, r, ratio = closest(state, particles, b)
        pair = f"spheres {i} and {j} of trajectory {b}"
        if ratio <= 0:
            sizes = " + ".join(f"{particles.radii[b, each]:g}" for each in (i, j))
            raise InputError(
                f"`state` has {pair} overlapping: their centres are {r:g} apart, and their radii "
                f"are {sizes}; move them apart"
            )
        if ratio < least_gap - ROUNDING:
            raise InputError(
                f"`state` has {pair} at a gap of {ratio:.3g} mean radii, less than the "
                f"`least_gap` of {least_gap:g}; move them apart, or set a smaller one"
            )


def refuse_truncation(state: State, particles: Particles, order: int, most: float) -> None:
    """Raise where the multipoles of the closest pair do not converge at an order.

    Parameters
    ----------
    state : State
    particles : Particles
    order : int
    most : float
        The largest error of a pair's force, relative.

    Raises
    ------
    InputError
        Naming the order that would do.
    """
    assert particles.radii is not None
    if particles.n < 2:
        return
    for b in range(len(state.x)):
        i, j, r, ratio = closest(state, particles, b)
        sizes = (float(particles.radii[b, i]), float(particles.radii[b, j]))
        error = pair_error(r, sizes, order)
        if error > most:
            raise InputError(
                f"`order` must be at least {sufficient_order(r, sizes, most)} for spheres {i} and "
                f"{j} of trajectory {b}, at a gap of {ratio:.3g} mean radii: with {order} their "
                f"force is off by about {error:.0%}, more than the `truncation` of {most:.0%}"
            )
