"""Charged particles in a harmonic trap: a cloud that stays together."""

from __future__ import annotations

from typing import Annotated, final

import numpy as np
from pydantic import Field

from nbody_simulators.force_laws.coulomb import coulomb
from nbody_simulators.force_laws.harmonic import harmonic
from nbody_simulators.systems.charged import ChargedSpec, charged_cloud
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.scenery import turning_surface
from nbody_simulators.systems.symmetries import AUTONOMOUS, FREE
from nbody_surrogate.contracts import Draw, Ellipsoid, ForceLaws, Particles, State

__all__ = ["Trap", "TrapSpec"]

Frequency = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrapSpec(ChargedSpec):
    """Parameters of `Trap`, in reduced units."""

    frequencies: tuple[Frequency, Frequency, Frequency] = Field(
        default=(0.5, 0.5, 0.5),
        description="angular frequencies of the trap along x, y and z; two dimensions leave z out",
    )


@final
class Trap(AbstractLawSystem[TrapSpec]):
    """The cloud of `Charged` in a harmonic trap.

    The equation of motion is that of `Charged` with a_d = -w_d^2 x_d added, the same for all
    masses and charges; the preset is the same too. The default frequency 0.5 keeps its size:
    over 50 time units and 4 to 12 starts each, the rms radius over that at the start is on
    average 1.10, 1.01 and 0.88 at N = 5, 10 and 30, and at single times from 0.43 to 2.14.

    The trap is isotropic where its three frequencies are equal. Where w_x = w_y alone, it has the
    axis z. ``reflection`` holds in the coordinate planes, and in the isotropic trap in all.

    References
    ----------
    Dubin and O'Neil, Rev. Mod. Phys. 71 (1999) 87, for charges held by a harmonic potential.
    """

    name = "trap"
    Spec = TrapSpec
    tolerance = 1e-10  # it stays dense: benchmarks/reference_error.py
    pair_symmetries = FREE

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        wx, wy, wz = self._frequencies
        held = AUTONOMOUS | {"reflection", "time-reversal", "charge-conjugation"}
        if wx == wy:
            held |= {"rotation" if wy == wz else "axial-rotation"}
        return held

    @property
    def conserved(self) -> frozenset[str]:
        """Energy, and in the isotropic trap angular momentum."""
        isotropic = len(set(self._frequencies)) == 1
        return frozenset({"energy", "angular_momentum"} if isotropic else {"energy"})

    def force_laws(self) -> ForceLaws:
        """Return the softened Coulomb law and the trap's."""
        spec = self.spec
        return ForceLaws(coulomb(spec.coupling, spec.softening), harmonic(spec.frequencies))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        return charged_cloud(self.spec, rng, n, dimensions)

    def _scenery(self, state: State, particles: Particles) -> tuple[Ellipsoid, ...]:
        return turning_surface(state, self._frequencies)

    @property
    def _frequencies(self) -> tuple[float, float, float]:
        return self.spec.frequencies
