"""The physics: what a system of particles is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field

from nbody_surrogate.errors import InputError
from nbody_surrogate.options import validated
from nbody_surrogate.state import Particles, State

__all__ = ["AbstractSystem", "Invariants", "PairLaw", "SystemSpec"]

Vectors = Float64[np.ndarray, "B N D"]


class SystemSpec(BaseModel):
    """Base of every system's parameters: unknown keys are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frame_dt: float = Field(default=0.1, gt=0, allow_inf_nan=False)


class Invariants(NamedTuple):
    """Quantities of motion, one row per trajectory.

    Attributes
    ----------
    energy : ndarray, shape (B,)
    kinetic : ndarray, shape (B,)
    momentum : ndarray, shape (B, D)
    angular_momentum : ndarray, shape (B, 1) for D = 2, (B, 3) for D = 3
        About the origin.
    """

    energy: Float64[np.ndarray, " B"]
    kinetic: Float64[np.ndarray, " B"]
    momentum: Float64[np.ndarray, "B D"]
    angular_momentum: Float64[np.ndarray, "B A"]


class PairLaw(NamedTuple):
    """A central pair law, written once for every array library.

    Attributes
    ----------
    parameters : tuple
        A named tuple of floats, handed to the law as its first argument.
    factory : callable
        ``factory(sqrt, where)`` returns
        ``law(parameters, r2, charge_i, charge_j, mass_i, mass_j) -> (force, energy)``:
        the force on i over the separation x_i - x_j, and the pair's potential energy,
        as functions of the squared distance.
    """

    parameters: tuple[float, ...]
    factory: Callable[..., Callable[..., Any]]


class AbstractSystem(ABC):
    """A system of particles. All units are reduced (dimensionless).

    To write one:

    1. set `name`, and `Spec` to a subclass of `SystemSpec` with the parameters;
    2. declare `symmetries` (of the equations of motion), `conserved` (of ``energy``,
       ``momentum``, ``angular_momentum``) and `velocity_dependent`;
    3. implement `pair_acceleration`, and `one_body_acceleration` where there is one,
       in NumPy or numba;
    4. implement `potential_energy`;
    5. implement `_sample`;
    6. optionally return the `PairLaw` from `pair_law`: compiled and batched integrators need
       it, the SciPy solvers do not.
    """

    name: ClassVar[str]
    Spec: ClassVar[type[SystemSpec]]
    symmetries: ClassVar[frozenset[str]] = frozenset()
    conserved: ClassVar[frozenset[str]] = frozenset()
    velocity_dependent: ClassVar[bool] = False

    @final
    def __init__(self, **parameters: Any) -> None:
        self.spec = validated(self.Spec, parameters, f"system {self.name!r}")

    @abstractmethod
    def pair_acceleration(self, x: Vectors, particles: Particles) -> Vectors:
        """Accelerations by the other particles, shape (B, N, D)."""

    def one_body_acceleration(self, x: Vectors, v: Vectors, particles: Particles) -> Vectors | None:
        """Accelerations by external fields, or None where there are none."""
        return None

    @abstractmethod
    def potential_energy(self, x: Vectors, particles: Particles) -> Float64[np.ndarray, " B"]:
        """Total potential energy, pair and one-body part."""

    @abstractmethod
    def _sample(
        self, rng: np.random.Generator, n: int, dimensions: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Draw one start: x (N, D), v (N, D), charges (N,), masses (N,)."""

    def pair_law(self) -> PairLaw | None:
        """Return the pair law for compiled integrators, or None."""
        return None

    @final
    def acceleration(self, x: Vectors, v: Vectors, particles: Particles) -> Vectors:
        """Total acceleration, shape (B, N, D)."""
        pair = self.pair_acceleration(x, particles)
        external = self.one_body_acceleration(x, v, particles)
        return pair if external is None else pair + external

    @final
    def invariants(self, x: Vectors, v: Vectors, particles: Particles) -> Invariants:
        """Energy, kinetic energy, momentum and angular momentum of each trajectory."""
        masses = particles.masses[..., None]
        kinetic = 0.5 * (masses * v * v).sum((1, 2))
        axial = x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]
        spin = axial[..., None] if x.shape[2] == 2 else np.cross(x, v)
        return Invariants(
            energy=kinetic + self.potential_energy(x, particles),
            kinetic=kinetic,
            momentum=(masses * v).sum(1),
            angular_momentum=(masses * spin).sum(1),
        )

    @final
    def sample(
        self, rng: int | np.random.Generator, n: int, trajectories: int = 1, dimensions: int = 3
    ) -> tuple[State, Particles]:
        """Draw starts of the preset at t = 0.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            From a seed, trajectory b is drawn by ``SeedSequence(seed, spawn_key=(b,))``, so it
            does not depend on how many are drawn. A generator is drawn from in turn.
        n : int
            Particles per trajectory, at least 1.
        trajectories : int
            At least 1.
        dimensions : int
            2 or 3.

        Returns
        -------
        state : State, shape (B, N, D)
        particles : Particles

        Raises
        ------
        InputError
            If a number is out of range.
        """
        for parameter, value in (("particles", n), ("trajectories", trajectories)):
            if value < 1:
                raise InputError(f"`{parameter}` must be at least 1, got {value}")
        if dimensions not in (2, 3):
            raise InputError(f"`dimensions` must be 2 or 3, got {dimensions}")
        if not isinstance(rng, np.random.Generator) and rng < 0:
            raise InputError(f"`rng` must be a generator or a seed of at least 0, got {rng}")
        draws = [self._sample(_generator(rng, b), n, dimensions) for b in range(trajectories)]
        x, v, charges, masses = (np.stack(column) for column in zip(*draws, strict=True))
        return State(0.0, x, v), Particles(charges, masses)


def _generator(rng: int | np.random.Generator, b: int) -> np.random.Generator:
    """Return the generator of trajectory `b`."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(np.random.SeedSequence(rng, spawn_key=(b,)))
