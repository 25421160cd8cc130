"""Gravitating masses with Plummer softening."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.gravity import GravityParameters, softened_gravity
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import PositiveRange, isotropic, spread_of, uniform
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import Draw, ForceLaws, PairLaw, SystemSpec

__all__ = ["Gravity", "GravitySpec"]


class GravitySpec(SystemSpec):
    """Parameters of `Gravity`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="G")
    softening: float = Field(default=0.1, ge=0, allow_inf_nan=False, description="Plummer length")
    mass_range: PositiveRange = Field(default=(0.1, 1.0), description="sampler: masses, uniform")


@final
class Gravity(AbstractLawSystem[GravitySpec]):
    """A self-gravitating cluster in its centre-of-mass frame.

    The equation of motion is a_i = -G sum_j m_j (x_i - x_j) / (r_ij^2 + e^2)^(3/2) with Plummer
    softening e. The preset has masses uniform in ``mass_range``, no
    charges, x ~ N(0, s^2) with s = (N / 5)^(1/3) and isotropic velocities with |v| = 0.5; the
    whole is then shifted so that the centre of mass rests at the origin. Large clusters start
    cold, and collapse first.

    References
    ----------
    Plummer, MNRAS 71 (1911) 460; Aarseth, MNRAS 126 (1963) 223, for N-body forces softened by it.
    """

    name = "gravity"
    Spec = GravitySpec
    tolerance = 1e-11  # close pairs form: benchmarks/reference_error.py
    symmetries = FREE
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def force_laws(self) -> ForceLaws:
        """Return the softened law of gravity."""
        spec = self.spec
        parameters = GravityParameters(spec.coupling, spec.softening)
        return ForceLaws(PairLaw(parameters, softened_gravity))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x = rng.normal(size=(n, dimensions)) * spread_of(n)
        v = isotropic(rng, n, dimensions)
        masses = uniform(rng, self.spec.mass_range, n)
        share = masses / masses.sum()  # a cluster that moves as a whole would leave its pictures
        return Draw(x - share @ x, v - share @ v, np.zeros(n), masses)
