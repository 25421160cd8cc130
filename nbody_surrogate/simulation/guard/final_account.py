"""Whether a run that fell back kept its budget to the end: the replays lose something, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.refine import sharper
from nbody_surrogate.results.guard_events import told_apart
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.simulation.guard.conserved_quantities import (
    ConservedQuantities,
    departure,
)
from nbody_surrogate.simulation.guard.start_scales import StartScales

__all__ = ["FinalAccount", "Replays"]

CHUNK = 64  # frames that are copied at a time: those of a long run need not fit twice
LEAST_BUDGET = 1e-13
"""What rounding alone may lose over some thousand steps of float64, whatever the solver."""


class Replays(NamedTuple):
    """What the reference computed.

    Attributes
    ----------
    solver : AbstractIntegrator
        The reference.
    segments : tuple of range
        For each trajectory of an account, the frames of the segments that it replayed, each from
        the frame that it started from.
    """

    solver: AbstractIntegrator
    segments: tuple[tuple[range, ...], ...]


class FinalAccount:
    """What some trajectories have really lost, over all their frames.

    The running account adds up errors of either sign, and so is an upper bound. A run is not to be
    called a failure by a bound: this is the largest departure from the start, over its scale.

    Parameters
    ----------
    system : AbstractSystem
    particles : Particles, shape (R, N)
    parts : iterable of pairs of ndarray, each (B, F, N, D)
        Positions and velocities of a run, one part after the other.
    rows : list of int
        Which R of the B trajectories it is about.
    scales : StartScales
        Of all B trajectories.
    """

    def __init__(
        self,
        system: AbstractSystem,
        particles: Particles,
        parts: Iterable[tuple[np.ndarray, np.ndarray]],
        rows: list[int],
        scales: StartScales,
    ) -> None:
        read = [
            ConservedQuantities.of(system, *chunk, particles)
            for part in parts
            for chunk in _chunks(*part, rows)
        ]
        keys = read[0].values
        self.values = {key: np.concatenate([r.values[key] for r in read], 1) for key in keys}
        self.scales = {key: scales.scales[key][rows] for key in keys}
        self.rounding = {key: scales.rounding[key][rows] for key in keys}

    def lost(self, key: str, row: int, frames: range) -> float:
        """Largest departure from the first of some frames, over the scale, but for rounding."""
        values = self.values[key][row : row + 1, frames.start : frames.stop]
        largest = float(departure(values - values[:, :1]).max())
        # subtracted and not compared, so that NaN stays what it is
        largest -= min(largest, float(self.rounding[key][row]))
        scale = float(self.scales[key][row])
        # particles at rest have no scale: then nothing may be lost
        return largest / scale if scale > 0 else (np.inf if largest else 0.0)

    def overspent(self, thresholds: dict[str, float], replays: Replays) -> dict[int, str]:
        """Say of each row that is beyond a budget by how much, and what would help."""
        count = next(iter(self.values.values())).shape[1]
        found = {}
        for row, segments in enumerate(replays.segments):
            lost = {key: self.lost(key, row, range(count)) for key in thresholds}
            # negated, so that NaN counts
            beyond = [key for key, budget in thresholds.items() if not lost[key] <= budget]
            if beyond:
                worst = max(beyond, key={k: lost[k] / thresholds[k] for k in beyond}.__getitem__)
                own = sum(self.lost(worst, row, frames) for frames in segments)
                found[row] = _said(worst, lost[worst], own, thresholds[worst], replays.solver)
        return found


def _chunks(
    x: np.ndarray, v: np.ndarray, rows: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for begin in range(0, x.shape[1], CHUNK):
        some = slice(begin, begin + CHUNK)
        yield x[rows, some], v[rows, some]


def _said(key: str, lost: float, own: float, budget: float, solver: AbstractIntegrator) -> str:
    name = key.replace("_", " ")
    reference = RunInfo({}, solver.description).label
    loss, allowed = told_apart(lost, budget)
    return (
        f"it lost {loss} of the scale of its {name}, the budget is {allowed}; the "
        f"reference, {reference}, lost up to {own:.2g} by itself where it replayed: use "
        f"{_advice(solver, budget)}a larger `threshold`"
    )


def _advice(solver: AbstractIntegrator, budget: float) -> str:
    """Name a tighter reference, where there is one that may keep the budget."""
    if budget < LEAST_BUDGET:
        return ""
    try:
        tighter = sharper(solver)
    except InputError:
        return ""
    return f"a tighter reference, such as {RunInfo({}, tighter.description).label}, or "
