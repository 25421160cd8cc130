"""Grains whose charges follow their surroundings with a delay: a hidden variable of each."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.systems.hidden_pairs import differences, distances
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import PositiveRange, uniform
from nbody_simulators.systems.scenery import turning_surface
from nbody_simulators.systems.trapped import (
    ISOTROPIC,
    TrappedSpec,
    thermal_start,
    trapped_laws,
)
from nbody_surrogate.contracts import (
    Draw,
    Ellipsoid,
    ForceLaws,
    Hidden,
    HiddenVariable,
    Neighbours,
    Particles,
    State,
)

__all__ = ["Charging", "ChargingSpec"]


class ChargingSpec(TrappedSpec):
    """Parameters of `Charging`, in reduced units."""

    delay: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="tau, time of charging"
    )
    depletion: float = Field(
        default=0.3, ge=0, allow_inf_nan=False, description="b, how far neighbours discharge"
    )
    range: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="l, over which they do"
    )
    charge_range: PositiveRange = Field(
        default=(1.0, 1.0), description="sampler: charges of lone grains, uniform"
    )
    scatter: float = Field(
        default=0.1,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="sampler: standard deviation of charges about equilibrium, relative",
    )


@final
class Charging(AbstractLawSystem[ChargingSpec]):
    """Grains in a trap that repel each other, and whose charges take time to follow.

    A grain in a plasma collects electrons and ions until its charge q is in equilibrium with what
    is around it. Grains near it take electrons away, so that it holds less. The equilibrium is
    reached with a delay:

        m_i a_i = sum_j k q_i q_j (x_i - x_j) / s_ij^3 - m_i w^2 x_i,
        tau dq_i / dt = Q_i / (1 + b l sum_j exp(-s_ij / l) / s_ij) - q_i,

    with s^2 = r^2 + e^2 and Q the charge of a lone grain, which is what `Particles.charges` holds.
    The charge q is hidden: positions and velocities do not tell it, the past does. Forces are
    central and reciprocal, so angular momentum is kept; energy is not, as charging takes some.
    As tau goes to 0, q is a function of positions again.

    A start is a cloud that was relaxed at the charges Q, with velocities of a temperature and
    charges scattered about equilibrium: the scatter is forgotten in some tau.

    References
    ----------
    Fortov, Ivlev, Khrapak, Khrapak and Morfill, Phys. Rep. 421 (2005) 1, for delayed charging and
    for depletion by neighbours; the form of the equilibrium is a simple one of that kind.
    """

    name = "charging"
    batch_invariant = True
    Spec = ChargingSpec
    hidden_variables = (HiddenVariable("charge", description="q of each grain"),)
    conserved = frozenset({"angular_momentum"})

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        return ISOTROPIC if self.spec.frequency else ISOTROPIC | {"translation", "boost"}

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone."""
        return self.symmetries | {"translation", "boost"}

    def force_laws(self) -> ForceLaws:
        """Return the forces at the charges Q of lone grains, and the trap's."""
        return trapped_laws(self.spec)

    def equilibrium(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Charges that grains at rest in these places would take, shape (B, N).

        Parameters
        ----------
        x : ndarray, shape (B, N, D)
        particles : Particles
        """
        spec = self.spec
        s = distances(differences(x), spec.softening)
        taken = (np.exp(-s / spec.range) * (spec.range / s)).sum(2)
        return np.asarray(particles.charges / (1.0 + spec.depletion * taken))

    def hidden_acceleration(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> np.ndarray:
        """Return what charges q in place of Q change, shape (B, N, D)."""
        del v, neighbours
        spec, q, lone = self.spec, hidden["charge"], particles.charges
        r = differences(x)
        more = q[:, :, None] * q[:, None] - lone[:, :, None] * lone[:, None]
        law = spec.coupling * more / distances(r, spec.softening) ** 3
        force = (law[..., None] * r).sum(2)
        return np.asarray(force / particles.masses[..., None])

    def _hidden_rate(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Hidden:
        del v, neighbours
        return {"charge": (self.equilibrium(x, particles) - hidden["charge"]) / self.spec.delay}

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        charges, masses = uniform(rng, spec.charge_range, n), np.ones(n)
        x, v = thermal_start(spec, rng, charges, dimensions)
        settled = self.equilibrium(x[None], Particles(charges[None], masses[None]))[0]
        q = settled * (1.0 + spec.scatter * rng.normal(size=n))
        return Draw(x, v, charges, masses, hidden={"charge": q})

    def _scenery(self, state: State, particles: Particles) -> tuple[Ellipsoid, ...]:
        return turning_surface(state, (self.spec.frequency,) * 3)
