"""Unsoftened charges with clipped forces, as the published benchmarks have them."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.systems.charged import Charged
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.legacy import legacy_draw
from nbody_simulators.systems.sampling import isotropic, reflected, spread_of
from nbody_simulators.systems.symmetries import AUTONOMOUS
from nbody_surrogate.contracts import Draw, ForceLaws, SystemSpec

__all__ = ["ChargedClipped", "ChargedClippedSpec"]


class ChargedClippedSpec(SystemSpec):
    """Parameters of `ChargedClipped`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    clip: float = Field(
        default=100.0,
        gt=0,
        allow_inf_nan=False,
        description="largest magnitude of each component of the force on a particle",
    )
    spread: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="sampler: standard deviation of positions at N = 5; EGNN has 1, SET has 2",
    )


@final
class ChargedClipped(AbstractLawSystem[ChargedClippedSpec]):
    """The physics of the published charged N-body benchmarks. It is not ground truth.

    The force on a particle is sum_j k q_i q_j (x_i - x_j) / r_ij^3 without softening, and each
    component of the sum is then held within +100 and -100. Clipping prefers the coordinate axes
    and breaks Newton's third law, so neither rotations are a symmetry nor is anything conserved;
    ``reflection`` is meant in the coordinate planes only.

    The preset is the distribution of the published starts: unit masses, q = +1 or -1 with equal
    probability, x ~ N(0, s^2) with s = spread (N / 5)^(1/3), isotropic velocities with |v| = 0.5;
    positions beyond +5 or -5 are reflected there once and their velocities turned inwards. The
    published starts themselves: `legacy_starts`.

    References
    ----------
    Kipf et al., "Neural Relational Inference", ICML 2018; Satorras et al., "E(n) Equivariant Graph
    Neural Networks", ICML 2021; Charles, arXiv 2408.06039 (2024).
    """

    name = "charged-clipped"
    Spec = ChargedClippedSpec
    tolerance = 1e-11  # the kinks of clipped forces cost digits: benchmarks/reference_error.py
    symmetries = AUTONOMOUS | {
        "translation",
        "boost",
        "reflection",
        "time-reversal",
        "charge-conjugation",
    }

    def force_laws(self) -> ForceLaws:
        """Return Coulomb's law without softening, and the clip."""
        return ForceLaws(coulomb(self.spec.coupling, 0.0), clip=self.spec.clip)

    def ideal(self) -> Charged:
        """Return unsoftened charges whose forces are not clipped."""
        spec = self.spec
        return Charged(coupling=spec.coupling, softening=0.0, frame_dt=spec.frame_dt)

    def legacy_draw(
        self, stream: np.random.RandomState, n: int, dimensions: int, rows: int
    ) -> Draw:
        """Draw the next of the published starts, see `legacy_starts`."""
        return legacy_draw(stream, n, dimensions, rows, self.spec.spread)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        charges = rng.choice([-1.0, 1.0], size=n)
        x = rng.normal(size=(n, dimensions)) * (self.spec.spread * spread_of(n))
        x, v = reflected(x, isotropic(rng, n, dimensions))
        return Draw(x, v, charges, np.ones(n))
