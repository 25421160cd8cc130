"""A system with its forces in plain NumPy: how solvers are fed where nothing is compiled."""

from __future__ import annotations

from functools import cached_property
from typing import Any, final

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts.force_laws import ForceLaws
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import make_system

__all__ = ["NumpyForce", "with_numpy_force"]


class NumpyForceSpec(SystemSpec):
    """The system whose forces they are."""

    of: str
    parameters: dict[str, Any] = Field(default_factory=dict)


@final
class NumpyForce(AbstractSystem[NumpyForceSpec]):
    """Another system's forces by NumPy's array operations, as most scripts would write them.

    All N x N pairs at a time, by the system's own laws. It offers no laws itself, so that no
    method compiles them. It is there to be timed: symmetries and conserved quantities are asked
    of the system that it stands for.
    """

    name = "numpy-force"
    Spec = NumpyForceSpec

    @cached_property
    def _system(self) -> AbstractSystem:
        return make_system(self.spec.of, **self.spec.parameters)

    @cached_property
    def _laws(self) -> ForceLaws:
        laws = self._system.force_laws()
        if laws is None or self._system.needs:  # laws are of pairs in open space
            raise InputError(
                f"`system` {self._system.name!r} has no laws to be written in NumPy; "
                "its own force is the only one"
            )
        return laws

    @property
    def has_potential(self) -> bool:
        """Whether the system itself has one."""
        return self._system.has_potential

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Accelerations by the other particles, shape (B, N, D)."""
        if self._laws.directed is not None:
            return np.asarray(self._central(x, particles) + self._directed(x, particles))
        return self._central(x, particles)

    def _central(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        pair = self._laws.pair
        if pair is None:
            return np.zeros_like(x)
        law = pair.factory(np.sqrt, np.where)
        gaps = x[:, :, None] - x[:, None]  # (B, N, N, D)
        r2 = np.einsum("bijd,bijd->bij", gaps, gaps)
        q, m = particles.charges, particles.masses
        bonds = 1.0 if particles.couplings is None else particles.couplings
        with np.errstate(divide="ignore", invalid="ignore"):  # the diagonal, overwritten below
            force, _ = law(
                pair.parameters, r2, q[:, :, None], q[:, None], m[:, :, None], m[:, None], bonds
            )
        force = np.broadcast_to(force, r2.shape).copy()
        each = np.arange(x.shape[1])
        force[:, each, each] = 0.0
        total = np.einsum("bij,bijd->bid", force, gaps)
        if np.isfinite(self._laws.clip):
            total = np.clip(total, -self._laws.clip, self._laws.clip)
        return np.asarray(total / m[..., None])

    def _directed(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        directed = self._laws.directed
        assert directed is not None
        law = directed.factory(np.sqrt, np.where)
        gaps = np.zeros((3, *x.shape[:2], x.shape[1]))  # (3, B, N, N)
        gaps[: x.shape[2]] = np.moveaxis(x[:, :, None] - x[:, None], -1, 0)
        q, m = particles.charges, particles.masses
        with np.errstate(divide="ignore", invalid="ignore"):  # the diagonal, overwritten below
            force = law(
                directed.parameters, *gaps, q[:, :, None], q[:, None], m[:, :, None], m[:, None]
            )
        each, total = np.arange(x.shape[1]), np.empty_like(x)
        for d in range(x.shape[2]):
            part = np.broadcast_to(force[d], gaps.shape[1:]).copy()
            part[:, each, each] = 0.0
            total[..., d] = part.sum(2)
        return np.asarray(total / m[..., None])

    def one_body_acceleration(
        self, x: np.ndarray, v: np.ndarray, particles: Particles
    ) -> np.ndarray | None:
        """Accelerations by the field, shape (B, N, D), or None where there is none."""
        field = self._laws.field
        if field is None:
            return None
        law = field.factory(np.sqrt, np.where)
        missing = [np.zeros(x.shape[:2])] * (3 - x.shape[2])
        parts = [(*np.moveaxis(y, -1, 0), *missing) for y in (x, v)]
        a, _ = law(field.parameters, *parts, particles.charges, particles.masses)
        made = [np.broadcast_to(part, x.shape[:2]) for part in a[: x.shape[2]]]
        return np.stack(made, axis=-1)

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Total potential energy, as the system itself has it."""
        return self._system.potential_energy(x, particles)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        return self._system._sample(rng, n, dimensions)


def with_numpy_force(system: AbstractSystem) -> NumpyForce:
    """Return the system with its forces in plain NumPy.

    Raises
    ------
    InputError
        If its forces are not written as laws.
    """
    made = NumpyForce(
        of=system.name,
        parameters=system.spec.model_dump(mode="json"),
        frame_dt=system.spec.frame_dt,
    )
    _ = made._laws
    return made
