"""Candidates beside their reference: errors, what is conserved, and distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.curves import Band, Histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_comparisons"]

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
TRUTH, FLOOR = "0.1", "0.55"
TWIN = "noise floor: start off by 0.1 % of the spread"


def draw_comparisons(found: Sequence[Comparison]) -> Figure:
    """Draw candidates that share a reference.

    Medians over trajectories with bands between the quartiles; the noise floor is what a true
    solution from a slightly different start differs by.
    """
    from nbody_surrogate.viz.figures.canvas import Canvas

    figure = Canvas(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3)
    over_time = (
        ("position_rmse", "position RMSE", "log"),
        ("energy", "energy error / kinetic energy", "log"),
        ("displacement", "mean squared displacement", "linear"),
    )
    for ax, (name, label, scale) in zip(axes[0], over_time, strict=True):
        if name not in found[0].curves.bands:
            ax.set_axis_off()
            ax.text(0.5, 0.5, "the system has no potential energy", ha="center", va="center")
            continue
        _bands(ax, found, name)
        ax.set(xlabel="time", ylabel=label, yscale=scale)
    for ax, name, label in (
        (axes[1, 0], "speeds", "speed"),
        (axes[1, 1], "pair_distances", "distance of pairs"),
    ):
        _histograms(ax, found, name)
        begin, end = found[0].window.begin, found[0].window.end
        ax.set(xlabel=f"{label}, t = {begin:g} to {end:g}", ylabel="density")
    _valid_times(axes[1, 2], found)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _bands(ax: Any, found: Sequence[Comparison], name: str) -> None:
    # the one that is compared over the most frames shows most of the reference
    first = max(found, key=lambda each: len(each.curves.t))
    bands, t = first.curves.bands[name], first.curves.t
    if "reference" in bands:
        _band(ax, t, bands["reference"], TRUTH, f"{first.reference} (reference)")
    if "twin" in bands:
        ax.plot(t, bands["twin"].median, color=FLOOR, linestyle="--", label=TWIN, zorder=1)
    for number, each in enumerate(found):
        colour = COLOURS[number % len(COLOURS)]
        its, bands = each.curves.t, each.curves.bands[name]
        _band(ax, its, bands["candidate"], colour, each.candidate)
        if "interpolation" in bands:  # what it makes of a run without error
            ax.plot(its[1:], bands["interpolation"].median[1:], color=colour, linestyle=":")


def _band(ax: Any, t: np.ndarray, band: Band, colour: str, label: str) -> None:
    """Leave the start out, where errors are zero and have no logarithm."""
    ax.plot(t[1:], band.median[1:], color=colour, label=label)
    ax.fill_between(t[1:], band.low[1:], band.high[1:], color=colour, alpha=0.15, linewidth=0)


def _histograms(ax: Any, found: Sequence[Comparison], name: str) -> None:
    first: Histogram | None = found[0].curves.histograms.get(name)
    if first is None:
        ax.set_axis_off()
        return
    if "twin" in first.densities:
        ax.stairs(first.densities["twin"], first.edges, color=FLOOR, linestyle="--")
    ax.stairs(first.densities["reference"], first.edges, color=TRUTH, fill=True, alpha=0.15)
    ax.stairs(first.densities["reference"], first.edges, color=TRUTH)
    for number, each in enumerate(found):
        histogram = each.curves.histograms[name]
        colour = COLOURS[number % len(COLOURS)]
        ax.stairs(histogram.densities["candidate"], histogram.edges, color=colour)


def _valid_times(ax: Any, found: Sequence[Comparison]) -> None:
    duration = found[0].duration
    places = np.arange(len(found))[::-1]
    for number, (each, place) in enumerate(zip(found, places, strict=True)):
        interval = np.minimum([each.valid.low, each.valid.high], duration)
        value = min(each.valid.median, duration)  # infinite where the whole run is valid
        ax.barh(place, value, color=COLOURS[number % len(COLOURS)], alpha=0.8)
        ax.plot(interval, [place, place], color=TRUTH)
        if each.valid.median > duration:
            ax.text(0.98 * duration, place, "whole run", ha="right", va="center", color="w")
    ax.set_yticks(places, [each.candidate for each in found])
    ax.set(xlabel="valid prediction time, median and 95 % interval", xlim=(0, duration))
