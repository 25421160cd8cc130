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


class PebblesSpec(SystemSpec):
    order: int = Field(default=2, ge=0)


@final
class Pebbles(AbstractSystem):
    """Stones that fall the faster the larger they are, by a series that is cut off.

    The acceleration along the last axis is -R s_p with s_p = 1 + 1/2 + ... + 1/2^p, so that
    x = x_0 + v_0 t - R s_p t^2 / 2 is known, and by how much a finer version differs.
    """

    name = "pebbles"
    Spec = PebblesSpec
    needs_radii = True
    conserved = frozenset({"energy"})
    symmetries = frozenset(
        {"translation", "boost", "permutation", "time-shift", "time-reversal"}
        | {"charge-conjugation"}
    )

    @property
    def series(self):
        return 2.0 - 0.5**self.spec.order

    def finer(self):
        return Pebbles(**{**self.spec.model_dump(), "order": self.spec.order + 2})

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def one_body_acceleration(self, x, v, particles):
        a = np.zeros_like(x)
        a[..., -1] = -self.series * particles.radii
        return a

    def potential_energy(self, x, particles):
        return self.series * (particles.masses * particles.radii * x[..., -1]).sum(1)

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(3 * x, v, np.ones(n), np.ones(n), radii=rng.uniform(0.2, 0.5, n))


def truncation_rmse(t, radii, dimensions, order=2):
    """Position RMSE (B, T), per coordinate, between pebbles of an order and of two orders more."""
    lacks = 0.5**order - 0.5 ** (order + 2)
    size = np.sqrt((radii**2).mean(1) / dimensions)
    return 0.5 * lacks * size[:, None] * t**2
