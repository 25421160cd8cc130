"""Which terms a law needs: those whose absence the tracks would notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate, Smoothness, improve
from nbody_surrogate.discovery.extended import Extended
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.start import begin, excerpt
from nbody_surrogate.discovery.wald import wald

__all__ = ["best_start", "needed_terms"]

LEVEL = 1e-3
"""Probability below which a term is kept: with some six terms looked at, one in 170 tracks has a
term too many."""

ROUNDS = 8
"""Of each start, before the best of them is gone on with."""


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
        smoothness = Smoothness.loose(start.unknowns)
        found.append(improve(few, start.unknowns, terms, smoothness, seed_rounds))
    best = max(found, key=_evidence)
    return replace(best, problem=replace(problem, curve=best.problem.curve,
                                         directed=best.problem.directed))  # fmt: skip


def _evidence(estimate: Estimate) -> float:
    """Return the log-likelihood less what as many unknowns gain by chance (Schwarz)."""
    count = estimate.freedom.directions(estimate.problem.layout).shape[1]
    return float(estimate.normal.log_likelihood - 0.5 * count * float(np.log(estimate.normal.rows)))


def needed_terms(fit: Estimate, extended: Extended) -> Freedom:
    """Return the terms that the tracks would miss, told beside all that could break a symmetry.

    Dropped one after the other, the least needed first; what is left follows each time, as the
    quadratic likelihood has it.
    """
    layout = fit.problem.layout
    freedom = fit.freedom
    values, covariance = extended.values.copy(), extended.covariance.copy()
    while True:
        tests = {}
        for term in terms_of(freedom):
            index = np.arange(layout.size)[layout.part(term)]
            if term == "drag" and freedom.drag == "shared":
                index = index[:1]
            tests[term] = index, wald(values[index], covariance[np.ix_(index, index)])
        idle = {term: each for term, each in tests.items() if each[1].p > LEVEL}
        if not idle:
            return freedom
        worst = max(idle, key=lambda term: idle[term][1].p)
        index = idle[worst][0]
        gain = covariance[:, index] @ np.linalg.pinv(
            covariance[np.ix_(index, index)], hermitian=True
        )
        values = values - gain @ values[index]
        covariance = covariance - gain @ covariance[index]
        freedom = freedom.without(worst)


def terms_of(freedom: Freedom) -> list[str]:
    """Return the terms beside the central pair force that are there."""
    return [*freedom.fields, *(["drag"] if freedom.drag != "none" else [])]
