"""Starts of the published benchmark sets, drawn from NumPy's legacy stream."""

from __future__ import annotations

import numpy as np

from nbody_simulators.systems.sampling import SPEED, reflected, spread_of
from nbody_surrogate.contracts import Draw, InputError, Particles, State, stacked

__all__ = ["legacy_draw", "legacy_starts"]

LARGEST_SEED = 2**32 - 1  # of RandomState


def legacy_starts(
    seed: int, n: int, trajectories: int, *, spread: float, rows: int, dimensions: int = 3
) -> tuple[State, Particles]:
    """Draw the starts of a published charged N-body set, bit for bit.

    One stream serves all trajectories in turn. Each takes, in this order: N charges; positions
    of shape (D, N), standard normal times ``spread (N / 5)^(1/3)``; velocities of shape (D, N),
    standard normal and scaled to |v| = 0.5; and two arrays of noise of the shape (rows, D, N) of
    what is stored, which the published sets multiply by zero. Positions beyond +5 or -5 are
    reflected there once. The published program stops at one beyond +15 or -15; here it stays
    where the reflection puts it.

    These are starts only, and what the published program makes of them (`charged-clipped` by
    `symplectic-euler` with steps of 0.001) is not ground truth: its forces are clipped and its
    close encounters are not converged.

    Parameters
    ----------
    seed : int
        From 0 to 2^32 - 1. EGNN's small set has 43, SET's sets have 3.
    n : int
        Particles per trajectory, N.
    trajectories : int
        B, from the beginning of the stream.
    spread : float
        Standard deviation of positions at N = 5: 1 for EGNN, 2 for SET.
    rows : int
        Rows that the program stores: T / k - 1 of every k-th of T steps for EGNN (49 in its
        small set), all T steps for SET.
    dimensions : int
        D, 2 or 3.

    Returns
    -------
    state : State, shape (B, N, D)
    particles : Particles
        Charges +1 and -1, unit masses.

    Raises
    ------
    InputError
        If a number is out of range.

    References
    ----------
    Kipf et al., "Neural Relational Inference", ICML 2018; Satorras et al., "E(n) Equivariant
    Graph Neural Networks", ICML 2021; Charles, arXiv 2408.06039 (2024).
    """
    _check(seed, n, trajectories, spread, rows, dimensions)
    stream = np.random.RandomState(seed)
    return stacked([legacy_draw(stream, n, dimensions, rows, spread) for _ in range(trajectories)])


def legacy_draw(
    stream: np.random.RandomState, n: int, dimensions: int, rows: int, spread: float
) -> Draw:
    """Draw the next start of `legacy_starts` from its stream."""
    # Every call is the published program's own, down to shapes and to probabilities of zero: others
    # would take other numbers from the stream.
    charges = stream.choice([-1.0, 0.0, 1.0], size=(n, 1), p=[0.5, 0.0, 0.5])[:, 0]
    place = stream.standard_normal((dimensions, n)) * (spread * spread_of(n))
    direction = stream.standard_normal((dimensions, n))
    velocity = direction * SPEED / np.sqrt((direction**2).sum(axis=0))
    place, velocity = reflected(place, velocity)
    for _ in range(2):  # the noise that it draws and multiplies by zero
        stream.standard_normal((rows, dimensions, n))
    return Draw(place.T, velocity.T, charges, np.ones(n))


def _check(seed: int, n: int, trajectories: int, spread: float, rows: int, dimensions: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"`seed` must be from 0 to {LARGEST_SEED}, got {seed}")
    for parameter, value, least in (
        ("n", n, 1),
        ("trajectories", trajectories, 1),
        ("rows", rows, 0),
    ):
        if value < least:
            raise InputError(f"`{parameter}` must be at least {least}, got {value}")
    if not 0 < spread < np.inf:
        raise InputError(f"`spread` must be positive and finite, got {spread}")
    if dimensions not in (2, 3):
        raise InputError(f"`dimensions` must be 2 or 3, got {dimensions}")
