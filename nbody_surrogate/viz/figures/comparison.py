"""Candidates beside their reference: errors, what is conserved, and distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.curves import Band, Histogram
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.viz.figures.panel import label_times, legend_above, say, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_comparisons"]

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
TRUTH, FLOOR = "0.1", "0.55"
WIDTH, HEIGHT = 13.0, 7.5  # inches
FEW, PER_CANDIDATE = 6, 0.35  # candidates that the height has room for, and inches for each more
NAME = 40  # letters of a candidate's name over its bar
FEWEST = 4  # slots for bars, so that one by itself does not fill its panel
LOWER, HIGHER = 0.14, 0.05  # of an interval and of words on one bar, from its middle
BAR = 0.42  # of the room of a candidate, whose name takes the rest
TWIN = "noise floor: start off by 0.1 % of the spread"


def draw_comparisons(found: Sequence[Comparison]) -> Figure:
    """Draw candidates that share a reference.

    Medians over trajectories with bands between the quartiles; the noise floor is what a true
    solution from a slightly different start differs by. Where there is nothing to draw, words say
    why.
    """
    from nbody_surrogate.viz.figures.canvas import Canvas

    height = HEIGHT + PER_CANDIDATE * max(len(found) - FEW, 0)
    figure = Canvas(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(2, 3)
    over_time = (
        ("position_rmse", "position RMSE", "log"),
        ("energy", "energy error / kinetic energy", "log"),
        ("displacement", "mean squared displacement", "linear"),
    )
    handles: dict[str, Any] = {}
    for ax, (name, label, scale) in zip(axes[0], over_time, strict=True):
        ax.spines[["top", "right"]].set_visible(False)
        if (why := _nothing(found, name)) is not None:
            say(ax, f"{label}: {why}")
            continue
        _bands(ax, found, name)
        ax.set(ylabel=label, yscale=scale)
        label_times(ax, max(float(each.curves.t[-1]) for each in found))
        drawn, labels = ax.get_legend_handles_labels()
        handles = (
            dict(zip(labels, drawn, strict=True)) | handles
        )  # the last has the reference first
    for ax, name, label in (
        (axes[1, 0], "speeds", "speed"),
        (axes[1, 1], "pair_distances", "distance of pairs"),
    ):
        _histograms(ax, found, name, label)
    _valid_times(axes[1, 2], found)
    legend_above(figure, list(handles.values()), list(handles))
    return figure


def _nothing(found: Sequence[Comparison], name: str) -> str | None:
    """Say why a quantity cannot be drawn over time."""
    if name not in found[0].curves.bands:
        return "the system has no potential energy"
    if name == "energy" and name not in found[0].conserved:
        return "the system does not conserve it"
    if all(len(each.curves.t) < 2 for each in found):
        return "no valid frame after the start"
    medians = [band.median[1:] for each in found for band in each.curves.bands[name].values()]
    values = np.concatenate(medians)
    if not np.isfinite(values).any():
        return "no finite value"
    if name != "displacement" and not (values[np.isfinite(values)] > 0).any():
        return "zero at every frame"
    return None


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


def _histograms(ax: Any, found: Sequence[Comparison], name: str, label: str) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    first: Histogram | None = found[0].curves.histograms.get(name)
    if first is None:
        say(ax, f"{label}: there is one particle")
        return
    if all(len(each.curves.t) < 2 for each in found):
        say(ax, f"{label}: no valid frame after the start")
        return
    if "twin" in first.densities:
        ax.stairs(first.densities["twin"], first.edges, color=FLOOR, linestyle="--")
    ax.stairs(first.densities["reference"], first.edges, color=TRUTH, fill=True, alpha=0.15)
    ax.stairs(first.densities["reference"], first.edges, color=TRUTH)
    for number, each in enumerate(found):
        histogram = each.curves.histograms[name]
        colour = COLOURS[number % len(COLOURS)]
        ax.stairs(histogram.densities["candidate"], histogram.edges, color=colour)
    begin, end = (number_text(t) for t in (found[0].window.begin, found[0].window.end))
    ax.set(xlabel=f"{label}\nt = {begin} to {end}", ylabel="density")


def _valid_times(ax: Any, found: Sequence[Comparison]) -> None:
    """Draw a bar for each candidate, its name above it: beside it there is no room."""
    ax.spines[["top", "right", "left"]].set_visible(False)
    duration = found[0].duration
    if not duration > 0:
        say(ax, "valid prediction time: no frame after the start")
        return
    slots = max(len(found), FEWEST)
    places = slots - 1 - np.arange(len(found))
    for number, (each, place) in enumerate(zip(found, places, strict=True)):
        ax.text(0, place + 0.24, shortened(each.candidate, NAME), va="bottom", fontsize=9)
        if math.isnan(each.valid.median):
            ax.text(0, place, "nothing is known", va="center", fontsize=9, color="0.4")
            continue
        interval = np.minimum([each.valid.low, each.valid.high], duration)
        value = min(each.valid.median, duration)  # infinite where the whole run is valid
        ax.barh(place, value, BAR, color=COLOURS[number % len(COLOURS)], alpha=0.8)
        whole = each.valid.median > duration  # its words have the bar's upper part
        ax.plot(interval, 2 * [place - (LOWER if whole else 0.0)], color=TRUTH)
        if whole:
            style = {"ha": "right", "va": "center", "color": "w", "fontsize": 9}
            ax.text(0.98 * duration, place + HIGHER, "whole run", **style)
    ax.set(yticks=[], xlim=(0, duration), ylim=(-0.5, slots - 0.3))
    label_times(ax, duration)
    ax.set_xlabel("valid prediction time\nmedian and 95 % interval")
