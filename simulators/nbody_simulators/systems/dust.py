"""Dust: charged grains in the sheath of a plasma, with ion wakes, in a gas that drags and kicks."""

from __future__ import annotations

import math
from typing import final

import numpy as np
from pydantic import Field, field_validator

from nbody_simulators.force_laws.dust_field import DRAG_POWER, dust_field
from nbody_simulators.force_laws.ion_wake import ion_wake
from nbody_simulators.force_laws.yukawa import yukawa
from nbody_simulators.systems.dust_clouds import relaxed, scattered
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.symmetries import AUTONOMOUS, FREE
from nbody_surrogate.contracts import Draw, ForceLaws, Particles, SystemSpec

__all__ = ["Dust", "DustSpec"]

AXIAL = frozenset({"axial-rotation", "axial-reflection"})


class DustSpec(SystemSpec):
    """Parameters of `Dust`, in reduced units."""

    frame_dt: float = Field(
        default=0.05, gt=0, allow_inf_nan=False, description="time between frames"
    )
    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    screening_length: float | None = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="l, of the plasma; none: no screening"
    )
    wake_charge: float = Field(
        default=0.3, allow_inf_nan=False, description="w, of the wake over minus that of its grain"
    )
    wake_distance: float = Field(
        default=0.3, ge=0, allow_inf_nan=False, description="of the wake below its grain"
    )
    wake_softening: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="Plummer length of the wake"
    )
    gravity: float = Field(
        default=4.0, allow_inf_nan=False, description="g; the field at z = 0 levitates q / m = 1"
    )
    radial: float = Field(
        default=0.6, ge=0, allow_inf_nan=False, description="h, confinement along x and y"
    )
    vertical: float = Field(
        default=4.0, ge=0, allow_inf_nan=False, description="v, confinement along z"
    )
    drag: float = Field(
        default=0.2, ge=0, allow_inf_nan=False, description="c, rate of drag of a unit mass"
    )
    temperature: float = Field(
        default=0.15, ge=0, allow_inf_nan=False, description="T, of the gas that drags"
    )
    charge_spread: float = Field(
        default=0.15,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="sampler: standard deviation of the logarithm of charges",
    )

    @field_validator("screening_length", mode="before")
    @classmethod
    def _none_is_written_out(cls, value: object) -> object:
        """Take none as the command line has it."""
        return None if isinstance(value, str) and value.lower() == "none" else value


@final
class Dust(AbstractLawSystem[DustSpec]):
    """Grains of dust in a plasma: unlike, without Newton's third law, and at a temperature.

    Charges repel each other by a screened force, and each is followed by a wake of ions, a charge
    of the other sign at a distance d below it, which pulls the others and not its own grain:

        m_i a_i = sum_j [F_ij(x_i - x_j) - w F_ij(x_i - x_j + d z^)] - q_i (h x, h y, v z)_i
                  + (q_i - m_i) g z^ - c m_i^(2/3) v_i + kicks,
        F_ij(r) = k q_i q_j exp(-r / l) (1 / r + 1 / l) r / r^2,

    that of the wake softened. What a grain does to one below it is not what that does to it: there
    is no energy. Gravity and the field of the sheath make grains of unlike charge over mass float
    at unlike heights, (1 - m / q) g / v. The gas drags (Epstein), and kicks by its temperature, see
    `SystemKicks`: `baoab` runs it, and with ``temperature=0`` every solver that takes a drag.

    Grains are spheres of one density at one potential: sizes s, of a log-normal distribution, have
    q = s and m = s^3. A start is a cloud that was relaxed without kicks, with the velocities of
    the temperature. By default 12 grains are a liquid: neighbours are 1.05 apart, within 0.24 of
    it, all within 4 of one another, and mean heights differ by 0.4 (standard deviations; 4 starts
    over 190 time units).

    Without a wake forces are central and reciprocal. A gas that does not drag does not kick either;
    without both, energy is conserved. In two dimensions there is no height: wakes, at d below the
    plane, pull along it.

    References
    ----------
    Yu, Abdelaleem, Nemenman and Burton, PNAS 122 (2025), arXiv 2310.05273, for grains that were
    tracked so; Ivlev et al., Phys. Rev. X 5 (2015) 011035, for wakes as point charges; Epstein,
    Phys. Rev. 23 (1924) 710, for the drag.
    """

    name = "dust"
    Spec = DustSpec

    @property
    def velocity_dependent(self) -> bool:
        """Whether there is a drag."""
        return self.spec.drag != 0

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        spec = self.spec
        held = AUTONOMOUS | self._shape(isotropic=spec.radial == spec.vertical)
        if spec.radial == spec.vertical == 0:
            held |= {"translation"}
            if spec.gravity == 0:
                held |= {"charge-conjugation"}
            if spec.drag == 0:
                held |= {"boost"}
        return held if spec.drag else held | {"time-reversal"}

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone."""
        return FREE if self._reciprocal else FREE - {"rotation", "reflection"} | AXIAL

    @property
    def conserved(self) -> frozenset[str]:
        """What is constant without a wake, drag and kicks, as far as the fields keep it."""
        spec = self.spec
        if not self._reciprocal or spec.drag:
            return frozenset()
        kept = {"energy"}
        if spec.gravity == 0 and spec.radial == spec.vertical:
            kept |= {"angular_momentum"} if spec.radial else {"angular_momentum", "momentum"}
        return frozenset(kept)

    @property
    def bath_temperature(self) -> float:
        """Temperature of the gas; a gas that does not drag does not kick."""
        return self.spec.temperature if self.spec.drag else 0.0

    def drag_rates(self, particles: Particles) -> np.ndarray:
        """Return c m^(-1/3), shape (B, N)."""
        return np.asarray(self.spec.drag * particles.masses**DRAG_POWER)

    def force_laws(self) -> ForceLaws:
        """Return the screened repulsion, the fields with the drag, and the wake."""
        spec = self.spec
        length = math.inf if spec.screening_length is None else spec.screening_length
        pair = yukawa(spec.coupling, length)
        field = dust_field(spec.gravity, spec.radial, spec.vertical, spec.drag)
        if self._reciprocal:
            return ForceLaws(pair, field)
        shape = spec.wake_charge, spec.wake_distance, spec.wake_softening
        return ForceLaws(pair, field, directed=ion_wake(spec.coupling, length, *shape))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        sizes = np.exp(spec.charge_spread * rng.normal(size=n))
        charges, masses = sizes, sizes**3
        heights = spec.gravity * (1.0 - masses / charges) / spec.vertical if spec.vertical else 0.0
        x = scattered(rng, n, dimensions, heights)
        thermal = np.sqrt(spec.temperature / masses)[:, None] * rng.normal(size=(n, dimensions))
        return Draw(relaxed(x, charges, masses, self.force_laws()), thermal, charges, masses)

    @property
    def _reciprocal(self) -> bool:
        return self.spec.wake_charge == 0

    def _shape(self, isotropic: bool) -> frozenset[str]:
        if self._reciprocal and self.spec.gravity == 0:
            if isotropic:
                return frozenset({"rotation", "reflection"})
            return frozenset({"axial-rotation", "reflection"})
        return AXIAL
