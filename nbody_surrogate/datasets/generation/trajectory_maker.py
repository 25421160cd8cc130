"""Making trajectories of a data set, by any solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import refuse_unstored
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.integrators.approximate import with_options
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["TrajectoryMaker"]

BATCH = 64  # trajectories that are simulated together
BATCH_BYTES = 1 << 23


@final
class TrajectoryMaker:
    """Makes trajectories of a spec: draws their starts, solves them, and keeps the rows.

    Parameters
    ----------
    spec : DatasetSpec
    threads : int
        For an integrator that has them.

    Attributes
    ----------
    spec : DatasetSpec
    system : AbstractSystem
    integrator : AbstractIntegrator
    times : ndarray, shape (T,)
        Of the rows.
    threaded : bool
        Whether the integrator runs trajectories on threads.

    Raises
    ------
    InputError
        If the system or the integrator is unknown or takes other parameters, or the data were
        not made here.
    """

    def __init__(self, spec: DatasetSpec, threads: int = 1) -> None:
        if spec.integrator is None:
            raise InputError("`integrator` is none: these data were imported, not made here")
        if "threads" in spec.options:
            raise InputError("`options.threads` is no part of a data set; use `workers`")
        self.spec, self.system = spec, spec.make_system()
        refuse_unstored(self.system.name, self.system.hidden_variables, "a data set")
        method = find_method(spec.integrator)
        # a model shares out each operation, not trajectories, and its last digits may depend on it
        self.threaded = "threads" in method.options and not method.learned
        self.threads = threads if self.threaded else 1
        options = spec.options | method.applying({"threads": self.threads})
        options = {**method.of_before, **options}
        self.integrator = method.build(**options)
        self.times = spec.numbers * self.system.spec.frame_dt

    def check(self) -> None:
        """Raise `InputError` where the solver does not fit the system, or there are no starts."""
        state, particles = self._trial()
        dt = self.system.spec.frame_dt
        for spacing, _ in self.spec.spans:
            _over(self.integrator, spacing).check(self.system, state, particles, spacing * dt)

    def _trial(self) -> tuple[State, Particles]:
        spec, system = self.spec, self.system
        if spec.legacy is not None:
            trial = system.legacy_draw(np.random.RandomState(0), spec.particles, spec.dimensions, 0)
            if trial is None:
                raise InputError(
                    f"`legacy` needs a system with published starts, {spec.system!r} has none; "
                    "use charged-clipped, or leave `legacy` out"
                )
        return system.sample(spec.seed, spec.particles, 1, spec.dimensions)

    def starts(self, part: range) -> tuple[State, Particles]:
        """Draw the starts of trajectories by their own seeds."""
        spec = self.spec
        return self.system.sample(
            spec.seed, spec.particles, len(part), spec.dimensions, first=part.start
        )

    def run(
        self, state: State, particles: Particles, first: int, tick: Callable[[int], None]
    ) -> TrajectoryBlock:
        """Make the rows of all starts, batch by batch.

        Parameters
        ----------
        state : State, shape (B, N, D)
        particles : Particles, shape (B, N)
        first : int
            Number of the first trajectory, for messages.
        tick : callable
            Takes the number of trajectories just made.

        Raises
        ------
        RunError
            If a trajectory fails.
        """
        shape = (len(state.x), self.spec.rows, *state.x.shape[1:])
        x, v = np.empty(shape), np.empty(shape)
        size = self._batch(x.nbytes // len(x))
        for begin in range(0, len(x), size):
            some = slice(begin, begin + size)
            x[some], v[some] = self.rows(
                self.integrator, state[some], particles[some], first + begin
            )
            tick(len(x[some]))
        return TrajectoryBlock(x, v, particles)

    def _batch(self, bytes_each: int) -> int:
        """Choose how many trajectories are simulated together.

        A trajectory must be the same bits in a data set of any size, so batches are for methods
        whose bits do not depend on them.
        """
        if not self.integrator.batch_invariant_for(self.system):
            return 1
        return max(min(BATCH * self.threads, BATCH_BYTES // (2 * bytes_each)), 1)

    def rows(
        self,
        integrator: AbstractIntegrator,
        state: State,
        particles: Particles,
        first: int,
        system: AbstractSystem | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulate by an integrator from row to row, and keep the rows of the spec.

        A `system` takes the place of the spec's, of which it is another version.

        Returns
        -------
        x, v : ndarray, shape (B, T, N, D)

        Raises
        ------
        RunError
            If a trajectory fails; `first` is the number of the first one.
        """
        spec, dt = self.spec, self.system.spec.frame_dt
        system = self.system if system is None else system
        shape = (len(state.x), spec.rows, *state.x.shape[1:])
        x, v = np.zeros(shape), np.zeros(shape)  # a target that is not written stays zero
        kept = spec.numbers
        if kept[0] == 0:
            x[:, 0], v[:, 0] = state.x, state.v
        place, frame = int(kept[0] == 0), 0
        # A window's target lies thousands of frames past its inputs. Each span of equal gaps is a
        # run whose frames are its rows, so that nothing in between is kept in memory.
        for spacing, count in spec.spans:
            solver = _over(integrator, spacing)
            made = simulate(system, state, particles, count, solver, dt=spacing * dt)
            for b, why in enumerate(made.info.message):
                if why:
                    raise RunError(f"trajectory {first + b} failed: {why}")
            numbers = frame + spacing * np.arange(1, count + 1)
            wanted = np.isin(numbers, kept)
            rows = slice(place, place + int(wanted.sum()))
            x[:, rows], v[:, rows] = made.x[:, 1:][:, wanted], made.v[:, 1:][:, wanted]
            state = made.state(count)
            place, frame = rows.stop, int(numbers[-1])
        return x, v


def _over(integrator: AbstractIntegrator, spacing: int) -> AbstractIntegrator:
    """Return an integrator that takes the same steps over so many frames at a time."""
    options = dict(integrator.options)
    if spacing == 1 or options.get("substeps") is None:
        return integrator
    return with_options(integrator, substeps=spacing * options["substeps"])
