"""Normal equations of all innovations, block by block of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import blas

from nbody_surrogate.discovery.equations import Equations, Problem, equations
from nbody_surrogate.discovery.forces import Extra
from nbody_surrogate.discovery.innovations import misfit
from nbody_surrogate.discovery.joint import JointPart, joint_parts
from nbody_surrogate.discovery.joint_rows import NoiseScore
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["NormalEquations", "Residuals", "blocks_of", "log_likelihood", "normal_equations"]


@dataclass(frozen=True)
class Residuals:
    """What the noise is estimated from: one entry for each particle, run and stretch.

    Attributes
    ----------
    particles : list of int
    parts : list of Equations
    joint : NoiseScore or None
        In place of both, where all particles are taken together.
    """

    particles: list[int]
    parts: list[Equations]
    joint: NoiseScore | None = None


@dataclass(frozen=True)
class NormalEquations:
    """Sums over the innovations of each block.

    Attributes
    ----------
    information : ndarray, shape (B, P, P)
    score : ndarray, shape (B, P)
    log_likelihood : float
        Up to a constant; of robust estimates Huber's.
    rows : int
    residuals : Residuals
        Without their columns.
    """

    information: Float64[np.ndarray, "B P P"]
    score: Float64[np.ndarray, "B P"]
    log_likelihood: float
    rows: int
    residuals: Residuals

    def moved(self, step: Float64[np.ndarray, " P"]) -> NormalEquations:
        """Return them at unknowns a step away, as the quadratic likelihood has it."""
        bent = np.einsum("bij,j->bi", self.information, step)
        gain = float(step @ (self.score - 0.5 * bent).sum(0))
        return replace(self, score=self.score - bent, log_likelihood=self.log_likelihood + gain)


def blocks_of(problem: Problem, count: int) -> Int64[np.ndarray, " E"]:
    """Return where blocks of frames begin and end, about `count` of them, none across runs."""
    lengths = [len(run.x) for run in problem.runs]
    share = max(1, round(sum(lengths) / count))
    edges = [0]
    for length in lengths:
        own = max(1, round(length / share))
        edges += [edges[-1] + round(length * (k + 1) / own) for k in range(own)]
    return np.unique(np.array(edges))


def normal_equations(
    problem: Problem,
    unknowns: Unknowns,
    edges: np.ndarray | None = None,
    extra: Extra | None = None,
) -> NormalEquations:
    """Sum up all innovations.

    Parameters
    ----------
    problem : Problem
    unknowns : Unknowns
    edges : ndarray, shape (B + 1,)
        First frames of blocks, over all runs; by default one block.
    extra : Extra, optional
        Further accelerations, whose amounts stand behind the unknowns.
    """
    total = sum(len(run.x) for run in problem.runs)
    edges = np.array([0, total]) if edges is None else edges
    size = unknowns.layout.size + (0 if extra is None else extra.amounts.size)
    information = np.zeros((len(edges) - 1, size, size))
    score = np.zeros((len(edges) - 1, size))
    likelihood, rows, kept = 0.0, 0, Residuals([], [])
    if problem.joint:
        noise = None
        for each in joint_parts(problem, unknowns, extra):
            assert each.columns is not None and each.noise is not None
            likelihood += each.log_likelihood(problem.robust)
            rows += each.rows
            noise = each.noise if noise is None else noise + each.noise
            _add_joint(each, edges, information, score)
        return NormalEquations(information, score, likelihood, rows, Residuals([], [], noise))
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            for part in equations(problem, unknowns, run, i, extra):
                likelihood -= misfit(part.innovations, problem.robust) + part.log_determinant
                rows += part.innovations.size
                _add(part, edges, information, score)
                kept.particles.append(measured.first + i)
                kept.parts.append(part._replace(columns=()))
    return NormalEquations(information, score, likelihood, rows, kept)


def _add(part: Equations, edges: np.ndarray, information: np.ndarray, score: np.ndarray) -> None:
    """Add the rows of one stretch to the sums of their blocks, in place."""
    cuts = np.searchsorted(part.frames, edges)
    for which, columns, innovations in zip(part.which, part.columns, part.innovations, strict=True):
        square = np.ix_(which, which)
        for b in range(len(edges) - 1):
            x = columns[cuts[b] : cuts[b + 1]]
            if len(x):
                # half of the products are those of the other half
                information[b][square] += _square(x)
                score[b][which] += x.T @ innovations[cuts[b] : cuts[b + 1]]


def _add_joint(
    part: JointPart, edges: np.ndarray, information: np.ndarray, score: np.ndarray
) -> None:
    """Add the rows of all particles of a window to the sums of their blocks, in place."""
    assert part.columns is not None
    cuts = np.searchsorted(part.frames, edges)
    for b in range(len(edges) - 1):
        rows = slice(cuts[b], cuts[b + 1])
        x = part.columns[rows].reshape(-1, part.columns.shape[2])
        if len(x):
            information[b] += _square(x)
            score[b] += x.T @ part.innovations[rows].ravel()


def _square(x: np.ndarray) -> np.ndarray:
    half = blas.dsyrk(1.0, x.T)  # rows of a matrix are columns of its transpose, as they lie
    return np.asarray(half + np.triu(half, 1).T)


def log_likelihood(
    problem: Problem, unknowns: Unknowns, extra: Extra | None = None
) -> tuple[float, Residuals]:
    """Return the log-likelihood and the residuals, without derivatives: several times as fast.

    It is -inf where the forces' slopes are such that no noise could explain any path.
    """
    total, kept = 0.0, Residuals([], [])
    if problem.joint:
        noise = None
        try:
            for each in joint_parts(problem, unknowns, extra, with_columns=False):
                assert each.noise is not None
                total += each.log_likelihood(problem.robust)
                noise = each.noise if noise is None else noise + each.noise
        except ArithmeticError:
            return -np.inf, kept
        return total, Residuals([], [], noise)
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            for part in equations(problem, unknowns, run, i, extra, with_columns=False):
                total -= misfit(part.innovations, problem.robust) + part.log_determinant
                kept.particles.append(measured.first + i)
                kept.parts.append(part)
    return total, kept
