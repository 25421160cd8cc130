"""Independent harmonic oscillators, with a solution in closed form."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.harmonic import harmonic
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import isotropic, mirrored
from nbody_simulators.systems.scenery import turning_surface
from nbody_simulators.systems.symmetries import AUTONOMOUS
from nbody_surrogate.contracts import (
    Draw,
    Ellipsoid,
    ForceLaws,
    Particles,
    State,
    SystemSpec,
)

__all__ = ["Oscillator", "OscillatorSpec"]


class OscillatorSpec(SystemSpec):
    """Parameters of `Oscillator`, in reduced units."""

    frequency: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="w, the angular frequency"
    )
    octant: bool = Field(
        default=False, description="sampler: mirror starts into the octant of positive coordinates"
    )


@final
class Oscillator(AbstractLawSystem[OscillatorSpec]):
    """Particles that swing about the origin and do not see each other.

    The equation of motion a = -w^2 x has the solution x(t) = x cos(w t) + (v / w) sin(w t). The
    preset has unit masses, no charges, x ~ N(0, 1) and isotropic velocities with |v| = 0.5.

    References
    ----------
    Landau and Lifshitz, "Mechanics" (1976), section 21.
    """

    name = "oscillator"
    Spec = OscillatorSpec
    symmetries = AUTONOMOUS | {"rotation", "reflection", "time-reversal", "charge-conjugation"}
    conserved = frozenset({"energy", "angular_momentum"})

    def force_laws(self) -> ForceLaws:
        """Return the harmonic law."""
        w = self.spec.frequency
        return ForceLaws(field=harmonic((w, w, w)))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        x = rng.normal(size=(n, dimensions))
        v = isotropic(rng, n, dimensions)
        if spec.octant:
            x, v = mirrored(x, v, (0, 1, 2))
        return Draw(x, v, np.zeros(n), np.ones(n))

    def _scenery(self, state: State, particles: Particles) -> tuple[Ellipsoid, ...]:
        w = self.spec.frequency
        return turning_surface(state, (w, w, w))
