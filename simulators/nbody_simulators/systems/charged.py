"""Charged particles with Plummer-softened Coulomb forces: the default system."""

from __future__ import annotations

from typing import Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import (
    NonNegativeRange,
    PositiveRange,
    isotropic,
    log_uniform,
    mirrored,
    spread_of,
    uniform,
)
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import Draw, ForceLaws, InputError, SystemSpec

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
    size_range: PositiveRange = Field(
        default=(1.0, 1.0), description="sampler: the cloud's size over the preset's, log-uniform"
    )
    speed_range: NonNegativeRange = Field(
        default=(1.0, 1.0), description="sampler: speeds over the preset's, uniform"
    )
    planar: float = Field(default=0.0, ge=0, le=1, description="sampler: share of flat clouds")
    pairs: int = Field(
        default=0, ge=0, description="sampler: bound pairs of opposite charges, the first particles"
    )
    pair_distance: PositiveRange = Field(
        default=(0.5, 2.0), description="sampler: separation of bound pairs, log-uniform"
    )
    pair_speed: NonNegativeRange = Field(
        default=(0.0, 1.0), description="sampler: speed across over that of a circle, uniform"
    )

    @model_validator(mode="after")
    def _pairs_attract(self) -> Self:
        if self.pairs and (self.signs == "equal" or self.coupling <= 0):
            raise ValueError("`pairs` must be 0 where opposite charges do not attract each other")
        return self


@final
class Charged(AbstractLawSystem[ChargedSpec]):
    """An unconfined cloud of charges; it evaporates in the course of time.

    The equation of motion is m_i a_i = sum_j k q_i q_j (x_i - x_j) / (r_ij^2 + e^2)^(3/2) with
    Plummer softening e. The preset has unit masses, q = +1 or -1 with equal probability,
    x ~ N(0, s^2) with s = (N / 5)^(1/3), and isotropic velocities with |v| = 0.5; it is that of
    Kipf et al. with softening in place of clipping. Other signs, charges and masses leave the
    positions and velocities of a seed as they are; other sizes and speeds scale them.

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
    """Draw a start of the preset: first what all specs share, then what the ranges ask for.

    Raises
    ------
    InputError
        If there are fewer particles than the pairs need.
    """
    if n < 2 * spec.pairs:
        raise InputError(f"`pairs` must be at most {n // 2} of {n} particles, got {spec.pairs}")
    # Drawn whatever the spec says, so that a seed has the same positions for all of them.
    signs = rng.choice([-1.0, 1.0], size=n)
    x = rng.normal(size=(n, dimensions)) * spread_of(n)
    v = isotropic(rng, n, dimensions)
    if spec.octant:
        x, v = mirrored(x, v, (0, 1, 2))
    charges = uniform(rng, spec.charge_range, n)
    masses = uniform(rng, spec.mass_range, n)
    charges = charges if spec.signs == "equal" else signs * charges
    x, v = log_uniform(rng, spec.size_range, 1) * x, uniform(rng, spec.speed_range, 1) * v
    if spec.planar > 0 and rng.random() < spec.planar:
        x[:, 2:], v[:, 2:] = 0.0, 0.0
    drawn = Draw(x, v, charges, masses)
    return drawn if spec.pairs == 0 else _with_pairs(spec, rng, drawn)


def _with_pairs(spec: ChargedSpec, rng: np.random.Generator, drawn: Draw) -> Draw:
    """Put every other of the first particles beside the one before, bound to it."""
    x, v, charges, masses = drawn[:4]
    first, second = np.arange(0, 2 * spec.pairs, 2), np.arange(1, 2 * spec.pairs, 2)
    charges[second] = -np.copysign(charges[second], charges[first])
    r = log_uniform(rng, spec.pair_distance, spec.pairs)
    share = uniform(rng, spec.pair_speed, spec.pairs)
    along, across = _perpendicular(rng, spec.pairs, x.shape[1])
    weight = masses[second] / (masses[first] + masses[second])  # of the first one's way
    reduced = weight * masses[first]
    s = np.sqrt(r * r + spec.softening**2)
    pull = spec.coupling * abs(charges[first] * charges[second]) / s**3
    circular = r * np.sqrt(pull / reduced)  # u^2 / r = r pull / reduced
    away, sideways = r[:, None] * along, (share * circular)[:, None] * across
    # the pair's centre of mass is where, and as fast as, its first particle was drawn
    for y, relative in ((x, away), (v, sideways)):
        centre = y[first].copy()
        y[first] = centre + weight[:, None] * relative
        y[second] = centre - (1.0 - weight)[:, None] * relative
    return Draw(x, v, charges, masses)


def _perpendicular(
    rng: np.random.Generator, count: int, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two directions each, at right angles to one another, of shape (count, D)."""
    along, across = rng.normal(size=(2, count, dimensions))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across -= (across * along).sum(1, keepdims=True) * along
    return along, across / np.linalg.norm(across, axis=1, keepdims=True)
