"""What was found, in the figures of discovery.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.discovery.forecast import Forecasts
from nbody_surrogate.discovery.formulas import RankedFormula
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.intervals import interval
from nbody_surrogate.discovery.joint import joint_parts
from nbody_surrogate.discovery.normal import log_likelihood
from nbody_surrogate.discovery.symmetries import Symmetry
from nbody_surrogate.results.bootstrap import finite_or_none, mean_interval

if TYPE_CHECKING:
    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["findings_of"]

POINTS, BINS = 120, 60


def findings_of(
    runs: Sequence[Tracks],
    estimate: Estimate,
    unseen: Problem,
    draws: np.ndarray,
    symmetries: list[Symmetry],
    formulas: list[RankedFormula],
    forecasts: Forecasts | None,
    notes: list[str],
    command: str,
    seed: int,
) -> dict[str, Any]:
    """Return everything but the law, as plain values."""
    best = next((each.formula.name for each in formulas if each.fits), None)
    return {
        "version": 1,
        "command": command,
        "seed": seed,
        "tracks": _tracks(runs, estimate.problem.particles),
        "curve": _curve(estimate, draws),
        "particles": _particles(runs, estimate, draws),
        "field": _fields(estimate, draws),
        "noise": _noise(estimate, draws),
        "symmetries": [each.to_dict() for each in symmetries],
        "formulas": [each.to_dict() for each in formulas if np.isfinite(each.held_out)],
        "formula": best,
        "residuals": _residuals(estimate, unseen),
        "forecast": None if forecasts is None else _forecast(forecasts),
        "notes": notes,
    }


def _tracks(runs: Sequence[Tracks], particles: int) -> dict[str, Any]:
    return {
        "files": list(dict.fromkeys(run.source.file for run in runs)),
        "runs": len(runs),
        "frames": sum(len(run.x) for run in runs),
        "particles": particles,
        "dimensions": runs[0].dimensions,
        "frame_dt": runs[0].frame_dt,
        "length_unit": runs[0].length_unit,
        "time_unit": runs[0].time_unit,
        "missing": float(np.mean([run.missing for run in runs])),
    }


def _curve(estimate: Estimate, draws: np.ndarray) -> dict[str, Any]:
    problem, part = estimate.problem, estimate.unknowns.layout.part("curve")
    visited = np.concatenate([run.visited(3) for run in problem.runs])
    counts, edges = np.histogram(visited, BINS)
    r = np.linspace(visited.min(), visited.max(), POINTS)
    matrix = problem.curve.matrix(r)
    low, high = np.quantile(draws[:, part] @ matrix.T, [0.025, 0.975], axis=0)
    return {
        "r": r.tolist(),
        "force": (matrix @ estimate.unknowns.part("curve")).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }


def _particles(
    runs: Sequence[Tracks], estimate: Estimate, draws: np.ndarray
) -> list[dict[str, Any]]:
    problem, layout = estimate.problem, estimate.unknowns.layout
    unknown = estimate.unknowns.vector
    found, seen = [], set()
    for k, (run, measured) in enumerate(zip(runs, problem.runs, strict=True)):
        if measured.first in seen:
            continue  # the same particles once more
        seen.add(measured.first)
        mine = slice(measured.first, measured.first + measured.n)
        columns = {}
        for key, name in (("charge", "strengths"), ("charge_to_mass", "responses")):
            whole = layout.part(name)
            if name == "strengths" and problem.couplings is not None:
                columns[key] = np.ones(measured.n), np.ones((len(draws), measured.n))
                continue
            place = slice(whole.start + mine.start, whole.start + mine.stop)
            columns[key] = (
                unknown[place] / np.abs(unknown[place]).mean(),
                draws[:, place] / np.abs(draws[:, place]).mean(1, keepdims=True),
            )
        place = slice(layout.part("drag").start + mine.start, layout.part("drag").start + mine.stop)
        # what is left out was not measured as 0
        told = estimate.freedom.drag != "none"
        columns["drag"] = unknown[place], draws[:, place] if told else np.empty((0, measured.n))
        for i in range(measured.n):
            name = run.names[i] if len(runs) == 1 else f"{k}:{run.names[i]}"
            each = {key: interval(value[i], draw[:, i]) for key, (value, draw) in columns.items()}
            found.append({"name": name, **each})
    return found


def _fields(estimate: Estimate, draws: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for name in estimate.freedom.fields:
        part = estimate.unknowns.layout.part(name)
        for d in range(estimate.problem.dimensions):
            value = float(estimate.unknowns.vector[part][d])
            label = f"{name.replace('_', ' ')} {'xyz'[d]}"
            found.append({"name": label, **interval(value, draws[:, part][:, d])})
    return found


def _noise(estimate: Estimate, draws: np.ndarray) -> dict[str, Any]:
    unknowns, layout = estimate.unknowns, estimate.unknowns.layout
    position = float(np.sqrt(unknowns.noise.mean()))
    # the variance of n Gaussian numbers is known to a share of sqrt(2 / n)
    share = 1.96 * np.sqrt(0.5 / estimate.normal.rows)
    noise = {
        "value": position,
        "low": float(position * (1 - share)),
        "high": float(position * (1 + share)),
    }
    drag = unknowns.part("drag")
    exact = estimate.problem.stencil == SMOOTH  # kicks would be what the curves leave over
    if exact or drag.sum() <= 0 or estimate.problem.couplings is not None:
        return {"position": noise, "temperature": {"value": 0.0, "low": None, "high": None}}

    def temperature(strengths: np.ndarray, responses: np.ndarray, rates: np.ndarray) -> np.ndarray:
        # of sums: a single drag may be known so badly that its draws pass through 0
        kicks = (unknowns.kicks * np.abs(strengths / responses)).sum(-1)
        return np.asarray(kicks / np.maximum(2.0 * rates.sum(-1), 1e-12 * kicks))

    names = ("strengths", "responses", "drag")
    value = temperature(*(unknowns.part(name) for name in names))
    drawn = temperature(*(draws[:, layout.part(name)] for name in names))
    return {"position": noise, "temperature": interval(float(value), drawn)}


def _residuals(estimate: Estimate, unseen: Problem) -> dict[str, Any]:
    """Compare innovations of held-out frames with those of standing still where one was going."""
    source = unseen if any(len(run.x) > 40 for run in unseen.runs) else estimate.problem
    apart = replace(source, joint=False)
    _, residuals = log_likelihood(apart, estimate.unknowns)
    squares = np.zeros(source.particles)
    rows = np.zeros(source.particles)
    total = 0.0
    for m, part in zip(residuals.particles, residuals.parts, strict=True):
        squares[m] += float((part.innovations**2).sum())
        rows[m] += part.innovations.size
        total += part.free
    if source.joint:
        squares[:], rows[:] = 0.0, 0.0
        unknowns = estimate.unknowns
        for each in joint_parts(source, unknowns, with_columns=False, with_noise=False):
            mine = slice(each.first, each.first + each.counted.shape[1])
            squares[mine] += (each.innovations**2).sum((0, 2))
            rows[mine] += each.counted.sum(0) * source.dimensions
    return {
        "r2_held_out": 1.0 - float(squares.sum()) / max(total, 1e-300),
        "chi2": float(squares.sum() / max(rows.sum(), 1.0)),
        "frames": sum(len(run.x) for run in source.runs),
        "per_particle": (squares / np.maximum(rows, 1.0)).tolist(),
    }


def _forecast(forecasts: Forecasts) -> dict[str, Any]:
    mean = mean_interval(forecasts.valid_times)
    # of a single segment the interval is the whole line; no time is below 0
    ends = {"low": finite_or_none(max(mean.low, 0.0)), "high": finite_or_none(mean.high)}
    return {
        "valid_time": {"value": mean.value, **ends},
        "segments": int(forecasts.valid_times.size),
        "whole": forecasts.whole,
        "threshold": forecasts.threshold,
    }
