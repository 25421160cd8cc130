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
        x = carry.arrays["x"][:, None]  # (B, 1, N, D)
        v = carry.arrays["v"][:, None]
        tick(frames)
        return Frames(x + self.speed * elapsed * v, np.repeat(v, frames, axis=1))


@final
class Ballistic(_FromStart):
    """Every particle goes on with its velocity.

    References
    ----------
    The linear model of Satorras et al., "E(n) Equivariant Graph Neural Networks", ICML 2021.
    """

    name = "ballistic"
    speed = 1.0


@final
class CopyLast(_FromStart):
    """Every particle stays where it is, with the velocity it has.

    References
    ----------
    The static model of Kipf et al., "Neural Relational Inference", ICML 2018.
    """

    name = "copy-last"
    speed = 0.0
