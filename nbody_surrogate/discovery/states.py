"""Positions and velocities out of noisy tracks, by the law that was found.

The path that is most probable given the measured positions, the forces and the kicks: a
fixed-interval smoother (Rauch, Tung and Striebel, AIAA J. 3 (1965) 1445), as one banded system.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solveh_banded

from nbody_surrogate.discovery.between import fine_problem
from nbody_surrogate.discovery.equations import BRIDGED, Problem
from nbody_surrogate.discovery.forces import total_force
from nbody_surrogate.discovery.innovations import NUMEROV, hat
from nbody_surrogate.discovery.joint import joint_paths, settle
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["along_smoothed_paths", "smoothed_states"]


def smoothed_states(
    problem: Problem, unknowns: Unknowns, run: int
) -> tuple[Float64[np.ndarray, "T N D"], Float64[np.ndarray, "T N D"]]:
    """Return smoothed positions and velocities of a run; NaN where a particle is away."""
    measured = problem.runs[run]
    if measured.steps > 1:
        return _states_between(problem, unknowns, run)
    x, v = np.full((2, *measured.x.shape), np.nan)
    together = joint_paths(problem, unknowns, run) if problem.joint else None
    for i in range(measured.n):
        force = total_force(problem, unknowns, run, i)
        for part in measured.stretches(i, 8):
            for d in range(problem.dimensions):
                if together is None:
                    path = _path(measured, unknowns, i, d, part, force[d, part])
                else:
                    path = together[part, i, d]
                x[part, i, d] = path
                v[part, i, d] = _velocity(path, force[d, part], measured.dt)
    return x, v


def _states_between(
    problem: Problem, unknowns: Unknowns, run: int
) -> tuple[Float64[np.ndarray, "T N D"], Float64[np.ndarray, "T N D"]]:
    """Return the same of a run with nodes between its frames, which tell the velocities."""
    x = joint_paths(problem, unknowns, run)
    runs = list(problem.runs)
    measured = runs[run] = problem.runs[run].along(x)
    problem = replace(problem, runs=tuple(runs))
    settle(problem, unknowns, run)
    nodes = fine_problem(problem, run, slice(0, len(x)))
    v = np.full(x.shape, np.nan)
    for i in range(measured.n):
        force = total_force(nodes, unknowns, run, i)
        for part in measured.stretches(i, 8):
            at = slice(part.start * measured.steps, (part.stop - 1) * measured.steps + 1)
            path = nodes.runs[run].path[at, i]
            for d in range(problem.dimensions):
                fine = _velocity(path[:, d], force[d, at], nodes.runs[run].dt)
                v[part, i, d] = fine[:: measured.steps]
    return np.where(np.isfinite(v), x, np.nan), v


def along_smoothed_paths(problem: Problem, unknowns: Unknowns) -> Problem:
    """Return the problem with forces evaluated where a law says that particles were.

    Forces at measured positions have noise of their own, which attenuates what they are fitted by.
    """
    runs = [
        run.along(smoothed_states(problem, unknowns, k)[0]) for k, run in enumerate(problem.runs)
    ]
    return replace(problem, runs=tuple(runs))


def _path(
    measured: MeasuredRun, unknowns: Unknowns, i: int, d: int, part: slice, force: np.ndarray
) -> np.ndarray:
    m = measured.first + i
    step = hat(float(unknowns.part("drag")[m]), measured.dt, NUMEROV)
    y = measured.x[part, i, d]
    scale = np.where(measured.seen[part, i], 1.0, BRIDGED)
    weight = 1.0 / scale
    # x_t - (1 + a) x_{t-1} + a x_{t-2} = weights . force, with the variance of the kicks
    a = step.decay
    stencil = np.array([a, -(1.0 + a), 1.0])
    drive = sum(
        w * force[2 + k : len(y) + k] for k, w in zip(NUMEROV.nodes, step.weights, strict=True)
    )
    # kicks below this share of the noise cannot be told from none, and would only spoil the sums
    kicks = max(
        unknowns.kicks[m] * (step.variance + 2.0 * step.covariance), 1e-9 * unknowns.noise[d]
    )
    ratio = unknowns.noise[d] / kicks
    band = np.zeros((3, len(y)))
    band[2] = weight
    right = weight * y
    for p in range(3):
        rows = slice(p, len(y) - 2 + p)
        right[rows] += ratio * stencil[p] * drive
        for q in range(p, 3):
            band[2 - (q - p), q : len(y) - 2 + q] += ratio * stencil[p] * stencil[q]
    return np.asarray(solveh_banded(band, right))


def _velocity(path: np.ndarray, force: np.ndarray, dt: float) -> np.ndarray:
    """Return velocities of a path whose accelerations are nearly known."""
    v = np.gradient(path, dt)
    # at the ends as well, an acceleration that changes steadily is integrated as it is
    v[0] = (path[1] - path[0]) / dt - dt / 6.0 * (2.0 * force[0] + force[1])
    v[-1] = (path[-1] - path[-2]) / dt + dt / 6.0 * (2.0 * force[-1] + force[-2])
    # the middle difference is too large by dt^2 / 6 times the rate of the acceleration
    v[1:-1] -= dt / 12.0 * (force[2:] - force[:-2])
    return np.asarray(v)
