"""Formulas held against the curve that was found, ranked by what they say of tracks held out.

The likelihood near the estimate is a quadratic form of all unknowns. A formula is one choice of the
curve's coefficients; the rest follows, and both its fit and its held-out likelihood come from two
quadratic forms, without another look at the tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate, solve, within_scales
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.normal import NormalEquations, blocks_of, normal_equations

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["FORMULAS", "Formula", "RankedFormula", "acting", "outdone", "rank_formulas"]

BLOCKS = 12
"""Of the held-out frames, for the error of their likelihood."""

DOUBT = 2.0
"""A formula may be worse than the curve by so much, in the median over blocks of held-out frames.

In the likelihood of one block a right formula is as often better than the curve as worse, by about
1; the median does not ask how much a few encounters weigh."""


OUTDONE = 20.0
"""Log-likelihood of held-out frames by which, and by one more for each of its numbers, no formula
is better than a curve that was found: their errors cost it a part of that."""

CLOSE = 1e-3
"""Relative distance to the curve within which a formula of exact tracks is that of the curve. Their
likelihood is no measure: it is of the rounding of a computation, which no curve follows."""


WEAK = 1e-3
"""Of the median force: what is below counts as if it were that large, in relative differences."""


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
    behind : bool
        Whether each particle has a wake too: the same force about a place below it, of another size
        and sign. Three more parameters: its share, its distance, its softening.
    constants : int
        That `force` has besides, and that a search has fitted to the curve.
    """

    name: str
    text: str
    force: Callable[..., np.ndarray]
    parameters: tuple[str, ...] = ()
    starts: Callable[[float], tuple[tuple[float, ...], ...]] = lambda r: ((),)
    behind: bool = False
    constants: int = 0

    @property
    def freedom(self) -> int:
        """How many numbers it has beside its size."""
        return len(self.parameters) + self.constants


def _yukawa(r: np.ndarray, length: float) -> np.ndarray:
    return np.exp(-r / length) * (1.0 / r**2 + 1.0 / (r * length))


FORMULAS = (
    Formula("coulomb", "A / r^2", lambda r: r**-2.0),
    Formula(
        "softened-coulomb", "A r / (r^2 + softening^2)^(3/2)",
        lambda r, e: r / (r * r + e * e) ** 1.5, ("softening",),
        lambda r: ((0.05 * r,), (0.3 * r,)),
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
    Formula(
        "wake", "yukawa, and -share of it, softened, about a place `distance` below each particle",
        _yukawa, ("length", "share", "distance", "softening"),
        lambda r: ((0.4 * r, 0.3, 0.15 * r, 0.08 * r), (r, 0.3, 0.3 * r, 0.1 * r)), behind=True,
    ),
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
        Whether it is as good as the curve, within `DOUBT`; of exact tracks, within `CLOSE` of it.
    distance : float or None
        Of exact tracks alone: relative difference to the curve, see `_Shapes.distance`.
    """

    formula: Formula
    parameters: dict[str, float]
    held_out: float
    fits: bool
    distance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.formula.name,
            "parameters": self.parameters,
            "held_out": self.held_out,
            "fits": self.fits,
            "text": self.formula.text,
            "distance": self.distance,
        }


def rank_formulas(
    estimate: Estimate, held_out: Problem, others: tuple[Formula, ...] = ()
) -> list[RankedFormula]:
    """Fit every formula and rank them: those that fit first, by likelihood less a price.

    Parameters
    ----------
    estimate : Estimate
    held_out : Problem
        Frames that the estimate has not seen.
    others : tuple of Formula
        Beside `FORMULAS`.
    """
    unseen = normal_equations(held_out, estimate.unknowns, blocks_of(held_out, BLOCKS))
    frames = sum(len(run.x) for run in held_out.runs)
    shapes = _Shapes(estimate)
    found = [
        _fitted(formula, estimate, shapes, unseen, frames)
        for formula in (*FORMULAS, *others)
        if shapes.directed or not formula.behind
    ]
    fitting = [each for each in found if each.fits]
    # a parameter has to gain what chance would give it in as many frames (Schwarz)
    price = 0.5 * float(np.log(max(frames, 2)))
    if estimate.problem.stencil == SMOOTH:
        # of those that are the curve, the one with least that could be anything else
        fitting.sort(key=lambda each: (each.formula.freedom, each.distance or 0.0))
    else:
        fitting.sort(key=lambda each: each.formula.freedom * price - each.held_out * frames)
    rest = [each for each in found if not each.fits]
    rest.sort(key=lambda each: (each.distance or 0.0, -each.held_out))
    return [*fitting, *rest]


def outdone(ranked: Sequence[RankedFormula], held_out: Problem) -> list[str]:
    """Say where a formula tells more of unseen frames than the curve, which had all its freedom.

    Then the search for the curve ended short of what the tracks tell.
    """
    if held_out.stencil == SMOOTH or not ranked or not ranked[0].fits:
        return []
    best = ranked[0]
    gain = best.held_out * sum(len(run.x) for run in held_out.runs)
    if gain < OUTDONE + held_out.layout.curve + 2 * held_out.layout.directed:
        return []
    return [
        f"{best.formula.name} is far better than the curve that was found, by {gain:.0f} in "
        "log-likelihood of held-out frames: the search ended early, and curve, fields, symmetries "
        "and intervals are not to be trusted; measure more frames of each encounter"
    ]


class _Shapes:
    """The seen log-likelihood of all curves, about their estimate, and formulas in their terms."""

    def __init__(self, estimate: Estimate) -> None:
        problem, layout = estimate.problem, estimate.unknowns.layout
        self.directed = problem.directed is not None and estimate.freedom.directed
        count = layout.curve + (2 * layout.directed if self.directed else 0)
        self.curves = np.arange(count)
        h, g = estimate.normal.information.sum(0), estimate.normal.score.sum(0)
        free = estimate.freedom.directions(layout)
        rest = within_scales(estimate.unknowns, free[:, np.abs(free[:count]).max(0) == 0])
        # how all other unknowns follow
        self.response = -solve(h, h[:, self.curves], rest)[0]
        self.response[self.curves] = np.eye(count)
        self.here = estimate.unknowns.vector[self.curves]
        near = problem.curve.matrix(acting(estimate))
        self._near = near
        if problem.stencil == SMOOTH and not self.directed:
            # relative differences, over visited distances
            force = np.abs(near @ self.here)
            self.root = near / np.maximum(force, WEAK * np.median(force))[:, None]
            self.target = self.root @ self.here
            self._place(problem)
            return
        information, score = self.response.T @ h @ self.response, self.response.T @ g
        values, vectors = np.linalg.eigh(information)
        told = values > 1e-12 * values[-1]
        self.root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
        # of a direction that is not told the score is nothing but rounding
        newton = (vectors[:, told] / values[told]) @ (vectors[:, told].T @ score)
        self.target = self.root @ (self.here + newton)
        self._place(problem)

    def _place(self, problem: Problem) -> None:
        """Find the separations that formulas are compared at, and what their forces become."""
        if not self.directed:
            r = np.concatenate([run.visited(7) for run in problem.runs])
            self.r = r[:: max(1, r.size // 20000)]
            self._project = np.linalg.pinv(problem.curve.matrix(self.r), rcond=1e-8)
            return
        assert problem.directed is not None
        parts = []
        for run in problem.runs:
            i, j = np.triu_indices(run.n, 1)
            for t in range(0, len(run.x), max(1, len(run.x) // 40)):
                both = run.there[t, i] & run.there[t, j]
                parts += [(run.x[t, i] - run.x[t, j])[both], (run.x[t, j] - run.x[t, i])[both]]
        apart = np.concatenate(parts)
        self._apart = apart[:: max(1, len(apart) // 2500)]
        self.r = np.linalg.norm(self._apart, axis=1)
        self.axis = problem.axis
        z = self._apart[:, self.axis]
        self._rho = np.linalg.norm(np.delete(self._apart, self.axis, 1), axis=1)
        index, values = problem.directed.pieces(self._rho, z)
        tensor = np.zeros((len(z), problem.directed.size))
        np.put_along_axis(tensor, index, values, 1)
        central, none = problem.curve.matrix(self.r), np.zeros_like(tensor)
        outward = np.concatenate([central * (self._rho / self.r)[:, None], tensor, none], 1)
        upward = np.concatenate([central * (z / self.r)[:, None], none, tensor], 1)
        self._project = np.linalg.pinv(np.concatenate([outward, upward]), rcond=1e-6)

    def distance(self, step: np.ndarray) -> float:
        """Return the relative difference to the estimate that nine visits of ten are below."""
        curve = slice(0, self._near.shape[1])
        force, change = self._near @ self.here[curve], self._near @ step[curve]
        return float(np.quantile(np.abs(change) / np.maximum(np.abs(force), 1e-300), 0.9))

    def of(self, formula: Formula, parameters: np.ndarray) -> np.ndarray:
        """Return the coefficients of all curves that are nearest to a formula."""
        own = parameters[:-3] if formula.behind else parameters
        force = formula.force(self.r, *own)
        if not self.directed:
            return np.asarray(self._project @ force)
        z = self._apart[:, self.axis]
        outward, upward = force * self._rho / self.r, force * z / self.r
        if formula.behind:
            share, distance, softening = parameters[-3:]
            height = z + distance  # above the place below the other one
            r = np.sqrt(self._rho**2 + height**2 + softening**2)
            pull = share * formula.force(r, *own) / r
            outward, upward = outward - pull * self._rho, upward - pull * height
        return np.asarray(self._project @ np.concatenate([outward, upward]))


def acting(estimate: Estimate) -> Float64[np.ndarray, " R"]:
    """Return visited distances, of those pairs alone that act on each other."""
    problem, strengths = estimate.problem, estimate.unknowns.part("strengths")
    found = []
    for k, run in enumerate(problem.runs):
        i, j = np.triu_indices(run.n, 1)
        if problem.couplings is None:
            size = np.abs(strengths[run.first + i] * strengths[run.first + j])
        else:
            size = np.abs(strengths[problem.couplings[k][i, j]])
        acts = size > 1e-2 * size.max()
        i, j, nodes = i[acts], j[acts], run.at_nodes()
        both = nodes.there[::7, i] & nodes.there[::7, j]
        found.append(np.linalg.norm(nodes.x[::7, i] - nodes.x[::7, j], axis=-1)[both])
    r = np.concatenate(found)
    return np.asarray(r[:: max(1, r.size // 20000)])


def _fitted(
    formula: Formula, estimate: Estimate, shapes: _Shapes, unseen: NormalEquations, frames: int
) -> RankedFormula:
    def amount(parameters: np.ndarray) -> float:
        one = shapes.root @ shapes.of(formula, parameters)
        return float(one @ shapes.target) / max(float(one @ one), 1e-300)

    def left(logs: np.ndarray) -> np.ndarray:
        parameters = np.exp(logs)
        one = shapes.root @ shapes.of(formula, parameters)
        return np.asarray(amount(parameters) * one - shapes.target)

    best, cost = np.array([]), np.inf
    for start in formula.starts(float(np.median(shapes.r))):
        if not start:
            cost = 0.0
            break
        logs = np.log(start)  # of lengths in any units
        with np.errstate(all="ignore"):
            try:
                found = least_squares(left, logs, bounds=(logs - 12, logs + 12), max_nfev=60)
            except ValueError:  # a start whose curve is not finite over the visited distances
                continue
        if found.cost < cost:
            best, cost = np.exp(found.x), found.cost
    if not np.isfinite(cost):
        return RankedFormula(formula, {}, -np.inf, False, np.inf)
    step = shapes.response @ (amount(best) * shapes.of(formula, best) - shapes.here)
    changes = np.array(
        [g @ step - 0.5 * step @ h @ step
         for h, g in zip(unseen.information, unseen.score, strict=True)]
    )  # fmt: skip
    parameters = {"A": amount(best), **dict(zip(formula.parameters, map(float, best), strict=True))}
    fits = bool(np.median(changes) > -DOUBT)
    held_out = float(changes.sum()) / frames
    if estimate.problem.stencil != SMOOTH:
        return RankedFormula(formula, parameters, held_out, fits)
    distance = shapes.distance(step[shapes.curves])
    return RankedFormula(formula, parameters, held_out, distance < CLOSE, distance)
