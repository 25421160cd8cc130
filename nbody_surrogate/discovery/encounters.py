"""Encounters that frames are too far apart for: the law is fitted to what is between them too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nbody_surrogate.discovery.between import steps_between, with_nodes
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate, Smoothness, improve
from nbody_surrogate.discovery.innovations import HUBER, SMOOTH
from nbody_surrogate.discovery.joint import joint_parts, joint_work, settle
from nbody_surrogate.discovery.splines import PairCurve
from nbody_surrogate.discovery.unknowns import Unknowns
from nbody_surrogate.registry.law_folder import MOST_KNOTS

__all__ = ["other_frames", "resolve_encounters"]

MANY = 0.95
"""Share of a particle's rows that its first noise is for. A law that knows no encounters yet is
wrong there by far more than elsewhere, and steps that mind its errors alone are of no use."""

FEW = 8
"""Rounds of a fit with other knots alone."""

STAGES = (6, 8)
"""Rounds, after each of which the law is asked anew where it leads."""

MOST = 0.75
"""Share of the particles whose first noise all others have as well. Two that turn about each other
in a few frames, which frames alone tell nothing of, may need far more."""


def resolve_encounters(fit: Estimate, most_work: float) -> Estimate:
    """Fit a law anew with nodes between the frames, if it needs them.

    Parameters
    ----------
    fit : Estimate
        To what frames alone tell.
    most_work : float
        Operations of one round above which it is left as it is, see `joint_work`.
    """
    problem = fit.problem
    steps = steps_between(problem, fit.unknowns)
    if steps == 1 and problem.stencil == SMOOTH:
        return _closer(fit)
    if steps == 1 or steps * joint_work(problem) > most_work:
        return fit
    problem = replace(with_nodes(problem, steps), joint=True)
    fit = _with_first_noise(_finer(replace(fit, problem=_led(problem, fit.unknowns))))
    for rounds in STAGES:
        # a law that knows more of an encounter leads through more of them
        fit = replace(fit, problem=_led(fit.problem, fit.unknowns))
        fit = improve(fit.problem, fit.unknowns, fit.freedom, fit.smoothness, rounds)
    return fit


def _closer(fit: Estimate) -> Estimate:
    """Return the law of exact tracks by as many knots as a law may have, if that is likelier."""
    other = _finer(fit)
    other = improve(other.problem, other.unknowns, other.freedom, other.smoothness, FEW)
    more = 0.5 * np.log(fit.normal.rows) * (other.unknowns.vector.size - fit.unknowns.vector.size)
    gain = other.normal.log_likelihood - fit.normal.log_likelihood
    return other if gain > more else fit


def _led(problem: Problem, unknowns: Unknowns) -> Problem:
    """Return the problem in which a law is asked for what it leads through, and nothing else."""
    runs = tuple(replace(run, led=None) for run in problem.runs)
    problem = replace(problem, runs=runs)
    led = [settle(problem, unknowns, run) for run in range(len(runs))]
    return replace(
        problem, runs=tuple(replace(run, led=each) for run, each in zip(runs, led, strict=True))
    )


def other_frames(estimate: Estimate, frames: Problem) -> Problem:
    """Return the problem with the frames of another, and as many nodes between them."""
    other = replace(estimate.problem, runs=frames.runs)
    if not estimate.problem.has_nodes:
        return other
    return _led(with_nodes(other, estimate.problem.runs[0].steps), estimate.unknowns)


def _finer(fit: Estimate) -> Estimate:
    """Return the same law by more knots, finest where particles meet."""
    problem, old = fit.problem, fit.problem.curve
    r = np.concatenate([run.visited() for run in problem.runs])
    curve = PairCurve.close(r, MOST_KNOTS, old.envelope)
    scale = curve.scale
    low, high = (float(y / (y + scale)) for y in (r.min(), r.max()))
    u = np.linspace(low, high, 20 * MOST_KNOTS)
    at = scale * u / (1.0 - u)
    ratio = old.knots.matrix(at / (at + old.scale)) @ fit.unknowns.part("curve")
    problem = replace(problem, curve=curve)
    unknowns = fit.unknowns.moved_to(problem.layout)
    unknowns.part("curve")[:] = np.linalg.lstsq(curve.knots.matrix(u), ratio, rcond=None)[0]
    return replace(fit, problem=problem, unknowns=unknowns, smoothness=Smoothness.loose(unknowns))


def _with_first_noise(fit: Estimate) -> Estimate:
    """Return the same with kicks as strong as what the law leaves, where it leaves most."""
    problem, unknowns = replace(fit.problem, robust=False), fit.unknowns.copy()
    sizes: list[list[np.ndarray]] = [[] for _ in unknowns.kicks]
    for part in joint_parts(problem, unknowns, None, False, False):
        size = np.linalg.norm(part.innovations, axis=-1)
        for i in range(size.shape[1]):
            sizes[part.first + i].append(size[part.counted[:, i], i])
    level = []
    for m, mine in enumerate(sizes):
        left = np.concatenate(mine) if mine else np.zeros(0)
        if left.size:
            level.append(unknowns.kicks[m] * (float(np.quantile(left, MANY)) / HUBER) ** 2)
    most = float(np.quantile(level, MOST)) if level else 0.0
    dt = problem.runs[0].dt
    unknowns.kicks[:] = np.maximum(unknowns.kicks, most)
    unknowns.noise[:] = np.maximum(unknowns.noise, 0.1 * most * dt**3)
    return replace(fit, unknowns=unknowns)
