"""What methods cost: the starts that they run, and the clocks that they run by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.work_precision.numpy_force import with_numpy_force
from nbody_surrogate.integrators.method_text import Contender

__all__ = [
    "CLOCKS",
    "MOST",
    "Task",
    "check_clock",
    "check_horizons",
    "costs",
    "segment_for",
    "system_of",
]

SEGMENT = 50
LEAST, MOST = 3, 15  # repeats
LONGEST = 4.0  # times as long as asked, after which fewer repeats will do
WHOLE = 1e-6
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Task(NamedTuple):
    """The starts that all methods run.

    Attributes
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    horizons : tuple of float
        Times since the start at which errors are taken, multiples of the frame spacing.
    batches : tuple of int
        How many of the starts run at a time where the cost is taken, at most S.
    """

    system: AbstractSystem
    state: State
    particles: Particles
    horizons: tuple[float, ...]
    batches: tuple[int, ...]

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt

    @property
    def frames(self) -> int:
        """Frames up to the longest horizon."""
        return max(self.at)

    @property
    def at(self) -> list[int]:
        """The frame of each horizon."""
        return [round(horizon / self.dt) for horizon in self.horizons]

    def some(self, first: int, count: int) -> tuple[State, Particles]:
        """Return some of the starts."""
        part = slice(first, first + count)
        return self.state[part], self.particles[part]


def segment_for(frames: int) -> int:
    """Choose a segment that `frames` fill, as some methods always compute whole ones."""
    return math.ceil(frames / math.ceil(frames / SEGMENT))


def check_horizons(horizons: Sequence[float], dt: float) -> None:
    """Demand whole numbers of frames.

    Raises
    ------
    InputError
        If one is not.
    """
    for horizon in horizons:
        frames = round(horizon / dt)
        if frames < 1 or abs(frames * dt / horizon - 1) > WHOLE:
            raise InputError(
                f"`horizon` must be a whole number of frames of {dt:g}, got {horizon:g}; "
                f"use {max(frames, 1) * dt:g}"
            )


def check_clock(clock: str, threads: int) -> None:
    """Demand a clock that there is, and one that means something.

    Raises
    ------
    InputError
        If it is unknown, or sums the times of several threads.
    """
    if clock not in CLOCKS:
        raise InputError(f"`clock` must be one of {', '.join(CLOCKS)}, got {clock!r}")
    if clock == "processor" and threads > 1:
        raise InputError(
            f"`clock` processor goes with one thread only, got {threads}: it sums those of all"
        )


def costs(
    contenders: Sequence[Contender],
    task: Task,
    seconds: float,
    clock: Callable[[], float],
    tick: Callable[[], None],
) -> dict[tuple[int, int], list[float]]:
    """Time runs of each contender and batch, in turn, in seconds per trajectory."""
    times: dict[tuple[int, int], list[float]] = {
        (number, batch): [] for number in range(len(contenders)) for batch in task.batches
    }
    starts = len(task.state.x)
    for repeat in range(MOST):
        for number, each in enumerate(contenders):
            for batch in task.batches:
                taken = times[number, batch]
                if _enough(len(taken), sum(taken) * batch, seconds):
                    continue
                first = batch * repeat % (starts - starts % batch)
                some = task.some(first, batch)
                if repeat == 0:
                    _timed(each, task, *some, frames=1, clock=clock)
                taken.append(_timed(each, task, *some, task.frames, clock) / batch)
            tick()
    return times


def _timed(
    each: Contender,
    task: Task,
    state: State,
    particles: Particles,
    frames: int,
    clock: Callable[[], float],
) -> float:
    """Time the steps alone: not the start, and not the gathering of frames."""
    carry: Carry | None = each.method.start(system_of(each, task), state, particles, task.dt)
    left, spent = frames, 0.0
    while carry is not None and left > 0:
        wanted = min(each.method.options.segment, left)
        began = clock()
        segment = each.method.advance(carry, wanted)
        spent += clock() - began
        carry, left = segment.carry, left - wanted
    return spent


def system_of(each: Contender, task: Task) -> AbstractSystem:
    """Return the system as a method is to have it."""
    return with_numpy_force(task.system) if each.numpy_force else task.system


def _enough(repeats: int, spent: float, seconds: float) -> bool:
    return spent >= LONGEST * seconds or (repeats >= LEAST and spent >= seconds)
