"""The law with terms that break every symmetry, fitted at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.discovery.breaking import BreakingTerms
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import (
    HALVINGS,
    Estimate,
    change_noise,
    equations_at,
    small_step,
    solve,
    within_scales,
)
from nbody_surrogate.discovery.forces import accelerations
from nbody_surrogate.discovery.noise import estimate_noise
from nbody_surrogate.discovery.normal import (
    NormalEquations,
    normal_equations,
)
from nbody_surrogate.discovery.unknowns import FIELDS, Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Extended", "extend"]

ROUNDS = 4
"""At most; it is nearly linear in what is added."""

JOINT_ROUNDS = 6
"""The same of all particles together, where noise and kicks take part in each."""

SMALL_GAIN = 1.0
"""In log-likelihood, at which the search ends."""

EVERY = 10
"""Frames between those that sizes of terms are averaged over."""


class Extended(NamedTuple):
    """An estimate of the law with breaking terms.

    Attributes
    ----------
    terms : BreakingTerms
        With their amounts.
    unknowns : Unknowns
    values : ndarray, shape (Z,)
        The unknowns, and the amounts behind them.
    covariance : ndarray, shape (Z, Z)
    sizes : ndarray, shape (Z, Z)
        Mean products of the accelerations by each.
    pair : float
        Mean square of the pair forces' accelerations.
    """

    terms: BreakingTerms
    unknowns: Unknowns
    values: Float64[np.ndarray, " Z"]
    covariance: Float64[np.ndarray, "Z Z"]
    sizes: Float64[np.ndarray, "Z Z"]
    pair: float


def extend(estimate: Estimate, terms: BreakingTerms) -> Extended:
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
    penalty[loose, loose] += np.diag(products)[loose] / max(pair, 1e-300)
    shared = "shared" if estimate.freedom.drag == "none" else estimate.freedom.drag
    freedom = replace(estimate.freedom, fields=FIELDS, drag=shared)
    own = within_scales(unknowns, freedom.directions(layout))
    directions = np.zeros((size, own.shape[1] + count))
    directions[: layout.size, : own.shape[1]] = own
    directions[layout.size :, own.shape[1] :] = np.eye(count)
    # of nodes noise falls far in the first rounds, and is looked for by itself
    jointly = problem.joint and not problem.has_nodes
    now = normal_equations(problem, unknowns, extra=terms)
    for _ in range(JOINT_ROUNDS if jointly else ROUNDS):
        before = _penalised(now, unknowns, terms, penalty)
        step, _ = _step(now, unknowns, terms, penalty, directions)
        if jointly and small_step(now, _all(unknowns, terms), penalty, step):
            unknowns.vector += step[: layout.size]
            terms.amounts = terms.amounts + step[layout.size :]
            break
        share = 1.0
        for halving in range(HALVINGS):
            moved, kept = unknowns.copy(), terms.amounts
            moved.vector += share * step[: layout.size]
            terms.amounts = kept + share * step[layout.size :]
            if jointly:
                change_noise(now, moved, halving)
            then = equations_at(problem, moved, terms)
            after = -np.inf if then is None else _penalised(then, moved, terms, penalty)
            if then is not None and after >= before - 1e-9 * abs(before):
                break
            terms.amounts, share = kept, 0.5 * share
        else:
            break
        gain, unknowns, now = after - before, moved, then
        if jointly:
            continue
        noise = unknowns.noise.copy()
        estimate_noise(now.residuals, unknowns, problem.robust)
        # a likelihood under other noise is another function: it is looked at once more only where
        # the noise has moved
        if gain < SMALL_GAIN and np.allclose(noise, unknowns.noise, rtol=0.02):
            break
        now = normal_equations(problem, unknowns, extra=terms)
    _, covariance = _step(now, unknowns, terms, penalty, directions)
    return Extended(terms, unknowns, _all(unknowns, terms), covariance, products, pair)


def _all(unknowns: Unknowns, terms: BreakingTerms) -> np.ndarray:
    return np.concatenate([unknowns.vector, terms.amounts])


def _penalised(
    now: NormalEquations, unknowns: Unknowns, terms: BreakingTerms, penalty: np.ndarray
) -> float:
    vector = _all(unknowns, terms)
    return now.log_likelihood - 0.5 * float(vector @ penalty @ vector)


def _step(
    now: NormalEquations,
    unknowns: Unknowns,
    terms: BreakingTerms,
    penalty: np.ndarray,
    directions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    vector = _all(unknowns, terms)
    score = now.score.sum(0) - penalty @ vector
    return solve(now.information.sum(0) + penalty, score, directions)


def _sizes(problem: Problem, unknowns: Unknowns, terms: BreakingTerms) -> tuple[np.ndarray, float]:
    """Return mean products of the accelerations by each unknown, and the pair forces' square."""
    size = unknowns.layout.size + terms.amounts.size
    products, pair, frames = np.zeros((size, size)), 0.0, 0
    curves = unknowns.layout.curve + 2 * unknowns.layout.directed
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            rows = measured.there[::EVERY, i]
            for values, which in accelerations(problem, unknowns, run, i, terms):
                some = values[::EVERY][rows]
                products[np.ix_(which, which)] += some.T @ some
                mine = which < curves
                pair += float(((some[:, mine] @ unknowns.vector[which[mine]]) ** 2).sum())
            frames += int(rows.sum())
    return products / max(frames, 1), pair / max(frames, 1)
