"""Charged particles with Plummer-softened Coulomb forces: the default system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
from pydantic import Field

from nbody_simulators.pair_forces import energies, register_law, sum_accelerations
from nbody_surrogate.state import Particles
from nbody_surrogate.system import AbstractSystem, PairLaw, SystemSpec

__all__ = ["Charged", "ChargedSpec", "CoulombParameters"]


class ChargedSpec(SystemSpec):
    """Parameters of `Charged`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    softening: float = Field(default=0.1, ge=0, allow_inf_nan=False, description="Plummer length")


class CoulombParameters(NamedTuple):
    """What the softened Coulomb law depends on."""

    coupling: float
    softening: float


def softened_coulomb(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law F / r = k q_i q_j / s^3, U = k q_i q_j / s with s^2 = r^2 + softening^2."""
    del where

    def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any) -> Any:
        s2 = r2 + p.softening * p.softening
        energy = p.coupling * qi * qj / sqrt(s2)
        return energy / s2, energy

    return law


register_law(PairLaw(CoulombParameters(1.0, 0.1), softened_coulomb))


@final
class Charged(AbstractSystem):
    """An unconfined cloud of charges; it evaporates in the course of time.

    The equation of motion is m_i a_i = sum_j k q_i q_j (x_i - x_j) / (r_ij^2 + e^2)^(3/2) with
    Plummer softening e. The preset has unit masses, q = +1 or -1 with equal probability,
    x ~ N(0, s^2) with s = (N / 5)^(1/3), and isotropic velocities with |v| = 0.5; it is that of
    Kipf et al., "Neural Relational Inference", ICML 2018, with softening in place of clipping.
    """

    name = "charged"
    Spec = ChargedSpec
    symmetries = frozenset(
        {
            "translation",
            "rotation",
            "reflection",
            "permutation",
            "time-shift",
            "boost",
            "charge-conjugation",
        }
    )
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_law(self) -> PairLaw:
        """Return the softened Coulomb law."""
        spec = self.spec
        assert isinstance(spec, ChargedSpec)
        return PairLaw(CoulombParameters(spec.coupling, spec.softening), softened_coulomb)

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Softened Coulomb accelerations, shape (B, N, D)."""
        return sum_accelerations(x, particles.charges, particles.masses, self.pair_law())

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Softened Coulomb energy, shape (B,)."""
        return energies(x, particles.charges, particles.masses, self.pair_law())

    def _sample(
        self, rng: np.random.Generator, n: int, dimensions: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        charges = rng.choice([-1.0, 1.0], size=n)
        x = rng.normal(size=(n, dimensions)) * (n / 5) ** (1 / 3)
        direction = rng.normal(size=(n, dimensions))
        v = 0.5 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return x, v, charges, np.ones(n)
