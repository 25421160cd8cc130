"""The observer that keeps a run's restart file up to date."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.simulation.checkpoint import (
    Checkpoint,
    Document,
    GuardState,
    Restart,
    RuntimeEnvironment,
)
from nbody_surrogate.simulation.file_writer import FileWriter
from nbody_surrogate.simulation.guard.monitor import GuardMonitor
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder

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
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        method: AbstractIntegrator,
        output: str | os.PathLike[str],
        file: FileWriter,
        monitor: GuardMonitor | None = None,
    ) -> None:
        self._path, self._note = Path(checkpoint.path), dict(checkpoint.note)
        self._output, self._method = str(Path(output).absolute()), method
        self._file, self._monitor = file, monitor
        self._made_by = RuntimeEnvironment.of(method)

    def on_start(self, run: Recorder) -> None:
        """Write the start, before there is any output."""
        if run.done == 0:
            self._write(run)

    def on_segment(self, run: Recorder, new: slice) -> None:
        """Write a boundary, once its frames are on the disk."""
        if run.carry is not None and run.done < run.frames:
            self._file.writer.sync()
            self._write(run)

    def _write(self, run: Recorder) -> None:
        problem, info, monitor = run.problem, run.info, self._monitor
        assert run.carry is not None
        document = Document(
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
            good=tuple(int(count) for count in run.good),
            message=tuple(run.message),
            guard=None if monitor is None else _guard_state(monitor),
            note=self._note,
        )
        arrays = {"charges": problem.particles.charges, "masses": problem.particles.masses}
        if problem.particles.couplings is not None:
            arrays["couplings"] = problem.particles.couplings
        arrays |= {f"carry.{key}": y for key, y in self._method.stored(run.carry).items()}
        if monitor is not None:
            arrays |= {f"guard.{key}": y for key, y in monitor.budget.arrays.items()}
        # reshaped, since ascontiguousarray makes a scalar an array of one
        whole = {key: np.ascontiguousarray(y).reshape(y.shape) for key, y in arrays.items()}
        Restart(document, whole).write(self._path)


def _guard_state(monitor: GuardMonitor) -> GuardState:
    return GuardState(
        policy=monitor.guard.policy,
        thresholds=monitor.guard.thresholds.model_dump(),
        reference=monitor.report.reference,
        report=monitor.report,
    )
