"""The physics: what a system of particles is."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, final

import numpy as np
from typing_extensions import TypeVar  # the default of a parameter comes with Python 3.13

from nbody_surrogate.contracts.arguments import demand_whole
from nbody_surrogate.contracts.arrays import read_only
from nbody_surrogate.contracts.attributes import OF_SAMPLES, OF_SYSTEMS, Suggesting
from nbody_surrogate.contracts.brief import Described
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.configurations import fits, paired
from nbody_surrogate.contracts.force_laws import ForceLaws
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden, demand_hidden
from nbody_surrogate.contracts.memory import demand_starts_memory
from nbody_surrogate.contracts.needs import SystemNeeds
from nbody_surrogate.contracts.neighbours import Neighbours
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.scenery import SystemScenery
from nbody_surrogate.contracts.signals import SignalWatch
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system_costs import SystemCosts
from nbody_surrogate.contracts.system_spec import (
    Draw,
    Invariants,
    SystemSpec,
    demand_draw,
    generator_of,
    motion_of,
    stacked,
)
from nbody_surrogate.contracts.system_versions import SystemVersions
from nbody_surrogate.contracts.violations import (
    array_of,
    array_or_none,
    plugin_errors,
)
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["AbstractSystem"]

Spec_co = TypeVar("Spec_co", bound=SystemSpec, default=SystemSpec, covariant=True)


class AbstractSystem(
    SystemNeeds, SystemCosts, SystemVersions, SystemScenery, Described, Suggesting, Generic[Spec_co]
):
    """A system of particles. All units are reduced (dimensionless).

    To write one:

    1. set `name`, and `Spec` to a subclass of `SystemSpec` with the parameters; inherit from
       ``AbstractSystem[YourSpec]``, so that type checkers know what `spec` is;
    2. declare `symmetries` (of the equations of motion), `conserved` (of ``energy``,
       ``momentum``, ``angular_momentum``) and `velocity_dependent`; where they depend on the
       parameters, as properties, else as plain class attributes;
    3. implement `pair_acceleration`, and `one_body_acceleration` where there is one,
       in NumPy or numba;
    4. implement `potential_energy`, where the forces have one: a system with drag has not, and
       then it must not declare ``energy`` as conserved;
    5. implement `_sample`;
    6. optionally return the same forces as laws from `force_laws`: compiled and batched
       integrators need them, the SciPy solvers do not;
    7. return the field from `magnetic_field` where it is uniform: `boris` needs it;
    8. where published data sets are of this system, draw their starts in `legacy_draw`; where it
       alters the physics it stands for, return that from `ideal`, and where it truncates it, a
       finer version from `finer`; name cheaper forces in `approximations`;
    9. set `api_version` to the version of these duties that the class is written for;
    10. where errors grow so fast that a solver at its default tolerance is wrong after a few time
       units, set `tolerance`.

    A system with a box, a cut-off, hidden variables, radii or a bath has the duties of
    `SystemNeeds` too; one whose forces are dear, those of `SystemCosts`; one that pictures show
    more of than particles, that of `SystemScenery`.

    Forces and energies are float64 arrays, and no array that is handed in is changed.
    `nbody_surrogate.testing` checks all of this.

    Parameters
    ----------
    **parameters
        Those of `Spec`.

    Raises
    ------
    InputError
        If one is unknown or out of range.
    """

    api_version: ClassVar[int] = 1
    name: ClassVar[str]
    Spec: type[Spec_co]
    tolerance: ClassVar[float | None] = None
    """The relative and absolute tolerance of a solver that is named without one; None leaves it to
    the solver. Methods that are compared at given tolerances do not ask for it."""
    other_words = OF_SYSTEMS

    @final
    def __init__(self, /, **parameters: Any) -> None:
        self.spec = validated(self.Spec, parameters, f"system {self.name!r}")
        self.origin = origin_of(type(self), "system", self.name)
        # parameters alone decide it, so it is told before there are any particles
        if (request := self.requested_neighbours) is not None:
            request.refuse_small_box(self.box)

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion in three dimensions, by name.

        A symmetry maps every solution to a solution: ``translation``, ``boost``, ``rotation``
        (about any axis through the origin), ``reflection`` (in each coordinate plane),
        ``permutation``, ``time-shift``, ``time-reversal``, ``charge-conjugation``.
        """
        return frozenset()

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone; by default those of the whole system."""
        return self.symmetries

    @property
    def conserved(self) -> frozenset[str]:
        """Which of `invariants` are constants of motion."""
        return frozenset()

    @property
    def velocity_dependent(self) -> bool:
        """Whether forces depend on velocities."""
        return False

    @property
    def has_potential(self) -> bool:
        """Whether `potential_energy` is defined; by default, whether it is implemented."""
        return type(self).potential_energy is not AbstractSystem.potential_energy

    @abstractmethod
    def pair_acceleration(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, "B N D"]:
        """Accelerations by the other particles.

        Parameters
        ----------
        x : ndarray, shape (B, N, D)
        particles : Particles

        Returns
        -------
        ndarray, shape (B, N, D)
        """

    def one_body_acceleration(
        self, x: Float64[np.ndarray, "B N D"], v: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, "B N D"] | None:
        """Accelerations by external fields, or None where there are none.

        Parameters
        ----------
        x, v : ndarray, shape (B, N, D)
        particles : Particles

        Returns
        -------
        ndarray, shape (B, N, D), or None
        """
        return None

    def potential_energy(
        self, x: Float64[np.ndarray, "B N D"], particles: Particles
    ) -> Float64[np.ndarray, " B"]:
        """Total potential energy, pair and one-body part; NaN where it is not implemented.

        Parameters
        ----------
        x : ndarray, shape (B, N, D)
        particles : Particles

        Returns
        -------
        ndarray, shape (B,)
        """
        # not 0, by which a system without a potential would seem to keep its energy
        return np.full(len(x), np.nan)

    @abstractmethod
    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        """Draw one start."""

    def force_laws(self) -> ForceLaws | None:
        """Return all forces as laws, or None where they are not written as such."""
        return None

    def magnetic_field(self) -> tuple[float, float, float] | None:
        """Return the uniform magnetic field B in a = (q / m) (E + v x B), or None."""
        return None

    def legacy_draw(
        self, stream: np.random.RandomState, n: int, dimensions: int, rows: int
    ) -> Draw | None:
        """Draw one start as a published program does, or return None where none does.

        Parameters
        ----------
        stream : numpy.random.RandomState
            Moved on by all that the program draws for one trajectory.
        n, dimensions : int
        rows : int
            How many rows the program stores; what it draws may depend on it.

        Returns
        -------
        Draw or None
        """
        return None

    @property
    def description(self) -> dict[str, Any]:
        """Name and parameters as JSON has them, as they are stored with a run."""
        return {"system": self.name, **self.spec.model_dump(mode="json")}

    @final
    @guided(state="`state.x` and `state.v`", particles="`state.x, state.v, particles`")
    def acceleration(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden = NOTHING_HIDDEN,
        neighbours: Neighbours | None = None,
    ) -> Float64[np.ndarray, "... N D"]:
        """Total acceleration.

        Parameters
        ----------
        x, v : ndarray, shape (..., N, D)
            Such as (B, N, D) of a state, or the frames (T, N, D) of a run.
        particles : Particles
            One set for all, or one for each along the first axis of `x`.
        hidden : mapping of str to ndarray, shapes (B, N, ...)
            All of the system's hidden variables, where it has some; `x` is then (B, N, D).
        neighbours : Neighbours, optional
            A list that covers `x` (B, N, D), where the system asks for one; by default made anew.

        Returns
        -------
        ndarray, shape (..., N, D)

        Raises
        ------
        InputError
            If shapes do not fit, or hidden variables are missing.
        PluginError
            If the system's forces are not float64 arrays of that shape, or raise.
        """
        if fits(particles, x, v):
            return self._acceleration(x, v, particles, hidden, neighbours)
        if hidden or neighbours is not None:
            raise InputError(
                f"`x` must be of shape (B, N, D) with (B, N) = {particles.charges.shape} beside "
                f"hidden variables or neighbours, got {np.shape(x)}"
            )
        every = paired(particles, x, v)
        return every.evaluate(lambda x, v, few: self._acceleration(x, v, few, hidden, None))

    @final
    def _acceleration(
        self,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
        hidden: Hidden,
        known: Neighbours | None,
    ) -> Float64[np.ndarray, "B N D"]:
        """Total acceleration of configurations that fit their particles."""
        self.refuse_wrong_radii(particles)
        x, v = read_only(x), read_only(v)  # they may be a solver's own
        origin, shape, near = self.origin, x.shape, self._near(x, known)
        if near is None:
            total = array_of(origin, self.pair_acceleration, shape, x, particles)
        else:
            total = array_of(origin, self.neighbour_acceleration, shape, x, particles, near)
        external = array_or_none(origin, self.one_body_acceleration, shape, x, v, particles)
        if external is not None:
            # not in place, here and below: a plugin may have returned an array that it keeps
            total = total + external
        behind = self._hidden_part(x, v, particles, hidden, near)
        return total if behind is None else total + behind

    @final
    @guided(state="`state.x` and `state.v`", particles="`state.x, state.v, particles`")
    def invariants(self, x: np.ndarray, v: np.ndarray, particles: Particles) -> Invariants:
        """Energy, kinetic energy, momentum and angular momentum of each configuration.

        Parameters
        ----------
        x, v : ndarray, shape (..., N, D)
            Such as (B, N, D) of a state, or the frames (T, N, D) of a run.
        particles : Particles
            One set for all, or one for each along the first axis of `x`.

        Returns
        -------
        Invariants
            With the axes in front of N and D.

        Raises
        ------
        InputError
            If shapes do not fit.
        PluginError
            If the system's energies are no float64 array of shape (B,), or it raises.
        """
        every = paired(particles, x, v)
        self.refuse_wrong_radii(particles)
        potential = every.evaluate(
            lambda x, v, few: array_of(self.origin, self.potential_energy, x.shape[:1], x, few)
        )
        shape = (*every.lead, particles.n)
        place, velocity = (y.reshape(*shape, -1) for y in (every.x, every.v))
        masses = particles.masses[every.which].reshape(shape)
        return motion_of(potential, place, velocity, masses)

    @final
    @guided(**OF_SAMPLES)
    def sample(
        self,
        rng: int | np.random.Generator,
        n: int,
        trajectories: int = 1,
        dimensions: int | None = None,
        *,
        first: int = 0,
    ) -> tuple[State, Particles]:
        """Draw starts of the preset at t = 0.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            From a seed, trajectory i is drawn by ``SeedSequence(seed, spawn_key=(i,))``, so it
            does not depend on how many are drawn. A generator is drawn from in turn.
        n : int
            Particles per trajectory, at least 1.
        trajectories : int
            At least 1.
        dimensions : int, optional
            2 or 3; by default those of the box, and 3 where there is none.
        first : int
            With a seed, the number i of the first trajectory.

        Returns
        -------
        state : State, shape (B, N, D)
            With the seed, where `rng` is one and `first` is 0, so that a run can say it.
        particles : Particles

        Raises
        ------
        InputError
            If a number is out of range, or there is not so much memory.
        PluginError
            If the system's sampler raises, or draws anything but finite arrays of their shapes.
        """
        n = demand_whole("particles", n, 1)
        trajectories = demand_whole("trajectories", trajectories, 1)
        dimensions = self._sampled_dimensions(dimensions)
        if not isinstance(rng, np.random.Generator):
            rng = demand_whole("rng", rng, 0)
        if first < 0 or (first and isinstance(rng, np.random.Generator)):
            raise InputError(f"`first` must be at least 0, and goes with a seed only, got {first}")
        # a small start shows whether there are couplings, where a system has so small ones
        few = partial(self._draw, np.random.default_rng(0), min(n, 8), dimensions)
        demand_starts_memory(trajectories, n, dimensions, few)
        generators = (generator_of(rng, first + b) for b in range(trajectories))
        # a seed stands for trajectories 0, 1, ...; others could not be drawn again by it alone
        seed = None if first or isinstance(rng, np.random.Generator) else int(rng)
        with SignalWatch():  # of all draws: to watch each of thousands anew takes longer than it
            return stacked([self._draw(each, n, dimensions) for each in generators], seed)

    def _draw(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        """Draw one start, and check it."""
        with plugin_errors(self.origin, "_sample"):
            # a plain tuple will do as well
            draw = Draw(*self._sample(rng, n, dimensions))
        demand_draw(self.origin, draw, n, dimensions, self.needs_radii)
        variables = self.hidden_variables
        demand_hidden(self.origin, "_sample", variables, draw.hidden, (), (n, dimensions))
        return draw
