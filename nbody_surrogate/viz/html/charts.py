"""Small charts as SVG, whose colours follow the page's, with values for the pointer to show."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.time_text import number_text, time_text
from nbody_surrogate.viz.html.ticks import decades, nice
from nbody_surrogate.viz.scene.rounded import rounded

__all__ = ["HEIGHT", "RIGHT", "WIDTH", "Backdrop", "Series", "line_chart"]

WIDTH, HEIGHT = 400.0, 230.0
RIGHT, TOP, BOTTOM = 22.0, 8.0, 36.0
LETTER = 6.4  # width of a digit of the axes' words, at most
MOST_POINTS = 300  # of a curve: more than there are pixels to tell apart
SMALLEST = 1e-16  # of a logarithmic axis, over the largest value: below it is rounding
DIGITS = 3  # of a value under the pointer


class Series(NamedTuple):
    """A curve.

    Attributes
    ----------
    role : str
        ``candidate``, ``reference``, ``twin`` or ``estimate``: its colour.
    x, y : ndarray, shape (P,)
        Of a histogram, P + 1 edges in `x` and densities between them.
    low, high : ndarray, shape (P,), or None
        A band about it.
    name : str
        What its value is called under the pointer; by default its role.
    """

    role: str
    x: Float64[np.ndarray, " X"]
    y: Float64[np.ndarray, " P"]
    low: Float64[np.ndarray, " P"] | None = None
    high: Float64[np.ndarray, " P"] | None = None
    name: str = ""


class Backdrop(NamedTuple):
    """A histogram behind the curves, as high as the chart where it is highest; it has no axis.

    Attributes
    ----------
    edges : ndarray, shape (P + 1,)
    counts : ndarray, shape (P,)
        At least 0.
    """

    edges: Float64[np.ndarray, " X"]
    counts: Float64[np.ndarray, " P"]


def line_chart(
    title: str,
    label: str,
    series: Sequence[Series],
    logarithmic: bool,
    unit: str = "",
    backdrop: Backdrop | None = None,
) -> str:
    """Draw curves over one x axis, or histograms over one set of edges.

    Parameters
    ----------
    title : str
        What the values are.
    label : str
        Of the x axis.
    series : sequence of Series
    logarithmic : bool
        Whether the y axis is; values of zero are left out of it, and the title says so.
    unit : str
        Of the values, for the title.
    backdrop : Backdrop, optional

    Returns
    -------
    str
        A ``figure`` with an SVG that needs no script, or with words where nothing can be drawn.
    """
    notes = ", ".join(filter(None, (unit, "log axis" if logarithmic else "")))
    caption = escape(title) + (f' <span class="faint">{escape(notes)}</span>' if notes else "")
    if (why := _nothing(series, logarithmic)) is not None:
        return f'<figure><figcaption>{caption}</figcaption><p class="empty">{why}</p></figure>'
    axes = _Axes.around(series, logarithmic)
    shapes = [] if backdrop is None else [axes.bars(backdrop)]
    shapes += [axes.frame(), *axes.ticks()]
    for each in series:
        shapes += axes.curve(each)
    middle = (axes.left + WIDTH - RIGHT) / 2
    words = f'<text x="{middle:g}" y="{HEIGHT - 4}" text-anchor="middle">{escape(label)}</text>'
    told = escape(_told(title, label, series))
    data = escape(json.dumps(axes.under_pointer(series, label), allow_nan=False), quote=True)
    return (
        f'<figure class="chart" tabindex="0" data-curves="{data}" aria-label="{told}">'
        f"<figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{told}">'
        + "".join(shapes)
        + words
        + '</svg><output class="readout" aria-live="polite"></output></figure>'
    )


def _nothing(series: Sequence[Series], logarithmic: bool) -> str | None:
    """Say why no curve can be seen."""
    values = np.concatenate([each.y for each in series]) if series else np.zeros(0)
    if max((len(each.y) for each in series), default=0) < 2:
        return "There is no valid frame after the start."
    if not np.isfinite(values).any():
        return "No value is finite."
    if logarithmic and not (values[np.isfinite(values)] > 0).any():
        return "Zero at every frame."
    return None


def _told(title: str, label: str, series: Sequence[Series]) -> str:
    """Describe a chart to who cannot see it: its curves and where they end."""
    ends = [
        f"{each.name or each.role} {_value(known[-1])} at the end"
        for each in series
        if (known := each.y[~np.isnan(each.y)]).size and len(each.x) == len(each.y)
    ]
    return "; ".join([f"{title} over {label}", *ends])


class _Axes(NamedTuple):
    """How values map to the picture; y is a decade where it is logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]
    logarithmic: bool
    smallest: float  # value that has a place, in the unit of the values
    left: float  # where the picture begins, right of the numbers of the y axis

    @classmethod
    def around(cls, series: Sequence[Series], logarithmic: bool) -> _Axes:
        xs = np.concatenate([each.x for each in series])
        bands = [part for each in series for part in (each.y, each.high) if part is not None]
        if not logarithmic:  # of which a band may go below all decades
            bands += [each.low for each in series if each.low is not None]
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
        made = cls(*ends, logarithmic, smallest, 0.0)
        longest = max(len(text) for _, text in made.heights())
        return made._replace(left=14 + LETTER * longest)

    def points(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Map values to the picture, shape (P, 2); what has no place becomes NaN."""
        if self.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.where(y > self.smallest, np.log10(y), np.nan)
        return np.stack([self.across(x), self.upward(y)], axis=1)

    def across(self, x: np.ndarray) -> np.ndarray:
        share = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return np.asarray(self.left + share * (WIDTH - self.left - RIGHT))

    def upward(self, y: np.ndarray) -> np.ndarray:
        share = np.clip((y - self.y[0]) / (self.y[1] - self.y[0]), -0.02, 1.02)
        return np.asarray(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    def bars(self, backdrop: Backdrop) -> str:
        """Draw a histogram within the range of x."""
        edges = np.clip(backdrop.edges, *self.x)
        foot = HEIGHT - BOTTOM
        tops = foot - backdrop.counts / (backdrop.counts.max(initial=0.0) or 1.0) * (foot - TOP)
        places = self.across(edges)
        steps = _path(np.stack([np.repeat(places, 2)[1:-1], np.repeat(tops, 2)], 1))
        first, last = (f"{places[k]:.1f}" for k in (0, -1))
        return f'<path class="bars" d="M{first} {foot:g}L{steps[1:]}L{last} {foot:g}Z"/>'

    def frame(self) -> str:
        return f'<path class="axis" d="M{self.left:g} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'

    def heights(self) -> list[tuple[float, str]]:
        """Give the places of the y axis' numbers, and these."""
        if self.logarithmic:
            return decades(*self.y)
        return [(value, number_text(value)) for value in nice(*self.y)]

    def ticks(self) -> list[str]:
        made = []
        for value in nice(*self.x):
            place = f'x="{self.across(np.array(value)):.1f}" y="{HEIGHT - BOTTOM + 14}"'
            made.append(f'<text {place} text-anchor="middle">{number_text(value)}</text>')
        for value, text in self.heights():
            y = float(self.upward(np.array(value)))
            made.append(f'<path class="grid" d="M{self.left:g} {y:.1f}H{WIDTH - RIGHT}"/>')
            place = f'x="{self.left - 6:g}" y="{y + 4:.1f}"'
            made.append(f'<text {place} text-anchor="end">{text}</text>')
        return made

    def curve(self, each: Series) -> list[str]:
        keep, x, y = _kept(each), each.x, each.y
        made = []
        if each.low is not None and each.high is not None:
            upper = self.points(x[keep], each.high[keep])
            least = 2 * self.smallest if self.logarithmic else -np.inf
            lower = self.points(x[keep], np.maximum(each.low[keep], least))
            both = np.isfinite(upper).all(1) & np.isfinite(lower).all(1)
            path = _path(np.concatenate([upper[both], lower[both][::-1]]))
            made.append(f'<path class="band {each.role}" d="{path}Z"/>' if path else "")
        if len(x) > len(y):  # both ends of each bin, for a curve of steps
            x, y, keep = np.repeat(x, 2)[1:-1], np.repeat(y, 2), np.arange(2 * len(y))
        path = _path(self.points(x[keep], y[keep]))
        made.append(f'<path class="curve {each.role}" d="{path}"/>')
        return made

    def under_pointer(self, series: Sequence[Series], label: str) -> dict[str, Any]:
        """Gather what the script shows: at each place across, its words and those of each curve."""
        first = series[0]
        keep = _kept(first)
        if len(first.x) > len(first.y):
            places = (first.x[1:] + first.x[:-1]) / 2
            ends = [number_text(float(x), DIGITS) for x in first.x]
            texts = [f"{a} to {b}" for a, b in itertools.pairwise(ends)]
        else:
            places, gap = first.x[keep], float(np.diff(first.x).min(initial=np.inf))
            texts = [time_text(float(x), gap if np.isfinite(gap) else 0.0) for x in places]
        return {
            "label": label,
            "x": [round(float(x), 1) for x in self.across(places)],
            "at": texts,
            "curves": [self._told(each, keep) for each in series],
        }

    def _told(self, each: Series, keep: np.ndarray) -> dict[str, Any]:
        heights = self.points(np.zeros(len(keep)), each.y[keep])[:, 1]
        texts = [_value(value) for value in each.y[keep]]
        if each.low is not None and each.high is not None and (each.low < each.high).any():
            low, high = ([_value(v) for v in part[keep]] for part in (each.low, each.high))
            texts = [f"{t} ({a} to {b})" for t, a, b in zip(texts, low, high, strict=True)]
        return {
            "role": each.role,
            "name": each.name or each.role,
            "y": [round(float(y), 1) if np.isfinite(y) else None for y in heights],
            "values": texts,
        }


def _kept(each: Series) -> np.ndarray:
    """Choose the points that are drawn of a long curve."""
    count = len(each.y)
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _value(value: float) -> str:
    """Write a value; one that is not known has none, and that of a failed run is infinite."""
    if np.isnan(value):
        return "none"
    return "∞" if np.isinf(value) else rounded(value, DIGITS)


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
