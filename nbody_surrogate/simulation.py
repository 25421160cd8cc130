"""The one loop for every integrator, classical or learned."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.integrator import AbstractIntegrator, Carry, Segment, Tick
from nbody_surrogate.metrics import rmse
from nbody_surrogate.registry import make_integrator
from nbody_surrogate.state import Particles, State
from nbody_surrogate.system import AbstractSystem
from nbody_surrogate.trajectory import Ensemble, RunInfo
from nbody_surrogate.verification import sharper

if TYPE_CHECKING:
    from nbody_surrogate.h5md import H5MDWriter

__all__ = ["Progress", "simulate"]

Progress = Callable[[float, int], None]
"""Called with the frames done so far and the total; may raise to cancel."""


def simulate(
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    integrator: str | AbstractIntegrator = "dop853",
    *,
    dt: float | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    warm_up: bool = False,
    verify: bool = False,
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

    Returns
    -------
    Ensemble
        With ``info.status`` and ``info.message`` for each trajectory: a failing one is frozen
        at its last good frame and the others go on. With `verify`, also with `label_error`,
        which is NaN from the first frame that is not good in either run.

    Raises
    ------
    InputError
        If an argument is wrong, the integrator does not fit the system, or it is to be verified
        and cannot be made sharper.
    """
    if frames < 1:
        raise InputError(f"`frames` must be at least 1, got {frames}")
    if isinstance(integrator, str):
        integrator = make_integrator(integrator)
    dt = system.spec.frame_dt if dt is None else dt
    tight = sharper(integrator) if verify else None
    carry = integrator.start(system, state, particles, dt)
    tight_carry = None if tight is None else tight.start(system, state, particles, dt)
    if warm_up:
        integrator.advance(carry, 1)
    info = RunInfo(
        # as JSON has it, so that a run is the same once it was stored: lists for tuples
        system={"system": system.name, **system.spec.model_dump(mode="json")},
        method=integrator.description,
        versions=versions(),
        seed=seed,
    )
    with _writer(output, overwrite, particles, state, frames, dt, info, verify) as writer:
        truth = None
        if tight is not None:
            truth = _Loop(state, frames)
            truth.run(tight, tight_carry, None, _share(progress, 0, 2 * frames))
            progress = _share(progress, frames, 2 * frames)
        loop = _Loop(state, frames, truth)
        loop.run(integrator, carry, writer, progress)
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


class _Loop:
    """What the loop gathers: frames, failures, counters and time.

    It is judged by the `truth`, a sharper run of the same start, where there is one.
    """

    def __init__(self, state: State, frames: int, truth: _Loop | None = None) -> None:
        batch, n, dimensions = state.x.shape
        self.frames, self.done, self.wall_time = frames, 0, 0.0
        self.x = np.empty((batch, frames + 1, n, dimensions))
        self.v = np.empty_like(self.x)
        self.x[:, 0], self.v[:, 0] = state.x, state.v
        self.truth = truth
        self.label_error = None if truth is None else np.zeros((batch, frames + 1))
        self.good = np.full(batch, frames + 1)
        self.message = [""] * batch
        self.counters: dict[str, int] = {}

    def run(
        self,
        integrator: AbstractIntegrator,
        carry: Carry | None,
        writer: H5MDWriter | None,
        progress: Progress | None,
    ) -> None:
        """Advance segment by segment; a carry is None only after the last one."""
        self.write(writer, slice(0, 1))
        while carry is not None and self.done < self.frames:
            wanted = min(integrator.options.segment, self.frames - self.done)
            began = time.perf_counter()
            segment = integrator.advance(carry, wanted, self.tick(progress))
            self.wall_time += time.perf_counter() - began
            new = self.add(segment)
            self.judge(new)
            self.write(writer, new)
            carry = segment.carry

    def tick(self, progress: Progress | None) -> Tick | None:
        """Count a segment's frames as part of the run's."""
        if progress is None:
            return None
        return lambda within: progress(self.done + within, self.frames)

    def add(self, segment: Segment) -> slice:
        """Take over a segment's frames; trajectories that failed before stay frozen."""
        length = segment.x.shape[1]
        new = slice(self.done + 1, self.done + 1 + length)
        self.x[:, new], self.v[:, new] = segment.x, segment.v
        for b, why in enumerate(segment.message):
            if self.message[b]:
                self.x[b, new], self.v[b, new] = self.x[b, self.done], self.v[b, self.done]
            elif why:
                self.message[b] = why
                self.good[b] = self.done + 1 + segment.good[b]
        for key, count in segment.counters.items():
            self.counters[key] = self.counters.get(key, 0) + count
        self.done += length
        return new

    def judge(self, new: slice) -> None:
        """Fill in the label error of new frames: NaN where either run is not good any more."""
        if self.truth is None or self.label_error is None:
            return
        error = rmse(self.truth.x[:, new], self.x[:, new])
        good = np.minimum(self.good, self.truth.good)[:, None]
        self.label_error[:, new] = np.where(np.arange(new.start, new.stop) < good, error, np.nan)

    def write(self, writer: H5MDWriter | None, new: slice) -> None:
        """Write new frames to the file, where there is one."""
        if writer is not None:
            label_error = None if self.label_error is None else self.label_error[:, new]
            writer.write(self.x[:, new], self.v[:, new], label_error)

    def complete(self, info: RunInfo) -> RunInfo:
        """Say how the run went."""
        return replace(
            info,
            wall_time=self.wall_time,
            counters=self.counters,
            status=tuple(-1 if why else 0 for why in self.message),
            message=tuple(self.message),
            good=tuple(int(count) for count in self.good),
        )


def _writer(
    output: str | Path | None,
    overwrite: bool,
    particles: Particles,
    state: State,
    frames: int,
    dt: float,
    info: RunInfo,
    label_error: bool,
) -> H5MDWriter | nullcontext[None]:
    if output is None:
        return nullcontext()
    from nbody_surrogate.h5md import H5MDWriter

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
    )


def versions() -> dict[str, str]:
    """Versions of everything the numbers depend on."""
    return dict(installed_versions())


@cache  # what is installed does not change, and reading it takes a while
def installed_versions() -> dict[str, str]:
    """Read the versions, once in a process."""
    libraries = ("nbody-surrogate", "numpy", "scipy", "numba", "torch")
    found = {name: importlib.metadata.version(name) for name in libraries}
    with suppress(importlib.metadata.PackageNotFoundError):
        found["CyRK"] = importlib.metadata.version("CyRK")
    return {"python": platform.python_version(), **found}
