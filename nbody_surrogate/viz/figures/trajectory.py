"""A run by itself: where its particles went, and what it conserved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.comparison.curves import band
from nbody_surrogate.contracts.time_text import time_span_text
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.results.metrics import Drift, defined_drifts, drift_curves
from nbody_surrogate.results.trajectory import Ensemble, Trajectory
from nbody_surrogate.results.validity import validity_note
from nbody_surrogate.viz.figures.panel import label_times, say, wrapped
from nbody_surrogate.viz.scene.palette import LIGHT
from nbody_surrogate.viz.scene.title import which_of
from nbody_surrogate.viz.scene.tracks import Track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_run"]

WIDTH = 11.0  # inches
LABELS = ("energy / kinetic energy", "momentum", "angular momentum")
TICKS, FEW_TICKS = 7, 4  # of an axis at most, in the plane and where axes are seen at a slant
FLATTEST = 0.3  # shortest of three axes over the longest
ZOOM = 0.85  # at 1 the numbers and names of the axes stand out of the panel
SMALLEST = 1e-17  # of a scale, below rounding; in place of zero, which has no logarithm


def draw_run(run: Ensemble) -> Figure:
    """Draw the first trajectory's paths in space, and how what is conserved departs over time.

    Of several trajectories, drift_curves are medians in bands between the quartiles. What the
    system does not conserve is not drawn: of its changes no error can be read.
    """
    from nbody_surrogate.viz.figures.canvas import Canvas

    figure = Canvas(figsize=(WIDTH, 4.8), layout="constrained")
    valid = validity_note(run)
    run = run.valid_part()
    if valid is not None:
        figure.suptitle(wrapped(valid, WIDTH), fontsize=10)
    left = figure.add_subplot(1, 2, 1, projection=None if run.x.shape[3] == 2 else "3d")
    _paths(left, run[0].valid_part(), which_of(0, len(run)))
    right = figure.add_subplot(1, 2, 2)
    _departures(right, run)
    return figure


def _paths(ax: Any, run: Trajectory, which: str) -> None:
    words = (which, run.info.label, f"t = {time_span_text(run.t)}")
    title = ", ".join(word for word in words if word)
    ax.set_title(wrapped(title, WIDTH / 2), fontsize=10)
    if not np.isfinite(run.x).any():
        say(ax, "no finite position")
        return
    colours = np.clip(Track.of(run, "run").colours(LIGHT), 0, 1)
    for i, colour in enumerate(colours):
        ax.plot(*run.x[:, i].T, color=colour, linewidth=0.9)
        if run.particles.radii is None:
            ax.plot(*run.x[-1:, i].T, "o", color=colour, markersize=5)
        else:
            _ball(ax, run.x[-1, i], run.particles.radii[0, i], colour)
    ax.set(xlabel="x", ylabel="y")
    if run.x.shape[2] == 2:
        ax.set_aspect("equal", adjustable="datalim")
        ax.locator_params(nbins=TICKS)
    else:
        _equal_axes(ax)


def _ball(ax: Any, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
    """Draw a particle at its true size."""
    if not np.isfinite(centre).all():
        return
    if len(centre) == 2:
        around = np.linspace(0, 2 * np.pi, 65)
        circle = centre[:, None] + radius * np.stack([np.cos(around), np.sin(around)])
        ax.fill(*circle, color=colour, linewidth=0)
        return
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 13), np.linspace(0, 2 * np.pi, 25))
    normals = (np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta))
    sphere = [c + radius * each for c, each in zip(centre, normals, strict=True)]
    ax.plot_surface(*sphere, color=colour, linewidth=0, rcount=13, ccount=25)


def _equal_axes(ax: Any) -> None:
    """Give all three axes one unit of length, and room to their numbers within the figure."""
    ends = np.array([ax.get_xlim3d(), ax.get_ylim3d(), ax.get_zlim3d()])
    half = np.diff(ends)[:, 0] / 2
    half = np.maximum(half, FLATTEST * half.max())  # numbers of a thin one would overlap
    low, high = ends.mean(1) - half, ends.mean(1) + half
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), zlabel="z")
    ax.set_box_aspect(half, zoom=ZOOM)
    ax.locator_params(nbins=FEW_TICKS)


def _departures(ax: Any, run: Ensemble) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    try:
        system = run.system()
        found = drift_curves(system, run.x, run.v, run.particles)
    except (InputError, PluginError):
        say(ax, "its system is not installed: nothing is known of what it conserves")
        return
    kept = [key for key in defined_drifts(system) if key in system.conserved]
    if not kept:
        say(ax, "its system conserves neither energy nor momentum nor angular momentum")
        return
    if len(run.t) < 2:  # a logarithmic axis of nothing cannot be drawn
        say(ax, "no valid frame after the start")
        return
    ax.set(ylabel="departure from the start", yscale="log")
    label_times(ax, float(np.abs(run.t).max()))
    smallest = SMALLEST * _scales(run)
    for values, label, key, least in zip(found, LABELS, Drift._fields, smallest, strict=True):
        if key not in kept:
            continue
        shown = band(np.maximum(values[:, 1:], least))  # NaN stays NaN
        (line,) = ax.plot(run.t[1:], shown.median, label=label)
        if len(run) > 1:
            style = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
            ax.fill_between(run.t[1:], shown.low, shown.high, **style)
    several = f": medians and quartiles of {len(run)} trajectories" if len(run) > 1 else ""
    ax.set_title(f"what the system conserves{several}", fontsize=10)
    ax.legend(frameon=False)


def _scales(run: Ensemble) -> Float64[np.ndarray, "3"]:
    """Return what departures are of the order of at most: energies are relative already."""
    momenta = run.particles.masses[:, None] * np.linalg.norm(run.v, axis=3)
    sizes = np.array([np.nanmax(m) for m in (momenta, momenta * np.linalg.norm(run.x, axis=3))])
    return np.concatenate([[1.0], np.where((sizes > 0) & np.isfinite(sizes), sizes, 1.0)])
