"""Numbers with their intervals, a row each, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.discovery.contents import Interval
from nbody_surrogate.discovery.words import interval_text
from nbody_surrogate.viz.html.charts import RIGHT, WIDTH
from nbody_surrogate.viz.html.ticks import nice

__all__ = ["interval_chart"]

ROW, TOP, BOTTOM = 16.0, 6.0, 20.0
LETTER = 6.4  # width of a letter of the names, at most
LONGEST = 18  # letters of a name that are shown
MOST = 60  # rows; of more, those in equal distances


def interval_chart(
    title: str, names: Sequence[str], values: Sequence[Interval], mark: float | None = None
) -> str:
    """Draw intervals below each other.

    Parameters
    ----------
    title : str
    names : sequence of str
        One for each row.
    values : sequence of Interval
    mark : float, optional
        Where a line goes through all rows.

    Returns
    -------
    str
        A ``figure`` with an SVG that needs no script.
    """
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST)).astype(int))
    shown = [values[k] for k in rows]
    words = [_short(names[k]) for k in rows]
    left = 10 + LETTER * max(map(len, words))
    low, high = _ends(shown, mark)
    height = TOP + ROW * len(rows) + BOTTOM

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - left - RIGHT)

    foot = height - BOTTOM
    shapes = [f'<path class="axis" d="M{left:g} {foot:g}H{WIDTH - RIGHT:g}"/>']
    for tick in nice(low, high):
        place = f'x="{across(tick):.1f}" y="{height - 6:g}" text-anchor="middle"'
        shapes.append(f"<text {place}>{number_text(tick)}</text>")
    if mark is not None:
        shapes.append(f'<path class="one" d="M{across(mark):.1f} {TOP}V{foot:g}"/>')
    for k, (word, each) in enumerate(zip(words, shown, strict=True)):
        y = TOP + ROW * (k + 0.5)
        shapes.append(_row(word, each, y, left, across(each.value), *_span(each, across)))
    said = f"{title}: " + ", ".join(
        f"{names[k]} {interval_text(each)}" for k, each in zip(rows, shown, strict=True)
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
        f'aria-label="{escape(said)}">{"".join(shapes)}</svg></figure>'
    )


def _row(word: str, each: Interval, y: float, left: float, x: float, a: float, b: float) -> str:
    tip = escape(f"{word}: {interval_text(each)}")
    return (
        f"<g><title>{tip}</title>"
        f'<text x="{left - 6:g}" y="{y + 4:g}" text-anchor="end">{escape(word)}</text>'
        f'<path class="span" d="M{a:.1f} {y:g}H{b:.1f}"/>'
        f'<circle class="mid" cx="{x:.1f}" cy="{y:g}" r="3.2"/></g>'
    )


def _span(each: Interval, across: Callable[[float], float]) -> tuple[float, float]:
    ends = (each.value if end is None else end for end in (each.low, each.high))
    low, high = (across(end) for end in ends)
    return low, high


def _ends(values: Sequence[Interval], mark: float | None) -> tuple[float, float]:
    """Return the range of all that is drawn, and a little around it."""
    known = [end for each in values for end in (each.low, each.value, each.high) if end is not None]
    known += [] if mark is None else [mark]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
