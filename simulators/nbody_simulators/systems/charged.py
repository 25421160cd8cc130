"""Charged particles with Plummer-softened Coulomb forces: the default system."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import (
    NonNegativeRange,
    PositiveRange,
    isotropic,
    mirrored,
    spread_of,
    uniform,
)
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import Draw, ForceLaws, SystemSpec

__all__ = [
    "Charged",
    "ChargedSpec",
    "charged_cloud",
]


class ChargedSpec(SystemSpec):
    """Parameters of `Charged`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    softening: float = Field(default=0.1, ge=0, allow_inf_nan=False, description="Plummer length")
    signs: Literal["random", "equal"] = Field(
        default="random", description="sampler: signs of the charges; equal ones are positive"
    )
    charge_range: NonNegativeRange = Field(
        default=(1.0, 1.0), description="sampler: magnitudes of the charges, uniform"
    )
    mass_range: PositiveRange = Field(default=(1.0, 1.0), description="sampler: masses, uniform")
    octant: bool = Field(
        default=False, description="sampler: mirror starts into the octant of positive coordinates"
    )


@final
class Charged(AbstractLawSystem[ChargedSpec]):
    """An unconfined cloud of charges; it evaporates in the course of time.

    The equation of motion is m_i a_i = sum_j k q_i q_j (x_i - x_j) / (r_ij^2 + e^2)^(3/2) with
    Plummer softening e. The preset has unit masses, q = +1 or -1 with equal probability,
    x ~ N(0, s^2) with s = (N / 5)^(1/3), and isotropic velocities with |v| = 0.5; it is that of
    Kipf et al. with softening in place of clipping. Other signs, charges and masses leave the
    positions and velocities of a seed as they are.

    References
    ----------
    Kipf et al., "Neural Relational Inference", ICML 2018; Plummer, MNRAS 71 (1911) 460, for the
    softening.
    """

    name = "charged"
    Spec = ChargedSpec
    symmetries = FREE
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def force_laws(self) -> ForceLaws:
        """Return the softened Coulomb law."""
        return ForceLaws(coulomb(self.spec.coupling, self.spec.softening))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        return charged_cloud(self.spec, rng, n, dimensions)


def charged_cloud(spec: ChargedSpec, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
    """Draw a start of the preset: first what all specs share, then what the ranges ask for."""
    # Drawn whatever the spec says, so that a seed has the same positions for all of them.
    signs = rng.choice([-1.0, 1.0], size=n)
    x = rng.normal(size=(n, dimensions)) * spread_of(n)
    v = isotropic(rng, n, dimensions)
    if spec.octant:
        x, v = mirrored(x, v, (0, 1, 2))
    charges = uniform(rng, spec.charge_range, n)
    masses = uniform(rng, spec.mass_range, n)
    return Draw(x, v, charges if spec.signs == "equal" else signs * charges, masses)
