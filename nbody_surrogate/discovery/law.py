"""What was found, as the parameters of the system `discovered`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.discovery.innovations import SMOOTH
from nbody_surrogate.discovery.states import smoothed_states
from nbody_surrogate.discovery.unknowns import FIELDS

__all__ = ["law_of", "masses_of"]

SNAPSHOTS = 8
"""States of the tracks that runs of the law may begin with."""


def law_of(estimate: Estimate) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters, and notes on what they leave out.

    The particles are those of the longest run.
    """
    problem, unknowns, notes = estimate.problem, estimate.unknowns, []
    run = int(np.argmax([len(each.x) for each in problem.runs]))
    measured = problem.runs[run]
    mine = slice(measured.first, measured.first + measured.n)
    charges, masses, couplings = masses_of(estimate, run)
    if (masses <= 0).any():
        wrong = ", ".join(str(i) for i in np.flatnonzero(masses <= 0))
        notes.append(
            f"particles {wrong} answer with the other sign than they act with: no mass does that, "
            "and the simulator takes its size"
        )
        masses = np.abs(masses)
    drag, power = _drag_law(estimate, masses, mine)
    law: dict[str, Any] = {
        "frame_dt": measured.dt,
        "dimensions": problem.dimensions,
        "pair": problem.curve.to_dict(unknowns.part("curve")),
        "directed": None,
        "drag": drag,
        "drag_power": power,
        "temperature": _temperature(estimate, masses, mine, drag, power),
        "charges": charges.tolist(),
        "masses": masses.tolist(),
        "couplings": None if couplings is None else couplings.tolist(),
    }
    for name in FIELDS:
        law[name] = [*unknowns.part(name).tolist(), *([0.0] * (3 - problem.dimensions))]
    if problem.directed is not None and estimate.freedom.directed:
        across, along = unknowns.part("across"), unknowns.part("along")
        law["directed"] = problem.directed.to_dict(across, along)
    law["starts_x"], law["starts_v"] = _snapshots(estimate, run)
    return law, notes


def masses_of(estimate: Estimate, run: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return charges, masses and couplings of a run's particles: q = s, q / m = response."""
    problem, unknowns = estimate.problem, estimate.unknowns
    measured = problem.runs[run]
    mine = slice(measured.first, measured.first + measured.n)
    responses = unknowns.part("responses")[mine]
    if problem.couplings is None:
        charges = unknowns.part("strengths")[mine].copy()
        return charges, charges / responses, None
    couplings = unknowns.part("strengths")[problem.couplings[run]]
    np.fill_diagonal(couplings, 0.0)
    ones = np.ones(measured.n)
    return ones, ones / responses, couplings


def _drag_law(estimate: Estimate, masses: np.ndarray, mine: slice) -> tuple[float, float]:
    """Return drag and power of gamma = drag mass^power, nearest to all."""
    drag = estimate.unknowns.part("drag")[mine]
    if estimate.freedom.drag != "each" or not drag.any():
        return max(float(drag.mean()), 0.0), 0.0
    part = estimate.unknowns.layout.part("drag")
    variance = np.diag(estimate.covariance)[part][mine]
    weight = 1.0 / np.maximum(variance, 1e-300)
    mean = float(weight @ drag / weight.sum())
    if len(drag) < 4 or (drag <= 0).any() or np.ptp(np.log(masses)) < 0.05:
        return max(mean, 0.0), 0.0
    # errors of the logarithm are those of the rate over it
    rows = (
        np.stack([np.ones_like(masses), np.log(masses)], -1) * (drag / np.sqrt(variance))[:, None]
    )
    right = np.log(drag) * drag / np.sqrt(variance)
    found = np.linalg.lstsq(rows, right, rcond=None)[0]
    return float(np.exp(found[0])), float(found[1])


def _temperature(
    estimate: Estimate, masses: np.ndarray, mine: slice, drag: float, power: float
) -> float:
    """Return the temperature of kicks that balance the drag, of all particles together."""
    if drag <= 0 or estimate.problem.stencil == SMOOTH:
        return 0.0  # what seems to kick exact tracks is what the curves leave over
    rates = drag * masses**power
    return float(np.sum(estimate.unknowns.kicks[mine] * masses) / (2.0 * np.sum(rates)))


def _snapshots(estimate: Estimate, run: int) -> tuple[list[Any], list[Any]]:
    """Return smoothed states of frames in which all particles are there."""
    x, v = smoothed_states(estimate.problem, estimate.unknowns, run)
    whole = np.flatnonzero(np.isfinite(x).all((1, 2)))
    if not whole.size:
        # particles that are never there together: each from its own first frame
        first = [np.flatnonzero(np.isfinite(x[:, i, 0]))[:1] for i in range(x.shape[1])]
        if any(not f.size for f in first):
            raise ValueError("a particle has no stretch that is long enough")
        x = np.stack([x[f[0], i] for i, f in enumerate(first)])[None]
        v = np.stack([v[f[0], i] for i, f in enumerate(first)])[None]
        return x.tolist(), v.tolist()
    chosen = whole[np.unique(np.linspace(0, whole.size - 1, SNAPSHOTS).astype(int))]
    return x[chosen].tolist(), v[chosen].tolist()
