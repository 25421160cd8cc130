"""The innovations of one particle, and how they change with each unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from nbody_surrogate.discovery.innovations import Hat, Stencil, Whitener, hat, whitener
from nbody_surrogate.discovery.kernels import central_sums, directed_sums
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.splines import DirectedCurve, PairCurve
from nbody_surrogate.discovery.unknowns import FIELDS, Layout, Unknowns
from nbody_surrogate.discovery.whiten_kernel import whitened_columns

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = [
    "BRIDGED",
    "HUBER",
    "Equations",
    "Extra",
    "Problem",
    "View",
    "accelerations",
    "equations",
    "total_force",
    "view",
]

BRIDGED = 1e8
"""How much larger the variance of a position is that was not measured. Bridges are wrong by far
less than ten thousand times the noise; more would cost the digits of the Cholesky factor, half a
unit of log-likelihood for each gap at 1e12 and weak kicks."""

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


class View(NamedTuple):
    """Pair forces on one particle over all frames of its run, of the present unknowns.

    Attributes
    ----------
    others : ndarray, shape (O,)
        Places of the others in the run.
    force : ndarray, shape (D, T)
        By all of them, of unit response.
    by_other : ndarray, shape (D, T, O)
        By each, of unit strength.
    by_curve, by_directed : ndarray, shapes (D, T, K) and (D, T, Q)
        By each coefficient; of the directed curve those of the component along each axis.
    """

    others: Int64[np.ndarray, " O"]
    force: Float64[np.ndarray, "D T"]
    by_other: Float64[np.ndarray, "D T O"]
    by_curve: Float64[np.ndarray, "D T K"]
    by_directed: Float64[np.ndarray, "D T Q"] | None


@runtime_checkable
class Extra(Protocol):
    """Accelerations that the unknowns do not have."""

    amounts: Float64[np.ndarray, " E"]
    """How much of each there is."""

    def accelerations(
        self, run: int, i: int, seen: View, unknowns: Unknowns
    ) -> Float64[np.ndarray, "D T E"]:
        """Return those of one particle, in unit amounts."""
        ...


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


def view(problem: Problem, unknowns: Unknowns, run: int, i: int) -> View:
    """Evaluate the pair forces on particle `i` of a run."""
    measured, layout = problem.runs[run], problem.layout
    others = np.array([j for j in range(measured.n) if j != i], dtype=np.int64)
    strengths = unknowns.part("strengths")[problem.strengths_of(run, i, others)]
    shape = (problem.dimensions, len(measured.x))
    by_other, by_curve = np.zeros((*shape, others.size)), np.zeros((*shape, layout.curve))
    scene = (measured.path, measured.there, i, others, strengths)
    curve, directed = problem.curve, problem.directed
    central_sums(
        *scene,
        curve.envelope.numbers,
        (curve.scale, curve.knots.first, curve.knots.spacing),
        unknowns.part("curve"),
        by_other,
        by_curve,
    )
    by_directed = None
    if directed is not None:
        by_directed = np.zeros((*shape, directed.size))
        both = np.stack([unknowns.part("across"), unknowns.part("along")])
        directed_sums(
            *scene,
            directed.envelope.numbers,
            (directed.scale, directed.across.first, directed.across.spacing),
            (directed.height, directed.along.first, directed.along.spacing),
            problem.axis,
            both.reshape(2, directed.across.count, directed.along.count),
            by_other,
            by_directed,
        )
    return View(others, by_other @ strengths, by_other, by_curve, by_directed)


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
    response = float(unknowns.part("responses")[m])
    step = hat(float(unknowns.part("drag")[m]), measured.dt, stencil)
    x = measured.x[:, i].T
    total = response * seen.force + _field(unknowns, measured.path[:, i].T, response)
    forces = _columns(problem, unknowns, run, i, seen) if with_columns else []
    if extra is not None:
        more = extra.accelerations(run, i, seen, unknowns)
        total = total + more @ extra.amounts
        _extend(forces, more, unknowns.layout.size)
    drag = unknowns.layout.part("drag").start + m
    for part in measured.stretches(i, stencil.before + stencil.after + 12):
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
                which.append(np.append(_places(forces[d]), drag))
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


def total_force(
    problem: Problem, unknowns: Unknowns, run: int, i: int
) -> Float64[np.ndarray, "D T"]:
    """Return the acceleration of a particle of a run by all but its drag."""
    measured = problem.runs[run]
    seen = view(problem, unknowns, run, i)
    response = float(unknowns.part("responses")[measured.first + i])
    return np.asarray(response * seen.force + _field(unknowns, measured.path[:, i].T, response))


def accelerations(
    problem: Problem, unknowns: Unknowns, run: int, i: int, extra: Extra | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each axis the acceleration (T, C) by one of each unknown, and which these are.

    That of the drag is by the velocity between the frames before and after.
    """
    measured = problem.runs[run]
    seen = view(problem, unknowns, run, i)
    forces = _columns(problem, unknowns, run, i, seen)
    if extra is not None:
        _extend(forces, extra.accelerations(run, i, seen, unknowns), unknowns.layout.size)
    v = np.gradient(measured.x[:, i], measured.dt, axis=0)
    drag = unknowns.layout.part("drag").start + measured.first + i
    return [
        (
            np.concatenate([each.factor * each.values for each in axis] + [-v[:, d, None]], 1),
            np.append(_places(axis), drag),
        )
        for d, axis in enumerate(forces)
    ]


class Block(NamedTuple):
    """Accelerations along one axis by unknowns side by side: a factor times values (T, C)."""

    factor: float
    values: Float64[np.ndarray, "T C"]
    places: Int64[np.ndarray, " C"]


def _columns(
    problem: Problem, unknowns: Unknowns, run: int, i: int, seen: View
) -> list[list[Block]]:
    """Return for each axis the derivatives of the acceleration."""
    measured, layout = problem.runs[run], unknowns.layout
    m = measured.first + i
    response = float(unknowns.part("responses")[m])
    sources = layout.part("strengths").start + problem.strengths_of(run, i, seen.others)
    own_place = layout.part("responses").start + m
    out = []
    for d in range(problem.dimensions):
        x = measured.path[:, i, d]
        uniform = unknowns.part("uniform_by_charge")[d]
        own = seen.force[d] + uniform + unknowns.part("gradient_by_charge")[d] * x
        one = np.ones_like(x)
        fields = np.stack([own, one, response * one, x, response * x], -1)
        places = [own_place, *(layout.part(name).start + d for name in FIELDS)]
        blocks = [
            Block(response, seen.by_curve[d], np.arange(layout.curve)),
            Block(response, seen.by_other[d], sources),
            Block(1.0, fields, np.array(places)),
        ]
        if seen.by_directed is not None:
            component = layout.part("along" if d == problem.axis else "across")
            where = np.arange(component.start, component.stop)
            blocks.append(Block(response, seen.by_directed[d], where))
        out.append(blocks)
    return out


def _extend(forces: list[list[Block]], more: np.ndarray, first: int) -> None:
    """Add further accelerations (D, T, E) behind all unknowns, in place."""
    places = first + np.arange(more.shape[-1])
    for blocks, extra in zip(forces, more, strict=True):
        blocks.append(Block(1.0, extra, places))


def _places(blocks: list[Block]) -> Int64[np.ndarray, " C"]:
    return np.concatenate([block.places for block in blocks]).astype(np.int64)


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


def _field(unknowns: Unknowns, x: np.ndarray, response: float) -> np.ndarray:
    uniform = unknowns.part("uniform") + response * unknowns.part("uniform_by_charge")
    gradient = unknowns.part("gradient") + response * unknowns.part("gradient_by_charge")
    return np.asarray(uniform[:, None] + gradient[:, None] * x)


def _integral(step: Hat, stencil: Stencil, values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Integrate values (C, T) over the hats that end at the frames `t`, which are in a row."""
    out = np.zeros((values.shape[0], t.size))
    for node, weight in zip(stencil.nodes, step.weights, strict=True):
        out += weight * values[:, t[0] + node : t[0] + node + t.size]
    return out
