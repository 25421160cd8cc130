"""Which terms a law needs: those whose absence the tracks would notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import (
    SMALL_GAIN,
    SMALL_IN_PRELUDE,
    Estimate,
    Smoothness,
    improve,
)
from nbody_surrogate.discovery.extended import Extended
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.start import begin, excerpt
from nbody_surrogate.discovery.symmetries import NOTHING
from nbody_surrogate.discovery.wald import wald

__all__ = ["best_start", "left_out", "needed_terms", "without_twins"]

LEVEL = 0.05 / 7
"""Probability below which a term is kept: that by which the clearest of seven symmetries is called
broken, so that a law has what its table of symmetries says."""

ALIKE = 1e-3
"""Spread of responses over their mean, below which they are one."""

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
    small = SMALL_GAIN if problem.stencil == SMOOTH else SMALL_IN_PRELUDE
    for start in begin(problem):
        terms = bare if start.alone else replace(freedom, directed=False)
        few = excerpt(start.problem)
        smoothness = Smoothness.loose(start.unknowns)
        found.append(improve(few, start.unknowns, terms, smoothness, seed_rounds, small))
    best = max(found, key=_evidence)
    return replace(best, problem=replace(problem, curve=best.problem.curve,
                                         directed=best.problem.directed))  # fmt: skip


def _evidence(estimate: Estimate) -> float:
    """Return the log-likelihood less what as many unknowns gain by chance (Schwarz)."""
    count = estimate.freedom.directions(estimate.problem.layout).shape[1]
    return float(estimate.normal.log_likelihood - 0.5 * count * float(np.log(estimate.normal.rows)))


def without_twins(fit: Estimate) -> Estimate:
    """Return the same law with fields by charge taken for plain ones where responses are all alike.

    As those of masses under gravity: tracks tell the sum of both alone, and parts of it that cancel
    are left wherever a search put them.
    """
    responses = fit.unknowns.part("responses")
    if np.ptp(responses) > ALIKE * abs(float(responses.mean())):
        return fit
    unknowns = fit.unknowns.copy()
    for plain in ("uniform", "gradient"):
        unknowns.part(plain)[:] += responses.mean() * unknowns.part(f"{plain}_by_charge")
        unknowns.part(f"{plain}_by_charge")[:] = 0.0
    return replace(fit, unknowns=unknowns)


def needed_terms(fit: Estimate, extended: Extended) -> Freedom:
    """Return the terms that the tracks would miss, told beside all that could break a symmetry.

    Dropped one after the other, the least needed first; what is left follows each time, as the
    quadratic likelihood has it. A drag is asked for by its mean, as its symmetry is.
    """
    layout = fit.problem.layout
    freedom = fit.freedom
    if fit.problem.stencil == SMOOTH:
        # exact tracks tell anything there is, and what their curves leave out as well
        for term in terms_of(freedom):
            if _size(extended, layout.part(term)) < NOTHING:
                freedom = freedom.without(term)
    values, covariance = extended.values.copy(), extended.covariance.copy()
    while True:
        tests = {}
        for term in terms_of(freedom):
            rows = np.eye(len(values))[layout.part(term)]
            if term == "drag":
                rows = rows.mean(0, keepdims=True)
            tests[term] = wald(rows @ values, rows @ covariance @ rows.T)
        idle = {term: test for term, test in tests.items() if test.p > LEVEL}
        if not idle:
            return freedom
        worst = max(idle, key=lambda term: idle[term].p)
        index = np.arange(layout.size)[layout.part(worst)]
        gain = covariance[:, index] @ np.linalg.pinv(
            covariance[np.ix_(index, index)], hermitian=True
        )
        values = values - gain @ values[index]
        covariance = covariance - gain @ covariance[index]
        freedom = freedom.without(worst)


def _size(extended: Extended, part: slice) -> float:
    """Return how large the accelerations by a term are over those of pairs."""
    square = extended.values[part] @ extended.sizes[part, part] @ extended.values[part]
    return float(np.sqrt(max(square, 0.0) / max(extended.pair, 1e-300)))


def terms_of(freedom: Freedom) -> list[str]:
    """Return the terms beside the central pair force that are there."""
    return [*freedom.fields, *(["drag"] if freedom.drag != "none" else [])]


def left_out(fit: Estimate, kept: Freedom) -> list[str]:
    """Say how large a drag may be that the law has not."""
    if fit.freedom.drag == "none" or kept.drag != "none":
        return []
    part = fit.unknowns.layout.part("drag")
    mean = float(fit.unknowns.part("drag").mean())
    error = float(np.sqrt(fit.covariance[part, part].mean()))
    why = (
        f", and less than {NOTHING:g} of the pair forces is what curves leave over"
        if fit.problem.stencil == SMOOTH and abs(mean) > 2.0 * error
        else ""
    )
    return [
        f"no drag is told: fitted, its mean is {mean:.2g} with a standard error of {error:.2g}"
        f"{why}, and it is left out"
    ]
