"""The one loop for every integrator, classical or learned."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.history import refuse_unstored
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.refine import sharper
from nbody_surrogate.results.trajectory import Ensemble, RunInfo
from nbody_surrogate.simulation.guard.monitor import Watch
from nbody_surrogate.simulation.guard.options import Guard
from nbody_surrogate.simulation.recorder import Loop, Progress

if TYPE_CHECKING:
    from nbody_surrogate.formats.h5md import H5MDWriter
    from nbody_surrogate.simulation.checkpoint import Checkpoint
    from nbody_surrogate.simulation.checkpoint_writer import Keeper

__all__ = ["Progress", "simulate"]


def simulate(
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    integrator: str | AbstractIntegrator = "dop853",
    *,
    guard: str | Guard | None = None,
    dt: float | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    warm_up: bool = False,
    verify: bool = False,
    checkpoint: str | Path | Checkpoint | None = None,
) -> Ensemble:
    """Run a batch of trajectories, by a solver or by a surrogate.

    Parameters
    ----------
    system : AbstractSystem
    state : State, shape (B, N, D)
        The start, which becomes frame 0.
    particles : Particles, shape (B, N)
    frames : int
        Frames after the start, at least 1; the result has T = frames + 1.
    integrator : str or AbstractIntegrator
        A name of the registry, with default options, or an instance.
    guard : Guard or {"warn", "stop", "fallback"}, optional
        Watches the run and does what its policy says; a policy stands for a guard with default
        thresholds. What it found is ``info.guard``.
    dt : float, optional
        Time between frames; by default the system's ``frame_dt``.
    seed : int, optional
        Recorded with the result: the seed the start was sampled with.
    progress : callable, optional
        With `verify`, the frames of both runs count, so that the total is twice `frames`.
    output : path, optional
        An ``.h5`` file, written segment by segment as ``.h5.part`` and renamed at the end.
    overwrite : bool
        Replace an existing `output`.
    warm_up : bool
        Compute one frame beforehand, so that `wall_time` holds no compilation.
    verify : bool
        First run the same start by a sharper integrator: 100 times tighter tolerances, or 4
        times the sub-steps. The position RMSE between the two becomes the result's
        `label_error`; what the sharper run costs is not part of `wall_time`. It is the
        difference between two runs, so an estimate of the error of the looser one, and it means
        nothing once growth has taken it to the size of the cloud.
    checkpoint : path or Checkpoint, optional
        A restart file, replaced at each segment's boundary, from which `resume` goes on. It needs
        an `output`, and does not go with `verify`.

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
        or it is to be verified and cannot be made sharper.
    """
    if frames < 1:
        raise InputError(f"`frames` must be at least 1, got {frames}")
    if isinstance(integrator, str):
        integrator = make_integrator(integrator)
    dt = system.spec.frame_dt if dt is None else dt
    tight = sharper(integrator) if verify else None
    carry = integrator.start(system, state, particles, dt)
    tight_carry = None if tight is None else tight.start(system, state, particles, dt)
    if output is not None:
        refuse_unstored(system.name, system.hidden_variables, "`output`, an H5MD file,")
    watch = None
    if guard is not None:
        guard = Guard(guard) if isinstance(guard, str) else guard
        watch = Watch(guard, integrator, carry.problem, state, frames)
    if warm_up:
        integrator.advance(carry, 1)
        if watch is not None:
            watch.warm_up(carry.problem, state)
    info = RunInfo(
        # as JSON has it, so that a run is the same once it was stored: lists for tuples
        system={"system": system.name, **system.spec.model_dump(mode="json")},
        method=integrator.description,
        versions=versions(),
        seed=seed,
        guard=None if watch is None else watch.report,
    )
    keeper = None
    if checkpoint is not None:
        keeper = _keeper(checkpoint, integrator, info, output, overwrite, verify)
        keeper(Loop(state, frames, watch=watch), carry)  # before there is any output
    segments = 0 if watch is None else watch.segments
    where = (output, overwrite, particles, state, frames, dt, info, verify, segments, system.box)
    with _writer(*where) as writer:
        truth = None
        if tight is not None:
            truth = Loop(state, frames)
            truth.run(tight, tight_carry, None, _share(progress, 0, 2 * frames))
            progress = _share(progress, frames, 2 * frames)
        loop = Loop(state, frames, truth, watch)
        loop.write(writer, slice(0, 1))
        if keeper is not None:
            keeper.writer = writer
        loop.run(integrator, carry, writer, progress, keeper)
        info = loop.complete(info)
        if writer is not None:
            writer.finish(info)
    t = state.t + np.arange(frames + 1) * dt
    return Ensemble(t, loop.x, loop.v, particles, info, loop.label_error)


def _share(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Count the frames of one run as part of several."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


def _keeper(
    checkpoint: str | Path | Checkpoint,
    integrator: AbstractIntegrator,
    info: RunInfo,
    output: str | Path | None,
    overwrite: bool,
    verify: bool,
) -> Keeper:
    """Check that a restart file can be kept."""
    from nbody_surrogate.formats.h5md import check_output_path
    from nbody_surrogate.simulation.checkpoint import Checkpoint, check_restart_path
    from nbody_surrogate.simulation.checkpoint_writer import Keeper

    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint, overwrite=overwrite)

    if output is None:
        raise InputError("`checkpoint` needs an `output`, whose frames it goes on from")
    if verify:
        raise InputError("`checkpoint` does not go with `verify`; verify a run of its own")
    check_output_path(output, overwrite)
    check_restart_path(checkpoint.path, checkpoint.overwrite)
    return Keeper(checkpoint, integrator, info, output)


def _writer(
    output: str | Path | None,
    overwrite: bool,
    particles: Particles,
    state: State,
    frames: int,
    dt: float,
    info: RunInfo,
    label_error: bool,
    segments: int,
    box: Box | None,
) -> H5MDWriter | nullcontext[None]:
    if output is None:
        return nullcontext()
    from nbody_surrogate.formats.h5md import H5MDWriter

    dimensions = state.x.shape[2]
    return H5MDWriter(
        output,
        particles,
        dimensions,
        frames + 1,
        state.t,
        dt,
        overwrite=overwrite,
        info=info,
        label_error=label_error,
        segments=segments,
        box=box,
    )
