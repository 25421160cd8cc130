"""A study's test errors, drawn."""

from __future__ import annotations

from pathlib import Path

from nbody_surrogate.scorecard import Interval
from nbody_surrogate.study.summary import Table

__all__ = ["draw_study"]

WIDTH, HEIGHT, PER_MODEL = 5.5, 1.0, 0.3  # inches
COLUMNS = 2


def draw_study(tables: list[Table], path: Path) -> None:
    """Draw one panel for each data set: models, their intervals, and the references as lines."""
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
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", dpi=150)
    part.replace(path)


def _draw(panel, table: Table) -> None:  # type: ignore[no-untyped-def]  # matplotlib's axes
    bars: list[tuple[str, Interval, Interval | None]] = [
        (each.name, each.mean, each.rotated) for each in table.models if each.mean is not None
    ]
    bars += [(row["method"], Interval(**row["mean"]), None) for row in table.references]
    for place, (_, mean, rotated) in enumerate(reversed(bars)):
        dark = place >= len(table.references)
        _point(panel, place, mean, "C0" if dark else "0.5", "o")
        if rotated is not None:
            _point(panel, place, rotated, "C3", "s")
    panel.set_yticks(range(len(bars)), [name for name, _, _ in reversed(bars)], fontsize=8)
    panel.set_xscale("log")
    panel.grid(axis="x", alpha=0.3)
    turned = ", red: rotated" if any(rotated for _, _, rotated in bars) else ""
    panel.set_title(
        f"{table.data}, N = {table.particles}, {table.horizon} frames: test MSE{turned}", fontsize=9
    )


def _point(panel, place: int, mean: Interval, color: str, marker: str) -> None:  # type: ignore[no-untyped-def]
    least = max(mean.low, mean.value * 1e-3)
    panel.plot([least, mean.high], [place, place], color=color, lw=2)
    panel.plot([mean.value], [place], marker=marker, color=color, ms=5)
