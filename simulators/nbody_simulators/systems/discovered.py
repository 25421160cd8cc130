"""A law that was found in tracks, as a system that runs like any other."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any, final

import numpy as np

from nbody_simulators.force_laws.affine_field import affine_field
from nbody_simulators.force_laws.spline_directed import spline_directed
from nbody_simulators.force_laws.spline_numbers import Curve, spline_pair
from nbody_simulators.systems.discovered_spec import DiscoveredSpec
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.measured_clouds import in_dimensions, like_measured
from nbody_simulators.systems.sampling import isotropic, spread_of
from nbody_simulators.systems.symmetries import AUTONOMOUS, FREE
from nbody_surrogate.contracts import Draw, ForceLaws, PairLaw, Particles

__all__ = ["Discovered"]

AXIAL = frozenset({"axial-rotation", "axial-reflection"})


@final
class Discovered(AbstractLawSystem[DiscoveredSpec]):
    """Particles under a law that was inferred from their tracks: numbers, in the units of these.

    The equation of motion, with d = x_i - x_j, r = |d|, u = r / (r + b), is

        m_i a_i = sum_j q_i q_j env(r) S(u) d / r + directed forces
                  + m_i A + q_i B + (m_i G + q_i H) x_i - m_i c m_i^e v_i + kicks,

    env(r) = (r^2 + a^2)^(p/2) exp(-r / lambda), S a cubic spline, A and B `uniform` and
    `uniform_by_charge`, G and H the gradients along each axis, c and e the drag and its power of
    the mass. `couplings` of pairs stand in place of q_i q_j where the tracks gave these. Kicks are
    those of a bath at `temperature`, see `SystemKicks`; where nothing drags, nothing kicks.

    A start of the measured number of particles is one of the measured ones, with their charges and
    masses. Another number is drawn from the particles, with their velocities; they are placed in a
    cloud of the same density and shape, none nearer to another than was measured. Without
    parameters it is an example: eight equal charges that repel each other by 1 / (r^2 + 0.01), in
    the cloud of `Charged`.

    Curves are as good as the tracks: beyond the distances that were visited, S stays what it was at
    the last of them. The energy is exact for the curve as it is.

    References
    ----------
    Yu, Cho and Burton, PNAS 122 (2025) e2505725122, for unlike particles whose forces are learned
    from tracks; de Boor, "A Practical Guide to Splines" (2001), for the curves.
    """

    name = "discovered"
    Spec = DiscoveredSpec

    @property
    def velocity_dependent(self) -> bool:
        """Whether there is a drag."""
        return self.spec.drag != 0

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        spec, held = self.spec, AUTONOMOUS | self._shape()
        weighed = any((*spec.uniform_by_charge, *spec.gradient_by_charge))
        if not any((*spec.gradient, *spec.gradient_by_charge)):
            held |= {"translation"} if spec.drag else {"translation", "boost"}
        held |= set() if weighed else {"charge-conjugation"}
        return held | (set() if spec.drag else {"time-reversal"})

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone."""
        return FREE if self.spec.directed is None else FREE - {"rotation", "reflection"} | AXIAL

    @property
    def conserved(self) -> frozenset[str]:
        """What is constant without directed forces and drag, as far as the fields keep it."""
        if self.spec.directed is not None or self.spec.drag:
            return frozenset()
        held, kept = self.symmetries, {"energy"}
        kept |= {"angular_momentum"} if "rotation" in held else set()
        pushed = any((*self.spec.uniform, *self.spec.uniform_by_charge))
        return frozenset(kept | ({"momentum"} if "translation" in held and not pushed else set()))

    @property
    def bath_temperature(self) -> float:
        """Temperature of what drags; without drag there are no kicks."""
        return self.spec.temperature if self.spec.drag else 0.0

    @property
    def usual_particles(self) -> int:
        """The measured number."""
        return len(self.spec.charges)

    @property
    def usual_dimensions(self) -> int:
        """Those of the tracks."""
        return self.spec.dimensions

    def drag_rates(self, particles: Particles) -> np.ndarray:
        """Return c m^e, shape (B, N)."""
        return np.asarray(self.spec.drag * particles.masses**self.spec.drag_power)

    def force_laws(self) -> ForceLaws:
        """Return the curve, and the fields with the drag."""
        return self._laws

    def __getstate__(self) -> dict[str, Any]:
        # functions made in other functions go to no other process: they are made there again
        return {key: value for key, value in vars(self).items() if key != "_laws"}

    @cached_property
    def _laws(self) -> ForceLaws:
        # once: the energies of a curve are integrals, which take tens of milliseconds
        spec = self.spec
        field = affine_field(
            spec.uniform,
            spec.uniform_by_charge,
            spec.gradient,
            spec.gradient_by_charge,
            spec.drag,
            spec.drag_power,
        )
        directed = None if spec.directed is None else spline_directed(**dict(spec.directed))
        held = any(field.parameters[:-1])  # all but the power of the drag
        return ForceLaws(self._pair(), field if held else None, directed=directed)

    def _pair(self) -> PairLaw | None:
        curve = self.spec.pair
        if curve is None:
            return None
        return _pair_law(Curve(**dict(curve)), self.spec.couplings is None)

    def _shape(self) -> frozenset[str]:
        """Which turns and reflections hold."""
        spec = self.spec
        pushed = [
            a != 0 or b != 0 for a, b in zip(spec.uniform, spec.uniform_by_charge, strict=True)
        ]
        slopes = list(zip(spec.gradient, spec.gradient_by_charge, strict=True))
        round_z = slopes[0] == slopes[1] and not any(pushed[:2])
        upright = spec.directed is None and not pushed[2]
        held = set()
        if round_z and upright and slopes[1] == slopes[2]:
            held = {"rotation"}
        elif round_z:
            held = {"axial-rotation"}
        if upright and not any(pushed[:2]):
            return frozenset(held | {"reflection"})
        held |= set() if any(pushed[:2]) else {"axial-reflection"}
        return frozenset(held | ({"midplane-reflection"} if upright else set()))

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        charges, masses = np.array(spec.charges), np.array(spec.masses)
        bonds = None if spec.couplings is None else np.array(spec.couplings)
        which = np.arange(n)
        if n != len(charges):
            which = rng.integers(len(charges), size=n)
        if not spec.starts_x:
            x, v = spread_of(n) * rng.normal(size=(n, dimensions)), isotropic(rng, n, dimensions)
        else:
            x, v = (in_dimensions(y, dimensions) for y in self._start(rng, which))
        if bonds is not None:
            bonds = bonds[np.ix_(which, which)]
            np.fill_diagonal(bonds, 0.0)
        return Draw(x, v, charges[which], masses[which], bonds)

    def _start(self, rng: np.random.Generator, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw places and velocities of these particles from the measured starts."""
        places, velocities = np.array(self.spec.starts_x), np.array(self.spec.starts_v)
        some = rng.integers(len(places), size=len(which))
        if np.array_equal(which, np.arange(places.shape[1])):
            return places[some[0]], velocities[some[0]]
        return like_measured(rng, places, len(which)), velocities[some, which]


# every evaluation of the forces asks for the law, and its energies take a hundred times as long
_pair_law = lru_cache(maxsize=64)(spline_pair)
