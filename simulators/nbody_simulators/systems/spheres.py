"""Charged spheres that polarise each other: conductors or dielectrics, by multipoles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self, final

import numpy as np
from pydantic import Field, field_validator, model_validator

from nbody_simulators.multipoles.convergence import LEAST_GAP, sufficient_distance
from nbody_simulators.systems.sampling import (
    NonNegativeRange,
    PositiveRange,
    isotropic,
    uniform,
)
from nbody_simulators.systems.sphere_clouds import packed, refuse_gaps, refuse_truncation
from nbody_simulators.systems.symmetries import FREE
from nbody_surrogate.contracts import (
    AbstractSystem,
    Draw,
    Particles,
    State,
    SystemSpec,
    fits,
    paired,
)

__all__ = ["Spheres", "SpheresSpec"]

HIGHEST = 16
"""The highest order, whose code takes half a minute to compile, once."""


class SpheresSpec(SystemSpec):
    """Parameters of `Spheres`, in reduced units."""

    order: int = Field(
        default=6,
        ge=0,
        le=HIGHEST,
        description="numerical: p, the highest degree of the multipoles",
    )
    pairs: bool = Field(
        default=False,
        description="numerical: the exact energy of each pair in place of that of order p",
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
        description="sampler: largest relative error that the order may make in the force of the "
        "closest pair of a start; none takes the order as the model",
    )
    radius: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="sampler: radius of the spheres"
    )
    radius_range: PositiveRange = Field(
        default=(1.0, 1.0), description="sampler: radii over that radius, uniform"
    )
    charge_range: NonNegativeRange = Field(
        default=(1.0, 1.0), description="sampler: magnitudes of the charges, uniform"
    )
    neutral: float = Field(default=0.0, ge=0, le=1, description="sampler: share without a charge")
    filling: float = Field(
        default=0.25, gt=0, le=0.35, description="sampler: share of the cloud that is filled"
    )
    closest: float = Field(
        default=1.0, ge=1, le=10, description="sampler: least gap of a start over the least gap"
    )
    speed: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="sampler: speeds over the preset's"
    )

    @field_validator("permittivity", "truncation", mode="before")
    @classmethod
    def _none_is_written_out(cls, value: object) -> object:
        # TOML, in which a data set is described, has no null
        return None if isinstance(value, str) and value.lower() == "none" else value

    @model_validator(mode="after")
    def _pairs_are_tabulated(self) -> Self:
        if self.pairs and self.least_gap < LEAST_GAP:
            raise ValueError(
                f"`pairs` are exact down to gaps of {LEAST_GAP:g}, `least_gap` is "
                f"{self.least_gap:g}; set it to that or more, or use a higher `order`"
            )
        return self


@final
class Spheres(AbstractSystem[SpheresSpec]):
    """A cloud of charged conducting or dielectric spheres, each of which polarises all others.

    Sphere i of radius R_i has the fixed charge Q_i = q_i00 and multipole moments q_ilm about its
    centre, l = 1 to p, which take the values at which the energy

        E = k [ 1/2 sum_i sum_l |q_il|^2 / alpha_il + 1/2 sum_{i != j} q_i T_ij q_j ],
        alpha_il = R_i^(2l+1) l (kappa - 1) / (l (kappa + 1) + 1),

    is least, with kappa infinite for a conductor; T_ij is the energy of multipoles at the distance
    of the centres. To them is added for each pair with the gap s of its surfaces

        U = e exp((g - s) / w),    g = least_gap (R_i + R_j) / 2,    w = 0.4 g,

    which keeps them apart; forces are -grad (E + U). They are many-body forces, quadratic in the
    charges: a neutral sphere is drawn to a charged one. Spheres in two dimensions are spheres in
    space whose centres are in a plane. Energies are without that of each sphere alone.

    The preset has conductors of radius 1 and mass 1, Q = +1 or -1 with equal probability, |v| = 0.5
    in any direction, and centres drawn one after the other, uniform in a ball that spheres of the
    distance 2 + least_gap fill to a quarter: most have neighbours at gaps of 0.15 to 0.5. A start
    whose closest pair needs a higher order is refused, and none such is drawn.

    References
    ----------
    Lindgren, Chan, Stace and Besley, Phys. Chem. Chem. Phys. 18 (2016) 5883, a review;
    Bichoutskaia, Boatwright, Khachatourian and Stace, J. Chem. Phys. 133 (2010) 024105, two
    spheres; Clercx and Bossis, Phys. Rev. E 48 (1993) 2721, many; Lotan and Head-Gordon, J. Chem.
    Theory Comput. 2 (2006) 541, their mutual polarisation by multipoles.
    """

    name = "spheres"
    Spec = SpheresSpec
    symmetries = FREE
    conserved = frozenset({"energy", "momentum", "angular_momentum"})
    needs_radii = True

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Accelerations by the other spheres, shape (..., N, D)."""
        if fits(particles, x, x):
            return self._accelerations(x, particles)
        return paired(particles, x, x).evaluate(lambda x, _, few: self._accelerations(x, few))

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Potential energies without that of each sphere alone, shape (...)."""
        if fits(particles, x, x):
            return self._solved(x, particles)[0]
        return paired(particles, x, x).evaluate(lambda x, _, few: self._solved(x, few)[0])

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
                if self.spec.least_gap >= LEAST_GAP:
                    found[f"{plain}+pairs"] = MappingProxyType({**change, "pairs": True})
        return MappingProxyType(found)

    def refuse_unfit_start(self, state: State, particles: Particles) -> None:
        """Raise where spheres overlap, or the order does not describe the closest of them."""
        refuse_gaps(state, particles, self.spec.least_gap)
        if self.spec.truncation is not None and not self.spec.pairs:
            refuse_truncation(state, particles, self.spec.order, self.spec.truncation)

    def _with(self, **changes: Any) -> Spheres:
        return Spheres(**{**self.spec.model_dump(), **changes})

    def _accelerations(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        forces = self._solved(x, particles)[1]
        made: np.ndarray = forces[:, :, : x.shape[2]] / particles.masses[..., None]
        return made

    def _solved(self, x: np.ndarray, particles: Particles) -> tuple[np.ndarray, np.ndarray]:
        """Return energies (B,) and forces (B, N, 3)."""
        # numba, without which parameters are checked and starts are drawn
        from nbody_simulators.multipoles.batches import energies_and_forces
        from nbody_simulators.multipoles.pair_table import pair_corrections
        from nbody_simulators.multipoles.repulsion import add_repulsion

        self.refuse_wrong_radii(particles)
        spec, radii = self.spec, particles.radii
        assert radii is not None
        place = np.zeros((*x.shape[:2], 3))  # spheres in a plane are spheres all the same
        place[:, :, : x.shape[2]] = x
        given = (place, particles.charges, radii, spec.order, spec.permittivity, spec.coupling)
        energies, forces = energies_and_forces(*given)
        if spec.pairs:
            added = pair_corrections(*given)
            energies, forces = energies + added[0], forces + added[1]
        add_repulsion(place, radii, spec.least_gap, spec.repulsion, energies, forces)
        return energies, forces

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        signs = rng.choice([-1.0, 1.0], size=n)
        radii = spec.radius * uniform(rng, spec.radius_range, n)
        # as if all were of the largest size, so that each place will do for each of them
        largest = spec.radius * spec.radius_range[1]
        distance = (2 + spec.closest * spec.least_gap) * largest
        if spec.truncation is not None and not spec.pairs:
            far = sufficient_distance((largest, largest), spec.order, spec.truncation)
            distance = max(distance, far)
        x = packed(rng, n, dimensions, distance, spec.filling)
        v = spec.speed * isotropic(rng, n, dimensions)
        charges = signs * uniform(rng, spec.charge_range, n)
        if spec.neutral > 0:
            charges = np.where(rng.random(n) < spec.neutral, 0.0, charges)
        return Draw(x, v, charges, np.ones(n), radii=radii)
