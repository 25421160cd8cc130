"""Making trajectories of a data set, by any solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import Hidden, HiddenVariable
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.integrators.approximate import with_options
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["Rows", "TrajectoryMaker"]

BATCH = 64  # trajectories that are simulated together
BATCH_BYTES = 1 << 23


class Rows(NamedTuple):
    """Rows of some trajectories.

    Attributes
    ----------
    x, v : ndarray, shape (B, T, N, D)
    hidden : mapping of str to ndarray, shape (B, T, N, ...)
    """

    x: np.ndarray
    v: np.ndarray
    hidden: Hidden

    def put(self, rows: slice, x: np.ndarray, v: np.ndarray, hidden: Hidden) -> None:
        """Fill in some rows; of hidden variables those that are kept."""
        self.x[:, rows], self.v[:, rows] = x, v
        for name, values in self.hidden.items():
            values[:, rows] = hidden[name]


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
    hidden_variables : tuple of HiddenVariable
        Those that rows hold: of the system, where the integrator keeps them.
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
        method = find_method(spec.integrator)
        # a model shares out each operation, not trajectories, and its last digits may depend on it
        self.threaded = "threads" in method.options and not method.learned
        self.threads = threads if self.threaded else 1
        options = spec.options | method.applying({"threads": self.threads})
        options = {**method.of_before, **options}
        self.integrator = method.build(**options)
        self.hidden_variables: tuple[HiddenVariable, ...] = ()
        if self.integrator.keeps_hidden:
            self.hidden_variables = tuple(self.system.hidden_variables)
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
        whole = self._rows(state, np.empty)
        arrays = (whole.x, whole.v, *whole.hidden.values())
        batch = len(state.x)
        size = self._batch(sum(each.nbytes for each in arrays) // batch)
        for begin in range(0, batch, size):
            some = slice(begin, begin + size)
            made = self.rows(self.integrator, state[some], particles[some], first + begin)
            for into, values in zip(arrays, (made.x, made.v, *made.hidden.values()), strict=True):
                into[some] = values
            tick(len(made.x))
        return TrajectoryBlock(whole.x, whole.v, particles, whole.hidden)

    def _rows(self, state: State, make: Callable[[tuple[int, ...]], np.ndarray]) -> Rows:
        """Make arrays of rows, one for each of the starts."""
        batch, n, dimensions = state.x.shape
        lead = (batch, self.spec.rows)
        x, v = (make((*lead, n, dimensions)) for _ in range(2))
        hidden = {e.name: make((*lead, *e.axes(n, dimensions))) for e in self.hidden_variables}
        return Rows(x, v, hidden)

    def _batch(self, bytes_each: int) -> int:
        """Choose how many trajectories are simulated together.

        A trajectory must be the same bits in a data set of any size, so batches are for methods
        whose bits do not depend on them.
        """
        if not self.integrator.batch_invariant_for(self.system):
            return 1
        return max(min(BATCH * self.threads, BATCH_BYTES // bytes_each), 1)

    def rows(
        self,
        integrator: AbstractIntegrator,
        state: State,
        particles: Particles,
        first: int,
        system: AbstractSystem | None = None,
    ) -> Rows:
        """Simulate by an integrator from row to row, and keep the rows of the spec.

        A `system` takes the place of the spec's, of which it is another version.

        Returns
        -------
        Rows

        Raises
        ------
        RunError
            If a trajectory fails; `first` is the number of the first one.
        """
        spec, dt = self.spec, self.system.spec.frame_dt
        system = self.system if system is None else system
        result = self._rows(state, np.zeros)  # a target that is not written stays zero
        kept = spec.numbers
        if kept[0] == 0:
            result.put(slice(0, 1), state.x[:, None], state.v[:, None], _one_row(state.hidden))
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
            chosen = 1 + np.flatnonzero(wanted)
            hidden = {name: values[:, chosen] for name, values in made.hidden.items()}
            result.put(rows, made.x[:, chosen], made.v[:, chosen], hidden)
            state = made.state(count)
            place, frame = rows.stop, int(numbers[-1])
        return result


def _one_row(hidden: Hidden) -> Hidden:
    return {name: values[:, None] for name, values in hidden.items()}


def _over(integrator: AbstractIntegrator, spacing: int) -> AbstractIntegrator:
    """Return an integrator that takes the same steps over so many frames at a time."""
    options = dict(integrator.options)
    if spacing == 1 or options.get("substeps") is None:
        return integrator
    return with_options(integrator, substeps=spacing * options["substeps"])
