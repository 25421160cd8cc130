"""Particles on springs: a random graph of Hooke bonds."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.hooke import HookeParameters, hooke
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import isotropic
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import (
    Bonds,
    Draw,
    ForceLaws,
    PairLaw,
    Particles,
    State,
    SystemSpec,
)

__all__ = ["Springs", "SpringsSpec"]

SPREAD = 0.5
"""Standard deviation of positions in the preset."""


class SpringsSpec(SystemSpec):
    """Parameters of `Springs`, in reduced units."""

    stiffness: float = Field(
        default=0.1, ge=0, allow_inf_nan=False, description="k of a bond with coupling 1"
    )


@final
class Springs(AbstractLawSystem[SpringsSpec]):
    """Particles joined by springs of no length at rest; there are no walls.

    The equation of motion is m_i a_i = -k sum_j c_ij (x_i - x_j). The preset has unit masses, no
    charges, couplings c_ij = c_ji of 0 or 1 with equal probability and c_ii = 0,
    x ~ N(0, 0.5^2) and isotropic velocities with |v| = 0.5: that of Kipf et al., who also put it
    in a box. Without the box, a particle or group without a bond to the rest flies off. Particles
    without couplings are all bonded.

    References
    ----------
    Kipf et al., "Neural Relational Inference", ICML 2018.
    """

    name = "springs"
    Spec = SpringsSpec
    symmetries = FREE
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def force_laws(self) -> ForceLaws:
        """Return Hooke's law."""
        return ForceLaws(PairLaw(HookeParameters(self.spec.stiffness), hooke))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        above = np.triu(rng.choice([0.0, 1.0], size=(n, n)), 1)  # each pair once: bonds are mutual
        x = SPREAD * rng.normal(size=(n, dimensions))
        v = isotropic(rng, n, dimensions)
        return Draw(x, v, np.zeros(n), np.ones(n), above + above.T)

    def _scenery(self, state: State, particles: Particles) -> tuple[Bonds, ...]:
        n, couplings = particles.n, particles.couplings
        strengths = np.ones((n, n)) if couplings is None else couplings[0]
        i, j = np.nonzero(np.triu(strengths, 1))
        return (Bonds(np.stack([i, j], axis=1), "springs", strengths[i, j]),)
