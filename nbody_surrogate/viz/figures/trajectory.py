"""A run by itself: where its particles went, and what it conserved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.comparison.curves import band
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.results.metrics import Drift, defined_drifts, drift_curves
from nbody_surrogate.results.trajectory import Ensemble, Trajectory
from nbody_surrogate.results.validity import validity_note
from nbody_surrogate.viz.scene.tracks import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_run"]

LABELS = ("energy / kinetic energy", "momentum", "angular momentum")
SMALLEST = 1e-17  # below rounding; in place of zero, which has no logarithm


def draw_run(run: Ensemble) -> Figure:
    """Draw the first trajectory's paths in space, and what departs from the start over time.

    Of several trajectories, drift_curves are medians in bands between the quartiles.
    """
    from nbody_surrogate.viz.figures.canvas import Canvas

    figure = Canvas(figsize=(11, 4.8), layout="constrained")
    valid = validity_note(run)
    run = run.valid_part()
    if valid is not None:
        figure.suptitle(valid, fontsize=10)
    left = figure.add_subplot(1, 2, 1, projection=None if run.x.shape[3] == 2 else "3d")
    _paths(left, run[0].valid_part())
    right = figure.add_subplot(1, 2, 2)
    _departures(right, run)
    return figure


def _paths(ax: Any, run: Trajectory) -> None:
    colours = np.clip(Track.of(run, "run").colours(), 0, 1)
    for i, colour in enumerate(colours):
        ax.plot(*run.x[:, i].T, color=colour, linewidth=0.9)
        ax.plot(*run.x[-1:, i].T, "o", color=colour, markersize=5)
    ax.set_title(f"{run.info.label}, t = {run.t[0]:g} to {run.t[-1]:g}", fontsize=10)
    ax.set_aspect("equal", adjustable="datalim" if run.x.shape[2] == 2 else "box")


def _departures(ax: Any, run: Ensemble) -> None:
    ax.set(xlabel="time", ylabel="departure from the start", yscale="log")
    ax.spines[["top", "right"]].set_visible(False)
    try:
        system = run.system()
        found = drift_curves(system, run.x, run.v, run.particles)
    except (InputError, PluginError):
        ax.set_title("its system is not installed", fontsize=10)
        return
    defined = defined_drifts(system)
    for values, label, key in zip(found, LABELS, Drift._fields, strict=True):
        if key not in defined:
            continue
        shown = band(np.maximum(values[:, 1:], SMALLEST))  # NaN stays NaN
        (line,) = ax.plot(run.t[1:], shown.median, label=label)
        if len(run) > 1:
            style = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
            ax.fill_between(run.t[1:], shown.low, shown.high, **style)
    ax.legend(frameon=False)
