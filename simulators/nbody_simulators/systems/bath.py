"""Particles tied to oscillators that nobody sees: friction with a memory."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
from pydantic import Field

from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.scenery import turning_surface
from nbody_simulators.systems.trapped import (
    ISOTROPIC,
    TrappedSpec,
    thermal_start,
    trapped_laws,
)
from nbody_surrogate.contracts import (
    Draw,
    Ellipsoid,
    ForceLaws,
    Hidden,
    HiddenVariable,
    Neighbours,
    Particles,
    State,
)

__all__ = ["Bath", "BathSpec"]


class BathSpec(TrappedSpec):
    """Parameters of `Bath`, in reduced units."""

    oscillators: int = Field(default=4, ge=1, le=64, description="M, of each particle")
    friction: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="g, a rate: that of many oscillators"
    )
    memory_time: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="tau, how long friction remembers"
    )


@final
class Bath(AbstractLawSystem[BathSpec]):
    """Charges in a trap, each tied to M unseen oscillators: the model of Zwanzig.

    The equations of motion are those of one mechanical system,

        m_i a_i = sum_j k q_i q_j (x_i - x_j) / s_ij^3 - m_i w^2 x_i - m_i c sum_k (x_i - y_ik),
        d^2 y_ik / dt^2 = -w_k^2 (y_ik - x_i),

    with c = g / (tau M) and w_k = tan(pi (2 k - 1) / (4 M)) / tau: the frequencies that share the
    spectrum of the memory (g / tau) exp(-t / tau) in equal parts. So each particle obeys a
    generalised Langevin equation, whose memory is sum_k c cos(w_k t): that exponential for many
    oscillators, a sum of few waves about it for the four of the default. Its noise is what the
    oscillators were at the start. They are hidden. `whole_energy` is constant; what is seen of it
    is not.

    A start is a cloud that was relaxed without its bath, with velocities, and oscillators about
    their particles, of the temperature.

    References
    ----------
    Zwanzig, J. Stat. Phys. 9 (1973) 215; Ford, Kac and Mazur, J. Math. Phys. 6 (1965) 504.
    """

    name = "bath"
    batch_invariant = True
    Spec = BathSpec

    @property
    def hidden_variables(self) -> tuple[HiddenVariable, ...]:
        """Places and velocities of the oscillators."""
        shape: tuple[int | Literal["N", "D"], ...] = (self.spec.oscillators, "D")
        return (
            HiddenVariable("place", shape, "y of each particle's oscillators, less its x"),
            HiddenVariable("speed", shape, "dy/dt of each particle's oscillators"),
        )

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        return ISOTROPIC if self.spec.frequency else ISOTROPIC | {"translation"}

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone."""
        return self.symmetries | {"translation", "boost"}

    @property
    def frequencies(self) -> np.ndarray:
        """Those of the oscillators w_k, shape (M,), ascending."""
        count = self.spec.oscillators
        return np.tan(np.pi * (2 * np.arange(count) + 1) / (4 * count)) / self.spec.memory_time

    @property
    def tie(self) -> float:
        """The strength c of each tie, per mass of its particle."""
        return self.spec.friction / (self.spec.memory_time * self.spec.oscillators)

    def force_laws(self) -> ForceLaws:
        """Return the forces without the bath."""
        return trapped_laws(self.spec)

    def hidden_acceleration(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> np.ndarray:
        """Return the pull of the oscillators, shape (B, N, D)."""
        del x, v, particles, neighbours
        return np.asarray(self.tie * hidden["place"].sum(2))

    def _hidden_rate(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Hidden:
        del x, particles, neighbours
        # places are counted from the particle, so that nothing depends on the origin
        place, speed = hidden["place"], hidden["speed"]
        pull = -(self.frequencies**2)[:, None] * place
        return {"place": speed - v[:, :, None], "speed": pull}

    def whole_energy(
        self, x: np.ndarray, v: np.ndarray, particles: Particles, hidden: Hidden
    ) -> np.ndarray:
        """Energy of particles and oscillators together, a constant of motion, shape (B,).

        Parameters
        ----------
        x, v : ndarray, shape (B, N, D)
        particles : Particles
        hidden : mapping of str to ndarray
            All of the system's hidden variables.
        """
        from nbody_simulators.kernels.forces import potential_energies

        place, speed = hidden["place"], hidden["speed"]
        still = speed / self.frequencies[:, None]
        ties = self.tie * ((place**2).sum((2, 3)) + (still**2).sum((2, 3)))
        own = particles.masses * ((v**2).sum(2) + ties)
        pairs = potential_energies(x, particles, self.force_laws())
        return np.asarray(0.5 * own.sum(1) + pairs)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        x, v = thermal_start(spec, rng, np.ones(n), dimensions)
        shape = (n, spec.oscillators, dimensions)
        wide = np.sqrt(spec.temperature / self.tie) if self.tie else 0.0
        place, still = wide * rng.normal(size=(2, *shape))
        hidden = {"place": place, "speed": self.frequencies[:, None] * still}
        return Draw(x, v, np.ones(n), np.ones(n), hidden=hidden)

    def _scenery(self, state: State, particles: Particles) -> tuple[Ellipsoid, ...]:
        return turning_surface(state, (self.spec.frequency,) * 3)
