"""Errors that leapfrog carries along frames, in compiled code: trajectories in lanes, on threads.

To make each frame by a segment of its own takes, of a few particles, ten times as long as all the
forces in it.
"""

from __future__ import annotations

from threading import Event
from typing import NamedTuple, final

import numpy as np

from nbody_simulators.integrators.compositions import Composition
from nbody_simulators.integrators.fixed_step import MOST_FORCES, lanes_of
from nbody_simulators.integrators.threads import spread_over_threads
from nbody_simulators.kernels.lanes import widest
from nbody_simulators.kernels.split_steps import carry_errors
from nbody_surrogate.contracts import Problem

__all__ = ["Course", "carried"]


@final
class Course(NamedTuple):
    """What an error is carried along, see `AbstractErrorFollower`.

    Attributes
    ----------
    frames : ndarray, shape (2, B, F + 1, N, D)
    error : ndarray, shape (2, B, N, D)
    mapped, added : ndarray, shape (2, B, F, N, D)
    largest : float
    """

    frames: np.ndarray
    error: np.ndarray
    mapped: np.ndarray
    added: np.ndarray
    largest: float

    def of(self, part: slice) -> Course:
        """Return it for part of the batch."""
        return Course(
            self.frames[:, part],
            self.error[:, part],
            self.mapped[:, part],
            self.added[:, part],
            self.largest,
        )

    def between(self, first: int, count: int) -> Course:
        """Return it along some of the frames; `error` must be that of the first of them."""
        some = slice(first, first + count)
        frames = self.frames[:, :, first : first + count + 1]
        return self._replace(
            frames=frames, mapped=self.mapped[:, :, some], added=self.added[:, :, some]
        )


def carried(
    problem: Problem, course: Course, composition: Composition, substeps: int, threads: int
) -> np.ndarray | None:
    """Carry errors along a course.

    Returns
    -------
    ndarray, shape (2, B, F, N, D), or None
        None where a single frame takes so long that Python would not hear of Ctrl-C.
    """
    _, batch, count, n, _ = course.mapped.shape
    width = min(widest(n), -(-batch // threads))
    forces = substeps * composition.evaluations * n * n * width
    if forces > MOST_FORCES:
        return None
    most, stopped, errors = MOST_FORCES // forces, Event(), np.empty(course.mapped.shape)

    def follow(part: slice) -> None:
        few = course.of(part)
        for first in range(0, count, most):
            if not stopped.is_set():
                found = _in_lanes(problem, few.between(first, most), part, composition, substeps)
                errors[:, part, first : first + most] = found
                few = few._replace(error=found[:, :, -1])

    parts = [slice(first, first + width) for first in range(0, batch, width)]
    spread_over_threads(follow, parts, threads, lambda _: None, stopped.set)
    return errors


def _in_lanes(
    problem: Problem, course: Course, part: slice, composition: Composition, substeps: int
) -> np.ndarray:
    """Carry errors of part of the batch along, shape (2, B, F, N, D)."""
    x, v = course.frames[:, :, 0] - course.error
    lanes = lanes_of(problem, x, v, part)
    frames, mapped, added = map(_by_frame, (course.frames[:, :, 1:], course.mapped, course.added))
    errors, (kicks, drifts) = np.empty_like(mapped), map(np.array, composition)
    step, largest = problem.dt / substeps, course.largest
    kernel = carry_errors(lanes.pair, lanes.field, lanes.directed)
    kernel(lanes, step, substeps, kicks, drifts, frames, mapped, added, largest, errors)
    batch, count, n, dimensions = course.mapped.shape[1:]
    return errors.reshape(2, count, dimensions, n, batch).transpose(0, 4, 1, 3, 2)


def _by_frame(values: np.ndarray) -> np.ndarray:
    """Bring (2, B, F, N, D) to (2, F, D N B), the layout of the lanes."""
    turned = values.transpose(0, 2, 4, 3, 1)
    return np.ascontiguousarray(turned).reshape(2, values.shape[2], -1)
