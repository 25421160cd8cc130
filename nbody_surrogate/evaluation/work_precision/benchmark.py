"""What all methods of a measurement run: the system, the starts, and how far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nbody_surrogate.contracts.segment import frame_count
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.evaluation.work_precision.numpy_force import with_numpy_force
from nbody_surrogate.integrators.method_text import Contender

__all__ = ["Benchmark", "check_horizons", "segment_for"]

SEGMENT = 50


class Benchmark(NamedTuple):
    """The starts that all methods run.

    Attributes
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    horizons : tuple of float
        Times since the start at which errors are taken, multiples of the frame spacing.
    batches : tuple of int
        How many of the starts run at a time where the cost is taken, at most S.
    """

    system: AbstractSystem
    state: State
    particles: Particles
    horizons: tuple[float, ...]
    batches: tuple[int, ...]

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt

    @property
    def frames(self) -> int:
        """Frames up to the longest horizon."""
        return max(self.at)

    @property
    def at(self) -> list[int]:
        """The frame of each horizon."""
        return [round(horizon / self.dt) for horizon in self.horizons]

    def some(self, first: int, count: int) -> tuple[State, Particles]:
        """Return some of the starts."""
        part = slice(first, first + count)
        return self.state[part], self.particles[part]

    def system_for(self, each: Contender) -> AbstractSystem:
        """Return the system as a method is to have it: compiled, or in plain NumPy."""
        return with_numpy_force(self.system) if each.numpy_force else self.system


def segment_for(frames: int) -> int:
    """Choose a segment that `frames` fill, as some methods always compute whole ones."""
    return math.ceil(frames / math.ceil(frames / SEGMENT))


def check_horizons(horizons: Sequence[float], dt: float) -> None:
    """Demand whole numbers of frames.

    Raises
    ------
    InputError
        If one is not.
    """
    for horizon in horizons:
        frame_count(horizon, dt, "horizon")
