"""The one loop for every integrator, classical or learned."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from nbody_surrogate.contracts.arguments import (
    demand_flag,
    demand_kind,
    demand_number,
    demand_whole,
)
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Segment, Tick
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_versions import finer_version
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import InputError
from nbody_surrogate.formats.h5md import check_disk_space, held_output
from nbody_surrogate.integrators.method_text import as_integrator
from nbody_surrogate.integrators.parareal.report import report_of
from nbody_surrogate.integrators.reference import default_method
from nbody_surrogate.integrators.refine import sharper
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE, SYSTEM_ERROR
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.compiling import compiling_noted
from nbody_surrogate.simulation.error_estimate.choice import estimator_for
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.simulation.error_estimate.tolerance import ToleranceKeeper
from nbody_surrogate.simulation.guard.monitor import GuardMonitor
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.guard.outside import DomainWatch, Outside, watch_for
from nbody_surrogate.simulation.observers import Observer, Progress, as_observers
from nbody_surrogate.simulation.recorder import Recorder, demand_frames_memory
from nbody_surrogate.simulation.reporters import reporters_among, tails_of
from nbody_surrogate.simulation.verification import doubt_missed

if TYPE_CHECKING:  # it needs torch
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.simulation.file_writer import Output

__all__ = ["roll_out", "simulate"]

STREAMED = "use a shorter `duration`, fewer of them at a time, or `keep` False with an `output`"


OTHER_WORDS = {
    **dict.fromkeys(["t_span", "t_end", "duration", "T", "t_eval"], "`frames`, `dt` time apart"),
    **dict.fromkeys(["steps", "n_steps", "n_frames", "nsteps", "num_steps"], "`frames`"),
    **dict.fromkeys(["method", "solver", "model", "surrogate"], "`integrator`"),
    **dict.fromkeys(
        ["rtol", "atol", "step", "substeps", "options", "weights", "device", "dtype", "compile"],
        "`integrator=make_integrator(name, ...)`, which takes the options of a method",
    ),
    **dict.fromkeys(["callback", "callbacks", "progress"], "`observers`"),
    **dict.fromkeys(["path", "file", "filename", "save"], "`output`"),
    **dict.fromkeys(["y0", "x0", "initial", "start"], "`state` and `particles`"),
    **dict.fromkeys(["n", "n_particles", "seed", "rng"], "`system.sample(rng=0, n=30)` before"),
    "state": "`state, particles = system.sample(rng=0, n=30)` before",
    "particles": "`state, particles = system.sample(rng=0, n=30)` before",
}


@guided(**OTHER_WORDS)
def simulate(
    system: str | AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    integrator: str | AbstractIntegrator | AbstractSurrogate | None = None,
    *,
    guard: str | Guard | None = None,
    outside: str | Outside | None = "warn",
    dt: float | None = None,
    verify: bool = False,
    error_estimate: bool | None = None,
    tolerance: float | None = None,
    output: str | os.PathLike[str] | Output | None = None,
    keep: bool = True,
    observers: Observer | Progress | Iterable[Observer | Progress] = (),
) -> Ensemble:
    """Run a batch of trajectories, by a solver or by a surrogate.

    Parameters
    ----------
    system : str or AbstractSystem
        A name of the registry stands for the system with its default parameters.
    state : State, shape (B, N, D)
        The start, which becomes frame 0.
    particles : Particles, shape (B, N)
        With B = 1 all trajectories have the same.
    frames : int
        Frames after the start, at least 1; the result has T = frames + 1.
    integrator : str, AbstractIntegrator or AbstractSurrogate, optional
        By default dop853, or baoab where a bath kicks the particles at random. A name of the
        registry, with default options; an instance; or a model in memory, which is taken as one
        for this system, as nothing else is known of it.
    guard : Guard or {"warn", "stop", "fallback"}, optional
        Watches the run and does what its policy says; a policy stands for a guard with default
        thresholds. What it found is ``info.guard``.
    outside : Outside or {"warn", "refuse", "fallback"}, optional
        What becomes of a start, and of frames along the run, that are outside of what a surrogate
        was trained for; None does not look. What was found is ``info.domain``.
    dt : float, optional
        Time between frames, in reduced units; by default the system's ``frame_dt``.
    verify : bool
        First run the same start by a sharper integrator: 100 times tighter tolerances, or 4
        times the sub-steps. The position RMSE between the two becomes the result's
        `label_error`; what the sharper run costs is not part of `wall_time`. It is the
        difference between two runs, so an estimate of the error of the looser one, and it means
        nothing once growth has taken it to the size of the cloud. It is infinite from the first
        encounter on that the sharper run has stepped over, which a warning names. Of a system that
        has a `finer` version, this is run by the sharper integrator too, and the position RMSE
        between the two sharper runs becomes the result's `system_error`: that of the system's own
        truncation, whatever the steps in time.
    error_estimate : bool, optional
        Whether to estimate the run's error while it goes on: a bound of the position RMSE of each
        frame that covers the true one in 95 % of runs, see `Ensemble.error_estimate`. By default
        of surrogates, whose frames are held against a fixed-step solver. What it costs is
        ``info.error_estimate.seconds``, no part of `wall_time`.
    tolerance : float, optional
        Of a surrogate: most that the position RMSE of a single frame may be estimated to be, in
        reduced units. Frames beyond it are made by the reference, and the surrogate goes on from
        there; how many is ``info.tolerance``.
    output : path_like or Output, optional
        An ``.h5`` file, written segment by segment as ``.h5.part`` and renamed at the end. An
        `Output` also says whether an existing file may be replaced, and where a restart file is
        kept, which does not go with `verify`.
    keep : bool
        Whether all frames stay in memory. Without, which takes an `output`, a run holds one
        segment, however long it is, and the result shows its file: `x`, `v`, observables and hidden
        variables are read-only arrays that are read when they are looked at. It does not go with
        `verify`. The file may be renamed or removed meanwhile, but not be changed.
    observers : Observer or callable, or several of them
        What hangs on the run: a `Reporter` of a quantity of your own, `WarmUp`, or an observer of
        your own. A callable is told the frames done so
        far and the total, and may raise to cancel; with `verify`, the frames of all runs count.

    Returns
    -------
    Ensemble
        With ``info.status`` and ``info.message`` for each trajectory: a failing one is frozen
        at its last good frame and the others go on. With `verify`, also with `label_error`,
        which is NaN from the first frame that is not good in either run.

    Raises
    ------
    InputError
        If an argument is wrong, the integrator or the guard's reference does not fit the system,
        it is to be verified and cannot be made sharper, there is not the memory for all frames,
        or `outside` refuses the start.
    RunError
        If another process writes to the same output or restart file, or nothing can be written.
    """
    system = make_system(system) if isinstance(system, str) else system
    demand_kind("system", system, AbstractSystem, "a system such as make_system(...) returns")
    demand_kind("state", state, State, "a State, of system.sample, read_initial or State(t, x, v)")
    demand_kind("particles", particles, Particles, "Particles, such as system.sample(...) returns")
    if particles.batch == 1 < len(state.x) and particles.n == state.x.shape[1]:
        particles = particles[np.zeros(len(state.x), dtype=int)]
    frames, verify = demand_whole("frames", frames, 1), demand_flag("verify", verify)
    if not demand_flag("keep", keep):
        _check_not_kept(output, verify)
    if error_estimate is not None:
        error_estimate = demand_flag("error_estimate", error_estimate)
    if keep:
        runs = (3 if finer_version(system) else 2) if verify else 1
        demand_frames_memory(state, frames, runs, STREAMED)
    own = as_observers(observers)
    dt = system.spec.frame_dt if dt is None else demand_number("dt", dt)
    method = as_integrator(default_method(system) if integrator is None else integrator, system)
    tight = sharper(method) if verify else None
    before = Counter(system.computed) - Counter(system.claim_looks())
    # from here on whatever may be refused is, before a file is made or a frame computed
    carry = method.start(system, state, particles, dt)
    tight_carry = None if tight is None else tight.start(system, state, particles, dt)
    finer = None if tight is None else finer_version(system)
    finer_carry = None
    if tight is not None and finer is not None:
        finer_carry = tight.start(finer, state, particles, dt)
    reporters = reporters_among(own)
    tails = tails_of(reporters, carry.problem, state, frames)
    watch = watch_for(outside, method, carry.problem, state, frames)
    estimator = estimator_for(method, carry.problem, state.x.shape[2], error_estimate)
    if estimator is not None:
        tails = {**tails, ERROR_ESTIMATE: ()}
    if finer_carry is not None:
        tails = {**tails, SYSTEM_ERROR: ()}
    keeper = None
    if tolerance is not None:
        keeper = ToleranceKeeper(tolerance, method, carry.problem, state)
    monitor = None
    if guard is not None:
        guard = guard if isinstance(guard, Guard) else Guard(guard)
        estimated = estimator is not None
        guard.check(system, bool(method.fingerprint), estimated)
        monitor = GuardMonitor(guard, method, carry.problem, state, frames, estimated)
    with ExitStack() as held:
        writers: list[Observer] = []
        if output is not None:
            writers = _writers(
                held, output, method, carry, frames, verify, monitor, tails, watch, estimator
            )
        info = RunInfo(
            system=system.description,
            method=method.description,
            versions=versions(),
            seed=state.seed,
            threads=method.threads_for(particles.batch, particles.n),
            identifier="" if output is None else uuid4().hex,
            error_estimate=None if estimator is None else estimator.report,
            tolerance=None if keeper is None else keeper.report,
            parareal=report_of(method, system),
        )
        # by what was looked at before the run
        spent = Counter(system.computed) - before
        system.claim_looks()
        ticks, truths = _Ticks(own, frames), []
        # before the run itself, whose label errors are written segment by segment
        if tight is not None:
            sharp = [each for each in (tight_carry, finer_carry) if each is not None]
            truths = _truths(tight, sharp, state, frames, info, ticks)
        truth, finer_truth = (*truths, None, None)[:2]
        run = Recorder(
            method, carry, state, frames, info, truth, reporters, estimator, keep, finer_truth
        )
        run.count_from(Counter(system.computed) - spent)
        watching: list[Observer] = [e for e in (monitor, watch, keeper) if e is not None]
        # the guard first, and so around all others: it judges the frames that they leave
        return roll_out(run, [*watching, *own, *writers], ticks)


def _truths(
    tight: AbstractIntegrator,
    carries: Sequence[Carry],
    start: State,
    frames: int,
    info: RunInfo,
    ticks: _Ticks,
) -> list[Recorder]:
    """Make the sharper runs that a run is verified by: of its system, and of a finer version."""
    plain = replace(info, error_estimate=None, tolerance=None)
    ticks.total = (1 + len(carries)) * frames
    made: list[Recorder] = []
    for carry in carries:
        made.append(Recorder(tight, carry, start, frames, plain))
        roll_out(made[-1], [], ticks)
        ticks.before += frames
    doubt_missed(made[0])
    return made


def roll_out(run: Recorder, observers: Sequence[Observer], ticks: _Ticks | None = None) -> Ensemble:
    """Advance a run from where it is to its end, segment by segment: the one loop.

    Where every trajectory has failed, the rest stands still and is not computed.
    """
    ticks = _Ticks(observers, run.frames) if ticks is None else ticks
    nested = list(reversed(observers))
    with ExitStack() as stack:
        # before observers, of which one warms up
        stack.enter_context(compiling_noted(run.integrator.name))
        for each in observers:
            # before `on_start`, which may fail half-way
            stack.callback(each.close)
            each.on_start(run)
        while run.done < run.frames:
            new = run.stand_still() if all(run.message) else _segment(run, nested, ticks.of(run))
            for each in nested:
                each.on_segment(run, new)
        run.complete()
        for each in nested:
            each.on_end(run)
    return run.ensemble()


def _segment(run: Recorder, nested: Sequence[Observer], tick: Tick | None) -> slice:
    """Compute one segment, each observer around the ones after it."""
    carry, frames = run.carry, run.next_frames
    assert carry is not None  # only the last segment leaves none

    advance: Callable[[], Segment] = partial(run.integrator.advance, carry, frames, tick)
    for each in nested:
        advance = _around(each, run, frames, advance)
    # around all observers: the guard and its replays count as part of the run
    began = time.perf_counter()
    segment = advance()
    run.wall_time += time.perf_counter() - began
    return run.add(segment)


def _around(
    observer: Observer, run: Recorder, frames: int, advance: Callable[[], Segment]
) -> Callable[[], Segment]:
    return lambda: observer.on_advance(run, frames, advance)


class _Ticks:
    """Tells observers what is done, of one run or of several in a row."""

    def __init__(self, observers: Sequence[Observer], total: int) -> None:
        # a tick costs the compiled methods time, so none is asked for where nobody listens
        self._listening = [each for each in observers if _listens(each)]
        self.before, self.total = 0, total

    def of(self, run: Recorder) -> Tick | None:
        """Count a segment's frames as part of the whole."""
        if not self._listening:
            return None
        done = self.before + run.done

        def tick(within: float) -> None:
            for each in self._listening:
                each.on_tick(done + within, self.total)

        return tick


def _listens(observer: Observer) -> bool:
    return type(observer).on_tick is not Observer.on_tick


def _check_not_kept(output: object, verify: bool) -> None:
    """Demand that the frames of a run are somewhere that are not in memory."""
    if output is None:
        raise InputError("`keep` False needs an `output`, the file that then holds the frames")
    if verify:
        raise InputError(
            "`keep` False does not go with `verify`, which holds two runs against each other; "
            "verify a shorter run"
        )


def _writers(
    held: ExitStack,
    output: str | os.PathLike[str] | Output,
    integrator: AbstractIntegrator,
    carry: Carry,
    frames: int,
    verify: bool,
    monitor: GuardMonitor | None,
    observables: dict[str, tuple[int, ...]],
    watch: DomainWatch | None,
    estimator: ErrorEstimator | None,
) -> list[Observer]:
    """Check where a run is to go, and hold it, before anything is computed."""
    # here: HDF5, and the documents of restart files, are a sixth of what a run without them loads
    from nbody_surrogate.formats.h5md.series import all_tails
    from nbody_surrogate.simulation.checkpoint import Checkpoint, held_restart
    from nbody_surrogate.simulation.checkpoint_writer import CheckpointWriter
    from nbody_surrogate.simulation.file_writer import FileWriter, Output

    if not isinstance(output, Output):
        output = Output(output)
    checkpoint = output.checkpoint
    if checkpoint is not None and verify:
        raise InputError("`checkpoint` does not go with `verify`; verify a run of its own")
    path = held.enter_context(held_output(output.path, output.overwrite))
    segments = 0 if monitor is None else monitor.segments
    shape = (len(carry.arrays["x"]), frames + 1, *carry.arrays["x"].shape[1:])
    held_too = carry.hidden if integrator.keeps_hidden else NOTHING_HIDDEN
    tails = all_tails(observables, {name: y.shape[1:] for name, y in held_too.items()})
    check_disk_space(path, shape, verify, segments, tails)
    file = FileWriter(path, output.overwrite, segments)
    if checkpoint is None:
        return [file]
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint, overwrite=output.overwrite)
    held.enter_context(held_restart(checkpoint))
    restart = CheckpointWriter(checkpoint, integrator, path, file, monitor, watch, estimator)
    restart.check_size(carry)
    return [restart, file]
