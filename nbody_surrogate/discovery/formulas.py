"""Formulas held against the curve that was found, ranked by what they say of tracks held out.

The likelihood near the estimate is a quadratic form of all unknowns. A formula is one choice of the
curve's coefficients; the rest follows, and both its fit and its held-out likelihood come from two
quadratic forms, without another look at the tracks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate, solve, within_scales
from nbody_surrogate.discovery.normal import NormalEquations, blocks_of, normal_equations

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["FORMULAS", "Formula", "RankedFormula", "rank_formulas"]

BLOCKS = 12
"""Of the held-out frames, for the error of their likelihood."""

DOUBT = 2.0
"""A formula may be worse than the curve by so many standard errors of its held-out likelihood."""


@dataclass(frozen=True)
class Formula:
    """A pair force of unit strengths.

    Attributes
    ----------
    name, text : str
    force : callable
        ``force(r, *parameters)``, without its size, which is linear.
    parameters : tuple of str
    starts : callable
        First values of the parameters, of the median distance.
    """

    name: str
    text: str
    force: Callable[..., np.ndarray]
    parameters: tuple[str, ...] = ()
    starts: Callable[[float], tuple[tuple[float, ...], ...]] = lambda r: ((),)


def _yukawa(r: np.ndarray, length: float) -> np.ndarray:
    return np.exp(-r / length) * (1.0 / r**2 + 1.0 / (r * length))


FORMULAS = (
    Formula("coulomb", "A / r^2", lambda r: r**-2.0),
    Formula(
        "softened-coulomb", "A r / (r^2 + softening^2)^(3/2)",
        lambda r, e: r / (r * r + e * e) ** 1.5, ("softening",), lambda r: ((0.05 * r,), (0.3 * r,)),
    ),
    Formula(
        "yukawa", "A exp(-r / length) (1 / r^2 + 1 / (r length))",
        _yukawa, ("length",), lambda r: ((0.3 * r,), (r,), (5.0 * r,)),
    ),
    Formula(
        "power", "A r^-power", lambda r, p: r**-p, ("power",), lambda r: ((1.0,), (3.0,)),
    ),
    Formula("dipole", "A / r^4", lambda r: r**-4.0),
    Formula(
        "lennard-jones", "A (2 (size / r)^13 - (size / r)^7)",
        lambda r, s: 2.0 * (s / r) ** 13 - (s / r) ** 7, ("size",),
        lambda r: ((0.3 * r,), (0.6 * r,), (r,)),
    ),
    Formula("spring", "A r", lambda r: r),
)  # fmt: skip


@dataclass(frozen=True)
class RankedFormula:
    """A formula, fitted.

    Attributes
    ----------
    formula : Formula
    parameters : dict of str to float
        With its size A.
    held_out : float
        Log-likelihood of the frames held out over that of the curve, per frame.
    fits : bool
        Whether it is as good as the curve, within its error.
    """

    formula: Formula
    parameters: dict[str, float]
    held_out: float
    fits: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.formula.name,
            "parameters": self.parameters,
            "held_out": self.held_out,
            "fits": self.fits,
            "text": self.formula.text,
        }


def rank_formulas(estimate: Estimate, held_out: Problem) -> list[RankedFormula]:
    """Fit every formula, and rank them, the best first; fewer parameters go before as good ones.

    Parameters
    ----------
    estimate : Estimate
    held_out : Problem
        Frames that the estimate has not seen.
    """
    unseen = normal_equations(held_out, estimate.unknowns, blocks_of(held_out, BLOCKS))
    frames = sum(len(run.x) for run in held_out.runs)
    quadratic = _quadratic(estimate)
    found = [_fitted(formula, estimate, quadratic, unseen, frames) for formula in FORMULAS]
    fitting = [each for each in found if each.fits]
    # among those that say the same, the one that needs less
    fitting.sort(key=lambda each: (len(each.formula.parameters), -each.held_out))
    others = sorted((each for each in found if not each.fits), key=lambda each: -each.held_out)
    return [*fitting, *others]


@dataclass(frozen=True)
class _Quadratic:
    """The seen log-likelihood about the estimate: score . d - d . information . d / 2."""

    information: Float64[np.ndarray, "K K"]
    score: Float64[np.ndarray, " K"]
    response: Float64[np.ndarray, "P K"]
    """How all unknowns follow the curve's."""


def _quadratic(estimate: Estimate) -> _Quadratic:
    layout = estimate.unknowns.layout
    curve = layout.part("curve")
    h, g = estimate.normal.information.sum(0), estimate.normal.score.sum(0)
    free = estimate.freedom.directions(layout)
    rest = free[:, np.abs(free[curve]).max(0) == 0]
    rest = within_scales(estimate.unknowns, rest)
    follow = -solve(h, h[:, curve], rest)[0]
    follow[curve] = np.eye(layout.curve)
    return _Quadratic(follow.T @ h @ follow, follow.T @ g, follow)


def _fitted(
    formula: Formula,
    estimate: Estimate,
    seen: _Quadratic,
    unseen: NormalEquations,
    frames: int,
) -> RankedFormula:
    problem, unknowns = estimate.problem, estimate.unknowns
    r = np.concatenate([run.visited(7) for run in problem.runs])
    r = r[:: max(1, r.size // 20000)]
    matrix = problem.curve.matrix(r)
    project = np.linalg.pinv(matrix, rcond=1e-8)
    here = unknowns.part("curve")
    values, vectors = np.linalg.eigh(seen.information)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    # of a flat direction the score is nothing but rounding
    target = root @ (here + np.linalg.pinv(seen.information, rcond=1e-12) @ seen.score)

    def shape(parameters: np.ndarray) -> np.ndarray:
        return project @ formula.force(r, *parameters)

    def amount(parameters: np.ndarray) -> float:
        one = root @ shape(parameters)
        return float(one @ target) / max(float(one @ one), 1e-300)

    def left(logs: np.ndarray) -> np.ndarray:
        parameters = np.exp(logs)
        return amount(parameters) * (root @ shape(parameters)) - target

    best, cost = np.array([]), np.inf
    for start in formula.starts(float(np.median(r))):
        if not start:
            cost = 0.0
            break
        with np.errstate(all="ignore"):
            try:
                found = least_squares(left, np.log(start), bounds=(-12, 12), max_nfev=60)
            except ValueError:  # a start whose curve is not finite over the visited distances
                continue
        if found.cost < cost:
            best, cost = np.exp(found.x), found.cost
    if not np.isfinite(cost):
        return RankedFormula(formula, {}, -np.inf, False)
    step = seen.response @ (amount(best) * shape(best) - here)
    changes = np.array(
        [g @ step - 0.5 * step @ h @ step
         for h, g in zip(unseen.information, unseen.score, strict=True)]
    )  # fmt: skip
    total, error = float(changes.sum()), float(changes.std(ddof=1) * np.sqrt(changes.size))
    parameters = {"A": amount(best), **dict(zip(formula.parameters, map(float, best), strict=True))}
    return RankedFormula(formula, parameters, total / frames, total > -DOUBT * error - 1.0)
