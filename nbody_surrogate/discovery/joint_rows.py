"""The rows of all particles of a window: how they feel noise and kicks, and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.block_factor import BlockFactor, block_factor
from nbody_surrogate.discovery.equations import BRIDGED, Problem
from nbody_surrogate.discovery.forces import (
    Extra,
    extend_columns,
    force_columns,
    force_jacobian,
    total_of,
    view,
    view_as_measured,
)
from nbody_surrogate.discovery.innovations import CAUSAL, HUBER, NUMEROV, hat
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["JointRows", "NoiseScore", "joint_rows"]

LEAST = 8
"""Frames of the shortest stretch of a particle that has rows."""

PROBES = 4
"""For traces: with ten thousand rows their scatter is below a hundredth."""

LARGEST_STEP = 1.0
"""Of a logarithm of noise or kicks."""


@dataclass(frozen=True)
class NoiseScore:
    """How the likelihood changes with the logarithms of noise and kicks.

    Attributes
    ----------
    score : ndarray, shape (D + M,)
        By the noise along each axis, then by the kicks of each particle.
    information : ndarray, shape (D + M, D + M)
    """

    score: Float64[np.ndarray, " Q"]
    information: Float64[np.ndarray, "Q Q"]

    def __add__(self, other: NoiseScore) -> NoiseScore:
        """Return that of both."""
        return NoiseScore(self.score + other.score, self.information + other.information)

    def improve(self, unknowns: Unknowns) -> None:
        """Make a step, in place."""
        held = self.information + 1e-9 * np.diag(np.diag(self.information) + 1e-300)
        step = np.linalg.lstsq(held, self.score, rcond=1e-12)[0]
        step = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
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
        return NoiseScore(0.5 * score, 0.5 * information)


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
    n = measured.n * problem.dimensions
    count = part.stop - part.start
    steps = [
        hat(float(unknowns.part("drag")[measured.first + i]), measured.dt, NUMEROV)
        for i in range(measured.n)
    ]
    forces, slopes = np.zeros((count, *shape)), np.zeros((count, *shape, *shape))
    made = np.zeros((count - 2, *shape, columns)) if columns else None
    for i in range(measured.n):
        seen = view(problem, unknowns, run, i, part, with_curves=False)
        forces[:, i] = total_of(problem, unknowns, run, i, seen).T
        if extra is not None and extra.amounts.any():
            more = extra.accelerations(run, i, seen, unknowns, part)
            forces[:, i] += (more @ extra.amounts).T
        slopes[:, i] = force_jacobian(problem, unknowns, run, i, part)
        if made is not None:
            _fill(made[:, i], problem, unknowns, (run, i, part), extra)
    slopes = slopes.reshape(count, n, n)
    y, path = (each[part].reshape(count, n) for each in (measured.x, measured.path))
    forces = forces.reshape(count, n) + np.einsum("tab,tb->ta", slopes, y - path)
    decay = np.repeat([step.decay for step in steps], shape[1])
    weights = np.repeat([step.weights for step in steps], shape[1], 0).T
    mask = np.repeat(active, shape[1], 1)
    own = (np.ones(n), -(1.0 + decay), decay)
    left, feels = np.zeros((count - 2, n)), []
    for k, (mine, weight) in enumerate(zip(own, weights, strict=True)):
        at = slice(2 - k, count - k)
        left += mine * y[at] - weight * forces[at]
        matrix = -weight[:, None] * slopes[at]
        matrix[:, np.arange(n), np.arange(n)] += mine
        feels.append(matrix * mask[..., None])
    if made is not None:
        made = made.reshape(count - 2, n, columns)
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


def _active(measured: MeasuredRun, part: slice) -> np.ndarray:
    """Return (R, N): whether a particle is there in the three frames of a row."""
    there = np.zeros((part.stop - part.start, measured.n), dtype=bool)
    for i in range(measured.n):
        for stretch in measured.stretches(i, LEAST):
            a, b = (min(max(edge - part.start, 0), len(there)) for edge in
                    (stretch.start, stretch.stop))  # fmt: skip
            there[a:b, i] = True
    return np.asarray(there[2:] & there[1:-1] & there[:-2])


def _fill(
    out: np.ndarray,
    problem: Problem,
    unknowns: Unknowns,
    where: tuple[int, int, slice],
    extra: Extra | None,
) -> None:
    """Write the columns (R, D, P) of one particle.

    They are of measured positions at earlier frames alone. What a frame adds is independent of
    these, so that the score is 0 on average whatever the kicks are; at a path, which is smoothed
    over later frames, it is not, and a drag comes out too small.
    """
    run, i, part = where
    measured = problem.runs[run]
    dt, layout = measured.dt, unknowns.layout
    seen = view_as_measured(problem, unknowns, run, i, part)
    drag = layout.part("drag").start + measured.first + i
    rate = float(unknowns.part("drag")[measured.first + i])
    x = measured.x[part, i]
    blocks = force_columns(problem, unknowns, run, i, seen)
    if extra is not None:
        extend_columns(blocks, extra.accelerations(run, i, seen, unknowns, part), layout.size)
    # in the first rows there are no five frames before
    for stencil, rows in ((NUMEROV, slice(0, 3)), (CAUSAL, slice(3, len(out)))):
        step = hat(rate, dt, stencil)
        for d, axis in enumerate(blocks):
            for block in axis:
                out[rows, d][:, block.places] += block.factor * sum(
                    weight * block.values[rows.start + 2 + node : rows.stop + 2 + node]
                    for node, weight in zip(stencil.nodes, step.weights, strict=True)
                )
    out[:, :, drag] -= dt * np.exp(-rate * dt) * (x[1:-1] - x[:-2])
