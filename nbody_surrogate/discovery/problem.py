"""Tracks as a problem: runs, knots over visited distances, the stencil for their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.innovations import CAUSAL, SMOOTH
from nbody_surrogate.discovery.runs import MeasuredRun, measured_run
from nbody_surrogate.discovery.splines import DirectedCurve, Envelope, PairCurve
from nbody_surrogate.discovery.start import first_unknowns
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.law_folder import MOST_KNOTS

if TYPE_CHECKING:
    from jaxtyping import Int64

    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["held_out_part", "problem_of", "seen_part"]

EXACT = 1e-6
"""Noise over the median distance below which tracks are those of a computation."""

ACROSS, ALONG = 10, 14
"""Knots of directed curves. Nine along the axis leave out a thousandth of the forces on a grain
with a wake, and charges over masses are wrong by more than their errors."""

NEAR = 0.3
"""Scale of directed curves over that of the central one: a wake is felt by those just behind."""

EXACT_KNOTS = 2
"""How many times as many knots a curve has where tracks are exact."""


def problem_of(
    runs: Sequence[Tracks], axis: int | None, couplings: bool, same_particles: bool, knots: int
) -> Problem:
    """Return the problem of all frames."""
    measured, first, start = [], 0, 0
    for run in runs:
        measured.append(measured_run(run.x, run.frame_dt, first, start))
        first += 0 if same_particles else run.n
        start += len(run.x)
    if same_particles and len({run.n for run in runs}) > 1:
        raise InputError(
            "`same_particles` needs as many particles in every run, got "
            f"{', '.join(sorted({str(run.n) for run in runs}))}"
        )
    r = np.concatenate([run.visited(3) for run in measured])
    if r.size < 100:
        raise InputError(
            "`tracks` must show particles together, got hardly a frame with two of them"
        )
    curve = PairCurve.over(r, knots, Envelope())
    # about an axis there must be something across it
    directed = None
    if axis is not None and axis < runs[0].dimensions and runs[0].dimensions == 3:
        directed = _directed(measured, axis, curve)
    table = _couplings(measured, same_particles) if couplings else None
    problem = Problem(tuple(measured), curve, directed, axis or 0, CAUSAL, table, robust=True)
    noise = np.sqrt(first_unknowns(problem).noise.max())
    if noise > EXACT * curve.scale:
        return problem
    finer = PairCurve.over(r, min(EXACT_KNOTS * knots, MOST_KNOTS), Envelope())
    return replace(problem, curve=finer, stencil=SMOOTH)


def _directed(runs: list[MeasuredRun], axis: int, curve: PairCurve) -> DirectedCurve:
    rho, z = [], []
    for run in runs:
        i, j = np.triu_indices(run.n, 1)
        for t in range(0, len(run.x), 5):
            both = run.there[t, i] & run.there[t, j]
            apart = (run.x[t, i] - run.x[t, j])[both]
            z.append(apart[:, axis])
            rho.append(np.linalg.norm(np.delete(apart, axis, 1), axis=1))
    # under the central envelope it would be told by the field where it is far from everything
    return DirectedCurve.over(
        np.concatenate(rho),
        np.concatenate(z),
        curve.envelope,
        NEAR * curve.scale,
        (ACROSS, ALONG),
    )


def _couplings(
    runs: list[MeasuredRun], same_particles: bool
) -> tuple[Int64[np.ndarray, "N N"], ...]:
    """Give each pair of all runs a number."""
    tables, count = [], 0
    for run in runs:
        table = np.zeros((run.n, run.n), dtype=np.int64)
        i, j = np.triu_indices(run.n, 1)
        table[i, j] = table[j, i] = count + np.arange(i.size)
        tables.append(table)
        count += 0 if same_particles else i.size
    return tuple(tables)


def seen_part(problem: Problem, begins: list[int]) -> Problem:
    """Return the frames before those that are held out."""
    return _cut(problem, [slice(0, begin) for begin in begins])


def held_out_part(problem: Problem, begins: list[int]) -> Problem:
    """Return the frames that are held out."""
    return _cut(problem, [slice(begin, None) for begin in begins])


def _cut(problem: Problem, parts: list[slice]) -> Problem:
    runs, start = [], 0
    for run, part in zip(problem.runs, parts, strict=True):
        runs.append(run.cut(part, start))
        start += len(runs[-1].x)
    return replace(problem, runs=tuple(runs))
