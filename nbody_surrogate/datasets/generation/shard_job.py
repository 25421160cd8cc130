"""Making the trajectories of one shard, by any solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.history import refuse_unstored
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.datasets.shard import Block, ShardData, write_shard
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.integrators.build import integrator_options, make_integrator
from nbody_surrogate.integrators.refine import SMALLEST_RTOL, sharper
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["Job", "Maker", "Starts", "make_shard", "sample_of", "verified_rows"]

BATCH = 64  # trajectories that are simulated together
BATCH_BYTES = 1 << 23
ROWS = 12  # of a trajectory, for which the label error is kept
SAMPLE = 32  # trajectories that are verified, in a large data set
SAMPLED = 50  # one in so many, in a small one
FEWEST = 4
LEAST_GAIN = 10.0  # in tolerance, below which a sharper run says nothing


class Starts(NamedTuple):
    """Starts of some trajectories, where they were drawn beforehand."""

    state: State
    particles: Particles
    stream: np.ndarray
    """State of the legacy stream after them."""


@dataclass(frozen=True)
class Job:
    """One shard to make, as it is handed to a worker."""

    spec: DatasetSpec
    spec_hash: str
    path: Path
    part: range
    threads: int
    starts: Starts | None


def make_shard(job: Job, tick: Callable[[int], None]) -> None:
    """Make a shard and write it; `tick` gets the number of trajectories just made.

    Raises
    ------
    RunError
        If a trajectory fails or the file cannot be written.
    """
    maker, part = Maker(job.spec, job.threads), job.part
    state, particles = maker.starts(part) if job.starts is None else job.starts[:2]
    block = maker.run(state, particles, part.start, tick)
    sample = [i for i in sample_of(job.spec) if i in part]
    errors = maker.label_errors(block, state, particles, part.start, sample)
    stream = None if job.starts is None else job.starts.stream
    taken = np.array(sample if errors.size else [], np.int64)
    data = ShardData(job.spec_hash, part.start, maker.times, block, taken, errors, stream)
    write_shard(job.path, data)


@final
class Maker:
    """Makes trajectories of a spec.

    Parameters
    ----------
    spec : DatasetSpec
    threads : int
        For an integrator that has them.

    Attributes
    ----------
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
        self.threaded = "threads" in integrator_options(spec.integrator)
        self.threads = threads if self.threaded else 1
        options = spec.options | ({"threads": self.threads} if self.threaded else {})
        self.integrator = make_integrator(spec.integrator, **options)
        self.times = spec.numbers * self.system.spec.frame_dt

    def check(self) -> None:
        """Raise `InputError` where the solver does not fit the system, or there are no starts."""
        state, particles = self._trial()
        dt = self.system.spec.frame_dt
        for spacing, _ in self.spec.spans:
            _over(self.integrator, spacing).start(self.system, state, particles, spacing * dt)

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
    ) -> Block:
        """Make the rows of all starts; `first` is the number of the first one.

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
            start = State(0.0, state.x[some], state.v[some])
            x[some], v[some] = self._rows(
                self.integrator, start, _some(particles, some), first + begin
            )
            tick(len(x[some]))
        return Block(x, v, particles)

    def _batch(self, bytes_each: int) -> int:
        if not self.integrator.batch_invariant:
            return 1
        return max(min(BATCH * self.threads, BATCH_BYTES // (2 * bytes_each)), 1)

    def _rows(
        self, integrator: AbstractIntegrator, state: State, particles: Particles, first: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulate from row to row, and keep those of the spec."""
        spec, dt = self.spec, self.system.spec.frame_dt
        shape = (len(state.x), spec.rows, *state.x.shape[1:])
        x, v = np.zeros(shape), np.zeros(shape)  # a target that is not written stays zero
        kept = spec.numbers
        if kept[0] == 0:
            x[:, 0], v[:, 0] = state.x, state.v
        place, frame = int(kept[0] == 0), 0
        for spacing, count in spec.spans:
            solver = _over(integrator, spacing)
            made = simulate(self.system, state, particles, count, solver, dt=spacing * dt)
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

    def sharper(self) -> AbstractIntegrator | None:
        """Return the integrator that measures the label error, or None where there is none."""
        rtol = dict(self.integrator.options).get("rtol")
        if rtol is not None and rtol < LEAST_GAIN * SMALLEST_RTOL:
            return None
        try:
            return sharper(self.integrator, clip=True)
        except InputError:
            return None

    def label_errors(
        self, block: Block, state: State, particles: Particles, first: int, sample: list[int]
    ) -> np.ndarray:
        """Position RMSE (K, F) between some trajectories and sharper runs of the same starts.

        Raises
        ------
        RunError
            If a sharper run fails.
        """
        tight = self.sharper()
        if tight is None or not sample:
            return np.empty((0, 0))
        rows = verified_rows(self.spec)
        errors = np.empty((len(sample), len(rows)))
        for k, number in enumerate(sample):
            b = number - first
            truth, _ = self._rows(tight, state[b], particles[b], number)
            errors[k] = rmse(truth, block.x[b][None])[0, rows]
        return errors


def _over(integrator: AbstractIntegrator, spacing: int) -> AbstractIntegrator:
    """Return an integrator that takes the same steps over so many frames at a time."""
    options = dict(integrator.options)
    if spacing == 1 or options.get("substeps") is None:
        return integrator
    return type(integrator)(**(options | {"substeps": spacing * options["substeps"]}))


def _some(particles: Particles, some: slice) -> Particles:
    couplings = None if particles.couplings is None else particles.couplings[some]
    return Particles(particles.charges[some], particles.masses[some], couplings)


def sample_of(spec: DatasetSpec) -> list[int]:
    """Numbers of the trajectories that are verified, evenly spread over the data set."""
    count = min(max(FEWEST, spec.trajectories // SAMPLED), SAMPLE, spec.trajectories)
    return [int((k + 0.5) * spec.trajectories / count) for k in range(count)]


def verified_rows(spec: DatasetSpec) -> np.ndarray:
    """Rows for which the label error is kept, the last one among them."""
    last = spec.rows - 1 - int(spec.has_zero_target)
    return np.unique(np.linspace(0, last, ROWS).round().astype(int))
