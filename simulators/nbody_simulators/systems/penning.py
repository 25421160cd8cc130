"""Equal charges in a Penning trap: a magnetic field and a quadrupole."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.force_laws.penning_field import PenningParameters, penning_law
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.sampling import (
    NonNegativeRange,
    PositiveRange,
    isotropic,
    spread_of,
    uniform,
)
from nbody_simulators.systems.symmetries import AUTONOMOUS
from nbody_surrogate.contracts import (
    Arrow,
    Curve,
    Draw,
    FieldLaw,
    ForceLaws,
    Particles,
    State,
    SystemSpec,
)

__all__ = ["Penning", "PenningSpec"]


class PenningSpec(SystemSpec):
    """Parameters of `Penning`, in reduced units."""

    coupling: float = Field(default=1.0, allow_inf_nan=False, description="k, the force constant")
    softening: float = Field(default=0.1, ge=0, allow_inf_nan=False, description="Plummer length")
    magnetic_field: float = Field(default=4.0, allow_inf_nan=False, description="B, along z")
    quadrupole: float = Field(
        default=2.0, allow_inf_nan=False, description="U in the potential U (z^2 - (x^2 + y^2)/2)/2"
    )
    charge_range: NonNegativeRange = Field(
        default=(1.0, 1.0), description="sampler: charges, uniform"
    )
    mass_range: PositiveRange = Field(default=(1.0, 1.0), description="sampler: masses, uniform")


@final
class Penning(AbstractLawSystem[PenningSpec]):
    """A plasma of one species in an ideal Penning trap; forces depend on velocities.

    To the softened Coulomb repulsion of `Charged` come a uniform magnetic field B along z and an
    electric quadrupole: a = (q / m) [U (x / 2, y / 2, -z) + v x B]. The magnetic force does no
    work, so the energy is conserved. A single particle has three frequencies,

        w_z = sqrt(q U / m),    w_+- = w_c / 2 +- sqrt(w_c^2 / 4 - w_z^2 / 2),    w_c = q B / m,

    and stays in the trap where w_c^2 > 2 w_z^2; other traps are run all the same. In two
    dimensions the motion is that in the plane z = 0.

    The preset has positive unit charges and unit masses, x ~ N(0, s^2) with s = (N / 5)^(1/3),
    and isotropic velocities with |v| = 0.5. With the default fields its rms radius stays within
    a third of that at the start, measured at N = 5 to 30 over 50 time units.

    References
    ----------
    Brown and Gabrielse, Rev. Mod. Phys. 58 (1986) 233.
    """

    name = "penning"
    Spec = PenningSpec
    symmetries = AUTONOMOUS | {"axial-rotation", "midplane-reflection"}
    conserved = frozenset({"energy"})
    velocity_dependent = True

    def force_laws(self) -> ForceLaws:
        """Return the softened Coulomb law and the trap's."""
        spec = self.spec
        parameters = PenningParameters(spec.magnetic_field, spec.quadrupole)
        field = FieldLaw(parameters, penning_law)
        return ForceLaws(coulomb(spec.coupling, spec.softening), field)

    def magnetic_field(self) -> tuple[float, float, float]:
        """Return (0, 0, B)."""
        return (0.0, 0.0, self.spec.magnetic_field)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x = rng.normal(size=(n, dimensions)) * spread_of(n)
        v = isotropic(rng, n, dimensions)
        charges = uniform(rng, self.spec.charge_range, n)
        return Draw(x, v, charges, uniform(rng, self.spec.mass_range, n))

    def _scenery(self, state: State, particles: Particles) -> tuple[Arrow | Curve, ...]:
        shapes: list[Arrow | Curve] = []
        d = _half_height(state)
        if self.spec.magnetic_field:
            along = np.array([0.0, 0.0, np.copysign(1.7 * d, self.spec.magnetic_field)])
            shapes.append(Arrow(-along, along, "magnetic field"))
        if self.spec.quadrupole:
            shapes += _equipotentials(d, state.x.shape[2] == 2)
        return tuple(shapes)


def _half_height(state: State) -> float:
    """Return the length d for which d^2 is the mean of (x^2 + y^2) / 2 and z^2 at the start."""
    x = state.x[0]
    squares = np.mean(x * x, axis=0)
    return float(np.sqrt(0.5 * squares[:2].sum() if len(squares) == 2 else squares.mean())) or 1.0


def _equipotentials(d: float, flat: bool) -> list[Curve]:
    """Return the waist and both caps, in section, of |z^2 - (x^2 + y^2) / 2| = d^2.

    They have the shapes of ideal electrodes, which stand farther out.
    """
    angle = np.linspace(0.0, 2.0 * np.pi, 97)
    waist = np.sqrt(2.0) * d * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    curves = [Curve(waist, "equipotentials")]
    if flat:
        return curves
    rho = np.linspace(-d, d, 49)
    height, zero = np.sqrt(d * d + 0.5 * rho * rho), np.zeros_like(rho)
    for z in (height, -height):
        curves += [
            Curve(np.stack([rho, zero, z], axis=1)),
            Curve(np.stack([zero, rho, z], axis=1)),
        ]
    return curves
