"""What systems share whose particles repel each other in an isotropic trap: laws and starts.

Pairs repel by m_i a_i = sum_j k q_i q_j (x_i - x_j) / s_ij^3 with s^2 = r^2 + e^2, and the trap
pulls by a_i = -w^2 x_i, the same for all.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.force_laws.harmonic import harmonic
from nbody_simulators.systems.dust_clouds import relaxed
from nbody_simulators.systems.sampling import spread_of
from nbody_simulators.systems.symmetries import AUTONOMOUS
from nbody_surrogate.contracts import ForceLaws, SystemSpec

__all__ = ["ISOTROPIC", "TrappedSpec", "thermal_start", "trapped_laws"]

ISOTROPIC = AUTONOMOUS | {"rotation", "reflection", "charge-conjugation"}
"""Symmetries of forces on pairs, and of hidden variables that turn with them, within the trap."""


class TrappedSpec(SystemSpec):
    """Parameters of repulsion, trap and start, in reduced units."""

    coupling: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="k, of the Coulomb repulsion"
    )
    softening: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="e, Plummer length"
    )
    frequency: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="w, angular frequency of the trap"
    )
    temperature: float = Field(
        default=0.3, ge=0, allow_inf_nan=False, description="sampler: T, of what moves at the start"
    )


def trapped_laws(spec: TrappedSpec) -> ForceLaws:
    """Return the repulsion and the trap's law."""
    return ForceLaws(coulomb(spec.coupling, spec.softening), harmonic((spec.frequency,) * 3))


def thermal_start(
    spec: TrappedSpec, rng: np.random.Generator, charges: np.ndarray, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a cloud (N, D) of unit masses that was relaxed by its laws, and thermal velocities."""
    n = len(charges)
    x = spread_of(n) * rng.normal(size=(n, dimensions))
    x = relaxed(x, charges, np.ones(n), trapped_laws(spec))
    return x, np.sqrt(spec.temperature) * rng.normal(size=(n, dimensions))
