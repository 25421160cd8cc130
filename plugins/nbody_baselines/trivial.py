"""Predictors that know no forces: what any method must beat to be worth its cost."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from nbody_surrogate.contracts import AbstractIntegrator, Carry, Frames, Problem, State, Tick

__all__ = ["Ballistic", "CopyLast"]


class _FromStart(AbstractIntegrator):
    """Frames as x + speed * v * t and v, of the state at the segment's boundary."""

    speed: float

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {}

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        elapsed = carry.problem.dt * np.arange(1, frames + 1)[:, None, None]
        x, v = (carry.arrays[key][:, None] for key in ("x", "v"))  # (B, 1, N, D)
        tick(frames)
        return Frames(x + self.speed * elapsed * v, np.repeat(v, frames, axis=1))


@final
class Ballistic(_FromStart):
    """Every particle goes on with its velocity."""

    name = "ballistic"
    speed = 1.0


@final
class CopyLast(_FromStart):
    """Every particle stays where it is, with the velocity it has."""

    name = "copy-last"
    speed = 0.0
