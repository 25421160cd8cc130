"""Systems whose forces another program makes, at a cost: evaluated once, counted and checked."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

import numpy as np
from typing_extensions import TypeVar

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.configurations import paired
from nbody_surrogate.contracts.evaluations import FORCES, Evaluations, evaluations_of
from nbody_surrogate.contracts.start_check import check_forces
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import SystemSpec

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["AbstractDearSystem", "Evaluated"]

FORCE_CALLS, ENERGY_CALLS = "force_calls", "energy_calls"

Spec_co = TypeVar("Spec_co", bound=SystemSpec, default=SystemSpec, covariant=True)


class Evaluated(NamedTuple):
    """What one call gave for some configurations, in the system's units.

    Attributes
    ----------
    forces : ndarray, shape (B, N, D)
        Forces, not accelerations.
    energies : ndarray, shape (B,), or None
        Potential energies, where they come with the forces.
    """

    forces: Float64[np.ndarray, "B N D"]
    energies: Float64[np.ndarray, " B"] | None = None

    def __repr__(self) -> str:
        return brief(self)


class AbstractDearSystem(AbstractSystem[Spec_co]):
    """A system whose forces are dear: milliseconds and more, by a program of somebody else.

    To write one, see `AbstractSystem`, and in place of its duties 3 and 4

    1. implement `_evaluate`, which returns forces, and energies where the same call gives them;
    2. implement `_energies`, where they take a call of their own;
    3. say in `has_potential` whether there is an energy;
    4. return from `fixed_particles` how many particles there are, where that is fixed.

    Forces must depend on positions and particles alone, to the bit: what a program remembers of
    the call before, such as orbitals to start from, has to be cleared.

    What was computed at the latest places is kept: the force at the end of a step begins the next
    one, and the energy of a frame comes from the call that made the force there. `calls` counts
    what was really computed. Before the first run by a solver, forces at its start are checked:
    see `nbody_surrogate.contracts.start_check`.

    Parameters
    ----------
    **parameters
        Those of `Spec`.
    """

    dear = True
    checks_start: ClassVar[bool] = True
    """Whether forces are checked at the first start."""

    @abstractmethod
    def _evaluate(self, x: Float64[np.ndarray, "B N D"], particles: Particles) -> Evaluated:
        """Compute forces, and energies where they come with them."""

    def _energies(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, " B"] | None:
        """Compute energies alone, or return None where they come with the forces."""
        return None

    @property
    @abstractmethod
    def has_potential(self) -> bool:
        """Whether there is a potential energy."""

    @cached_property
    def evaluations(self) -> Evaluations:
        """What was computed at the latest places, by all systems of the same parameters."""
        return evaluations_of(type(self), json.dumps(self.spec.of_forces(), sort_keys=True))

    @property
    @final
    def computed(self) -> Mapping[str, int]:
        """Configurations computed so far: ``force_calls``, and ``energy_calls`` of energies alone.

        All systems of the same parameters count together.
        """
        return {FORCE_CALLS: 0, **self.evaluations.calls}

    @final
    def pair_acceleration(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, "B N D"]:
        """Divide forces, of all particles together, by masses; see `AbstractSystem`.

        Of forces, only those are computed that are not known from just before.
        """
        every = paired(particles, x, x)
        return every.evaluate(lambda x, _, few: self._known_forces(x, few) / few.masses[..., None])

    @final
    def potential_energy(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, " B"]:
        """Return potential energies, of which only those are computed that are not known."""
        return paired(particles, x, x).evaluate(lambda x, _, few: self._known_energies(x, few))

    def _known_forces(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        store = self.evaluations
        # each trajectory of a batch has its forces at the end of a step, and one more place
        store.forces.most = max(FORCES, store.forces.most, 2 * len(x))
        found, some = np.full(x.shape, np.nan), _known_places(x)
        if some.any():
            wanted = x[some], particles[some]
            found[some] = store.look_up(store.forces, *wanted, self._new_forces)
        return found

    def _known_energies(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        found, some = np.full(len(x), np.nan), _known_places(x)
        if self.has_potential and some.any():
            store, wanted = self.evaluations, (x[some], particles[some])
            found[some] = store.look_up(store.energies, *wanted, self._new_energies)
        return found

    def _new_forces(
        self, x: np.ndarray, particles: Particles, keys: list[bytes]
    ) -> list[np.ndarray]:
        return [force for force, _ in self._computed(x, particles, keys)]

    def _new_energies(self, x: np.ndarray, particles: Particles, keys: list[bytes]) -> list[float]:
        alone = self._energies(x, particles)
        if alone is None:
            return [energy for _, energy in self._computed(x, particles, keys)]
        self.evaluations.calls[ENERGY_CALLS] += len(x)
        found = [float(energy) for energy in alone]
        for key, energy in zip(keys, found, strict=True):
            self.evaluations.energies.put(key, energy)
        return found

    def _computed(
        self, x: np.ndarray, particles: Particles, keys: list[bytes]
    ) -> list[tuple[np.ndarray, float]]:
        """Compute both, count it, and keep what there is."""
        made, store = self._evaluate(x, particles), self.evaluations
        store.calls[FORCE_CALLS] += len(x)
        # copied: a program may write its next forces into the same array
        forces = [force.copy() for force in made.forces]
        energies = [np.nan] * len(x) if made.energies is None else made.energies.tolist()
        for key, force, energy in zip(keys, forces, energies, strict=True):
            store.forces.put(key, force)
            if made.energies is not None:
                store.energies.put(key, energy)
        return list(zip(forces, energies, strict=True))

    @final
    def check_start(self, state: State, particles: Particles) -> None:
        """Check forces at the first start of so many particles, and see `SystemCosts`."""
        shape = state.x.shape[1:]
        if shape in self.evaluations.checked or not self.checks_start:
            return
        before = Counter(self.evaluations.calls)
        # of one trajectory: what is wrong with a program is wrong for all
        check_forces(self, state.x[:1], particles[0])
        self.evaluations.checked.add(shape)
        self.evaluations.looks.update(self.evaluations.calls - before)

    @final
    def claim_looks(self) -> Mapping[str, int]:
        """Return the calls of looks at starts that no run has counted yet, and forget them."""
        found = dict(self.evaluations.looks)
        self.evaluations.looks.clear()
        return found


def _known_places(x: np.ndarray) -> np.ndarray:
    """Tell which configurations are numbers: of a trajectory that has failed nobody is asked."""
    return np.asarray(np.isfinite(x).all((1, 2)))
