"""The observer that keeps a run's restart file up to date."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.files.limits import RESTART
from nbody_surrogate.simulation.checkpoint import (
    Checkpoint,
    Document,
    GuardState,
    Restart,
    RuntimeEnvironment,
)
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.simulation.file_writer import FileWriter
from nbody_surrogate.simulation.guard.monitor import GuardMonitor
from nbody_surrogate.simulation.guard.outside import DomainWatch
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.restart_arrays import (
    array_bytes,
    as_texts,
    particle_arrays,
    particles_hash,
)

__all__ = ["CheckpointWriter"]


@final
class CheckpointWriter(Observer):
    """Replaces a run's restart file at each boundary.

    Parameters
    ----------
    checkpoint : Checkpoint
    method : AbstractIntegrator
    output : path_like
        The run's H5MD file.
    file : FileWriter
        Of the output; what it has written is on the disk before the restart file says so.
    monitor : GuardMonitor, optional
        Of a guarded run.
    watch : DomainWatch, optional
        Of a method that has a domain.
    estimator : ErrorEstimator, optional
        Of a run whose error is estimated.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        method: AbstractIntegrator,
        output: str | os.PathLike[str],
        file: FileWriter,
        monitor: GuardMonitor | None = None,
        watch: DomainWatch | None = None,
        estimator: ErrorEstimator | None = None,
    ) -> None:
        self._path, self._note = Path(checkpoint.path), dict(checkpoint.note)
        # absolute, since a run may be resumed from another folder
        self._output, self._method = str(Path(output).absolute()), method
        self._file, self._monitor, self._watch = file, monitor, watch
        self._estimator = estimator
        self._made_by: RuntimeEnvironment | None = None
        self._particles = ""  # their hash, once there are any

    def check_size(self, carry: Carry) -> None:
        """Refuse, before the run, what would make restart files that are too large to be read.

        Raises
        ------
        InputError
            If one would be.
        """
        particles = carry.problem.particles
        # a history that is one frame long at the start has its full length later
        state = array_bytes(self._arrays(None, carry)) * max(1, self._method.history)
        RESTART.require(
            state + array_bytes(particle_arrays(particles)),
            f"of {counted(particles.batch, 'trajectory')} of {counted(particles.n, 'particle')}",
        )

    def on_start(self, run: Recorder) -> None:
        """Write the start, before there is any output."""
        # once: it hashes all weights
        batch, n = run.x.shape[0], run.x.shape[2]
        self._made_by = RuntimeEnvironment.of(self._method, batch, n)
        self._particles = particles_hash(particle_arrays(run.problem.particles))
        # a run that goes on has its restart file, and that is of a later frame
        if run.done == 0:
            self._write(run)

    def on_segment(self, run: Recorder, new: slice) -> None:
        """Write a boundary, once its frames are on the disk."""
        # none at the very end, where the output is the whole run
        if run.carry is not None and run.done < run.frames:
            # first, so that no restart file tells of frames which a power failure took
            self._file.writer.sync()
            self._write(run)

    def _write(self, run: Recorder) -> None:
        problem, info, monitor = run.problem, run.info, self._monitor
        assert run.carry is not None and self._made_by is not None
        document = Document(
            identifier=info.identifier,
            particles=self._particles,
            system=info.system,
            method=info.method,
            made_by=self._made_by,
            t0=problem.t0,
            dt=problem.dt,
            frames=run.frames,
            frame=run.carry.frame,
            seed=info.seed,
            output=self._output,
            counters=run.counters,
            wall_time=run.wall_time,
            guard=None if monitor is None else self._guard_state(monitor),
            domain=None if self._watch is None else self._watch.report,
            observables=sorted(run.observables),
            error_estimate=info.error_estimate,
            tolerance=info.tolerance,
            parareal=info.parareal,
            note=self._note,
        )
        arrays = {"good": np.asarray(run.good, np.int64), "message": as_texts(run.message)}
        arrays |= self._arrays(problem.particles if run.done == 0 else None, run.carry)
        Restart(document, arrays).write(self._path)

    def _arrays(self, particles: Particles | None, carry: Carry) -> dict[str, np.ndarray]:
        """Return the arrays of a restart file by their names."""
        arrays = {f"carry.{key}": y for key, y in self._method.stored(carry).items()}
        if particles is not None:  # once there are frames, the output holds them
            arrays |= particle_arrays(particles)
        if self._monitor is not None:
            arrays |= {f"guard.{key}": y for key, y in self._monitor.watch.account.items()}
            arrays["fallen_back"] = np.array(self._monitor.report.fallen_back, np.int64)
        if self._estimator is not None:
            arrays |= {f"estimate.{key}": y for key, y in self._estimator.arrays.items()}
        # reshaped, since ascontiguousarray makes a scalar an array of one
        return {key: np.ascontiguousarray(y).reshape(y.shape) for key, y in arrays.items()}

    def _guard_state(self, monitor: GuardMonitor) -> GuardState:
        report = replace(monitor.report, fallen_back=())  # which is among the arrays
        # the output of a release before has no place for the events: they are kept here
        if report.events and self._file.writer.holds_events:
            report = replace(report, events=())
        return GuardState(
            policy=monitor.guard.policy,
            thresholds=monitor.guard.thresholds.model_dump(),
            spot_checks=monitor.guard.spot_checks,
            reference=monitor.report.reference,
            report=report,
        )
