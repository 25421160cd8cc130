"""Going on with a run that was interrupted, from its restart file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem
from nbody_surrogate.contracts.state import State
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.atomic import part_path
from nbody_surrogate.files.output_path import CheckedPath
from nbody_surrogate.formats.h5md import H5MDReader, check_output_path, read_h5md
from nbody_surrogate.integrators.build import method_from
from nbody_surrogate.registry.registry import system_from
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.checkpoint import (
    Checkpoint,
    Document,
    Restart,
    RuntimeEnvironment,
    read_restart,
)
from nbody_surrogate.simulation.checkpoint_writer import CheckpointWriter
from nbody_surrogate.simulation.file_writer import FileWriter
from nbody_surrogate.simulation.guard.monitor import GuardMonitor
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.observers import Observer, Progress, as_observers
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.simulate import roll_out

__all__ = ["resume"]

NO_MATTER = frozenset({"weights"})  # where they lie; what they are is compared by hash


def resume(
    path: str | os.PathLike[str],
    integrator: AbstractIntegrator | None = None,
    *,
    allow_inexact: bool = False,
    overwrite: bool = False,
    observers: Observer | Progress | Iterable[Observer | Progress] = (),
) -> Ensemble:
    """Go on with a run that was interrupted, from its restart file.

    The result, and the arrays of its H5MD file, are bitwise those of a run that was not
    interrupted, on the same machine, with the same versions and number of threads.

    Parameters
    ----------
    path : path_like
        What ``simulate(..., checkpoint=path)`` keeps.
    integrator : AbstractIntegrator, optional
        By default the one that the file describes; a model in memory has to be given.
    allow_inexact : bool
        Go on with other weights, versions or numbers of threads.
    overwrite : bool
        Replace an existing output; it is not enough that the interrupted run was allowed to.
    observers : Observer or callable, or several of them
        As for `simulate`.

    Returns
    -------
    Ensemble
        The whole run. Where it was finished before, it is read from its output.

    Raises
    ------
    InputError
        If the integrator does not fit, or what the bits depend on has changed.
    FileFormatError
        If the restart file or the output is missing, damaged or of another run.
    RunError
        If the output cannot be written.
    """
    own = as_observers(observers)
    restart = read_restart(path)
    document = restart.document
    method = method_from(document.method) if integrator is None else integrator
    changed = _differences(document, method)
    if changed and not allow_inexact:
        raise InputError(
            f"`checkpoint` {os.fspath(path)!r} was written by another set-up: "
            f"{'; '.join(changed)}. Restore that, or pass --allow-inexact, and the run goes on "
            "with other bits"
        )
    problem = _problem(restart, method)
    if (finished := _finished(restart)) is not None:
        return finished
    rest = _Rest(restart, problem, method)
    watching: list[Observer] = [] if rest.monitor is None else [rest.monitor]
    return roll_out(rest.run, [*watching, *own, *rest.observers(Path(path), overwrite)])


def _differences(document: Document, method: AbstractIntegrator) -> list[str]:
    """Say what is not as it was; what cannot be gone on with at all is an error."""
    was, now = document.method, method.description
    for key in ("integrator", "segment"):
        if was.get(key) != now[key]:
            raise InputError(f"`{key}` must be {was.get(key)!r} as in the file, got {now[key]!r}")
    if document.frame % now["segment"]:
        raise FileFormatError(f"frame {document.frame} of the restart file is no boundary")
    changed = [
        f"{key} {was.get(key)!r}, now {now.get(key)!r}"
        for key in sorted((was.keys() | now.keys()) - NO_MATTER)
        if was.get(key) != now.get(key)
    ]
    return changed + document.made_by.differences(RuntimeEnvironment.of(method))


def _problem(restart: Restart, method: AbstractIntegrator) -> Problem:
    """Build the problem, checked as at the start of a run."""
    document = restart.document
    state = State(document.t0, restart.arrays["carry.x"], restart.arrays["carry.v"])
    return method.check(system_from(document.system), state, restart.particles, document.dt)


def _finished(restart: Restart) -> Ensemble | None:
    """Return the run where it was finished, though its restart file does not know."""
    output = Path(restart.document.output)
    if part_path(output).exists() or not output.exists():
        return None
    run = read_h5md(output)
    _check_same(restart, output, run.x[:, : restart.document.frame + 1], run.v)
    if len(run.t) != restart.document.frames + 1:
        raise _of_another_run(output)
    return run


def _check_same(restart: Restart, file: Path, x: np.ndarray, v: np.ndarray) -> None:
    """Demand that a file holds, at the boundary, the state that the restart file holds."""
    document, frame = restart.document, restart.document.frame
    running = [b for b, why in enumerate(document.message) if not why]
    for values, key in ((x, "carry.x"), (v, "carry.v")):
        state = restart.arrays[key]
        if values.shape[2:] != state.shape[1:] or len(values) != len(state):
            raise _of_another_run(file)
        if values.shape[1] <= frame:
            raise FileFormatError(
                f"{str(file)!r} holds {values.shape[1]} frames, the restart file is at {frame}"
            )
        if not np.array_equal(values[running, frame], state[running]):
            raise _of_another_run(file)


def _of_another_run(file: Path) -> FileFormatError:
    return FileFormatError(f"{str(file)!r} is of another run than the restart file")


@final
class _Rest:
    """The rest of a run: its recorder, with the frames that there are, and its guard."""

    def __init__(self, restart: Restart, problem: Problem, method: AbstractIntegrator) -> None:
        self.restart, self.problem, self.method = restart, problem, method
        document = restart.document
        self.output = Path(document.output)
        x, v = self._frames()
        start = State(document.t0, x[:, 0], v[:, 0], seed=document.seed)
        self.monitor = self._monitor(start)
        carry = self._carry(start, x, v)
        info = RunInfo(
            system=document.system,
            method=method.description,
            versions=versions(),
            seed=document.seed,
        )
        self.run = Recorder(method, carry, start, document.frames, info)
        self.run.restore(document.frame, x, v, document.good, document.message)
        self.run.counters, self.run.wall_time = dict(document.counters), document.wall_time

    def _frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Read what there is of the run."""
        document, part = self.restart.document, part_path(self.output)
        if document.frame == 0:  # all is made anew
            start = self.restart.arrays
            return start["carry.x"][:, None], start["carry.v"][:, None]
        limit = 16 * (document.frame + 1) * self.restart.arrays["carry.x"].size
        with H5MDReader(part, limit=limit) as file:
            x, v = file.read(0, min(document.frame + 1, file.frames))
            if not _same_particles(file.particles, self.restart.particles):
                raise _of_another_run(part)
        _check_same(self.restart, part, x, v)
        return x, v

    def _monitor(self, start: State) -> GuardMonitor | None:
        state = self.restart.document.guard
        if state is None:
            return None
        reference = None if state.reference is None else method_from(state.reference)
        given = {key: value for key, value in state.thresholds.items() if value is not None}
        guard = Guard(state.policy, reference=reference, **given)
        frames = self.restart.document.frames
        monitor = GuardMonitor(guard, self.method, self.problem, start, frames)
        try:
            monitor.restore(
                state.report, self.restart.arrays_under("guard."), self.restart.document.message
            )
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None
        return monitor

    def _carry(self, start: State, x: np.ndarray, v: np.ndarray) -> Carry:
        """Take over the carry, or make one of the frames where it is of other weights."""
        document, method, problem = self.restart.document, self.method, self.problem
        if document.frame == 0:
            return method.start(problem.system, start, problem.particles, problem.dt)
        latest = slice(-method.history, None)
        like = method.restart(problem, document.frame, x[:, latest], v[:, latest])
        if document.made_by.fingerprint != method.fingerprint:
            return like
        try:
            return method.restored(like, self.restart.arrays_under("carry."))
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None

    def observers(self, path: Path, overwrite: bool) -> list[Observer]:
        """Make what keeps the restart file at `path` and the output up to date."""
        segments = 0 if self.monitor is None else self.monitor.segments
        if self.run.done == 0:  # all is made anew
            part_path(self.output).unlink(missing_ok=True)
        going_on = self.run.done > 0
        output = CheckedPath(check_output_path(self.output, overwrite, going_on))
        file = FileWriter(output, overwrite, segments)
        checkpoint = Checkpoint(path, self.restart.document.note)
        return [CheckpointWriter(checkpoint, self.method, output, file, self.monitor), file]


def _same_particles(one: Any, other: Any) -> bool:
    return all(
        np.array_equal(getattr(one, key), getattr(other, key))
        for key in ("charges", "masses", "couplings")
    )
