"""Fixed steps of everything that a state holds: positions, velocities, hidden variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from nbody_surrogate.contracts import Carry, Frames, Problem, Tick

__all__ = ["Slopes", "run_with_hidden"]

Values: TypeAlias = tuple[np.ndarray, ...]
"""x, v (B, N, D), and hidden variables (B, N, ...) in the order that the system declares."""

Slopes: TypeAlias = Callable[[Values], Values]
"""The right-hand side of y' = f(y)."""


def run_with_hidden(
    step_once: Callable[[Slopes, Values, float], Values],
    carry: Carry,
    substeps: int,
    frames: int,
    tick: Tick,
) -> Frames:
    """Return the frames of a segment, of all trajectories at a time, in NumPy.

    Parameters
    ----------
    step_once : callable
        Takes the slopes, the values and the step, and returns the values after it.
    carry : Carry
    substeps : int
        Of a frame.
    frames : int
    tick : callable

    Returns
    -------
    Frames
        Without counters.
    """
    problem, hidden = carry.problem, carry.hidden
    step, slopes = problem.dt / substeps, _slopes(problem, hidden)
    now: Values = (carry.arrays["x"], carry.arrays["v"], *hidden.values())
    made = [np.empty((len(y), frames, *y.shape[1:])) for y in now]
    # a trajectory that overflows is found by its infinities, as where steps are compiled
    with np.errstate(all="ignore"):
        for frame in range(frames):
            for _ in range(substeps):
                now = step_once(slopes, now, step)
            for out, y in zip(made, now, strict=True):
                out[:, frame] = y
            tick(frame + 1)
    return Frames(made[0], made[1], hidden=dict(zip(hidden, made[2:], strict=True)))


def _slopes(problem: Problem, hidden: Mapping[str, np.ndarray]) -> Slopes:
    system, particles, names = problem.system, problem.particles, tuple(hidden)

    def slopes(values: Values) -> Values:
        x, v = values[:2]
        behind = dict(zip(names, values[2:], strict=True))
        rates = system.hidden_rate(x, v, particles, behind)
        a = system.acceleration(x, v, particles, behind)
        # copies: slopes are used again within a step, and a system may keep what it returned
        return (v, np.array(a), *(np.array(rates[name]) for name in names))

    return slopes
