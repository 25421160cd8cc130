"""Starts that a surrogate may meet and was seldom trained on: close, fast, flat, cold, bound.

Each kind is a function of a random generator alone, so that the same seed gives the same starts to
whatever is tested. Units are the reduced ones of the preset `charged`: charges of 1 in absolute
value, masses of 1, a force constant of 1 and a softening of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from nbody_surrogate.contracts.state import Particles, State

__all__ = ["WILD_STARTS", "wild_starts"]

SOFTENING = 0.1  # of the preset, for the speed of circular pairs
SPEED = 0.5  # |v| of the preset

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]  # x (N, D), v (N, D), charges (N,)


def _directions(rng: np.random.Generator, n: int, dimensions: int = 3) -> np.ndarray:
    made = rng.normal(size=(n, dimensions))  # a Gaussian's direction is uniform
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def _cloud(
    rng: np.random.Generator,
    n: int,
    *,
    scale: float = 1.0,
    speed: float = SPEED,
    dimensions: int = 3,
) -> Draw:
    """Draw the preset's cloud, with positions and speeds of another size."""
    charges = rng.choice([-1.0, 1.0], size=n)
    x = scale * (n / 5) ** (1 / 3) * rng.normal(size=(n, dimensions))
    return x, speed * _directions(rng, n, dimensions), charges


def _pair(rng: np.random.Generator, r: float, share: float, charges: tuple[float, float]) -> Draw:
    """Draw two particles at a distance, across it `share` of the speed of a circle."""
    along = _directions(rng, 1)[0]
    across = np.cross(along, _directions(rng, 1)[0])
    across /= np.linalg.norm(across)
    # of the relative motion, whose reduced mass is 1/2: u^2 / (2 r) = r / (r^2 + e^2)^(3/2)
    circular = np.sqrt(2.0) * r / (r * r + SOFTENING**2) ** 0.75
    half = 0.5 * share * circular * across
    return np.stack([0.5 * r * along, -0.5 * r * along]), np.stack([half, -half]), np.array(charges)


def _opposite_at_rest(rng: np.random.Generator) -> Draw:
    return _pair(rng, rng.uniform(0.5, 2.0), 0.0, (1.0, -1.0))


def _opposite_eccentric(rng: np.random.Generator) -> Draw:
    return _pair(rng, rng.uniform(0.5, 2.0), rng.uniform(0.1, 0.6), (1.0, -1.0))


def _opposite_circular(rng: np.random.Generator) -> Draw:
    return _pair(rng, rng.uniform(0.3, 2.0), rng.uniform(0.9, 1.1), (1.0, -1.0))


def _like_at_rest(rng: np.random.Generator, r: float) -> Draw:
    sign = rng.choice([-1.0, 1.0])
    return _pair(rng, r, 0.0, (sign, sign))


KINDS: dict[str, Callable[[np.random.Generator], Draw]] = {
    "cloud of 5": lambda rng: _cloud(rng, 5),
    "cloud of 30": lambda rng: _cloud(rng, 30),
    "cloud of 5, 0.3 of its size": lambda rng: _cloud(rng, 5, scale=0.3),
    "cloud of 30, 0.3 of its size": lambda rng: _cloud(rng, 30, scale=0.3),
    "cloud of 5, 0.1 of its size": lambda rng: _cloud(rng, 5, scale=0.1),
    "cloud of 30, 0.1 of its size": lambda rng: _cloud(rng, 30, scale=0.1),
    "cloud of 30, 10 times its size": lambda rng: _cloud(rng, 30, scale=10.0),
    "cloud of 5 in a plane": lambda rng: _cloud(rng, 5, dimensions=2),
    "cloud of 30 in a plane": lambda rng: _cloud(rng, 30, dimensions=2),
    "cloud of 5 at rest": lambda rng: _cloud(rng, 5, speed=0.0),
    "cloud of 30 at rest": lambda rng: _cloud(rng, 30, speed=0.0),
    "cloud of 5, speeds of 20": lambda rng: _cloud(rng, 5, speed=20.0),
    "cloud of 30, speeds of 20": lambda rng: _cloud(rng, 30, speed=20.0),
    "cloud of 100": lambda rng: _cloud(rng, 100),
    "like charges at rest, 0.01 apart": lambda rng: _like_at_rest(rng, 0.01),
    "like charges at rest, 0.001 apart": lambda rng: _like_at_rest(rng, 0.001),
    "opposite charges at rest": _opposite_at_rest,
    "opposite charges, eccentric": _opposite_eccentric,
    "opposite charges, nearly circular": _opposite_circular,
}
WILD_STARTS: Final = tuple(KINDS)
"""Names of the kinds, nineteen."""


def wild_starts(kind: str, count: int, seed: int = 0) -> tuple[State, Particles]:
    """Draw starts of one kind.

    Parameters
    ----------
    kind : str
        One of `WILD_STARTS`.
    count : int
        Trajectories, B.
    seed : int

    Returns
    -------
    State
        Of time 0, x and v of shape (B, N, D); D is 2 in a plane.
    Particles
        Of shape (B, N), with unit masses.

    Raises
    ------
    KeyError
        If there is no such kind.
    """
    draw = KINDS[kind]
    # the kind's place is part of the seed, so that two kinds are never the same cloud scaled
    rng = np.random.default_rng([seed, WILD_STARTS.index(kind)])
    drawn = [draw(rng) for _ in range(count)]
    x, v, charges = (np.stack(each) for each in zip(*drawn, strict=True))
    return State(0.0, x, v), Particles(charges, np.ones_like(charges))
