"""A study's test errors, drawn."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import fill

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.files.figure import save
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.study.summary import Table

__all__ = ["draw_study"]

WIDTH, HEIGHT, PER_MODEL = 6.0, 1.2, 0.36  # inches
COLUMNS = 2
LONGEST = 26  # characters of a line of a model's name
NARROW = 300.0  # ratio of the ends of an axis that needs more than powers of ten
BELOW = 30.0  # so far below the best model references are drawn as an arrow
APART = 0.18  # between the two points of a model


def draw_study(tables: list[Table], path: Path) -> None:
    """Draw one panel for each data set: models, their intervals, and the references in grey.

    Raises
    ------
    RunError
        If the figure cannot be written.
    """
    from matplotlib.figure import Figure

    columns = min(len(tables), COLUMNS)
    rows = -(-len(tables) // columns)
    tallest = max(len(table.models) + len(table.references) for table in tables)
    figure = Figure(
        figsize=(WIDTH * columns, rows * (HEIGHT + PER_MODEL * tallest)), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, table in zip(panels, tables, strict=False):
        _draw(panel, table)
    for panel in panels[len(tables) :]:
        panel.set_visible(False)
    save(figure, path)


def _draw(panel, table: Table) -> None:  # type: ignore[no-untyped-def]  # matplotlib's axes
    bars: list[tuple[str, Interval, Interval | None]] = [
        (each.name, each.mean, each.rotated) for each in table.models if each.mean is not None
    ]
    bars += [(row["method"], Interval(**row["mean"]), None) for row in table.references]
    least = min((each.mean.value for each in table.models if each.mean), default=0.0) / BELOW
    for place, (_, mean, rotated) in enumerate(reversed(bars)):
        trained, apart = place >= len(table.references), 0.0 if rotated is None else APART
        _point(panel, place + apart, mean, "C0" if trained else "0.5", "o", least)
        if rotated is not None:
            _point(panel, place - apart, rotated, "C3", "s", least)
    names = [fill(name, LONGEST) for name, _, _ in reversed(bars)]
    panel.set_yticks(range(len(bars)), names, fontsize=8)
    panel.set_xscale("log")
    _mark(panel)
    turned = " (red: rotated trajectories)" if any(rotated for _, _, rotated in bars) else ""
    panel.set_xlabel(f"test x-MSE{turned}")
    panel.set_title(
        f"{table.data}, N = {table.particles}, {counted(table.horizon, 'frame')}", fontsize=10
    )
    panel.spines[["top", "right"]].set_visible(False)


def _mark(panel) -> None:  # type: ignore[no-untyped-def]
    """Label powers of ten; where there are few, what is between them, too."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = panel.get_xlim()
    if high / low < NARROW:
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="x", alpha=0.3)


def _point(  # type: ignore[no-untyped-def]
    panel, place: float, mean: Interval, color: str, marker: str, least: float
) -> None:
    """Draw a mean and its interval, or an arrow where they are less than what is shown."""
    if not math.isfinite(mean.value):
        panel.annotate("failed", (0.98, place), xycoords=("axes fraction", "data"), fontsize=7,
                       ha="right", va="center", color=color)  # fmt: skip
        return
    if mean.value < least:
        panel.plot([least], [place], marker="<", color=color, ms=6)
        panel.annotate(f"{mean.value:.0e}", (least, place), (6, -3), textcoords="offset points",
                       fontsize=7, color=color)  # fmt: skip
        return
    panel.plot([max(mean.low, least), mean.high], [place, place], color=color, lw=2)
    panel.plot([mean.value], [place], marker=marker, color=color, ms=5)
