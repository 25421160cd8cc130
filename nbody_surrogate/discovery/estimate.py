"""The unknowns by penalised maximum likelihood: Gauss-Newton steps, noise, smoothness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.forces import Extra
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.noise import estimate_noise
from nbody_surrogate.discovery.normal import (
    NormalEquations,
    Residuals,
    log_likelihood,
    normal_equations,
)
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    "ROUNDS",
    "SMALL_GAIN",
    "SMALL_IN_PRELUDE",
    "Estimate",
    "Smoothness",
    "change_noise",
    "equations_at",
    "improve",
    "small_step",
    "solve",
    "within_scales",
]

ROUNDS = 30
"""At most."""

SMALL_GAIN = 0.2
"""Gain in log-likelihood at which the search ends: one parameter's error is worth more."""

SMALL_IN_PRELUDE = 5.0
"""The same where a search of all particles together follows, which changes far more."""

SMALL_JOINT_GAIN = 1.0
"""The same where all particles are taken together, and traces are drawn."""

SMALL_GAIN_BETWEEN = 20.0
"""The same with nodes between frames: what is left then is what curves leave out."""

HALVINGS = 6

LARGEST_RISE = 10.0
"""Of a smoothness in one round, over what expectation maximisation would make of it. Of exact
tracks it may not: what holds a curve smooth there is its knots."""

LEAST_TOLD = 0.1
"""Of the numbers of a curve: below, the data tell none of its bends."""

UNTOLD = 1e-11
"""Eigenvalues of the information below this, beside the largest, are rounding's."""


@dataclass
class Smoothness:
    """How strongly curves are held smooth: inverse variances of their second differences.

    They are unknowns themselves (of an empirical Bayes estimate), found by the fixed point of
    MacKay (Neural Comput. 4 (1992) 415), which takes fewer rounds than expectation maximisation.

    Attributes
    ----------
    curve : float
        Of the central curve.
    directed : float
        Of the directed one, whose values are drawn to 0 as well, so that it takes what no central
        curve can.
    """

    curve: float
    directed: float

    @classmethod
    def loose(cls, unknowns: Unknowns) -> Smoothness:
        """Return what lets curves bend thirty times as much as they are large, in any units."""
        size = float(np.mean(unknowns.part("curve") ** 2))
        return cls(1e-3 / max(size, 1e-300), 1e-3 / max(size, 1e-300))

    def matrix(self, problem: Problem) -> Float64[np.ndarray, "P P"]:
        """Return the penalty as a quadratic form of all unknowns."""
        layout = problem.layout
        out = np.zeros((layout.size, layout.size))
        out[layout.part("curve"), layout.part("curve")] = self.curve * _bending(layout.curve)
        if problem.directed is not None:
            for name in ("across", "along"):
                out[layout.part(name), layout.part(name)] = self.directed * _tensor(problem)
        return out

    def update(self, problem: Problem, unknowns: Unknowns, covariance: np.ndarray) -> None:
        """Make one step to the fixed point."""
        layout = problem.layout
        # a straight line, of two coefficients, is not bent
        rank, form = layout.curve - 2, _bending(layout.curve)
        rise = 1.0 if problem.stencil == SMOOTH else LARGEST_RISE
        self.curve = _precision(self.curve, form, rank, unknowns, covariance, ["curve"], rise)
        if problem.directed is not None and unknowns.part("along").any():
            rank, form, names = layout.directed, _tensor(problem), ["across", "along"]
            self.directed = _precision(self.directed, form, rank, unknowns, covariance, names, rise)


def _bending(count: int) -> np.ndarray:
    second = np.diff(np.eye(count), 2, axis=0)
    return second.T @ second


def _tensor(problem: Problem) -> np.ndarray:
    assert problem.directed is not None
    across, along = problem.directed.across.count, problem.directed.along.count
    bent = np.kron(_bending(across), np.eye(along)) + np.kron(np.eye(across), _bending(along))
    return bent + 0.1 * np.eye(len(bent))


def _precision(
    now: float,
    form: np.ndarray,
    rank: int,
    unknowns: Unknowns,
    covariance: np.ndarray,
    names: list[str],
    rise: float,
) -> float:
    """Return how many of the numbers of curves are told, over how much they bend."""
    bent, loose, count = 0.0, 0.0, float(len(names) * rank)
    for name in names:
        part = unknowns.layout.part(name)
        value = unknowns.vector[part]
        bent += float(value @ form @ value)
        loose += float(np.trace(form @ covariance[part, part]))
    told = count - now * loose
    if told < LEAST_TOLD:
        return now  # it is straight, and any more would be as well
    # a curve that does not bend yet may have to
    careful = count / max(bent + loose, 1e-300)
    return min(told / max(bent, 1e-300), rise * careful)


@dataclass(frozen=True)
class Estimate:
    """Unknowns that fit best.

    Attributes
    ----------
    problem : Problem
    freedom : Freedom
    unknowns : Unknowns
    smoothness : Smoothness
    normal : NormalEquations
        At the unknowns.
    covariance : ndarray, shape (P, P)
        Of the unknowns, as the likelihood has it, with scales fixed.
    """

    problem: Problem
    freedom: Freedom
    unknowns: Unknowns
    smoothness: Smoothness
    normal: NormalEquations
    covariance: Float64[np.ndarray, "P P"]


def solve(
    information: np.ndarray, score: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve normal equations within the free directions.

    What no track can tell does not move: besides the sizes that the directions hold, strengths and
    responses of a run go into each other. So ratios come out as told, sizes as they were.

    Parameters
    ----------
    information : ndarray, shape (P, P)
    score : ndarray, shape (P,) or (P, C)
    directions : ndarray, shape (P, F)

    Returns
    -------
    step : ndarray, as `score`
    covariance : ndarray, shape (P, P)
    """
    h = directions.T @ information @ directions
    # on a common scale: unknowns differ in size by many orders of magnitude
    diagonal = np.diag(h)
    size = np.where(diagonal > 0, 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(h * size[:, None] * size)
    told = values > UNTOLD * values[-1]
    inverse = (vectors[:, told] / values[told]) @ vectors[:, told].T
    covariance = directions @ (inverse * size[:, None] * size) @ directions.T
    return covariance @ score, covariance


def within_scales(unknowns: Unknowns, directions: np.ndarray) -> np.ndarray:
    """Return those directions in which the sizes of all strengths and all responses stay.

    Both go into the curve; its penalty alone would decide where to.
    """
    for name in ("strengths", "responses"):
        held = np.zeros(unknowns.layout.size)
        held[unknowns.layout.part(name)] = np.sign(unknowns.part(name))
        along = held @ directions
        mine = np.abs(along) > 0
        if mine.any():
            # directions of one part alone: with those of a curve, whose units are others, they
            # would make sums in which the smaller ones are lost
            _, _, v = np.linalg.svd(along[mine][None])
            directions = np.concatenate([directions[:, ~mine], directions[:, mine] @ v[1:].T], 1)
    return directions


def improve(
    problem: Problem,
    unknowns: Unknowns,
    freedom: Freedom,
    smoothness: Smoothness,
    rounds: int = ROUNDS,
    small: float = SMALL_GAIN,
    now: NormalEquations | None = None,
) -> Estimate:
    """Improve unknowns until the likelihood no longer grows.

    Parameters
    ----------
    problem : Problem
    unknowns : Unknowns
        Where to begin.
    freedom : Freedom
    smoothness : Smoothness
    rounds : int
        At most.
    small : float
        Gain in log-likelihood at which the search ends.
    now : NormalEquations, optional
        At the unknowns, where they are known.
    """
    now = normal_equations(problem, unknowns) if now is None else now
    if problem.joint and not problem.has_nodes:
        return _improve_jointly(problem, unknowns, freedom, smoothness, rounds, now)
    unknowns, smoothness = unknowns.copy(), replace(smoothness)
    directions = freedom.directions(problem.layout)
    last, small = -np.inf, SMALL_GAIN_BETWEEN if problem.has_nodes else small
    for count in range(rounds):
        penalty = smoothness.matrix(problem)
        step, covariance = _step(now, unknowns, penalty, directions)
        unknowns, residuals = _moved(problem, unknowns, now, step, penalty)
        smoothness.update(problem, unknowns, covariance)
        if problem.has_nodes:
            unknowns = _quieter(problem, unknowns, residuals)
        else:
            estimate_noise(residuals, unknowns, problem.robust)
        now = normal_equations(problem, unknowns)
        gain, last = now.log_likelihood - last, now.log_likelihood
        if count >= 2 and abs(gain) < small:
            break
    _, covariance = _step(now, unknowns, smoothness.matrix(problem), directions)
    return Estimate(problem, freedom, unknowns, smoothness, now, covariance)


def _improve_jointly(
    problem: Problem,
    unknowns: Unknowns,
    freedom: Freedom,
    smoothness: Smoothness,
    rounds: int,
    now: NormalEquations,
) -> Estimate:
    """Improve everything at once in each round, noise and kicks too: rounds are dear."""
    unknowns, smoothness = unknowns.copy(), replace(smoothness)
    directions = freedom.directions(problem.layout)
    for _ in range(rounds):
        penalty = smoothness.matrix(problem)
        before = _penalised(now.log_likelihood, unknowns, penalty)
        step, covariance = _step(now, unknowns, penalty, directions)
        if small_step(now, unknowns.vector, penalty, step):
            break
        for halving in range(HALVINGS):
            moved = unknowns.copy()
            moved.vector += 0.5**halving * step
            change_noise(now, moved, halving)
            moved.fix_scales()
            then = equations_at(problem, moved)
            if then is None:
                continue
            gain = _penalised(then.log_likelihood, moved, penalty) - before
            if gain >= -SMALL_JOINT_GAIN:
                break
        else:
            break
        unknowns, now = moved, then
        smoothness.update(problem, unknowns, covariance)
        if gain < SMALL_JOINT_GAIN:
            break
    _, covariance = _step(now, unknowns, smoothness.matrix(problem), directions)
    return Estimate(problem, freedom, unknowns, smoothness, now, covariance)


def _quieter(problem: Problem, unknowns: Unknowns, residuals: Residuals) -> Unknowns:
    """Return the same under the likeliest noise and kicks of a few: with nodes they fall far."""
    best, most = unknowns, -np.inf
    moved = unknowns.copy()
    estimate_noise(residuals, moved, problem.robust)
    steps = [np.log(new / old) for new, old in
             ((moved.noise, unknowns.noise), (moved.kicks, unknowns.kicks))]  # fmt: skip
    for largest in (np.inf, 1.0, 0.0):
        tried = unknowns.copy()
        for old, step in zip((tried.noise, tried.kicks), steps, strict=True):
            old *= np.exp(np.clip(step, -largest, largest))
        value = log_likelihood(problem, tried)[0]
        if value < most:
            break
        best, most = tried, value
    return best


def equations_at(
    problem: Problem, unknowns: Unknowns, extra: Extra | None = None
) -> NormalEquations | None:
    """Return the normal equations, None where no noise could explain the forces' slopes."""
    try:
        return normal_equations(problem, unknowns, extra=extra)
    except ArithmeticError:
        return None


def change_noise(now: NormalEquations, moved: Unknowns, halving: int) -> None:
    """Make the step of noise and kicks of all particles together, in place.

    Of a bad step less, and then none: what remains of it is the unknowns'.
    """
    assert now.residuals.joint is not None
    if halving < 2:
        now.residuals.joint.improve(moved, (np.inf, 1.0)[halving])


def small_step(
    now: NormalEquations, vector: np.ndarray, penalty: np.ndarray, step: np.ndarray
) -> bool:
    """Whether a step of all particles together would gain next to nothing, noise and all.

    Where a quadratic likelihood says so, it need not be looked at once more.
    """
    gain = 0.5 * float(step @ (now.score.sum(0) - penalty @ vector))
    if now.residuals.joint is not None:
        gain += now.residuals.joint.gain()
    return gain < SMALL_JOINT_GAIN


def _penalised(value: float, unknowns: Unknowns, penalty: np.ndarray) -> float:
    return value - 0.5 * float(unknowns.vector @ penalty @ unknowns.vector)


def _step(
    now: NormalEquations, unknowns: Unknowns, penalty: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    score = now.score.sum(0) - penalty @ unknowns.vector
    return solve(now.information.sum(0) + penalty, score, within_scales(unknowns, directions))


def _moved(
    problem: Problem,
    unknowns: Unknowns,
    now: NormalEquations,
    step: np.ndarray,
    penalty: np.ndarray,
) -> tuple[Unknowns, Residuals]:
    """Go along a step as far as the penalised likelihood grows."""
    before = _penalised(now.log_likelihood, unknowns, penalty)
    for halving in range(HALVINGS):
        moved = unknowns.copy()
        moved.vector += 0.5**halving * step
        value, residuals = log_likelihood(problem, moved)
        after = _penalised(value, moved, penalty)
        if after >= before - 1e-9 * abs(before):
            moved.fix_scales()
            return moved, residuals
    return unknowns, now.residuals
