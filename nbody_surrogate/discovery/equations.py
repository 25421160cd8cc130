"""The innovations of one particle, and how they change with each unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.discovery.forces import (
    Block,
    Extra,
    extend_columns,
    force_columns,
    places_of,
    total_of,
    view,
)
from nbody_surrogate.discovery.innovations import HUBER, Hat, Stencil, Whitener, hat, whitener
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.splines import DirectedCurve, PairCurve
from nbody_surrogate.discovery.unknowns import Layout, Unknowns
from nbody_surrogate.discovery.whiten_kernel import whitened_columns

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = [
    "BRIDGED",
    "Equations",
    "Problem",
    "equations",
]

BRIDGED = 1e8
"""How much larger the variance of a position is that was not measured. Bridges are wrong by far
less than ten thousand times the noise; more would cost the digits of the Cholesky factor, half a
unit of log-likelihood for each gap at 1e12 and weak kicks."""


LEAST_ROWS = 4
"""Of a stretch. Where frames are hardly close enough there are many short ones."""


@dataclass(frozen=True)
class Problem:
    """What stays the same while the unknowns are sought.

    Attributes
    ----------
    runs : tuple of MeasuredRun
    curve : PairCurve
    directed : DirectedCurve or None
    axis : int
        Of the directed curve.
    stencil : Stencil
    couplings : ndarray, shape (N, N), or None
        Number of the strength of each pair, where each has its own.
    robust : bool
    joint : bool
        Whether the paths of all particles are unknown together (`joint`).
    """

    runs: tuple[MeasuredRun, ...]
    curve: PairCurve
    directed: DirectedCurve | None
    axis: int
    stencil: Stencil
    couplings: tuple[Int64[np.ndarray, "N N"], ...] | None
    robust: bool
    joint: bool = False

    @property
    def has_nodes(self) -> bool:
        """Whether there is anything between its frames, see `between`."""
        return any(run.steps > 1 for run in self.runs)

    @property
    def dimensions(self) -> int:
        """Of space."""
        return int(self.runs[0].x.shape[2])

    @property
    def particles(self) -> int:
        """Of all runs, those that are the same in several counted once."""
        return max(run.first + run.n for run in self.runs)

    @property
    def layout(self) -> Layout:
        """Where the unknowns stand."""
        directed = 0 if self.directed is None else self.directed.size
        strengths = self.particles
        if self.couplings is not None:
            strengths = 1 + max(int(table.max()) for table in self.couplings)
        return Layout(self.curve.knots.count, directed, strengths, self.particles, self.dimensions)

    def strengths_of(self, run: int, i: int, others: np.ndarray) -> Int64[np.ndarray, " O"]:
        """Return the numbers of the strengths by which the others act on particle `i`."""
        if self.couplings is not None:
            return np.asarray(self.couplings[run][i, others])
        return self.runs[run].first + others


class Equations(NamedTuple):
    """Innovations of one stretch of one particle.

    Attributes
    ----------
    innovations : ndarray, shape (D, R)
    columns : tuple of D ndarray, shape (R, C)
        Derivatives of what is subtracted, by those unknowns that stand in each axis' equation.
    which : tuple of D ndarray, shape (C,)
        Their places in the vector; further ones for extra columns.
    frames : ndarray, shape (R,)
        Number of the frame that each row ends at, among those of all runs.
    log_determinant : float
        Of the whitening, over all axes.
    rows : ndarray, shape (D, R)
        The same as the innovations before they are whitened.
    step : Hat
    scale : ndarray, shape (R + 2,)
        Variance of the positions of their frames over that of a measured one.
    free : float
        Sum of the innovations' squares, had there been no force and no drag; 0 with columns.
    """

    innovations: Float64[np.ndarray, "D R"]
    columns: tuple[np.ndarray, ...]
    which: tuple[np.ndarray, ...]
    frames: Int64[np.ndarray, " R"]
    log_determinant: float
    rows: Float64[np.ndarray, "D R"]
    step: Hat
    scale: Float64[np.ndarray, " S"]
    free: float


def equations(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    i: int,
    extra: Extra | None = None,
    with_columns: bool = True,
) -> Iterator[Equations]:
    """Return the innovations of all stretches of particle `i` of a run.

    Those of `extra` stand behind the others in the columns, and are part of the forces in the
    amounts that it has.
    """
    measured, stencil = problem.runs[run], problem.stencil
    seen = view(problem, unknowns, run, i)
    m = measured.first + i
    step = hat(float(unknowns.part("drag")[m]), measured.dt, stencil)
    x = measured.x[:, i].T
    total = total_of(problem, unknowns, run, i, seen)
    forces = force_columns(problem, unknowns, run, i, seen) if with_columns else []
    if extra is not None:
        more = extra.accelerations(run, i, seen, unknowns)
        total = total + more @ extra.amounts
        extend_columns(forces, more, unknowns.layout.size)
    drag = unknowns.layout.part("drag").start + m
    for part in measured.told(i, stencil.before + stencil.after + LEAST_ROWS):
        t = np.arange(part.start + stencil.before, part.stop - stencil.after)
        here, past = x[:, t] - x[:, t - 1], x[:, t - 1] - x[:, t - 2]
        rows = here - step.decay * past - _integral(step, stencil, total, t)
        scale = np.where(measured.seen[t[0] - 2 : t[-1] + 1, i], 1.0, BRIDGED)
        innovations, columns, which = np.empty_like(rows), [], []
        determinant = free = 0.0
        for d in range(problem.dimensions):
            white = whitener(step, scale * unknowns.noise[d], float(unknowns.kicks[m]))
            innovations[d] = white(rows[d])
            determinant += white.log_determinant
            if with_columns:
                columns.append(
                    _whitened(
                        forces[d], step, stencil, white, t, -measured.dt * step.decay * past[d]
                    )
                )
                which.append(np.append(places_of(forces[d]), drag))
            else:
                free += float((white(here[d] - past[d]) ** 2).sum())
        if problem.robust:
            # the same weight for all axes, so that no choice of axes matters
            size = np.maximum(np.sqrt((innovations**2).sum(0)), 1e-300)
            weight = np.sqrt(np.minimum(1.0, HUBER / size))
            innovations = innovations * weight
            columns = [column * weight[:, None] for column in columns]
        frames = measured.start + t
        yield Equations(
            innovations, tuple(columns), tuple(which), frames, determinant, rows, step, scale, free
        )


def _whitened(
    blocks: list[Block],
    step: Hat,
    stencil: Stencil,
    white: Whitener,
    t: np.ndarray,
    last: np.ndarray,
) -> Float64[np.ndarray, "R C"]:
    """Return the innovations of all columns, and of one more that is integrated already."""
    count = sum(block.values.shape[1] for block in blocks)
    out = np.empty((t.size, count + 1))
    nodes, weights = np.array(stencil.nodes), np.array(step.weights)
    start = 0
    for block in blocks:
        whitened_columns(
            block.values, block.factor, int(t[0]), nodes, weights, white.factor, start, out
        )
        start += block.values.shape[1]
    out[:, -1] = white(last)
    return out


def _integral(step: Hat, stencil: Stencil, values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Integrate values (C, T) over the hats that end at the frames `t`, which are in a row."""
    out = np.zeros((values.shape[0], t.size))
    for node, weight in zip(stencil.nodes, step.weights, strict=True):
        out += weight * values[:, t[0] + node : t[0] + node + t.size]
    return out
