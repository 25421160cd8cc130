"""Systems whose forces are laws: written once, they run everywhere."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import numpy as np
from typing_extensions import TypeVar

from nbody_surrogate.contracts import AbstractSystem, ForceLaws, Particles, SystemSpec, fits, paired

__all__ = ["AbstractLawSystem"]


Spec_co = TypeVar("Spec_co", bound=SystemSpec, default=SystemSpec, covariant=True)


class AbstractLawSystem(AbstractSystem[Spec_co]):
    """A system that is complete with its `force_laws` and its sampler.

    To write one, see `AbstractSystem`, and in place of its duties 3, 4 and 6 implement
    `force_laws`: accelerations and energies follow from them. With a directed law there is no
    energy. Where hidden variables act on the motion, laws are what is left without them.
    """

    # The kernels are imported where they are used: with them comes numba, without which a system's
    # parameters are checked and its starts are drawn.

    @abstractmethod
    def force_laws(self) -> ForceLaws:
        """Return all forces as laws."""

    @property
    def has_potential(self) -> bool:
        """Whether forces have an energy of positions: not directed ones, nor hidden variables."""
        return self.force_laws().directed is None and not self.hidden_variables

    @final
    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Accelerations by the other particles, shape (..., N, D).

        See `acceleration` for `x` and `particles`. Compiled code takes the numbers of all sets of
        particles on trust, so what does not fit is paired or refused before it.
        """
        from nbody_simulators.kernels.forces import pair_accelerations

        laws = self.force_laws()
        if fits(particles, x, x):
            return pair_accelerations(x, particles, laws)
        every = paired(particles, x, x)
        return every.evaluate(lambda x, _, few: pair_accelerations(x, few, laws))

    @final
    def one_body_acceleration(
        self, x: np.ndarray, v: np.ndarray, particles: Particles
    ) -> np.ndarray | None:
        """Accelerations by the field, shape (..., N, D), or None where there is none."""
        laws = self.force_laws()
        if laws.field is None:
            return None
        from nbody_simulators.kernels.forces import field_accelerations

        if fits(particles, x, v):
            return field_accelerations(x, v, particles, laws)
        every = paired(particles, x, v)
        return every.evaluate(lambda x, v, few: field_accelerations(x, v, few, laws))

    @final
    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Potential energy of pairs and field, shape (...); NaN where there is none."""
        from nbody_simulators.kernels.forces import potential_energies

        laws = self.force_laws()
        if not self.has_potential:
            every = paired(particles, x, x)
            return every.evaluate(lambda x, _, few: np.full(len(x), np.nan))
        if fits(particles, x, x):
            return potential_energies(x, particles, laws)
        every = paired(particles, x, x)
        return every.evaluate(lambda x, _, few: potential_energies(x, few, laws))
