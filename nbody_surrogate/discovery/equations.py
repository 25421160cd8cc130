"""The innovations of one particle, and how they change with each unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from nbody_surrogate.discovery.innovations import Hat, Stencil, hat, whitener
from nbody_surrogate.discovery.runs import MeasuredRun, Neighbourhood
from nbody_surrogate.discovery.splines import DirectedCurve, PairCurve
from nbody_surrogate.discovery.unknowns import FIELDS, Layout, Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["BRIDGED", "HUBER", "Equations", "Extra", "Problem", "View", "equations", "view"]

BRIDGED = 1e12
"""How much larger the variance of a position is that was not measured."""

HUBER = 4.0
"""Innovations beyond so many standard deviations count linearly in robust estimates: Gaussian ones
do so once in 16 000."""


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
    """

    runs: tuple[MeasuredRun, ...]
    curve: PairCurve
    directed: DirectedCurve | None
    axis: int
    stencil: Stencil
    couplings: tuple[Int64[np.ndarray, "N N"], ...] | None
    robust: bool

    @property
    def dimensions(self) -> int:
        """Of space."""
        return self.runs[0].x.shape[2]

    @property
    def particles(self) -> int:
        """Of all runs."""
        return sum(run.n for run in self.runs)

    @property
    def layout(self) -> Layout:
        """Where the unknowns stand."""
        directed = 0 if self.directed is None else self.directed.size
        strengths = self.particles
        if self.couplings is not None:
            strengths = 1 + max(int(table.max()) for table in self.couplings)
        return Layout(
            self.curve.knots.count, directed, strengths, self.particles, self.dimensions
        )

    def strengths_of(self, run: int, i: int, others: np.ndarray) -> Int64[np.ndarray, " O"]:
        """Return the numbers of the strengths by which the others act on particle `i`."""
        if self.couplings is not None:
            return self.couplings[run][i, others]
        return self.runs[run].first + others


class View(NamedTuple):
    """Forces on one particle as arrays over all frames of its run, of the present unknowns.

    Shapes: `force` (T, D) by all others, of unit response; `by_other` (T, D, O); `by_curve`
    (T, D, K + 2 Q).
    """

    near: Neighbourhood
    force: Float64[np.ndarray, "T D"]
    by_other: Float64[np.ndarray, "T D O"]
    by_curve: Float64[np.ndarray, "T D C"]


Extra = Callable[[int, int, View, Unknowns], np.ndarray]
"""Accelerations (T, D, E) that the model does not have, of one run and particle."""


class Equations(NamedTuple):
    """Innovations of one stretch of one particle.

    Attributes
    ----------
    innovations : ndarray, shape (R, D)
    columns : ndarray, shape (R, D, C)
        Derivatives of what is subtracted, by those unknowns that stand in it.
    which : ndarray, shape (C,)
        Their places in the vector; further ones for extra columns.
    frames : ndarray, shape (R,)
        Number of the frame that each row ends at, among those of all runs.
    log_determinant : float
        Of the whitening, over all axes.
    rows : ndarray, shape (R, D)
        The same before they are whitened.
    step : Hat
    scale : ndarray, shape (R + 2,)
        Variance of the positions of their frames over that of a measured one.
    """

    innovations: Float64[np.ndarray, "R D"]
    columns: Float64[np.ndarray, "R D C"]
    which: Int64[np.ndarray, " C"]
    frames: Int64[np.ndarray, " R"]
    log_determinant: float
    rows: Float64[np.ndarray, "R D"]
    step: Hat
    scale: Float64[np.ndarray, " S"]


def view(problem: Problem, unknowns: Unknowns, run: int, i: int) -> View:
    """Evaluate the pair forces on particle `i` of a run."""
    measured = problem.runs[run]
    near = measured.around(i)
    strengths = unknowns.part("strengths")[problem.strengths_of(run, i, near.others)]
    index, values = problem.curve.pieces(near.distances)
    values = values * (near.there / near.distances)[..., None]
    size = np.take(unknowns.part("curve"), index[..., None] + np.arange(4))
    along = (size * values).sum(-1)
    by_other = along[:, None, :] * near.separations.transpose(0, 2, 1)
    shape = problem.layout
    by_curve = np.zeros((*by_other.shape[:2], shape.curve + 2 * shape.directed))
    four = index[..., None] + np.arange(4)
    for d in range(problem.dimensions):
        weights = values * (strengths * near.separations[..., d])[..., None]
        by_curve[:, d, : shape.curve] = _summed(four, weights, shape.curve)
    if problem.directed is not None:
        _add_directed(problem, unknowns, near, strengths, by_other, by_curve)
    return View(near, by_other @ strengths, by_other, by_curve)


def _add_directed(
    problem: Problem,
    unknowns: Unknowns,
    near: Neighbourhood,
    strengths: np.ndarray,
    by_other: np.ndarray,
    by_curve: np.ndarray,
) -> None:
    """Add the directed curve's share, in place."""
    assert problem.directed is not None
    axis, k, q = problem.axis, problem.curve.knots.count, problem.directed.size
    across = [d for d in range(problem.dimensions) if d != axis]
    rho = np.sqrt((near.separations[..., across] ** 2).sum(-1))
    index, values = problem.directed.pieces(rho, near.separations[..., axis])
    values = values * near.there[..., None]
    for name, axes, start in (("across", across, k), ("along", [axis], k + q)):
        size = (np.take(unknowns.part(name), index) * values).sum(-1)
        for d in axes:
            # on the axis itself there is no direction across it
            part = np.ones_like(rho) if d == axis else near.separations[..., d] / np.maximum(rho, 1e-12)
            by_other[:, d] += size * part
            weights = values * (strengths * part)[..., None]
            by_curve[:, d, start : start + q] = _summed(index, weights, q)


def _summed(index: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Sum weights (T, O, 4) over the others into the coefficients that they belong to."""
    rows = np.repeat(np.arange(len(index)), index[0].size)
    flat = (weights.ravel(), (rows, index.ravel()))
    return sparse.csr_matrix(flat, shape=(len(index), count)).toarray()


def equations(
    problem: Problem, unknowns: Unknowns, run: int, i: int, extra: Extra | None = None
) -> Iterator[Equations]:
    """Return the innovations of all stretches of particle `i` of a run."""
    measured, stencil = problem.runs[run], problem.stencil
    seen = view(problem, unknowns, run, i)
    m = measured.first + i
    response = unknowns.part("responses")[m]
    drag = float(unknowns.part("drag")[m])
    step = hat(drag, measured.dt, stencil)
    x = measured.x[:, i]
    forces, which = _columns(problem, unknowns, run, i, seen)
    if extra is not None:
        more = extra(run, i, seen, unknowns)
        which = np.concatenate([which, unknowns.layout.size + np.arange(more.shape[-1])])
        forces = np.concatenate([forces, more], -1)
    total = response * seen.force + _field(unknowns, x, response)
    position = unknowns.layout.part("drag").start + m
    which = np.concatenate([which, [position]])
    shortest = stencil.before + stencil.after + 12
    for part in measured.stretches(i, shortest):
        rows = slice(part.start + stencil.before, part.stop - stencil.after)
        t = np.arange(rows.start, rows.stop)
        here, past = x[t] - x[t - 1], x[t - 1] - x[t - 2]
        left = here - step.decay * past - _integral(step.weights, stencil, total, t)
        columns = np.empty((t.size, problem.dimensions, which.size))
        columns[..., :-1] = _integral(step.weights, stencil, forces, t)
        columns[..., -1] = -measured.dt * step.decay * past
        scale = np.where(measured.seen[rows.start - 2 : rows.stop, i], 1.0, BRIDGED)
        innovations, determinant = np.empty_like(left), 0.0
        for d in range(problem.dimensions):
            white = whitener(step, scale * unknowns.noise[d], float(unknowns.kicks[m]))
            innovations[:, d], columns[:, d] = white(left[:, d]), white(columns[:, d])
            determinant += white.log_determinant
        if problem.robust:
            size = np.maximum(np.abs(innovations).max(1, keepdims=True), 1e-300)
            weight = np.sqrt(np.minimum(1.0, HUBER / size))
            innovations *= weight
            columns *= weight[..., None]
        frames = measured.start + t
        yield Equations(innovations, columns, which, frames, determinant, left, step, scale)


def _columns(
    problem: Problem, unknowns: Unknowns, run: int, i: int, seen: View
) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of the acceleration (T, D, C), and whose they are."""
    measured, layout = problem.runs[run], unknowns.layout
    m, dimensions = measured.first + i, problem.dimensions
    x = measured.x[:, i]
    response = unknowns.part("responses")[m]
    own = seen.force + unknowns.part("uniform_by_charge") + unknowns.part("gradient_by_charge") * x
    fields = np.zeros((len(x), dimensions, len(FIELDS), dimensions))
    each = np.arange(dimensions)
    fields[:, each, 0, each], fields[:, each, 1, each] = 1.0, response
    fields[:, each, 2, each], fields[:, each, 3, each] = x, response * x
    columns = np.concatenate(
        [
            response * seen.by_curve,
            response * seen.by_other,
            own[..., None],
            fields.reshape(len(x), dimensions, -1),
        ],
        -1,
    )
    curves = layout.curve + 2 * layout.directed
    which = np.concatenate(
        [
            np.arange(curves),
            layout.part("strengths").start + problem.strengths_of(run, i, seen.near.others),
            [layout.part("responses").start + m],
            np.arange(layout.part(FIELDS[0]).start, layout.size),
        ]
    )
    return columns, which


def _field(unknowns: Unknowns, x: np.ndarray, response: float) -> np.ndarray:
    uniform = unknowns.part("uniform") + response * unknowns.part("uniform_by_charge")
    return uniform + (unknowns.part("gradient") + response * unknowns.part("gradient_by_charge")) * x


def _integral(
    weights: tuple[float, ...], stencil: Stencil, values: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """Integrate values (T, ...) over the hats that end at the frames `t`, which are in a row."""
    out = np.zeros((t.size, *values.shape[1:]))
    for node, weight in zip(stencil.nodes, weights, strict=True):
        out += weight * values[t[0] + node : t[0] + node + t.size]
    return out
