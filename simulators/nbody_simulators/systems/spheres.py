"""Charged spheres that polarise each other: conductors or dielectrics, by multipoles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self, final

import numpy as np
from pydantic import Field, model_validator

from nbody_simulators.multipoles.batches import energies_and_forces
from nbody_simulators.multipoles.pair_table import pair_corrections
from nbody_simulators.multipoles.repulsion import add_repulsion
from nbody_simulators.systems.sampling import (
    NonNegativeRange,
    PositiveRange,
    isotropic,
    uniform,
)
from nbody_simulators.systems.sphere_clouds import packed, refuse_gaps, refuse_truncation
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import AbstractSystem, Draw, Particles, State, SystemSpec

__all__ = ["Spheres", "SpheresSpec"]

HIGHEST = 24
"""The highest order: beyond, factorials of degrees take digits from float64."""


class SpheresSpec(SystemSpec):
    """Parameters of `Spheres`, in reduced units."""

    order: int = Field(
        default=6, ge=0, le=HIGHEST, description="p, the highest degree of the multipoles"
    )
    pairs: bool = Field(
        default=False, description="the exact energy of each pair in place of that of order p"
    )
    permittivity: float | None = Field(
        default=None,
        ge=1,
        allow_inf_nan=False,
        description="kappa, of the spheres over that of the medium; none is a conductor",
    )
    coupling: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="k, the force constant"
    )
    least_gap: float = Field(
        default=0.15,
        gt=0,
        allow_inf_nan=False,
        description="gap of two surfaces, over the mean radius, where the repulsion is strong",
    )
    repulsion: float = Field(
        default=0.5, gt=0, allow_inf_nan=False, description="e, a pair's energy at the least gap"
    )
    truncation: float | None = Field(
        default=0.15,
        gt=0,
        allow_inf_nan=False,
        description="largest error of a pair's force by the order that a start may have, relative; "
        "none takes the order as the model",
    )
    radius: PositiveRange | float = Field(
        default=1.0, description="sampler: radii of the spheres, one or uniform"
    )
    charge_range: NonNegativeRange = Field(
        default=(1.0, 1.0), description="sampler: magnitudes of the charges, uniform"
    )
    neutral: float = Field(default=0.0, ge=0, le=1, description="sampler: share without a charge")
    filling: float = Field(
        default=0.25, gt=0, le=0.3, description="sampler: share of the cloud that is filled"
    )
    speed: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="sampler: speeds over the preset's"
    )

    @model_validator(mode="after")
    def _radius_is_positive(self) -> Self:
        if isinstance(self.radius, float) and not 0 < self.radius < np.inf:
            raise ValueError(f"`radius` must be > 0 and finite, got {self.radius:g}")
        return self


@final
class Spheres(AbstractSystem[SpheresSpec]):
    """A cloud of charged spheres, each of which polarises all others."""

    name = "spheres"
    Spec = SpheresSpec
    symmetries = FREE
    conserved = frozenset({"energy", "momentum", "angular_momentum"})
    needs_radii = True

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Accelerations by the other spheres, shape (B, N, D)."""
        _, forces = self._solved(x, particles)
        made: np.ndarray = forces[:, :, : x.shape[2]] / particles.masses[..., None]
        return made

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Potential energies without that of each sphere alone, shape (B,)."""
        return self._solved(x, particles)[0]

    def finer(self) -> Spheres | None:
        """Return the system with two more orders, or None where there are no more."""
        order = self.spec.order + 2
        return None if order > HIGHEST else self._with(order=order)

    @property
    def approximations(self) -> Mapping[str, Mapping[str, Any]]:
        """Cheaper forces by name: lower orders, each with or without exact pairs."""
        found = {}
        for order in (0, 1, 2, 3, 4, 6, 8):
            if order < self.spec.order:
                plain = "points" if order == 0 else f"p{order}"
                change = {"order": order, "truncation": None}
                found[plain] = MappingProxyType({**change, "pairs": False})
                found[f"{plain}+pairs"] = MappingProxyType({**change, "pairs": True})
        return MappingProxyType(found)

    def refuse_unfit_start(self, state: State, particles: Particles) -> None:
        """Raise where spheres overlap, or the order does not describe the closest of them."""
        refuse_gaps(state, particles, self.spec.least_gap)
        if self.spec.truncation is not None and not self.spec.pairs:
            refuse_truncation(state, particles, self.spec.order, self.spec.truncation)

    def _with(self, **changes: Any) -> Spheres:
        return Spheres(**{**self.spec.model_dump(), **changes})

    def _solved(self, x: np.ndarray, particles: Particles) -> tuple[np.ndarray, np.ndarray]:
        assert particles.radii is not None
        spec = self.spec
        place = np.zeros((*x.shape[:2], 3))  # spheres in a plane are spheres all the same
        place[:, :, : x.shape[2]] = x
        energies, forces = energies_and_forces(
            place, particles.charges, particles.radii, spec.order, spec.permittivity, spec.coupling
        )
        if spec.pairs:
            added = pair_corrections(
                place,
                particles.charges,
                particles.radii,
                spec.order,
                spec.permittivity,
                spec.coupling,
            )
            energies, forces = energies + added[0], forces + added[1]
        add_repulsion(place, particles.radii, spec.least_gap, spec.repulsion, energies, forces)
        return energies, forces

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        signs = rng.choice([-1.0, 1.0], size=n)
        low, high = (spec.radius,) * 2 if isinstance(spec.radius, float) else spec.radius
        radii = uniform(rng, (low, high), n)
        # as if all were of the largest size, so that each place will do for each of them
        x = packed(rng, n, dimensions, (2 + spec.least_gap) * high, spec.filling)
        v = spec.speed * isotropic(rng, n, dimensions)
        charges = signs * uniform(rng, spec.charge_range, n)
        if spec.neutral > 0:
            charges = np.where(rng.random(n) < spec.neutral, 0.0, charges)
        return Draw(x, v, charges, np.ones(n), radii=radii)
