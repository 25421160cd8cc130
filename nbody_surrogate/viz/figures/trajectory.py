"""A trajectory by itself: where its particles went, and what it kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.results.metrics import Drift, defined_drifts, departures
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.tracks import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_trajectory"]

KEPT = ("energy / kinetic energy", "momentum", "angular momentum")


def draw_trajectory(run: Trajectory) -> Figure:
    """Draw the paths in space, and the departures of conserved quantities over time."""
    from nbody_surrogate.viz.figures.canvas import Canvas

    figure = Canvas(figsize=(11, 4.8), layout="constrained")
    left = figure.add_subplot(1, 2, 1, projection=None if run.x.shape[2] == 2 else "3d")
    _paths(left, run)
    right = figure.add_subplot(1, 2, 2)
    _kept(right, run)
    return figure


def _paths(ax: Any, run: Trajectory) -> None:
    colours = np.clip(Track.of(run, "run").colours(), 0, 1)
    for i, colour in enumerate(colours):
        ax.plot(*run.x[:, i].T, color=colour, linewidth=0.9)
        ax.plot(*run.x[-1:, i].T, "o", color=colour, markersize=5)
    ax.set_title(f"{run.info.label}, t = {run.t[0]:g} to {run.t[-1]:g}", fontsize=10)
    ax.set_aspect("equal", adjustable="datalim" if run.x.shape[2] == 2 else "box")


def _kept(ax: Any, run: Trajectory) -> None:
    ax.set(xlabel="time", ylabel="departure from the start", yscale="log")
    ax.spines[["top", "right"]].set_visible(False)
    try:
        system = run.system()
        found = departures(system, run.x[None], run.v[None], run.particles)[:, 0]
    except (InputError, PluginError):
        ax.set_title("its system is not installed", fontsize=10)
        return
    for values, label, key in zip(found, KEPT, Drift._fields, strict=True):
        if key not in defined_drifts(system):
            continue
        ax.plot(run.t[1:], np.maximum(values[1:], 1e-17), label=label)
    ax.legend(frameon=False)
