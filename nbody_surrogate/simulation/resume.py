"""Going on with a run that was interrupted, from its restart file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import final

import numpy as np

from nbody_surrogate.contracts.arguments import demand_flag
from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.segment import Carry, Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.threads import at_most_threads
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import FileFormatError, InputError, one_line
from nbody_surrogate.files.name_lock import NameLock
from nbody_surrogate.files.output_path import CheckedPath
from nbody_surrogate.formats.h5md import MappedRun, check_output_path
from nbody_surrogate.integrators.build import method_from
from nbody_surrogate.registry.registry import system_from
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE
from nbody_surrogate.results.guard_events import GuardEvents
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.checkpoint import (
    Checkpoint,
    Document,
    Restart,
    RuntimeEnvironment,
    held_restart,
    read_restart,
)
from nbody_surrogate.simulation.checkpoint_writer import CheckpointWriter
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.simulation.error_estimate.tolerance import ToleranceKeeper
from nbody_surrogate.simulation.file_writer import FileWriter
from nbody_surrogate.simulation.guard.monitor import GuardMonitor
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.guard.outside import DomainWatch, Outside
from nbody_surrogate.simulation.observers import Observer, Progress, as_observers
from nbody_surrogate.simulation.recorder import Recorder
from nbody_surrogate.simulation.reporters import Reporter, reporters_among
from nbody_surrogate.simulation.run_output import FoundFrames, RunOutput, hidden_of, named_output
from nbody_surrogate.simulation.simulate import roll_out

__all__ = ["resume"]

NO_MATTER = frozenset({"weights", "threads"})
"""Where weights lie: what they are is compared by hash; and threads, of which the number is."""


def resume(
    path: str | os.PathLike[str],
    integrator: AbstractIntegrator | None = None,
    *,
    allow_inexact: bool = False,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep: bool = True,
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
    output : path_like, optional
        Where the run's ``.h5`` file is, or is to be, by now. By default where the restart file
        says, which may only be in its own folder or below.
    overwrite : bool
        Replace an existing output; it is not enough that the interrupted run was allowed to.
    keep : bool
        As for `simulate`: without, frames stay in the output.
    observers : Observer or callable, or several of them
        As for `simulate`. Reporters, which no file can hold, are to be handed again, by the
        same names.

    Returns
    -------
    Ensemble
        The whole run. Where it was finished before, it is read from its output.

    Raises
    ------
    InputError
        If the integrator does not fit, what the bits depend on has changed, the restart file
        names an output outside of its folder, or there is another run in the place of one that
        had not begun.
    FileFormatError
        If the restart file or the output is missing, damaged or of another run.
    RunError
        If the output cannot be written, or another process writes to it.
    """
    own = as_observers(observers)
    allow_inexact = demand_flag("allow_inexact", allow_inexact)
    overwrite, keep = demand_flag("overwrite", overwrite), demand_flag("keep", keep)
    restart = read_restart(path)
    document = restart.document
    method = method_from(document.method) if integrator is None else integrator
    changed = _differences(restart, method)
    if changed and not allow_inexact:
        raise InputError(
            f"`checkpoint` {os.fspath(path)!r} was written by another set-up: "
            f"{'; '.join(changed)}. Restore that, or pass --allow-inexact, and the run goes on "
            "with other bits"
        )
    place = named_output(restart, path, output)
    found = RunOutput(restart, place)
    # the last segment leaves no restart file: after it, the one before is still there
    if found.finished:
        return found.result(keep)
    reporters = _reporters_of(document, own)
    with (
        NameLock(place) as lock,
        held_restart(Checkpoint(path, overwrite=True)) as kept,
        at_most_threads(document.made_by.threads),
    ):
        # once more, now that nobody else writes there
        found = RunOutput(restart, place)
        if found.finished:
            return found.result(keep)
        system = system_from(document.system)
        before = dict(system.computed)
        problem = _problem(restart, system, found.particles(), method)
        rest = _Rest(restart, problem, method, found, reporters, keep)
        # what the look at the boundary took is part of what the run has cost
        rest.run.count_from(before)
        system.claim_looks()
        extra = (rest.monitor, rest.watch, rest.keeper)
        watching: list[Observer] = [each for each in extra if each is not None]
        return roll_out(rest.run, [*watching, *own, *rest.observers(kept, lock, overwrite)])


def _reporters_of(document: Document, observers: Sequence[Observer]) -> list[Reporter]:
    """Return the reporters among observers, which are to be those of the run."""
    reporters = reporters_among(observers)
    names = sorted(each.name for each in reporters)
    # the run's own, which nobody hands over
    reported = sorted(set(document.observables) - {ERROR_ESTIMATE})
    if names != reported:
        raise InputError(
            f"`observers` must hold reporters of {reported}, as the run began with, got {names}"
        )
    return reporters


def _differences(restart: Restart, method: AbstractIntegrator) -> list[str]:
    """Say what is not as it was; what cannot be gone on with at all is an error."""
    document = restart.document
    was, now = {**method.options.of_before, **document.method}, method.description
    # a carry is of one method, at a boundary of its segments: no other can take it over
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
    batch, n, _ = restart.arrays["carry.x"].shape
    with at_most_threads(document.made_by.threads):  # whatever torch is set to by now
        environment = RuntimeEnvironment.of(method, batch, n)
    return changed + document.made_by.differences(environment)


def _problem(
    restart: Restart, system: AbstractSystem, particles: Particles, method: AbstractIntegrator
) -> Problem:
    """Build the problem, checked as at the start of a run."""
    document = restart.document
    # the boundary's state stands in for the start, which only the output has; a problem holds none
    arrays = restart.arrays
    state = State(document.t0, arrays["carry.x"], arrays["carry.v"], hidden=hidden_of(restart))
    return method.check(system, state, particles, document.dt)


@final
class _Rest:
    """The rest of a run: its recorder, with the frames that there are, and its guard."""

    def __init__(
        self,
        restart: Restart,
        problem: Problem,
        method: AbstractIntegrator,
        output: RunOutput,
        reporters: Sequence[Reporter],
        keep: bool,
    ) -> None:
        self.restart, self.problem, self.method, self._keep = restart, problem, method, keep
        self.output, document = output, restart.document
        frames = self._frames()
        x, v, hidden, self._events = frames
        whole = x.shape[1] == document.frame + 1
        start = (frames if whole else output.start()).state(document.t0, document.seed)
        self.monitor = self._monitor(start)
        self.watch = self._watch(start)
        self.keeper = None
        if (held := document.tolerance) is not None:
            self.keeper = ToleranceKeeper(held.tolerance, method, problem, start, held)
        self.estimator = self._estimator()
        carry = self._carry(start, frames)
        info = RunInfo(
            system=document.system,
            method=method.description,
            versions=versions(),
            seed=document.seed,
            threads=method.threads_for(problem.particles.batch, problem.particles.n),
            identifier=document.identifier,
            error_estimate=document.error_estimate,
            tolerance=document.tolerance,
            parareal=document.parareal,
        )
        self.run = Recorder(
            method, carry, start, document.frames, info, None, reporters, self.estimator, keep
        )
        good = restart.arrays["good"].tolist()
        shown = None if keep or document.frame == 0 else output.mapped()
        observables = self._observables(shown)
        self.run.read_from(shown)
        self.run.restore(document.frame, x, v, good, restart.message, observables, hidden)
        self.run.counters, self.run.wall_time = dict(document.counters), document.wall_time

    def _frames(self) -> FoundFrames:
        """Read what there is of the run, or as much of it as is kept in memory."""
        if self.restart.document.frame == 0:  # all is made anew
            start, held = self.restart.arrays, hidden_of(self.restart)
            hidden = {name: values[:, None] for name, values in held.items()}
            return FoundFrames(start["carry.x"][:, None], start["carry.v"][:, None], hidden)
        return self.output.frames(None if self._keep else max(self.method.history, 1))

    def _observables(self, shown: MappedRun | None) -> dict[str, np.ndarray]:
        """Find what was reported, which is to be of the shapes that the reporters give."""
        if self.restart.document.frame == 0 or not self.run.observables:
            return {}
        found = self.output.observables() if shown is None else shown.observables
        for name, values in self.run.observables.items():
            if name not in found or found[name].shape[2:] != values.shape[2:]:
                raise InputError(
                    f"`quantity` of reporter {name!r} must return what it did as the run began: "
                    f"{str(self.output.part)!r} holds another shape, or nothing of it"
                )
        return {name: found[name] for name in self.run.observables}

    def _estimator(self) -> ErrorEstimator | None:
        """Take over the error estimate, by the factors that the run began with."""
        document = self.restart.document
        if document.error_estimate is None:
            return None
        dimensions = self.restart.arrays["carry.x"].shape[2]
        try:
            model = validated(ErrorModel, document.error_estimate.model, "the error estimate")
            made = ErrorEstimator(self.problem, dimensions, model, self.method.keeps_hidden)
            made.restore(self.restart.arrays_under("estimate."), document.error_estimate)
        except (ValueError, TypeError) as error:
            why = one_line(error)
            raise FileFormatError(f"the restart file is damaged: {why}") from None
        return made

    def _monitor(self, start: State) -> GuardMonitor | None:
        state = self.restart.document.guard
        if state is None:
            return None
        reference = None if state.reference is None else method_from(state.reference)
        given = {key: value for key, value in state.thresholds.items() if value is not None}
        # what releases before did not watch is not watched in what is left of their runs
        given = dict.fromkeys(("position", "local", "estimate"), math.inf) | given
        guard = Guard(state.policy, reference=reference, spot_checks=state.spot_checks, **given)
        frames = self.restart.document.frames
        estimated = self.restart.document.error_estimate is not None
        monitor = GuardMonitor(guard, self.method, self.problem, start, frames, estimated)
        report = self.restart.report
        # those of a release before are in the restart file, all others in the output
        report = replace(report, events=report.gathered + GuardEvents.of(self._events))
        try:
            account = self.restart.arrays_under("guard.")
            frame = self.restart.document.frame
            monitor.restore(report, account, self.restart.message, self.problem, frame)
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None
        return monitor

    def _watch(self, start: State) -> DomainWatch | None:
        """Go on to watch the domain; with other weights that have none, there is nothing to."""
        document = self.restart.document
        report, domain = document.domain, self.method.domain(self.problem.system)
        if report is None or domain is None:
            return None
        reference = None if report.reference is None else method_from(report.reference)
        outside = Outside(report.policy, reference)
        return DomainWatch(
            outside, domain, self.method, self.problem, start, document.frames, report
        )

    def _carry(self, start: State, frames: FoundFrames) -> Carry:
        """Take over the carry, or make one of the frames where it is of other weights."""
        document, method, problem = self.restart.document, self.method, self.problem
        if document.frame == 0:
            return method.start(problem.system, start, problem.particles, problem.dt)
        latest = slice(-method.history, None)
        # of frames that were checked: it says which arrays the restart file must hold
        last = {name: values[:, -1] for name, values in frames.hidden.items()}
        given = (frames.x[:, latest], frames.v[:, latest], last)
        like = method.restart(problem, document.frame, *given)
        if document.made_by.fingerprint != method.fingerprint:
            return like  # the stored history is what other weights made of the frames
        try:
            return method.restored(like, self.restart.arrays_under("carry."))
        except ValueError as error:
            raise FileFormatError(f"the restart file is damaged: {error}") from None

    def observers(self, path: CheckedPath, lock: NameLock, overwrite: bool) -> list[Observer]:
        """Make what keeps the restart file at `path` and the output, which is held, up to date."""
        segments = 0 if self.monitor is None else self.monitor.segments
        going_on = self.run.done > 0
        if not going_on:
            self.output.make_way(overwrite)
        output = CheckedPath(check_output_path(self.output.path, overwrite, going_on), lock)
        file = FileWriter(output, overwrite, segments)
        # where it lies now, which need not be where the run began to keep it
        checkpoint = Checkpoint(path, self.restart.document.note)
        return [
            CheckpointWriter(
                checkpoint, self.method, output, file, self.monitor, self.watch, self.estimator
            ),
            file,
        ]
