"""The work-precision diagram: error over time, a panel for each horizon and batch."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision
from nbody_surrogate.evaluation.work_precision.verdict import at_once

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_work_precision"]

COLOURS = {
    "dop853": "#1f77b4",
    "dop853+numpy": "#7fb2d9",
    "rk45": "#2ca02c",
    "rk45+numpy": "#93cf93",
    "dop853-compiled": "#08306b",
    "hermite4": "#17becf",
    "leapfrog": "#9467bd",
    "yoshida4": "#8c564b",
    "rk4": "#7f7f7f",
    "srkn4": "#1b9e77",
    "srkn6": "#004d40",
    "exact-flow": "#5254a3",
    "symplectic-euler": "#c7c7c7",
    "boris": "#6b6ecf",
}
LEARNED = ("#d62728", "#ff7f0e", "#e377c2", "#bcbd22", "#f7b6d2")
MARKERS = "osD^vP<>"
LETTERS = 12  # of the headline, to an inch


def draw_work_precision(found: WorkPrecision) -> Figure:
    """Draw all horizons (columns) and batches (rows); lower left is better."""
    from matplotlib.figure import Figure

    horizons = list(dict.fromkeys(horizon for horizon, _ in found.groups))
    batches = list(dict.fromkeys(batch for _, batch in found.groups))
    size = (3.2 + 4.1 * len(horizons), 1.8 + 3.5 * len(batches))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(batches), len(horizons), sharex="row", sharey=True, squeeze=False)
    styles = _styles(found.points)
    for row, batch in zip(axes, batches, strict=True):
        for ax, horizon in zip(row, horizons, strict=True):
            _panel(ax, found.group(horizon, batch), styles, found.reference_errors[horizon])
            ax.set_title(f"t = {number_text(horizon)}, {at_once(batch)}", fontsize=10)
        row[0].set_ylabel("position RMSE, median of starts")
    floors, errors = found.reference_errors.values(), [p.error.high for p in found.points]
    # infinite where a method failed on most starts
    axes[0, 0].set_ylim(min(floors) / 2, 2 * max(filter(math.isfinite, errors), default=1.0))
    for ax in axes[-1]:
        clock = found.conditions["clock"]
        ax.set_xlabel(f"ms of {clock} time per time unit and trajectory")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    lines = [textwrap.fill(line, int(LETTERS * size[0])) for line in _headline(found)]
    figure.suptitle("\n".join(lines), fontsize=10)
    return figure


def _panel(ax: Any, group: list[Point], styles: dict[str, dict[str, Any]], floor: float) -> None:
    for family in dict.fromkeys(point.family for point in group):
        points = sorted((p for p in group if p.family == family), key=lambda p: p.milliseconds)
        points = [p for p in points if math.isfinite(p.error.value)]
        if not points:
            continue
        error = np.array([(p.error.low, p.error.value, p.error.high) for p in points]).T
        time = np.array([(p.lower_quartile, p.milliseconds, p.upper_quartile) for p in points]).T
        ax.errorbar(
            time[1],
            error[1],
            np.abs(np.where(np.isfinite(error), error, np.nan)[[0, 2]] - error[1]),
            np.abs(time[[0, 2]] - time[1]),
            label=family,
            elinewidth=0.7,
            **styles[family],
        )
    front = sorted((p for p in group if p.on_front), key=lambda p: p.milliseconds)
    x, y = [p.milliseconds for p in front], [p.error.value for p in front]
    ax.step(x, y, where="post", color="0.75", linewidth=5, zorder=0, label="front")
    ax.set(xscale="log", yscale="log")
    ax.axhspan(floor / 1e3, floor, color="0.9", zorder=-1, label="error of the reference")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def _styles(points: list[Point]) -> dict[str, dict[str, Any]]:
    """Solvers have dots and lines of cool colours, surrogates large stars of warm ones."""
    styles: dict[str, dict[str, Any]] = {}
    families = {point.family: point.learned for point in points}
    for number, (family, learned) in enumerate(families.items()):
        if learned:
            colour = LEARNED[sum(s["marker"] == "*" for s in styles.values()) % len(LEARNED)]
            styles[family] = {"color": colour, "marker": "*", "markersize": 14, "zorder": 5}
        else:
            colour = COLOURS.get(family, f"C{number % 10}")
            marker = MARKERS[number % len(MARKERS)]
            styles[family] = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
    return styles


def _headline(found: WorkPrecision) -> tuple[str, str]:
    c = found.conditions
    threads = f"{c['threads']} thread" + ("s" if c["threads"] > 1 else "")
    return (
        f"{c['system']['system']}, {counted(c['particles'], 'particle')}, "
        f"{counted(c['trajectories'], 'start')}, "
        f"{threads} of {c['processor']}{found.elsewhere()}; truth: {found.reference}",
        "medians; bars: 95 % intervals of errors, quartiles of times; lower left is better",
    )
