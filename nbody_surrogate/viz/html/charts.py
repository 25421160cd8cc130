"""Small charts as SVG, whose colours follow the page's: light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.time_text import number_text

__all__ = ["Series", "line_chart"]

WIDTH, HEIGHT = 400.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 8.0, 34.0
MOST_POINTS = 300  # of a curve: more than there are pixels to tell apart
SMALLEST = 1e-16  # of a logarithmic axis, over the largest value: below it is rounding
TICKS = 5  # at most, about, so that words do not touch


class Series(NamedTuple):
    """A curve.

    Attributes
    ----------
    role : str
        ``candidate``, ``reference`` or ``twin``: its colour.
    x, y : ndarray, shape (P,)
    low, high : ndarray, shape (P,), or None
        A band about it.
    """

    role: str
    x: Float64[np.ndarray, " P"]
    y: Float64[np.ndarray, " P"]
    low: Float64[np.ndarray, " P"] | None = None
    high: Float64[np.ndarray, " P"] | None = None


def line_chart(title: str, label: str, series: Sequence[Series], logarithmic: bool) -> str:
    """Draw curves; `label` is that of the x axis. Values of zero are left out of a log axis."""
    axes = _Axes.around(series, logarithmic)
    shapes = [axes.frame(), *axes.ticks()]
    for each in series:
        shapes += axes.curve(each)
    words = f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(label)}</text>'
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">'
        + "".join(shapes)
        + words
        + "</svg></figure>"
    )


class _Axes(NamedTuple):
    """How values map to the picture; y is a decade where it is logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]
    logarithmic: bool
    smallest: float  # value that has a place, in the unit of the values

    @classmethod
    def around(cls, series: Sequence[Series], logarithmic: bool) -> _Axes:
        xs = np.concatenate([each.x for each in series])
        bands = [part for each in series for part in (each.y, each.high) if part is not None]
        ys = np.concatenate(bands)
        ys = ys[np.isfinite(ys)]
        smallest = SMALLEST * float(ys.max(initial=0.0))  # errors may be of metres, and all tiny
        if logarithmic:
            ys = np.log10(ys[ys > smallest])
        low = float(ys.min()) if len(ys) else 0.0
        high = float(ys.max()) if len(ys) else 1.0
        # Whole decades, or from zero to a little above the highest.
        low = np.floor(low) if logarithmic else min(low, 0.0)
        high = np.ceil(high) if logarithmic else 1.05 * high
        high = high if high > low else low + 1
        ends = (float(xs.min()), float(xs.max())), (float(low), float(high))
        return cls(*ends, logarithmic, smallest)

    def points(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Map values to the picture, shape (P, 2); what has no place becomes NaN."""
        if self.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.where(y > self.smallest, np.log10(y), np.nan)
        return np.stack([self.across(x), self.upward(y)], axis=1)

    def across(self, x: np.ndarray) -> np.ndarray:
        share = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return np.asarray(LEFT + share * (WIDTH - LEFT - RIGHT))

    def upward(self, y: np.ndarray) -> np.ndarray:
        share = np.clip((y - self.y[0]) / (self.y[1] - self.y[0]), -0.02, 1.02)
        return np.asarray(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    def frame(self) -> str:
        return f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'

    def ticks(self) -> list[str]:
        made = []
        for value in _nice(*self.x):
            place = f'x="{self.across(np.array(value)):.1f}" y="{HEIGHT - BOTTOM + 14}"'
            made.append(f'<text {place} text-anchor="middle">{number_text(value)}</text>')
        for value in _decades(*self.y) if self.logarithmic else _nice(*self.y):
            place = f'x="{LEFT - 6}" y="{self.upward(np.array(value)) + 4:.1f}"'
            text = f"1e{value:.0f}" if self.logarithmic else number_text(value)
            made.append(f'<text {place} text-anchor="end">{text}</text>')
        return made

    def curve(self, each: Series) -> list[str]:
        keep = np.unique(np.linspace(0, len(each.x) - 1, min(len(each.x), MOST_POINTS)).astype(int))
        made = []
        if each.low is not None and each.high is not None:
            upper = self.points(each.x[keep], each.high[keep])
            lower = self.points(each.x[keep], np.maximum(each.low[keep], 2 * self.smallest))
            both = np.isfinite(upper).all(1) & np.isfinite(lower).all(1)
            path = _path(np.concatenate([upper[both], lower[both][::-1]]))
            made.append(f'<path class="band {each.role}" d="{path}Z"/>' if path else "")
        path = _path(self.points(each.x[keep], each.y[keep]))
        made.append(f'<path class="curve {each.role}" d="{path}"/>')
        return made


def _path(points: np.ndarray) -> str:
    """Join points, with gaps where one has no place."""
    parts, pen = [], "M"
    for x, y in points:
        if not (np.isfinite(x) and np.isfinite(y)):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)


def _nice(low: float, high: float) -> list[float]:
    """Choose round numbers between two."""
    span = (high - low) or 1.0
    raw = span / TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    # whole numbers of steps, as sums of them would not be round, and no -0
    return [float(f"{k * step:.12g}") + 0.0 for k in np.arange(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    step = max(1, int(np.ceil((high - low) / TICKS)))
    return [float(v) for v in np.arange(low, high + 0.5, step)]
