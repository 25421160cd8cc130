r"""Paths between the frames, where frames are too far apart for the forces on them to tell.

In an encounter a force changes faster than frames follow each other, and no stencil of forces at
frames is its integral. There each interval gets nodes of its own. Between two positions that are
held the law itself leads from one to the other (a boundary value problem, solved by Newton's
method on the rows of `innovations`, whose error is of fourth order in the nodes' distance); what
the interval before brings to a frame and what the one behind needs there must agree. That is
multiple shooting (Bock, in Modelling of Chemical Reaction Systems (1981) 102) with frames as its
nodes and velocities eliminated.

How the path between two frames answers to the unknowns and to the positions at its ends is part of
all derivatives: the rows of inner nodes are eliminated from those at frames (condensing), and what
is left are rows of three frames, as those that are read from frames alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.forces import force_jacobian
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float64

__all__ = [
    *("FrameRows", "condensed", "fine_problem", "led_through", "settled"),
    *("steps_between", "with_nodes"),
]

FAST = 0.3
"""Slope of the forces times the square of the time between frames, up to which frames tell them."""

RARE = 0.002
"""Share of frames that may be faster."""

STEP = 0.05
"""The same between nodes: the error of their rows is then below 1e-6 of the force."""

MOST_STEPS = 16

STEPS_AT_ENDS = 4
"""Where the first and the last frames alone ask for steps."""

SURELY = 1.05
"""How much faster than elsewhere."""

ROUNDS = 12
SETTLED = 1e-9
"""Of the distance between frames: a step of Newton's method whose next one is nothing."""

ROUNDING = 1e-14
"""Of the same: rows that are nothing."""

HALVINGS = 5

WILD = 10.0
"""Change of a velocity with the positions that a path leads from and to, over that of a straight
path, above which an interval is too long for a law: small errors of it are large ones there."""

ASTRAY = 1e-7
"""Of the distance between frames: rows that are not what the law asks for."""


class FrameRows(NamedTuple):
    """Rows at frames, or at nodes: of their values, and of how they change.

    Attributes
    ----------
    left : ndarray, shape (R, n)
        With positions on the path.
    feels : tuple of 3 ndarray, shape (R, n, n)
        By positions at the last, the middle and the first of three.
    columns : ndarray, shape (R, n, P), or None
        By the unknowns; of what is subtracted.
    """

    left: Float64[np.ndarray, "R n"]
    feels: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: Float64[np.ndarray, "R n P"] | None


def steps_between(problem: Problem, unknowns: Unknowns) -> int:
    """Return how many steps a law needs from one frame to the next; 1 where frames do.

    Of exact tracks every frame counts: steps are taken wherever some frames have no row of their
    own that others do not stand for, as where two particles are nearest as tracks begin or end.
    """
    slopes = [_slopes(problem, unknowns, run) for run in range(len(problem.runs))]
    fast = np.concatenate(slopes or [np.zeros(1)])
    fast = fast[np.isfinite(fast)]
    least = 1
    if problem.stencil == SMOOTH:
        # of noisy tracks those may be a tracker's errors
        left_out = not all(run.slow.all() for run in problem.runs)
        least = 2 if left_out else 1
        least = STEPS_AT_ENDS if _fastest_at_ends(slopes) else least
    if not fast.size or (np.mean(fast > FAST) <= RARE and least == 1):
        return 1
    steps = np.ceil(np.sqrt(np.quantile(fast, 1.0 - RARE) / STEP))
    return int(np.clip(steps, max(least, 2), MOST_STEPS))


def _fastest_at_ends(slopes: list[np.ndarray]) -> bool:
    """Whether forces change faster where tracks begin or end than wherever there are rows."""
    before, after = SMOOTH.before - 1, SMOOTH.after + 1
    inner = [each[before:-after] for each in slopes]
    ends = [np.r_[each[:before], each[-after:]] for each in slopes]
    most = [np.nanmax(np.concatenate(each), initial=0.0) for each in (inner, ends)]
    return bool(most[1] > SURELY * most[0])


def _slopes(problem: Problem, unknowns: Unknowns, run: int) -> np.ndarray:
    """Return (T,) the largest change of an acceleration with a position, times dt^2."""
    measured = problem.runs[run]
    largest = np.zeros(len(measured.x))
    for i in range(measured.n):
        slope = force_jacobian(problem, unknowns, run, i)[:, :, i]
        largest = np.maximum(largest, np.linalg.norm(slope, axis=(1, 2)))
    return np.asarray(largest * measured.dt**2)


def with_nodes(problem: Problem, steps: int) -> Problem:
    """Return the problem with nodes between its frames, on splines through these."""
    runs = tuple(
        replace(run, steps=steps, fine=_spline(run, run.path, steps)) for run in problem.runs
    )
    return replace(problem, runs=runs)


def _spline(run: MeasuredRun, path: np.ndarray, steps: int) -> np.ndarray:
    fine = np.repeat(path, steps, axis=0)[: (len(path) - 1) * steps + 1].copy()
    for i in range(run.n):
        for part in run.stretches(i, 2):
            frames = np.arange(part.start, part.stop)
            at = np.arange(part.start * steps, (part.stop - 1) * steps + 1)
            fine[at, i] = CubicSpline(frames, path[part, i])(at / steps)
    return fine


def fine_problem(problem: Problem, run: int, part: slice) -> Problem:
    """Return the problem in which a part of a run has its nodes for frames."""
    runs = list(problem.runs)
    runs[run] = problem.runs[run].at_nodes(part)
    return replace(problem, runs=tuple(runs))


def settled(
    measured: MeasuredRun, part: slice, rows_at: Callable[[], FrameRows], moving: np.ndarray
) -> FrameRows:
    """Move the nodes of a part of a run, in place, to where the law leads; return its rows there.

    Parameters
    ----------
    measured : MeasuredRun
    part : slice
        Of its frames.
    rows_at : callable
        Returns the rows at the nodes, which are those of `measured`.
    moving : ndarray, shape (L, N)
        Whether a particle is there in each interval.
    """
    assert measured.fine is not None
    steps, intervals = measured.steps, part.stop - part.start - 1
    nodes = measured.fine[part.start * steps : (part.stop - 1) * steps + 1]
    shape = (intervals, steps, *nodes.shape[1:])
    inner = nodes[1:].reshape(shape)[:, : steps - 1]  # a view
    wide = np.repeat(moving, nodes.shape[2], axis=1)
    apart = np.abs(np.diff(nodes[::steps], axis=0)).max(initial=0.0)
    nothing = (ROUNDING * max(apart, 1e-300)) ** 2 * inner[0].size
    rows = rows_at()
    size = _misfit(rows, steps, wide)
    for _ in range(ROUNDS):
        step = np.nan_to_num(_path_step(rows, steps, wide), posinf=0.0, neginf=0.0)
        step = step.reshape(inner.shape)
        begun, share = inner.copy(), np.ones(intervals)
        for _ in range(HALVINGS):
            inner[...] = begun + share[:, None, None, None] * step
            then = rows_at()
            now = _misfit(then, steps, wide)
            worse = ~(now <= np.maximum(size, nothing)) & (share > 0)
            if not worse.any():
                break
            share[worse] *= 0.25
        else:
            # where no step helps the path stays as it is
            share[worse] = 0.0
            inner[...] = begun + share[:, None, None, None] * step
            then = rows_at()
            now = _misfit(then, steps, wide)
        rows, size = then, now
        moved = float((share[:, None] * np.abs(step).reshape(intervals, -1)).max(initial=0.0))
        if not moved > SETTLED * max(apart, 1e-300):
            break
    return rows


def condensed(rows: FrameRows, steps: int, moving: np.ndarray, shrink: np.ndarray) -> FrameRows:
    """Eliminate all nodes but frames.

    Parameters
    ----------
    rows : FrameRows
        At all inner nodes and frames of a part of a run.
    steps : int
    moving : ndarray, shape (L, N)
    shrink : ndarray, shape (n,)
        What makes a row of three frames of one of three nodes, where there is no force.
    """
    n = rows.left.shape[1]
    wide = np.repeat(moving, n // moving.shape[1], axis=1)
    folded = _by_interval(rows, steps, wide)
    count, columns = 0, None
    if rows.columns is not None:
        columns, count = _folded(rows.columns, steps), rows.columns.shape[2]
        columns[:, :-1] *= wide[:, None, :, None]
    first, last = _at_ends(folded, columns)
    ends = slice(1 + count, 1 + count + n), slice(1 + count + n, None)
    # the row at the end of each interval but the last
    left, now, before, earlier = (each[:-1, steps - 1] for each in folded)
    ahead, behind = now @ first[1:], earlier @ last[:-1]
    own = left[..., None]
    if columns is not None:
        own = np.concatenate([own, columns[:-1, steps - 1]], -1)
    out = shrink[:, None] * (own - (ahead + behind)[..., : 1 + count])
    feels = (
        -shrink[:, None] * ahead[..., ends[1]],
        shrink[:, None] * (before - ahead[..., ends[0]] - behind[..., ends[1]]),
        -shrink[:, None] * behind[..., ends[0]],
    )
    return FrameRows(out[..., 0], feels, out[..., 1:] if count else None)


def led_through(
    measured: MeasuredRun, part: slice, rows: FrameRows, moving: np.ndarray
) -> Bool[np.ndarray, "L N"]:
    """Return (L, N): whether particles get from frame to frame by the law, and not wildly."""
    steps, n = measured.steps, rows.left.shape[1]
    axes = n // moving.shape[1]
    wide = np.repeat(moving, axes, axis=1)
    folded = _by_interval(rows, steps, wide)
    first, last = _at_ends(folded, None)
    still = np.eye(n)
    # nodes answer with the other sign
    changes = (first[..., 1 : 1 + n] + still, first[..., 1 + n :],
               last[..., 1 : 1 + n], last[..., 1 + n :] + still)  # fmt: skip
    size = steps * np.max([np.abs(each).max(2) for each in changes], axis=0)
    apart = float(np.abs(np.diff(measured.path[part], axis=0)).max(initial=0.0))
    lost = np.abs(folded[0][:, :-1]).max(1)
    fine = (size <= WILD) & (lost <= ASTRAY * apart)
    return np.asarray(fine.reshape(len(fine), -1, axes).all(2) & moving)


def _at_ends(
    folded: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], columns: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how the first and the last inner node of each interval answer.

    To left sides, columns, and positions where the interval begins and ends, with the other sign:
    (L, n, 1 + C + 2 n).
    """
    left, now, before, earlier = folded
    steps, n = left.shape[1:]
    count = 0 if columns is None else columns.shape[-1]
    inner = slice(0, steps - 1)
    right = np.zeros((len(left), steps - 1, n, 1 + count + 2 * n))
    right[..., 0] = left[:, inner]
    if columns is not None:
        right[..., 1 : 1 + count] = columns[:, inner]
    right[:, 0, :, 1 + count : 1 + count + n] = earlier[:, 0]
    right[:, -1, :, 1 + count + n :] = now[:, steps - 2]
    last = _last(earlier[:, inner], before[:, inner], now[:, inner], right)
    back = slice(steps - 2, None, -1)
    first = _last(now[:, back], before[:, back], earlier[:, back], right[:, ::-1])
    return first, last


def _folded(values: np.ndarray, steps: int) -> np.ndarray:
    """Return rows (R, ...) by interval, (L, steps, ...); the last of all is none."""
    padded = np.concatenate([values, np.zeros((1, *values.shape[1:]))])
    return padded.reshape(-1, steps, *values.shape[1:])


def _by_interval(
    rows: FrameRows, steps: int, wide: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return left sides and dependences by interval; who is away stays where he is."""
    left = _folded(rows.left, steps)
    left[:, :-1] *= wide[:, None]
    out = []
    for k, each in enumerate(rows.feels):
        folded = _folded(each, steps)
        folded[:, :-1] *= wide[:, None, :, None]
        if k == 1:
            places = np.arange(left.shape[2])
            folded[:, :-1, places, places] += ~wide[:, None]
        out.append(folded)
    return left, out[0], out[1], out[2]


def _last(
    earlier: np.ndarray, before: np.ndarray, now: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Solve a block tridiagonal system (L, J, n, n) for the last of J nodes alone."""
    n = before.shape[-1]
    block, rest = before[:, 0], right[:, 0]
    for j in range(1, before.shape[1]):
        gone = np.linalg.solve(block, np.concatenate([now[:, j - 1], rest], -1))
        block = before[:, j] - earlier[:, j] @ gone[..., :n]
        rest = right[:, j] - earlier[:, j] @ gone[..., n:]
    return np.linalg.solve(block, rest)


def _misfit(rows: FrameRows, steps: int, wide: np.ndarray) -> np.ndarray:
    """Return (L,) how far inner nodes are from the law."""
    left = _folded(rows.left, steps)[:, :-1] * wide[:, None]
    return np.asarray((left**2).sum((1, 2)))


def _path_step(rows: FrameRows, steps: int, wide: np.ndarray) -> np.ndarray:
    """Return (L, steps - 1, n) Newton's step of inner nodes, frames held."""
    left, now, before, earlier = _by_interval(rows, steps, wide)
    inner = steps - 1
    block, rest = before[:, 0], -left[:, 0, :, None]
    follow, own = [], []
    for j in range(inner):
        both = np.linalg.solve(block, np.concatenate([now[:, j], rest], -1))
        follow.append(both[..., :-1])
        own.append(both[..., -1:])
        if j + 1 < inner:
            block = before[:, j + 1] - earlier[:, j + 1] @ follow[j]
            rest = -left[:, j + 1, :, None] - earlier[:, j + 1] @ own[j]
    out = np.empty((len(left), inner, left.shape[2]))
    step = own[-1]
    out[:, -1] = step[..., 0]
    for j in range(inner - 2, -1, -1):
        step = own[j] - follow[j] @ step
        out[:, j] = step[..., 0]
    return out
