"""Screened charges, as of dust in a plasma: forces in NumPy and nothing else."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts import AbstractSystem, Draw, Particles, SystemSpec


class YukawaSpec(SystemSpec):
    """Parameters of `Yukawa`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    softening: float = Field(default=0.1, gt=0, allow_inf_nan=False, description="Plummer length")
    screening: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="length L")


@final
class Yukawa(AbstractSystem[YukawaSpec]):
    """Charges with the potential k q_i q_j exp(-s / L) / s, where s^2 = r^2 + softening^2."""

    api_version = 1
    name = "yukawa"
    Spec = YukawaSpec
    symmetries = frozenset(
        {"translation", "boost", "rotation", "reflection", "permutation"}
        | {"charge-conjugation", "time-reversal", "time-shift"}
    )
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def _pairs(self, x: np.ndarray, particles: Particles) -> tuple[np.ndarray, ...]:
        """Separations (B, N, N, D), softened distances and energies (B, N, N), zero for i = j."""
        r = x[:, :, None] - x[:, None]
        s = np.sqrt((r * r).sum(-1) + self.spec.softening**2)
        strength = self.spec.coupling * particles.charges[:, :, None] * particles.charges[:, None]
        energy = strength * np.exp(-s / self.spec.screening) / s
        return r, s, energy * (1.0 - np.eye(x.shape[1]))

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Accelerations (B, N, D)."""
        r, s, energy = self._pairs(x, particles)
        over_r = energy * (1.0 / s + 1.0 / self.spec.screening) / s  # the force over r
        return (over_r[..., None] * r).sum(2) / particles.masses[..., None]

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Energies (B,), each pair once."""
        return 0.5 * self._pairs(x, particles)[2].sum((1, 2))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        """Draw a cloud of unit masses with charges of either sign."""
        x = rng.normal(size=(n, dimensions))
        v = 0.3 * rng.normal(size=(n, dimensions))
        return Draw(x, v, rng.choice([-1.0, 1.0], size=n), np.ones(n))
