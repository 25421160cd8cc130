"""The rows of all particles of a window: how they feel noise and kicks, and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.between import FrameRows, condensed, fine_problem, settled
from nbody_surrogate.discovery.block_factor import BlockFactor, block_factor
from nbody_surrogate.discovery.equations import BRIDGED, Problem
from nbody_surrogate.discovery.forces import (
    Extra,
    View,
    extend_columns,
    force_columns,
    force_jacobian,
    total_of,
    view,
    view_as_measured,
)
from nbody_surrogate.discovery.innovations import CAUSAL, HUBER, NUMEROV, Hat, hat
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["JointRows", "NoiseScore", "joint_rows", "node_rows"]

LEAST = 8
"""Frames of the shortest stretch of a particle that has rows."""

PROBES = 4
"""For traces: with ten thousand rows their scatter is below a hundredth."""

LARGEST_STEP = 1.0
"""Of a logarithm of noise or kicks."""

LARGEST_SHARE = 0.95
"""Of a variance that one step takes off."""

LARGEST_FALL = 3.0
"""Of a logarithm of noise or kicks, downwards."""

LARGEST_FALL_BETWEEN = 4.0
"""The same with nodes between frames, where noise begins far above what there is."""


@dataclass(frozen=True)
class NoiseScore:
    """How the likelihood changes with the logarithms of noise and kicks.

    Attributes
    ----------
    score : ndarray, shape (D + M,)
        By the noise along each axis, then by the kicks of each particle.
    information : ndarray, shape (D + M, D + M)
    fall : float
        How far a logarithm may fall in one step.
    """

    score: Float64[np.ndarray, " Q"]
    information: Float64[np.ndarray, "Q Q"]
    fall: float

    def __add__(self, other: NoiseScore) -> NoiseScore:
        """Return that of both."""
        information = self.information + other.information
        return NoiseScore(self.score + other.score, information, self.fall)

    def step(self) -> Float64[np.ndarray, " Q"]:
        """Return by how much the logarithms are to change."""
        held = self.information + 1e-9 * np.diag(np.diag(self.information) + 1e-300)
        step = np.linalg.lstsq(held, self.score, rcond=1e-12)[0]
        if self.fall == LARGEST_FALL:
            # far above what there is, a step of the variance goes there at once, one of its
            # logarithm by a factor of e
            step = np.where(step < 0, np.log1p(np.maximum(step, -LARGEST_SHARE)), step)
        return np.asarray(np.clip(step, -self.fall, LARGEST_STEP))

    def gain(self) -> float:
        """Return what the log-likelihood gains by the step, were it quadratic."""
        return 0.5 * float(self.score @ self.step())

    def improve(self, unknowns: Unknowns, largest: float = np.inf) -> None:
        """Make a step, no logarithm by more than `largest`, in place."""
        step = np.clip(self.step(), -largest, largest)
        axes = unknowns.noise.size
        unknowns.noise *= np.exp(step[:axes])
        unknowns.kicks *= np.exp(step[axes:])


@dataclass
class JointRows:
    """The rows of one window before they are whitened, (R, n) with n = N D."""

    measured: MeasuredRun
    shape: tuple[int, int]
    left: np.ndarray
    columns: np.ndarray | None
    active: np.ndarray
    now: np.ndarray  # (R, n, n): how rows feel the noise of their frame,
    before: np.ndarray  # of the one before,
    earlier: np.ndarray  # and of the one before that
    variances: np.ndarray  # (R + 2, n), of positions
    kicks: np.ndarray  # (R, n), by the variance of kicks, 0 where there is no row
    shared: np.ndarray  # (R - 1, n), with the row before

    @property
    def feels(self) -> tuple[tuple[np.ndarray, int], ...]:
        """How rows feel the noise of their three frames, and where in the window these begin."""
        return (self.now, 2), (self.before, 1), (self.earlier, 0)

    def factor(self) -> BlockFactor:
        """Return the factor of the rows' covariance."""
        rows = len(self.left)
        scaled = [each * self.variances[k : k + rows, None] for each, k in self.feels]
        now, before, earlier = (each for each, _ in self.feels)
        same = sum(a @ _t(b) for a, b in zip(scaled, (now, before, earlier), strict=True))
        places = np.arange(same.shape[1])
        # a row that is none has a variance of 1 and nothing else
        same[:, places, places] += np.where(self.active, self.kicks, 1.0)
        one = scaled[1][1:] @ _t(now[:-1]) + scaled[2][1:] @ _t(before[:-1])
        one[:, places, places] += self.shared
        return block_factor(same, one, scaled[2][2:] @ _t(now[:-2]))

    def log_volume(self) -> float:
        """Return how densely paths lie among kicks: a force at a frame itself moves its position.

        Without it the likelihood's slope along what forces depend on is not 0 where it should.
        """
        places = np.arange(self.now.shape[1])
        whole = self.now.copy()
        whole[:, places, places] += ~self.active
        return float(np.linalg.slogdet(whole)[1].sum())

    def weights(self, innovations: np.ndarray, robust: bool) -> np.ndarray:
        """Return (R, n) weights, the same for all axes of a particle."""
        if not robust:
            return np.ones_like(innovations)
        each = innovations.reshape(-1, *self.shape)
        size = np.maximum(np.sqrt((each**2).sum(-1, keepdims=True)), 1e-300)
        weight = np.sqrt(np.minimum(1.0, HUBER / size))
        return np.broadcast_to(weight, each.shape).reshape(innovations.shape)

    def to_positions(self, columns: np.ndarray) -> np.ndarray:
        """Multiply (R, n, C) by the transposed dependence on positions: (R + 2, n, C)."""
        rows = len(columns)
        out = np.zeros((rows + 2, *columns.shape[1:]))
        for each, k in self.feels:
            out[k : k + rows] += _t(each) @ columns
        return out

    def from_positions(self, columns: np.ndarray) -> np.ndarray:
        """Multiply (R + 2, n, C) by the dependence on positions: (R, n, C)."""
        rows = len(self.left)
        return np.asarray(sum(each @ columns[k : k + rows] for each, k in self.feels))

    def by_kicks(self, columns: np.ndarray) -> np.ndarray:
        """Multiply (R, n, C) by the covariance of the kicks."""
        out = np.asarray(self.kicks[..., None] * columns)
        out[1:] += self.shared[..., None] * columns[:-1]
        out[:-1] += self.shared[..., None] * columns[1:]
        return out

    def noise_score(self, factor: BlockFactor, white: np.ndarray, unknowns: Unknowns) -> NoiseScore:
        """Return how the likelihood changes with noise and kicks."""
        particles, axes = self.shape
        n = particles * axes
        rng = np.random.default_rng(0)
        signs = rng.integers(0, 2, (len(white), n, PROBES)) * 2.0 - 1.0
        weighed = factor.unwhiten(white[..., None])
        probed = factor.unwhiten(factor.whiten(signs))
        felt = self.to_positions(weighed)[..., 0] * np.sqrt(self.variances)
        drawn = self.variances[..., None] * self.to_positions(signs) * self.to_positions(probed)
        kicked = self.by_kicks(weighed)
        of_kicks = (weighed * kicked)[..., 0].sum(0) - (
            (signs * self.by_kicks(probed)).sum((0, 2)) / PROBES
        )
        of_noise = (felt**2).sum(0) - drawn.sum((0, 2)) / PROBES
        size = unknowns.noise.size + unknowns.kicks.size
        score = np.zeros(size)
        score[:axes] = of_noise.reshape(particles, axes).sum(0)
        mine = slice(axes + self.measured.first, axes + self.measured.first + particles)
        score[mine] = of_kicks.reshape(particles, axes).sum(1)
        changes = np.zeros((*white.shape, axes + particles))
        felt *= np.sqrt(self.variances)
        for d in range(axes):
            along = np.zeros((*felt.shape, 1))
            along[:, d::axes, 0] = felt[:, d::axes]
            changes[..., d] = self.from_positions(along)[..., 0]
        for i in range(particles):
            own = slice(i * axes, (i + 1) * axes)
            changes[:, own, axes + i] = kicked[:, own, 0]
        changes = factor.whiten(changes).reshape(-1, axes + particles)
        places = np.r_[:axes, mine]
        information = np.zeros((size, size))
        information[np.ix_(places, places)] = changes.T @ changes
        fall = LARGEST_FALL if self.measured.steps == 1 else LARGEST_FALL_BETWEEN
        return NoiseScore(0.5 * score, 0.5 * information, fall)


def _t(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, 1, 2)


def joint_rows(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    part: slice,
    extra: Extra | None,
    columns: int,
) -> JointRows | None:
    """Return the rows of a window, or None where no particle has any."""
    measured = problem.runs[run]
    active = _active(measured, part)
    if not active.any():
        return None
    shape = (measured.n, problem.dimensions)
    steps = _steps_of(measured, unknowns)
    if measured.steps == 1:
        rows = _frame_rows(problem, unknowns, run, part, extra, columns)
    else:
        rows = _rows_between(problem, unknowns, run, part, extra, columns)
    count, n = part.stop - part.start, shape[0] * shape[1]
    y, path = (each[part].reshape(count, n) for each in (measured.x, measured.path))
    mask = np.repeat(active, shape[1], 1)
    left, feels = rows.left.copy(), []
    for k, each in enumerate(rows.feels):
        left += np.einsum("tab,tb->ta", each, (y - path)[2 - k : count - k])
        feels.append(each * mask[..., None])
    made = rows.columns
    if made is not None:
        made *= mask[..., None]
    scale = np.where(measured.seen[part], 1.0, BRIDGED)
    kicks = unknowns.kicks[measured.first : measured.first + measured.n]
    variance = np.repeat(kicks * [step.variance for step in steps], shape[1])
    shared = np.repeat(kicks * [step.covariance for step in steps], shape[1])
    return JointRows(
        measured,
        shape,
        left * mask,
        made,
        mask,
        feels[0],
        feels[1],
        feels[2],
        (scale[..., None] * unknowns.noise).reshape(count, n),
        mask * variance,
        (mask[1:] & mask[:-1]) * shared,
    )


def _steps_of(measured: MeasuredRun, unknowns: Unknowns) -> list[Hat]:
    """Return the kernel of each particle of a run."""
    mine = slice(measured.first, measured.first + measured.n)
    return [hat(float(rate), measured.dt, NUMEROV) for rate in unknowns.part("drag")[mine]]


def _frame_rows(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    part: slice,
    extra: Extra | None,
    columns: int,
    along_path: bool = False,
) -> FrameRows:
    """Return the rows of three frames each, along the path; columns as measured unless told."""
    measured = problem.runs[run]
    path = measured.path[part]
    count, *shape = path.shape
    n = shape[0] * shape[1]
    steps = _steps_of(measured, unknowns)
    forces, slopes = np.zeros((count, *shape)), np.zeros((count, *shape, *shape))
    made = np.zeros((count - 2, *shape, columns)) if columns else None
    for i in range(measured.n):
        seen = view(problem, unknowns, run, i, part, with_curves=along_path and made is not None)
        forces[:, i] = total_of(problem, unknowns, run, i, seen).T
        if extra is not None and extra.amounts.any():
            forces[:, i] += (extra.accelerations(run, i, seen, unknowns) @ extra.amounts).T
        slopes[:, i] = force_jacobian(problem, unknowns, run, i, part)
        if made is not None:
            known = seen if along_path else view_as_measured(problem, unknowns, run, i, part)
            _fill(made[:, i], problem, unknowns, (run, i, known), extra, along_path)
    forces, slopes = forces.reshape(count, n), slopes.reshape(count, n, n)
    decay = np.repeat([step.decay for step in steps], shape[1])
    weights = np.repeat([step.weights for step in steps], shape[1], 0).T
    own = (np.ones(n), -(1.0 + decay), decay)
    left, feels = np.zeros((count - 2, n)), []
    for k, (mine, weight) in enumerate(zip(own, weights, strict=True)):
        at = slice(2 - k, count - k)
        left += mine * path[at].reshape(-1, n) - weight * forces[at]
        matrix = -weight[:, None] * slopes[at]
        matrix[:, np.arange(n), np.arange(n)] += mine
        feels.append(matrix)
    whole = None if made is None else made.reshape(count - 2, n, columns)
    return FrameRows(left, (feels[0], feels[1], feels[2]), whole)


def node_rows(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    part: slice,
    extra: Extra | None = None,
    columns: int = 0,
) -> FrameRows:
    """Return the rows of three nodes each, which have been moved to where the law leads."""
    nodes = fine_problem(problem, run, part)

    def at_nodes(columns: int = 0) -> FrameRows:
        return _frame_rows(nodes, unknowns, run, slice(None), extra, columns, along_path=True)

    measured = problem.runs[run]
    rows = settled(measured, part, at_nodes, measured.moving(part))
    return at_nodes(columns) if columns else rows


def _rows_between(
    problem: Problem,
    unknowns: Unknowns,
    run: int,
    part: slice,
    extra: Extra | None,
    columns: int,
) -> FrameRows:
    """Return the rows of three frames each, with all that is between them."""
    measured = problem.runs[run]
    steps, moving = measured.steps, measured.moving(part)
    rows = node_rows(problem, unknowns, run, part, extra, columns)
    mine = slice(measured.first, measured.first + measured.n)
    rate = np.repeat(unknowns.part("drag")[mine], problem.dimensions)
    # of a free path from one frame to the next: how much of it is in a step
    decay = np.exp(-rate * measured.dt / steps)
    shrink = np.sum(decay ** np.arange(steps)[:, None], axis=0)
    return condensed(rows, steps, moving, shrink)


def _active(measured: MeasuredRun, part: slice) -> np.ndarray:
    """Return (R, N): whether a particle is there in the three frames of a row."""
    there = np.zeros((part.stop - part.start, measured.n), dtype=bool)
    for i in range(measured.n):
        for stretch in measured.stretches(i, LEAST):
            a, b = (min(max(edge - part.start, 0), len(there)) for edge in
                    (stretch.start, stretch.stop))  # fmt: skip
            there[a:b, i] = True
    active = there[2:] & there[1:-1] & there[:-2]
    if measured.led is not None:
        led = measured.moving(part)
        active &= led[1:] & led[:-1]
    return np.asarray(active)


def _fill(
    out: np.ndarray,
    problem: Problem,
    unknowns: Unknowns,
    where: tuple[int, int, View],
    extra: Extra | None,
    along_path: bool,
) -> None:
    """Write the columns (R, D, P) of one particle.

    Unless `along_path`, they are of earlier frames alone. What a frame adds is independent of
    these, so that the score is 0 on average whatever the kicks are; at a path, which is smoothed
    over later frames, it is not, and a drag comes out too small.
    """
    run, i, seen = where
    measured = problem.runs[run]
    dt, layout = measured.dt, unknowns.layout
    drag = layout.part("drag").start + measured.first + i
    rate = float(unknowns.part("drag")[measured.first + i])
    x = seen.path[:, i]
    blocks = force_columns(problem, unknowns, run, i, seen)
    if extra is not None:
        extend_columns(blocks, extra.accelerations(run, i, seen, unknowns), layout.size)
    # in the first rows there are no five frames before
    few = len(out) if along_path else 3
    for stencil, rows in ((NUMEROV, slice(0, few)), (CAUSAL, slice(few, len(out)))):
        step = hat(rate, dt, stencil)
        for d, axis in enumerate(blocks):
            for block in axis:
                out[rows, d][:, block.places] += block.factor * sum(
                    weight * block.values[rows.start + 2 + node : rows.stop + 2 + node]
                    for node, weight in zip(stencil.nodes, step.weights, strict=True)
                )
    out[:, :, drag] -= dt * np.exp(-rate * dt) * (x[1:-1] - x[:-2])
