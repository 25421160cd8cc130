"""A system without a potential energy, whose motion is known."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec


class DraggedSpec(SystemSpec):
    drag: float = Field(default=0.5, gt=0)


@final
class Dragged(AbstractSystem):
    """Grains that gas slows down: a = -c v, so that x = x_0 + v_0 (1 - exp(-c t)) / c."""

    name = "dragged"
    Spec = DraggedSpec
    velocity_dependent = True
    symmetries = frozenset(
        {"translation", "rotation", "reflection", "permutation", "time-shift"}
        | {"charge-conjugation"}
    )

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def one_body_acceleration(self, x, v, particles):
        return -self.spec.drag * v

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.zeros(n), np.ones(n))
