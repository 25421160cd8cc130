"""Particles in a bath whose motion is known: free ones, and springs to the origin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_surrogate.contracts.force_laws import DirectedLaw, FieldLaw, ForceLaws
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec


class BathSpec(SystemSpec):
    stiffness: float = 1.0
    drag: float = 1.0
    temperature: float = 0.5


class Fields(NamedTuple):
    stiffness: float
    drag: float


def springs(sqrt, where):
    def law(p, x, v, q, m):
        k, c = p.stiffness / m, p.drag / m
        a = (-k * x[0] - c * v[0], -k * x[1] - c * v[1], -k * x[2] - c * v[2])
        return a, 0.5 * p.stiffness * (x[0] * x[0] + x[1] * x[1] + x[2] * x[2])

    return law


class Bathed(AbstractLawSystem):
    """m a = -k x - c v, in a bath; masses 0.5 to 2."""

    name = "bathed"
    Spec = BathSpec
    velocity_dependent = True

    @property
    def bath_temperature(self):
        return self.spec.temperature

    def drag_rates(self, particles):
        return self.spec.drag / particles.masses

    def force_laws(self):
        fields = Fields(self.spec.stiffness, self.spec.drag)
        return ForceLaws(field=FieldLaw(fields, springs))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), rng.uniform(0.5, 2, size=n))


class Plain(AbstractSystem):
    """The same in NumPy alone."""

    name = "plain-bath"
    Spec = BathSpec
    velocity_dependent = True
    bath_temperature, drag_rates, _sample = (
        Bathed.bath_temperature,
        Bathed.drag_rates,
        Bathed._sample,
    )

    def pair_acceleration(self, x, particles):
        return -self.spec.stiffness * x / particles.masses[..., None]

    def one_body_acceleration(self, x, v, particles):
        return -self.drag_rates(particles)[..., None] * v


class Following(NamedTuple):
    pull: float
    reach: float


def following(sqrt, where):
    """Each pulls the others along x, those behind it more, and turns them; the light ones more."""

    def law(p, dx, dy, dz, qi, qj, mi, mj):
        s2 = dx * dx + dy * dy + dz * dz + p.reach * p.reach
        size = p.pull * qj * mi / (s2 * sqrt(s2))
        return size * where(mi < mj, 1.0, 0.2) * (1.0 - dx / sqrt(s2)), size * dz, -size * dy

    return law


class Flock(AbstractLawSystem):
    """A stranger's directed law, with nothing beside it."""

    name = "flock"
    Spec = SystemSpec

    def force_laws(self):
        return ForceLaws(directed=DirectedLaw(Following(0.7, 0.3), following))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, rng.uniform(0.5, 2, size=n), rng.uniform(0.5, 2, size=n))
