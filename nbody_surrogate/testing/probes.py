"""Problems that show whether a method does what it accepts to do."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.hidden_variables import Hidden, HiddenVariable
from nbody_surrogate.contracts.neighbours import NeighbourRequest, Neighbours, every_pair
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.testing.case import StepperCase

__all__ = ["SEGMENT", "OnlyNumPy", "Relaxing", "SoftSpheres", "error_of"]

SEGMENT = 5  # frames


class OnlyNumPy(AbstractSystem):
    """Masses that are all joined by springs: a force in NumPy and nothing else."""

    name = "only-numpy"
    Spec = SystemSpec
    symmetries = frozenset({"translation", "rotation", "reflection", "permutation", "time-shift"})
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Return -sum_j (x_i - x_j) / m_i."""
        n = x.shape[1]
        away = x.sum(1, keepdims=True) - n * x
        return np.asarray(away / particles.masses[..., None])

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Return sum over pairs of r^2 / 2."""
        r = x[:, :, None] - x[:, None]
        return np.asarray((r * r).sum((1, 2, 3)) / 4)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))


class SoftSpheresSpec(SystemSpec):
    """Parameters of `SoftSpheres`."""

    period: float | None = Field(default=2.5, gt=0, description="of a cube; none: open space")
    axes: int = Field(default=3, description="of the cube")
    reach: float = Field(default=1.2, gt=0, description="distance at which spheres touch")
    skin: float | None = Field(default=0.3, description="of lists of neighbours; none: all pairs")


class SoftSpheres(AbstractSystem):
    """Spheres that push each other apart, in a box, with neighbours.

    The force between two is r (1 - r^2 / reach^2)^3: smooth where they touch, and at r = 0.
    """

    name = "soft-spheres"
    Spec = SoftSpheresSpec
    symmetries = frozenset(
        {"translation", "boost", "reflection", "permutation", "time-reversal", "time-shift"}
        | {"charge-conjugation"}
    )
    conserved = frozenset({"energy", "momentum"})

    @property
    def box(self) -> Box | None:
        """A cube, or open space."""
        period = self._given.period
        return None if period is None else Box((period,) * self._given.axes)

    @property
    def requested_neighbours(self) -> NeighbourRequest | None:
        """Those that touch."""
        skin = self._given.skin
        return None if skin is None else NeighbourRequest(self._given.reach, skin)

    @property
    def _given(self) -> SoftSpheresSpec:
        assert isinstance(self.spec, SoftSpheresSpec)
        return self.spec

    def _overlaps(self, x: np.ndarray, near: Neighbours) -> tuple[np.ndarray, np.ndarray]:
        """Separations (P, D) of pairs, and 1 - r^2 / reach^2 (P, 1), at least 0."""
        b, i, j = near.trajectory, near.i, near.j
        r = x[b, i] - x[b, j]
        r = r if self.box is None else self.box.displacement(r)
        r2 = (r * r).sum(1, keepdims=True)
        return r, np.maximum(1.0 - r2 / self._given.reach**2, 0.0)

    def neighbour_acceleration(
        self, x: np.ndarray, particles: Particles, neighbours: Neighbours
    ) -> np.ndarray:
        """Sum the pushes of those that touch."""
        r, overlap = self._overlaps(x, neighbours)
        return np.asarray(neighbours.sum(overlap**3 * r) / particles.masses[..., None])

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Look at all pairs."""
        return self.neighbour_acceleration(x, particles, every_pair(x))

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Return sum over pairs of reach^2 / 8 (1 - r^2 / reach^2)^4."""
        near = self.neighbours(x) or every_pair(x)
        _, overlap = self._overlaps(x, near)
        total = near.sum(overlap**4).sum((1, 2))
        return np.asarray(total * self._given.reach**2 / 16)  # each pair is there twice

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x = (self._given.period or 2.5) * rng.uniform(size=(n, dimensions))
        return Draw(x, rng.normal(size=(n, dimensions)), np.ones(n), np.ones(n))


class Relaxing(AbstractSystem):
    """Grains in the field (1, 0, 0) whose charge q relaxes: m a = q E, dq / dt = 1 - q.

    So q = 1 + (q_0 - 1) exp(-t), and along the field v = v_0 + (t + (q_0 - 1) (1 - exp(-t))) / m.
    """

    name = "relaxing"
    Spec = SystemSpec
    symmetries = frozenset({"translation", "boost", "permutation", "time-shift"})
    hidden_variables = (HiddenVariable("charge", description="of each grain, towards 1"),)

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Grains do not see each other."""
        return np.zeros_like(x)

    def hidden_acceleration(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> np.ndarray:
        """Return q E / m."""
        a = np.zeros_like(x)
        a[..., 0] = hidden["charge"] / particles.masses
        return a

    def _hidden_rate(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Hidden:
        return {"charge": 1.0 - hidden["charge"]}

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x, v = rng.normal(size=(2, n, dimensions))
        charge = {"charge": rng.normal(size=n)}
        return Draw(x, v, np.zeros(n), np.ones(n), hidden=charge)


def error_of(
    case: StepperCase, system: AbstractSystem, state: State, particles: Particles
) -> float:
    """Error against the truth over a few frames, over the way that particles go."""
    dt, frames = system.spec.frame_dt, SEGMENT
    made = simulate(
        system, state, particles, frames, case.make(segment=SEGMENT), dt=dt, error_estimate=False
    )
    solver = make_integrator("dop853", rtol=1e-10, atol=1e-10)
    truth = simulate(system, state, particles, frames, solver, dt=dt)
    way = max(float(np.abs(truth.x - truth.x[:, :1]).max()), 1e-300)
    return float(np.abs(made.x - truth.x).max()) / way
