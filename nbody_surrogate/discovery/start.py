"""Where the search begins: an envelope, and strengths with their signs, out of amplitudes of pairs.

Under a given envelope the force of each ordered pair has one amplitude, response times strength, in
which the equation of motion is linear. So every envelope is held against the tracks by linear
least squares, without a guess of strengths; those of the best one are then split into the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from nbody_surrogate.discovery.equations import Problem, equations
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.splines import Envelope, Knots
from nbody_surrogate.discovery.unknowns import FIELDS, Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["ENVELOPES", "begin", "excerpt", "first_unknowns"]

STRIDE = 4
"""Frames between those whose accelerations are looked at before anything is known."""

TRIALS = 24
"""Patterns of signs that the split into responses and strengths begins with."""

FRAMES = 3000
"""Frames, over all runs, that a start is sought in; it need not be exact."""

ENVELOPES = tuple(
    [Envelope(-2.0, length) for length in (np.inf, 4.0, 2.0, 1.0, 0.5, 0.25)]
    + [Envelope(-2.0, np.inf, core) for core in (0.03, 0.1, 0.3)]
    + [Envelope(power) for power in (-4.0, -1.0, 0.0, 1.0)]
)
"""Candidates; lengths and cores in units of the median distance."""


class Amplitudes(NamedTuple):
    """What linear least squares finds under one envelope: amplitudes of each run, their weights."""

    misfit: float
    sizes: list[Float64[np.ndarray, "N N"]]
    weights: list[Float64[np.ndarray, "N N"]]


def first_unknowns(problem: Problem) -> Unknowns:
    """Return unknowns that know nothing but how rough the tracks are.

    Kicks stand for all acceleration at first, so that no frame is trusted too much.
    """
    layout, d = problem.layout, problem.dimensions
    differences = []
    rough = np.zeros(problem.particles)
    for run in problem.runs:
        for i in range(run.n):
            for part in run.stretches(i, 40):
                x = run.x[part, i]
                # sixth differences of a smooth path are nothing; their noise is of variance 924
                differences.append(np.median(np.diff(x, 6, axis=0) ** 2, axis=0) / (924 * 0.455))
                # the median leaves out encounters, over which frames are too far apart to tell
                second = (np.diff(x[::STRIDE], 2, axis=0) ** 2).sum(1)
                rough[run.first + i] = np.median(second) / (STRIDE * run.dt) ** 3
    noise = np.median(differences, 0) if differences else np.full(d, 1e-6)
    known = rough[rough > 0]
    # one that moves straight may yet be pulled later
    rough = np.maximum(rough, 1e-2 * known.mean() if known.size else 1.0)
    small = 1e-24 * float(np.mean([run.visited(11).mean() for run in problem.runs])) ** 2
    unknowns = Unknowns(
        np.zeros(layout.size),
        layout,
        np.maximum(noise, small),
        np.maximum(rough, small),
    )
    for name in ("curve", "strengths", "responses"):
        unknowns.part(name)[:] = 1.0
    return unknowns


def excerpt(problem: Problem, frames: int = FRAMES) -> Problem:
    """Return the problem of the first frames of each run."""
    share = max(100, frames // len(problem.runs))
    runs, start = [], 0
    for run in problem.runs:
        short = slice(0, share)
        runs.append(
            MeasuredRun(run.x[short], run.dt, run.seen[short], run.there[short], run.first, start)
        )
        start += len(runs[-1].x)
    return replace(problem, runs=tuple(runs))


def begin(
    problem: Problem, envelopes: Sequence[Envelope] = ENVELOPES
) -> list[tuple[Problem, Unknowns]]:
    """Return starts worth going on from, each with its problem.

    One has the strengths of the best envelope, one has all of them alike: where a law changes its
    sign with the distance, no envelope tells the strengths.
    """
    scale = problem.curve.scale
    few = replace(excerpt(problem), directed=None)
    found = []
    for envelope in envelopes:
        here = Envelope(envelope.power, envelope.length * scale, envelope.core * scale)
        trial = replace(few, curve=problem.curve.under(here))
        found.append((_amplitudes(trial), here))
    best, envelope = _sharpened(few, *min(found, key=lambda each: each[0].misfit))
    directed = None if problem.directed is None else problem.directed.under(envelope)
    chosen = replace(problem, curve=problem.curve.under(envelope), directed=directed)
    starts = []
    for unlike in (True, False):
        unknowns = first_unknowns(chosen)
        if unlike:
            _take(chosen, best, unknowns)
        starts.append((chosen, unknowns))
    return starts


def _sharpened(
    problem: Problem, best: Amplitudes, envelope: Envelope
) -> tuple[Amplitudes, Envelope]:
    """Improve the length and the core of an envelope, where it has them."""
    for name in ("core", "length"):
        size = getattr(envelope, name)
        if size == 0.0 or not np.isfinite(size):
            continue

        def tried(log: float, name: str = name, size: float = size, at: Envelope = envelope) -> Any:
            here = replace(at, **{name: size * float(np.exp(log))})
            return _amplitudes(replace(problem, curve=problem.curve.under(here))), here

        def cost(log: float, tried: Callable[[float], Any] = tried) -> float:
            return float(np.log(tried(log)[0].misfit))

        found = minimize_scalar(cost, bounds=(-1.2, 1.2), method="bounded", options={"xatol": 0.02})
        better = tried(float(found.x))
        if better[0].misfit < best.misfit:
            best, envelope = better
    return best, envelope


def _amplitudes(problem: Problem) -> Amplitudes:
    """Fit the amplitude of every ordered pair, with a field and a drag of each particle."""
    unknowns = first_unknowns(problem)
    layout = unknowns.layout
    drop = {layout.part(name).start + d for name in FIELDS for d in range(problem.dimensions)
            if "charge" in name} | set(range(layout.curve))  # fmt: skip
    misfit, sizes, weights = 0.0, [], []
    for run, measured in enumerate(problem.runs):
        found, weight = np.zeros((2, measured.n, measured.n))
        for i in range(measured.n):
            response = layout.part("responses").start + measured.first + i
            a, b, rest = np.zeros((layout.size,) * 2), np.zeros(layout.size), 0.0
            for part in equations(problem, unknowns, run, i):
                for which, x, y in zip(part.which, part.columns, part.innovations, strict=True):
                    # innovations are of what is left beside the start's own forces
                    a[np.ix_(which, which)] += x.T @ x
                    b[which] += x.T @ y
                    rest += float(y @ y)
            keep = np.array([k for k in np.flatnonzero(np.diag(a)) if k not in drop | {response}])
            if not keep.size:
                continue
            size = 1.0 / np.sqrt(np.diag(a)[keep])
            scaled = a[np.ix_(keep, keep)] * size[:, None] * size + 1e-8 * np.eye(keep.size)
            inverse = np.linalg.inv(scaled)
            step, variance = size * (inverse @ (size * b[keep])), np.diag(inverse) * size**2
            misfit += rest - float(step @ b[keep])
            others = np.array([j for j in range(measured.n) if j != i])
            places = layout.part("strengths").start + problem.strengths_of(run, i, others)
            at = {int(k): n for n, k in enumerate(keep)}
            for j, place in zip(others, places, strict=True):
                if place in at:
                    # beside the start's own amplitude, which is 1
                    found[i, j] = 1.0 + step[at[place]]
                    weight[i, j] = 1.0 / variance[at[place]]
        sizes.append(found)
        weights.append(weight)
    return Amplitudes(misfit, sizes, weights)


def _take(problem: Problem, best: Amplitudes, unknowns: Unknowns) -> None:
    """Split amplitudes into responses and strengths, in place."""
    strengths, responses = unknowns.part("strengths"), unknowns.part("responses")
    for run, measured in enumerate(problem.runs):
        amplitudes, weights = best.sizes[run], best.weights[run]
        mine = slice(measured.first, measured.first + measured.n)
        if problem.couplings is not None:
            table = problem.couplings[run]
            off = ~np.eye(measured.n, dtype=bool)
            total = np.bincount(table[off], weights[off], strengths.size)
            sums = np.bincount(table[off], (weights * amplitudes)[off], strengths.size)
            strengths[total > 0] = sums[total > 0] / total[total > 0]
            continue
        response, strength = _product(amplitudes, weights)
        # one sign in all: that of the response, so that masses come out positive where they can
        sign = np.sign(np.sum(response * strength)) or 1.0
        response = response * sign
        share = np.sqrt(np.abs(strength).mean() / np.abs(response).mean())
        responses[mine], strengths[mine] = response * share, strength / share
    unknowns.fix_scales()


def _product(
    amplitudes: Float64[np.ndarray, "N N"], weights: Float64[np.ndarray, "N N"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors whose product is nearest to a matrix, by weighted least squares.

    Alternating least squares, from several patterns of signs: each of its steps is linear, but it
    can end in another pattern than the best.
    """
    n = len(amplitudes)
    rng = np.random.default_rng(0)
    best, chosen = np.inf, (np.ones(n), np.ones(n))
    floor = 1e-9 * max(float(weights.max()), 1e-300)
    for trial in range(TRIALS):
        right = np.ones(n) if trial == 0 else rng.choice([-1.0, 1.0], n)
        left = np.ones(n)
        for _ in range(100):
            left = (weights * amplitudes) @ right / (weights @ right**2 + floor)
            right = (weights * amplitudes).T @ left / (weights.T @ left**2 + floor)
        cost = float((weights * (amplitudes - np.outer(left, right)) ** 2).sum())
        if cost < best:
            best, chosen = cost, (left, right)
    # exactly 0 could never be left again: scales move by the sign of a strength
    return tuple(np.where(np.abs(y) < 1e-3 * np.abs(y).max(), 1e-3 * np.abs(y).max(), y)
                 for y in chosen)  # fmt: skip


def knots_over(problem: Problem, count: int) -> Knots:
    """Return finer or coarser knots over the same distances."""
    old = problem.curve.knots
    low, high = old.first + old.spacing, old.first + old.spacing * (old.count - 2)
    return Knots.over(low, high, count)
