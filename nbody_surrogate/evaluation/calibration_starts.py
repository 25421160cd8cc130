"""Starts that error estimates are calibrated on: as a system draws them, and much closer ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError

__all__ = ["CalibrationStarts", "Sizes", "calibration_starts"]

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

SEED = 7_600_000
"""Far from the seeds of data sets and examples, which count from 0."""


def _scaled(share: float) -> Change:
    def change(x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = x.mean(1, keepdims=True)
        return centre + share * (x - centre), v

    return change


def _at_rest(x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # together, not still: the same cloud seen from elsewhere has to give the same
    return x, np.broadcast_to(v.mean(1, keepdims=True), v.shape).copy()


OUTSIDE: tuple[Change, ...] = (_scaled(0.3), _scaled(0.1), _at_rest)
"""What no sampler draws: clouds of 0.3 and 0.1 of their size, and such whose particles rest."""


@dataclass(frozen=True)
class Sizes:
    """How much a calibration looks at.

    Attributes
    ----------
    inside, outside : int
        Starts of each system and number of particles, as sampled, and of each change of them.
    frames : int
        Of each run.
    """

    inside: int = 32
    outside: int = 12
    frames: int = 100


class CalibrationStarts(NamedTuple):
    """A batch of starts, and whether they are as the system draws them."""

    system: AbstractSystem
    state: State
    particles: Particles
    inside: bool


def calibration_starts(
    systems: list[AbstractSystem], particles: list[int], sizes: Sizes, seed: int
) -> Iterator[CalibrationStarts]:
    """Draw the starts, batch by batch; the same seed gives the same ones.

    Parameters
    ----------
    systems : list of AbstractSystem
    particles : list of int
    sizes : Sizes
    seed : int
        Added to `SEED`, so that no seed of a user's data set is met by chance.
    """
    for system in systems:
        for n in particles:
            count = sizes.inside + len(OUTSIDE) * sizes.outside
            state, drawn = system.sample(SEED + seed, n, count)
            yield CalibrationStarts(system, *_taken(state, drawn, 0, sizes.inside), inside=True)
            for k, change in enumerate(OUTSIDE):
                first = sizes.inside + k * sizes.outside
                some, few = _taken(state, drawn, first, sizes.outside)
                moved = State(some.t, *change(some.x, some.v))
                # where forces keep particles together, as rods do, these are no starts
                if _is_start(system, moved, few):
                    yield CalibrationStarts(system, moved, few, inside=False)


def _taken(state: State, particles: Particles, first: int, count: int) -> tuple[State, Particles]:
    rows = np.arange(first, first + count)
    return State(state.t, state.x[rows], state.v[rows]), particles[rows]


def _is_start(system: AbstractSystem, state: State, particles: Particles) -> bool:
    try:
        forces = system.acceleration(state.x, state.v, particles)
    except InputError:
        return False
    return bool(np.isfinite(forces).all())
