"""Which terms a law needs: those whose absence the tracks would notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate, Smoothness, improve
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.start import begin, excerpt
from nbody_surrogate.discovery.unknowns import Unknowns

__all__ = ["best_start", "chosen_terms", "terms_of", "wald"]

LEVEL = 1e-3
"""Probability below which a term is kept: with some six terms looked at, one in 170 tracks has a
term too many."""

ROUNDS = 8
"""Of each start, before the best of them is gone on with."""


class Test(NamedTuple):
    """A Wald test of several combinations of unknowns being 0."""

    statistic: float
    degrees: int
    p: float


def wald(values: np.ndarray, covariance: np.ndarray) -> Test:
    """Test whether values with that covariance are all 0.

    Combinations that the tracks do not tell apart from other unknowns do not count.
    """
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    eigenvalues, vectors = np.linalg.eigh(covariance / size[:, None] / size)
    told = eigenvalues > 1e-9 * eigenvalues[-1]
    along = vectors[:, told].T @ (values / size)
    statistic = float((along**2 / eigenvalues[told]).sum())
    degrees = int(told.sum())
    return Test(statistic, degrees, float(stats.chi2.sf(statistic, degrees)))


def best_start(problem: Problem, freedom: Freedom, seed_rounds: int = ROUNDS) -> Estimate:
    """Return the best of several short searches, on the first frames alone.

    Searches differ in their strengths, and in whether there is anything but pair forces: a field is
    hard to tell from pair forces that grow with the distance, and goes before them only where it
    fits better.
    """
    found = []
    bare = replace(freedom, fields=(), drag="none", directed=False)
    for start in begin(problem):
        terms = bare if start.alone else replace(freedom, directed=False)
        few = excerpt(start.problem)
        found.append(improve(few, start.unknowns, terms, _first_smoothness(), seed_rounds))
    best = max(found, key=_evidence)
    return replace(best, problem=replace(problem, curve=best.problem.curve,
                                         directed=best.problem.directed))  # fmt: skip


def _first_smoothness() -> Smoothness:
    return Smoothness(curve=1e-3, directed=1e-3)


def _evidence(estimate: Estimate) -> float:
    """Return the log-likelihood less what as many unknowns gain by chance (Schwarz)."""
    count = estimate.freedom.directions(estimate.problem.layout).shape[1]
    return estimate.normal.log_likelihood - 0.5 * count * float(np.log(estimate.normal.rows))


def chosen_terms(
    problem: Problem,
    start: Estimate,
    freedom: Freedom,
    told: Callable[[int, float], None] | None = None,
) -> Estimate:
    """Fit with all terms, then without those that are not needed, until none is left to drop."""
    unknowns = start.unknowns
    if start.freedom.drag == "none":
        # from where the bare law ended: all that is added has to gain something
        unknowns = _in(problem, unknowns)
    estimate = improve(problem, _in(problem, unknowns), freedom, _first_smoothness(), told=told)
    while True:
        tests = {term: _test(estimate, term) for term in terms_of(estimate.freedom)}
        idle = {term: test for term, test in tests.items() if test.p > LEVEL}
        if not idle:
            return estimate
        worst = max(idle, key=lambda term: idle[term].p)
        less = estimate.freedom.without(worst)
        unknowns = estimate.unknowns.copy()
        for name in parts_of(worst):
            unknowns.part(name)[:] = 0.0
        estimate = improve(problem, unknowns, less, estimate.smoothness, rounds=4, told=told)


def terms_of(freedom: Freedom) -> list[str]:
    """Return the terms beside the central pair force that are there."""
    drag = ["drag"] if freedom.drag != "none" else []
    return [*freedom.fields, *drag, *(["directed"] if freedom.directed else [])]


def parts_of(term: str) -> tuple[str, ...]:
    """Return the parts of the unknowns that a term consists of."""
    return ("across", "along") if term == "directed" else (term,)


def _in(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Return unknowns for a problem of the same layout."""
    return replace(unknowns, layout=problem.layout)


def _test(estimate: Estimate, term: str) -> Test:
    layout = estimate.problem.layout
    index = np.concatenate([np.arange(layout.size)[layout.part(name)] for name in parts_of(term)])
    values = estimate.unknowns.vector[index]
    covariance = estimate.covariance[np.ix_(index, index)]
    if term == "drag" and estimate.freedom.drag == "shared":
        values, covariance = values[:1], covariance[:1, :1]
    return wald(values, covariance)


