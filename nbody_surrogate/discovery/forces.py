"""Forces on one particle over its run, and how they change with unknowns and with positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from nbody_surrogate.discovery.kernels import central_sums, directed_sums
from nbody_surrogate.discovery.unknowns import FIELDS, Unknowns

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

    from nbody_surrogate.discovery.equations import Problem

__all__ = [
    "WHOLE",
    *("Block", "Extra", "View", "accelerations", "extend_columns", "force_columns"),
    *("force_jacobian", "places_of", "total_force", "total_of", "view", "view_as_measured"),
]

WHOLE = slice(None)
"""All frames of a run."""

SHIFT = 1e-4
"""Of the curve's scale: how far a particle is moved for the slope of its forces, whose error is the
square of it."""


class View(NamedTuple):
    """Pair forces on one particle over frames of its run, of the present unknowns.

    Attributes
    ----------
    path : ndarray, shape (T, N, D)
        Positions that they are evaluated at.
    there : ndarray, shape (T, N)
    times : ndarray, shape (T,)
        Since the run began, in equal steps.
    others : ndarray, shape (O,)
        Places of the others in the run.
    force : ndarray, shape (D, T)
        By all of them, of unit response.
    by_other : ndarray, shape (D, T, O)
        By each, of unit strength.
    by_curve, by_directed : ndarray, shapes (D, T, K) and (D, T, Q)
        By each coefficient; of the directed curve those of the component along each axis.
    """

    path: Float64[np.ndarray, "T N D"]
    there: Bool[np.ndarray, "T N"]
    times: Float64[np.ndarray, " T"]
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
        """Return those of one particle where it is seen, in unit amounts."""
        ...


def view(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    i: int,
    part: slice = WHOLE,
    with_curves: bool = True,
) -> View:
    """Evaluate the pair forces on particle `i` of a run, or in a part of it."""
    path = problem.runs[run].path[part]
    return _seen(problem, unknowns, run, i, path, part, with_curves)


def view_as_measured(
    problem: Problem, unknowns: Unknowns, run: int, i: int, part: slice = WHOLE
) -> View:
    """Evaluate them at the measured positions, whatever the path is."""
    return _seen(problem, unknowns, run, i, problem.runs[run].x[part], part, with_curves=True)


def force_jacobian(
    problem: Problem, unknowns: Unknowns, run: int, i: int, part: slice = WHOLE
) -> Float64[np.ndarray, "T D N D"]:
    """Return how the acceleration of a particle changes with the positions of all."""
    measured, shift = problem.runs[run], SHIFT * problem.curve.scale
    path = measured.path[part]
    m = measured.first + i
    response = float(unknowns.part("responses")[m])
    out = np.zeros((len(path), path.shape[2], measured.n, path.shape[2]))
    for k in range(path.shape[2]):
        ends = []
        for step in (shift, -shift):
            moved = path.copy()
            moved[:, i, k] += step
            ends.append(_seen(problem, unknowns, run, i, moved, part, with_curves=False))
        strengths = unknowns.part("strengths")[problem.strengths_of(run, i, ends[0].others)]
        slope = (ends[0].by_other - ends[1].by_other) * (response * strengths / (2.0 * shift))
        slope = np.moveaxis(slope, 1, 0)
        out[:, :, ends[0].others, k] = -slope  # it depends on the separation alone
        out[:, :, i, k] = slope.sum(2)
        out[:, k, i, k] += unknowns.part("gradient")[k]
        out[:, k, i, k] += response * unknowns.part("gradient_by_charge")[k]
    return out


def _seen(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    i: int,
    path: np.ndarray,
    part: slice,
    with_curves: bool,
) -> View:
    measured, layout = problem.runs[run], problem.layout
    there = measured.there[part]
    times = measured.begun + measured.dt * np.arange(len(measured.x), dtype=float)[part]
    others = np.array([j for j in range(path.shape[1]) if j != i], dtype=np.int64)
    strengths = unknowns.part("strengths")[problem.strengths_of(run, i, others)]
    shape = (problem.dimensions, len(path))
    by_other = np.zeros((*shape, others.size))
    # without room for them the kernels leave the coefficients' forces out
    by_curve = np.zeros((*shape, layout.curve if with_curves else 0))
    scene = (path, there, i, others, strengths)
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
        by_directed = np.zeros((*shape, directed.size if with_curves else 0))
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
    return View(path, there, times, others, by_other @ strengths, by_other, by_curve, by_directed)


def total_force(
    problem: Problem, unknowns: Unknowns, run: int, i: int
) -> Float64[np.ndarray, "D T"]:
    """Return the acceleration of a particle of a run by all but its drag."""
    return total_of(problem, unknowns, run, i, view(problem, unknowns, run, i))


def total_of(
    problem: Problem, unknowns: Unknowns, run: int, i: int, seen: View
) -> Float64[np.ndarray, "D T"]:
    """Return the same of pair forces that are evaluated already."""
    measured = problem.runs[run]
    response = float(unknowns.part("responses")[measured.first + i])
    uniform = unknowns.part("uniform") + response * unknowns.part("uniform_by_charge")
    gradient = unknowns.part("gradient") + response * unknowns.part("gradient_by_charge")
    field = uniform[:, None] + gradient[:, None] * seen.path[:, i].T
    return np.asarray(response * seen.force + field)


def accelerations(
    problem: Problem, unknowns: Unknowns, run: int, i: int, extra: Extra | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each axis the acceleration (T, C) by one of each unknown, and which these are.

    That of the drag is by the velocity between the frames before and after.
    """
    measured = problem.runs[run]
    seen = view(problem, unknowns, run, i)
    forces = force_columns(problem, unknowns, run, i, seen)
    if extra is not None:
        extend_columns(forces, extra.accelerations(run, i, seen, unknowns), unknowns.layout.size)
    v = np.gradient(measured.x[:, i], measured.dt, axis=0)
    drag = unknowns.layout.part("drag").start + measured.first + i
    return [
        (
            np.concatenate([each.factor * each.values for each in axis] + [-v[:, d, None]], 1),
            np.append(places_of(axis), drag),
        )
        for d, axis in enumerate(forces)
    ]


class Block(NamedTuple):
    """Accelerations along one axis by unknowns side by side: a factor times values (T, C)."""

    factor: float
    values: Float64[np.ndarray, "T C"]
    places: Int64[np.ndarray, " C"]


def force_columns(
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
        x = seen.path[:, i, d]
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


def extend_columns(forces: list[list[Block]], more: np.ndarray, first: int) -> None:
    """Add further accelerations (D, T, E) behind all unknowns, in place."""
    places = first + np.arange(more.shape[-1])
    for blocks, extra in zip(forces, more, strict=True):
        blocks.append(Block(1.0, extra, places))


def places_of(blocks: list[Block]) -> Int64[np.ndarray, " C"]:
    """Return where all of them stand."""
    return np.concatenate([block.places for block in blocks]).astype(np.int64)
