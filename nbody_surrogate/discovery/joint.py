r"""Innovations of all particles together: a noisy position is felt in the forces on all others.

Innovations of one particle (`innovations`) take its forces as known. Where kicks are weak they are
not: positions are known from many frames, the forces at a smoothed path differ from the true ones
by its error, and pass for kicks that are twice as strong as they are. Here the paths themselves are
unknowns. With forces that are linear about a path, f(y) = f(p) + f'(p) (y - p), the rows

    y_t - (1 + a) y_{t-1} + a y_{t-2} - \sum_k w_k f(y_{t-k}),   k = 0, 1, 2,

of all particles have the noise \sum_k R_k e_{t-k} + kicks, with R_0 = 1 - w_0 f', R_1 = -(1 + a) -
w_1 f' and R_2 = a - w_2 f'. Their covariance, of blocks of all coordinates of a frame, reaches two
frames back; dividing by its Cholesky factor makes them white. That is the likelihood of an extended
Kalman filter over all particles, with positions about a smoothed path, and so the same as that of
multiple shooting with kicks between the frames (weak-constraint assimilation).

Noise and kicks are improved by a step of scoring on their logarithms, whose information is the
average one (Gilmour, Thompson and Cullis, Biometrics 51 (1995) 1440) and whose traces are drawn
(Hutchinson, Commun. Stat. Simul. 19 (1990) 433).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.between import led_through
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.forces import Extra
from nbody_surrogate.discovery.innovations import misfit
from nbody_surrogate.discovery.joint_rows import NoiseScore, joint_rows, node_rows
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

__all__ = ["JointPart", "NoiseScore", "joint_parts", "joint_paths", "joint_work", "settle"]

WINDOW = 640
"""Frames that are taken together. The first state of each window is free, which costs two of its
rows."""

MEMORY = 1.2e8
"""Bytes that the columns of a window may take."""


@dataclass(frozen=True)
class JointPart:
    """Innovations of all particles of one window.

    Attributes
    ----------
    innovations : ndarray, shape (R, N, D)
        Weighted where the problem is robust; 0 where a particle is away.
    columns : ndarray, shape (R, N D, P), or None
        Derivatives of what is subtracted, by all unknowns and amounts.
    frames : ndarray, shape (R,)
        Number of the frame that each row ends at, among those of all runs.
    counted : ndarray, shape (R, N)
        Whether there is a row.
    first : int
        Number of the first particle.
    log_determinant : float
        Of the whitening, less that of the change from paths to kicks.
    noise : NoiseScore or None
    """

    innovations: Float64[np.ndarray, "R N D"]
    columns: Float64[np.ndarray, "R n P"] | None
    frames: Int64[np.ndarray, " R"]
    counted: np.ndarray
    first: int
    log_determinant: float
    noise: NoiseScore | None

    @property
    def rows(self) -> int:
        """Rows of all particles and axes that there are."""
        return int(self.counted.sum()) * int(self.innovations.shape[2])

    def log_likelihood(self, robust: bool) -> float:
        """Return it up to a constant; of robust estimates Huber's."""
        each = self.innovations.reshape(-1, self.innovations.shape[2]).T
        return -misfit(each, robust) - self.log_determinant


def joint_work(problem: Problem) -> float:
    """Return about how many operations all columns of a problem take."""
    columns = problem.layout.size
    return float(
        sum(
            len(run.x) * ((run.n * problem.dimensions) ** 2)
            * (12.0 * run.n * problem.dimensions + 6.0 * columns)
            for run in problem.runs
        )
    )  # fmt: skip


def joint_parts(
    problem: Problem,
    unknowns: Unknowns,
    extra: Extra | None = None,
    with_columns: bool = True,
    with_noise: bool = True,
) -> Iterator[JointPart]:
    """Return the innovations of all windows of all runs.

    Parameters
    ----------
    problem : Problem
    unknowns : Unknowns
    extra : Extra, optional
        Further accelerations, whose amounts stand behind the unknowns.
    with_columns, with_noise : bool
        Whether derivatives by the unknowns, and by noise and kicks, are made.
    """
    size = unknowns.layout.size + (0 if extra is None else extra.amounts.size)
    for run in range(len(problem.runs)):
        for part in _windows(problem.runs[run], size):
            rows = joint_rows(problem, unknowns, run, part, extra, size if with_columns else 0)
            if rows is None:
                continue
            factor = rows.factor()
            innovations = factor.whiten(rows.left[..., None])[..., 0]
            weight = rows.weights(innovations, problem.robust)
            white = innovations * weight
            columns = None
            if rows.columns is not None:
                columns = factor.whiten(rows.columns)
                columns *= weight[..., None]
            noise = rows.noise_score(factor, white, unknowns) if with_noise else None
            shape = (len(white), *rows.shape)
            yield JointPart(
                white.reshape(shape),
                columns,
                rows.measured.start + np.arange(part.start + 2, part.stop),
                rows.active.reshape(shape)[..., 0],
                rows.measured.first,
                factor.log_determinant - rows.log_volume(),
                noise,
            )


def joint_paths(problem: Problem, unknowns: Unknowns, run: int) -> Float64[np.ndarray, "T N D"]:
    """Return the most probable paths of a run, all particles together; NaN where one is away."""
    measured = problem.runs[run]
    out = np.full(measured.x.shape, np.nan)
    for part in _windows(measured, 1):
        rows = joint_rows(problem, unknowns, run, part, None, 0)
        if rows is None:
            continue
        factor = rows.factor()
        white = factor.whiten(rows.left[..., None])[..., 0]
        white *= rows.weights(white, problem.robust) ** 2
        noise = rows.to_positions(factor.unwhiten(white[..., None]))[..., 0] * rows.variances
        path = measured.x[part] - noise.reshape(noise.shape[0], *rows.shape)
        here = np.zeros((len(path), measured.n), dtype=bool)
        active = rows.active.reshape(-1, *rows.shape)[..., 0]
        for k in range(3):
            here[k : k + len(active)] |= active
        out[part][here] = path[here]
    return out


def settle(problem: Problem, unknowns: Unknowns, run: int) -> Bool[np.ndarray, "L N"]:
    """Move what is between the frames of a run, in place, to where the law leads.

    Returns
    -------
    led : ndarray, shape (T - 1, N)
        Where it leads at all, see `between.led_through`.
    """
    measured = problem.runs[run]
    # a run of which nothing is held out has no frame, and no interval either
    led = np.ones((max(len(measured.x) - 1, 0), measured.n), dtype=bool)
    if not led.size:
        return led
    for window in _windows(measured, 1):
        # with the interval that leads to the next window
        part = slice(window.start, min(window.stop + 1, len(measured.x)))
        rows = node_rows(problem, unknowns, run, part)
        moving = measured.moving(part)
        led[part.start : part.stop - 1] = led_through(measured, part, rows, moving)
    return led


def _windows(measured: MeasuredRun, columns: int) -> list[slice]:
    frames, particles, dimensions = measured.x.shape
    wide = MEMORY / (8.0 * particles * dimensions * columns * measured.steps)
    wide = int(min(max(wide, 20.0), WINDOW))
    edges = np.linspace(0, frames, max(1, round(frames / wide)) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
