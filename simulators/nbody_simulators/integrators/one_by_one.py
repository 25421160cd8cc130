"""What the compiled solvers share that run one trajectory after another, or on threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from nbody_simulators.integrators.outcome import Outcome
from nbody_simulators.integrators.threads import spread_over_threads
from nbody_surrogate.contracts import Tick, threads_that_pay

__all__ = ["Account", "run_one_by_one", "threads_for_trajectories"]

SHARES = 8  # parts of the batch per thread, so that a slow one does not leave the others idle

OVERHEAD = 30
"""What a step costs beside the forces, as many pairs."""

SHARE = 2000
"""Trajectories times N^2 and the overhead, from where a thread pays: a segment of them takes some
20 ms, which is long beside the start of a thread, on a machine with other work too."""


class Account(NamedTuple):
    """Failures and counters of a batch, as `Frames` takes them."""

    failures: dict[int, tuple[int, str]]
    counters: dict[str, int]


def threads_for_trajectories(asked: int | None, batch: int, n: int) -> int:
    """Return as many threads as were asked for, or as have enough trajectories each."""
    if asked is not None:
        return asked
    return min(threads_that_pay(batch * (n * n + OVERHEAD), SHARE), batch)


def run_one_by_one(
    name: str,
    run: Callable[[int], Outcome],
    batch: int,
    frames: int,
    threads: int,
    tick: Tick,
    stop: Callable[[], None],
    *,
    apart: bool = False,
) -> Account:
    """Run each trajectory of a batch through a segment.

    Parameters
    ----------
    name : str
        Of the solver, as failures tell it.
    run : callable
        Runs the trajectory of a number, on any thread.
    batch, frames, threads : int
    tick : callable
    stop, apart
        See `spread_over_threads`.
    """
    outcomes: dict[int, Outcome] = {}

    def fill(part: range) -> None:
        outcomes.update({b: run(b) for b in part})

    size = max(math.ceil(batch / threads / SHARES), 1)
    parts = [range(batch)[first : first + size] for first in range(0, batch, size)]
    spread_over_threads(
        fill, parts, threads, lambda done: tick(frames * done / len(parts)), stop, apart=apart
    )
    failures = {
        b: (each.frames, f"{name}: {each.failure}")
        for b, each in outcomes.items()
        if each.failure is not None
    }
    counters = {
        "nfev": sum(math.ceil(each.counter) for each in outcomes.values()),
        "steps": sum(each.steps for each in outcomes.values()),
    }
    return Account(failures, counters)
