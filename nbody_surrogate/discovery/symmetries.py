"""Symmetries found, not supposed: terms that would break each are fitted, and tested for being 0.

Every symmetry is tested beside all others: the law of central pair forces, fields and drag is
extended at once by low-order terms of every kind, and what one symmetry forbids is tested given the
rest. So a wake does not pass for an anisotropy, nor a drag for a drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbody_surrogate.discovery.breaking import BreakingTerms
from nbody_surrogate.discovery.equations import Problem, accelerations
from nbody_surrogate.discovery.estimate import HALVINGS, Estimate, solve, within_scales
from nbody_surrogate.discovery.noise import estimate_noise
from nbody_surrogate.discovery.normal import (
    NormalEquations,
    Residuals,
    log_likelihood,
    normal_equations,
)
from nbody_surrogate.discovery.selection import wald
from nbody_surrogate.discovery.unknowns import FIELDS, Layout, Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Symmetry", "find_symmetries"]

ROUNDS = 3
"""Of the extended law: it is nearly linear in what is added."""

LEVEL = 0.05
"""Probability of calling any unbroken symmetry of one set of tracks broken."""

EVERY = 10
"""Frames between those that sizes of terms are averaged over."""

MEANINGS = {
    "translation": "the law is the same everywhere: no field that grows with the place",
    "boost": "the law is the same in every uniformly moving frame: no drag",
    "time-shift": "the law is the same at all times: no drift of pair forces or fields",
    "reciprocity": "what i does to j, j does to i (Newton's third law)",
    "isotropy": "no direction is special to pair forces, and there is no uniform field",
    "reflection": "the mirror image of a motion is a motion: no swirl, no turning of velocities",
    "charge-conjugation": "the law is the same with all charges reversed",
    "energy": "energy is conserved",
}


@dataclass(frozen=True)
class Symmetry:
    """One symmetry, and what the tracks say of it.

    Attributes
    ----------
    name, meaning : str
    tested : bool
    why_not : str or None
        Where it is not tested.
    effect, low, high : float
        Size of the terms that break it, over that of pair forces (root mean squares), with its
        95 % interval.
    p, p_corrected : float
        Of the terms being 0, and corrected for the number of symmetries tested (Holm).
    broken : bool
    """

    name: str
    meaning: str
    tested: bool
    why_not: str | None = None
    effect: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    p_corrected: float = 1.0
    broken: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "broken": self.broken,
            "effect": {"value": self.effect, "low": self.low, "high": self.high},
            "p": self.p,
            "p_corrected": self.p_corrected,
            "tested": self.tested,
            "why_not": self.why_not,
        }


class Extended(NamedTuple):
    """An estimate of the law with breaking terms: all values, and their covariance."""

    values: Float64[np.ndarray, " Z"]
    covariance: Float64[np.ndarray, "Z Z"]
    sizes: Float64[np.ndarray, "Z Z"]
    pair: float


def find_symmetries(estimate: Estimate, rng: np.random.Generator) -> list[Symmetry]:
    """Test every symmetry given all others.

    Parameters
    ----------
    estimate : Estimate
        Of the law without a directed curve: what is not central shall be found here.
    rng : numpy.random.Generator
        Of the intervals.

    Returns
    -------
    list of Symmetry
    """
    terms = BreakingTerms(estimate.problem)
    extended = _extended(estimate, terms)
    layout = estimate.problem.layout
    found = []
    for name, rows in _combinations(layout, terms, estimate).items():
        why_not = _untold(name, estimate)
        if why_not:
            found.append(Symmetry(name, MEANINGS[name], tested=False, why_not=why_not))
            continue
        values, covariance = rows @ extended.values, rows @ extended.covariance @ rows.T
        test = wald(values, covariance)
        effect, low, high = _effect(extended, rows, rng)
        found.append(Symmetry(name, MEANINGS[name], True, None, effect, low, high, test.p))
    found = _corrected(found)
    return [*found, _energy(found)]


def _extended(estimate: Estimate, terms: BreakingTerms) -> Extended:
    """Fit the law with all breaking terms, from where it was without."""
    problem, unknowns = estimate.problem, estimate.unknowns.copy()
    layout, count = problem.layout, terms.amounts.size
    size = layout.size + count
    penalty = np.zeros((size, size))
    penalty[: layout.size, : layout.size] = estimate.smoothness.matrix(problem)
    products, pair = _sizes(problem, unknowns, terms)
    # a term as large as the pair forces is one standard deviation: what tracks do not tell apart
    # is shared out, what they tell is left alone
    loose = np.r_[layout.part(FIELDS[0]).start : size]
    penalty[loose, loose] += np.diag(products)[loose] / pair
    shared = "shared" if estimate.freedom.drag == "none" else estimate.freedom.drag
    freedom = replace(estimate.freedom, fields=FIELDS, directed=False, drag=shared)
    own = within_scales(unknowns, freedom.directions(layout))
    directions = np.zeros((size, own.shape[1] + count))
    directions[: layout.size, : own.shape[1]] = own
    directions[layout.size :, own.shape[1] :] = np.eye(count)
    for _ in range(ROUNDS):
        now = normal_equations(problem, unknowns, extra=terms)
        step, _ = _step(now, unknowns, terms, penalty, directions)
        unknowns = _moved(problem, unknowns, terms, step, penalty)
    now = normal_equations(problem, unknowns, extra=terms)
    step, covariance = _step(now, unknowns, terms, penalty, directions)
    values = np.concatenate([unknowns.vector, terms.amounts])
    return Extended(values, covariance, products, pair)


def _moved(
    problem: Problem,
    unknowns: Unknowns,
    terms: BreakingTerms,
    step: np.ndarray,
    penalty: np.ndarray,
) -> Unknowns:
    """Go along a step as far as the penalised likelihood grows; amounts are moved in place."""
    size = unknowns.layout.size
    here = terms.amounts

    def of(these: Unknowns) -> tuple[float, Residuals]:
        vector = np.concatenate([these.vector, terms.amounts])
        value, residuals = log_likelihood(problem, these, terms)
        return value - 0.5 * float(vector @ penalty @ vector), residuals

    before, found = of(unknowns)
    for halving in range(HALVINGS):
        moved = unknowns.copy()
        moved.vector += 0.5**halving * step[:size]
        terms.amounts = here + 0.5**halving * step[size:]
        after, residuals = of(moved)
        if after >= before - 1e-9 * abs(before):
            estimate_noise(residuals, moved, problem.robust)
            return moved
    terms.amounts = here
    unknowns = unknowns.copy()
    estimate_noise(found, unknowns, problem.robust)
    return unknowns


def _step(
    now: NormalEquations,
    unknowns: Unknowns,
    terms: BreakingTerms,
    penalty: np.ndarray,
    directions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    vector = np.concatenate([unknowns.vector, terms.amounts])
    score = now.score.sum(0) - penalty @ vector
    return solve(now.information.sum(0) + penalty, score, directions)


def _sizes(
    problem: Problem, unknowns: Unknowns, terms: BreakingTerms
) -> tuple[np.ndarray, float]:
    """Return the mean products of the accelerations by each unknown, and the pair forces' square."""
    size = unknowns.layout.size + terms.amounts.size
    products, pair, frames = np.zeros((size, size)), 0.0, 0
    curve = unknowns.layout.part("curve")
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            rows = measured.there[::EVERY, i]
            for values, which in accelerations(problem, unknowns, run, i, terms):
                some = values[::EVERY][rows]
                products[np.ix_(which, which)] += some.T @ some
                pair += float(((some[:, : unknowns.layout.curve] @ unknowns.vector[curve]) ** 2).sum())
            frames += int(rows.sum())
    return products / max(frames, 1), pair / max(frames, 1)


def _combinations(
    layout: Layout, terms: BreakingTerms, estimate: Estimate
) -> dict[str, Float64[np.ndarray, "G Z"]]:
    """Return for each symmetry the combinations of all values that it wants to be 0."""
    every = np.eye(layout.size + terms.amounts.size)
    drag = every[layout.part("drag")].mean(0, keepdims=True)
    extra = {name: every[layout.size :][part] for name, part in terms.parts.items()}
    uniform, charged, gradient, by_charge = (every[layout.part(name)] for name in FIELDS)
    uneven = [y[1:] - y[:1] for y in (gradient, by_charge)]
    return {
        "translation": np.concatenate([gradient, by_charge]),
        "boost": drag,
        "time-shift": extra["time-shift"],
        "reciprocity": extra["reciprocity"],
        "isotropy": np.concatenate([extra["isotropy"], uniform, charged, *uneven]),
        "reflection": extra["reflection"],
        "charge-conjugation": np.concatenate([extra["charge-conjugation"], charged, by_charge]),
    }


def _untold(name: str, estimate: Estimate) -> str | None:
    """Return why tracks say nothing of a symmetry, or None."""
    if name == "charge-conjugation":
        signs = np.sign(estimate.unknowns.part("responses"))
        if np.all(signs == signs[0]):
            return "all particles have charges of one sign"
    return None


def _effect(
    extended: Extended, rows: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the size of what some combinations stand for over that of pair forces."""
    # the combinations pick unknowns, or differences of them: project onto what they span
    basis = np.linalg.pinv(rows)
    form = basis.T @ extended.sizes @ basis / max(extended.pair, 1e-300)
    values, covariance = rows @ extended.values, rows @ extended.covariance @ rows.T
    chance = float(np.trace(form @ covariance))
    draws = rng.multivariate_normal(values, covariance, 400, method="eigh")
    squares = np.einsum("sa,ab,sb->s", draws, form, draws)
    low, high = np.quantile(squares, [0.025, 0.975])
    # errors make any size larger than it is: once in the estimate, twice in draws about it
    inside = [float(values @ form @ values) - chance, low - 2.0 * chance, high - 2.0 * chance]
    value, low, high = (float(np.sqrt(max(y, 0.0))) for y in inside)
    return value, min(low, value), max(high, value)


def _corrected(found: list[Symmetry]) -> list[Symmetry]:
    """Correct for the number of tests after Holm, and decide."""
    tested = sorted((each for each in found if each.tested), key=lambda each: each.p)
    corrected, largest = {}, 0.0
    for k, each in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - k) * each.p))
        corrected[each.name] = largest
    return [
        replace(each, p_corrected=corrected[each.name], broken=corrected[each.name] < LEVEL)
        if each.tested
        else each
        for each in found
    ]


def _energy(found: list[Symmetry]) -> Symmetry:
    """Return what the others say of energy."""
    by = [each for each in found
          if each.name in ("boost", "time-shift", "reciprocity", "reflection")]  # fmt: skip
    worst = min(by, key=lambda each: each.p_corrected)
    return replace(worst, name="energy", meaning=f"{MEANINGS['energy']} (told by {worst.name})")
