"""Keeping a run's restart file up to date, and going on from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem
from nbody_surrogate.contracts.state import State
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.integrators.build import integrator_options, make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.checkpoint import (
    Checkpoint,
    Document,
    Maker,
    Restart,
    read_restart,
)
from nbody_surrogate.simulation.checkpoint_writer import Keeper
from nbody_surrogate.simulation.guard.monitor import Watch
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.recorder import Loop, Progress

if TYPE_CHECKING:
    pass

__all__ = ["resume"]

NO_MATTER = frozenset({"weights"})  # where they lie; what they are is compared by hash


def resume(
    path: str | os.PathLike[str],
    integrator: AbstractIntegrator | None = None,
    *,
    allow_inexact: bool = False,
    progress: Progress | None = None,
    overwrite: bool = False,
    warm_up: bool = False,
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
    progress : callable, optional
    overwrite : bool
        Replace an existing output; it is not enough that the interrupted run was allowed to.
    warm_up : bool
        See `simulate`.

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
    restart = read_restart(path)
    document = restart.document
    method = _rebuilt(document.method) if integrator is None else integrator
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
    job = _Job(restart, problem, method)
    if warm_up:
        job.warm_up()
    return job.run(Path(path), progress, overwrite)


def _rebuilt(description: Mapping[str, Any]) -> AbstractIntegrator:
    """Build an integrator from its description."""
    name = description.get("integrator")
    if not isinstance(name, str):
        raise FileFormatError("the restart file does not name its integrator")
    known = integrator_options(name)
    return make_integrator(name, **{k: v for k, v in description.items() if k in known})


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
    return changed + document.made_by.differences(Maker.of(method))


def _problem(restart: Restart, method: AbstractIntegrator) -> Problem:
    """Build the problem, checked as at the start of a run."""
    document = restart.document
    parameters = dict(document.system)
    system = make_system(str(parameters.pop("system", None)), **parameters)
    state = State(document.t0, restart.arrays["carry.x"], restart.arrays["carry.v"])
    return method.start(system, state, restart.particles, document.dt).problem


def _finished(restart: Restart) -> Ensemble | None:
    """Return the run where it was finished, though its restart file does not know."""
    from nbody_surrogate.formats.h5md import part_path, read_h5md

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
class _Job:
    """The rest of a run."""

    def __init__(self, restart: Restart, problem: Problem, method: AbstractIntegrator) -> None:
        self.restart, self.problem, self.method = restart, problem, method
        document = restart.document
        self.output = Path(document.output)
        x, v = self._frames()
        start = State(document.t0, x[:, 0], v[:, 0])
        self.watch = self._watch(start)
        self.carry = self._carry(start, x, v)
        self.loop = Loop(start, document.frames, watch=self.watch)
        self.loop.go_to(document.frame, x, v, document.good, document.message)
        self.loop.counters, self.loop.wall_time = dict(document.counters), document.wall_time

    def _frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Read what there is of the run."""
        from nbody_surrogate.formats.h5md import H5MDReader, part_path

        document, part = self.restart.document, part_path(self.output)
        if document.frame == 0:  # all is made anew
            x, v = (self.restart.arrays[key][:, None] for key in ("carry.x", "carry.v"))
            return x, v
        limit = 16 * (document.frame + 1) * self.restart.arrays["carry.x"].size
        with H5MDReader(part, limit=limit) as file:
            x, v = file.read(0, min(document.frame + 1, file.frames))
            if not _same_particles(file.particles, self.restart.particles):
                raise _of_another_run(part)
        _check_same(self.restart, part, x, v)
        return x, v

    def _watch(self, start: State) -> Watch | None:
        state = self.restart.document.guard
        if state is None:
            return None
        reference = None if state.reference is None else _rebuilt(state.reference)
        given = {key: value for key, value in state.thresholds.items() if value is not None}
        guard = Guard(state.policy, reference=reference, **given)
        watch = Watch(guard, self.method, self.problem, start, self.restart.document.frames)
        try:
            watch.go_to(state.report, self.restart.part("guard."), self.restart.document.message)
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None
        return watch

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
            return method.restored(like, self.restart.part("carry."))
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None

    def warm_up(self) -> None:
        """Compute a frame that is not kept."""
        self.method.advance(self.carry, 1)
        if self.watch is not None:
            self.watch.warm_up(
                self.problem, State(0.0, self.carry.arrays["x"], self.carry.arrays["v"])
            )

    def run(self, path: Path, progress: Progress | None, overwrite: bool) -> Ensemble:
        """Run it to its end, keeping the restart file at `path` up to date."""
        from nbody_surrogate.formats.h5md import H5MDWriter, part_path

        document, loop, problem = self.restart.document, self.loop, self.problem
        info = RunInfo(
            system=document.system,
            method=self.method.description,
            versions=versions(),
            seed=document.seed,
            guard=None if self.watch is None else self.watch.report,
        )
        checkpoint = Checkpoint(path, document.note)
        keeper = Keeper(checkpoint, self.method, info, self.output)
        done = document.frame
        if done == 0:
            part_path(self.output).unlink(missing_ok=True)
        with H5MDWriter(
            self.output,
            problem.particles,
            loop.x.shape[3],
            document.frames + 1,
            problem.t0,
            problem.dt,
            overwrite=overwrite,
            info=info,
            segments=0 if self.watch is None else self.watch.segments,
            goes_on=done + 1 if done else 0,
            box=problem.system.box,
        ) as writer:
            keeper.writer = writer
            if done == 0:
                loop.write(writer, slice(0, 1))
            loop.run(self.method, self.carry, writer, progress, keeper)
            info = loop.complete(info)
            writer.finish(info)
        t = problem.t0 + np.arange(document.frames + 1) * problem.dt
        return Ensemble(t, loop.x, loop.v, problem.particles, info)


def _same_particles(one: Any, other: Any) -> bool:
    return all(
        np.array_equal(getattr(one, key), getattr(other, key))
        for key in ("charges", "masses", "couplings")
    )
