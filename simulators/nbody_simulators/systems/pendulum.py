"""Independent ideal pendulums in Cartesian coordinates."""

from __future__ import annotations

import math
from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.rigid_rod import PendulumParameters, pendulum_law
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import mirrored
from nbody_simulators.systems.symmetries import AUTONOMOUS
from nbody_surrogate.contracts import (
    Draw,
    FieldLaw,
    ForceLaws,
    Particles,
    Rods,
    State,
    SystemSpec,
)

__all__ = ["Pendulum", "PendulumSpec"]


class PendulumSpec(SystemSpec):
    """Parameters of `Pendulum`, in reduced units."""

    gravity: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="g, along -y")
    length: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="sampler: l, length of the rods"
    )
    amplitude: float = Field(
        default=math.pi / 2,
        gt=0,
        le=math.pi,
        description="sampler: largest angle from the lowest point at the start, in radians",
    )
    speed: float = Field(
        default=0.3, ge=0, allow_inf_nan=False, description="sampler: |v| at the start, tangential"
    )
    octant: bool = Field(
        default=False, description="sampler: mirror starts to where x and z are positive"
    )


@final
class Pendulum(AbstractLawSystem[PendulumSpec]):
    """Weights on rigid rods that all hang from the origin and do not see each other.

    Gravity g points along -y. The rod's force follows from |x| = l, which differentiated twice
    is x.a = -v.v: the equation of motion is a = g - x (v.v + g.x) / x.x, in which l does not
    appear. It depends on velocities, and keeps |x| = l for starts with x.v = 0; only there it is
    a pendulum and its energy conserved. In two dimensions the motion is planar, with the period
    4 sqrt(l / g) K(sin(a / 2)) at amplitude a from rest; in three dimensions the y-component of
    the angular momentum is conserved as well.

    The preset has unit masses, no charges, angles from the lowest point uniform up to
    ``amplitude``, on either side or in three dimensions with any azimuth, and a tangential
    velocity of any direction and of length ``speed``.

    References
    ----------
    Landau and Lifshitz, "Mechanics" (1976), sections 11 and 14.
    """

    name = "pendulum"
    Spec = PendulumSpec
    symmetries = AUTONOMOUS | {
        "axial-rotation",
        "axial-reflection",
        "time-reversal",
        "charge-conjugation",
    }
    conserved = frozenset({"energy"})
    velocity_dependent = True

    def force_laws(self) -> ForceLaws:
        """Return the law of the rod and the weight."""
        return ForceLaws(field=FieldLaw(PendulumParameters(self.spec.gravity), pendulum_law))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        angle = rng.uniform(-spec.amplitude, spec.amplitude, size=n)
        if dimensions == 3:
            azimuth, heading = rng.uniform(0, 2 * math.pi, size=(2, n))
        else:
            azimuth, heading = np.zeros(n), rng.choice([0.0, math.pi], size=n)
        sine, cosine, zero = np.sin(angle), np.cos(angle), np.zeros(n)
        # An orthonormal frame at each weight: along the rod, up the meridian, around the axis.
        along = np.stack([sine * np.cos(azimuth), -cosine, sine * np.sin(azimuth)], 1)
        upwards = np.stack([cosine * np.cos(azimuth), sine, cosine * np.sin(azimuth)], 1)
        sideways = np.stack([-np.sin(azimuth), zero, np.cos(azimuth)], 1)
        direction = np.cos(heading)[:, None] * upwards + np.sin(heading)[:, None] * sideways
        x, v = spec.length * along[:, :dimensions], spec.speed * direction[:, :dimensions]
        if spec.octant:
            x, v = mirrored(x, v, (0, 2))
        return Draw(x, v, np.zeros(n), np.ones(n))

    def _scenery(self, state: State, particles: Particles) -> tuple[Rods, ...]:
        return (Rods(np.arange(particles.n), np.zeros((particles.n, 3)), "rods"),)
