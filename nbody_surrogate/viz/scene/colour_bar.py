"""The bar that says what colours stand for: a title, round numbers, and what lies beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from nbody_surrogate.viz.scene import shapes
from nbody_surrogate.viz.scene.colouring import Scale
from nbody_surrogate.viz.scene.overlay import Overlay
from nbody_surrogate.viz.scene.palette import Palette

__all__ = ["BAR_HEIGHT", "bar_title", "draw_bar", "ticks"]

BAR_HEIGHT = 84.0  # units, from the numbers' lower edge to the title's upper one
WIDTH, HEIGHT = 260.0, 14.0
T = TypeVar("T")
ROOM = 0.2  # of the bar, between the middles of words
MOST_STEPS = 5  # between round numbers: more of them would touch
PLAIN = (-3, 4)  # powers of ten that are written out


def draw_bar(overlay: Overlay, scale: Scale, corner: tuple[float, float], palette: Palette) -> None:
    """Draw the bar of a scale, with its lower left corner at a place in pixels."""
    unit = overlay.unit
    left, bottom = corner[0] + 12 * unit, corner[1] + 30 * unit
    width, height = WIDTH * unit, HEIGHT * unit
    overlay.strip((left, bottom), (width, height), scale.ramp.at(np.linspace(0, 1, 101)))
    for place, words in ticks(scale.low, scale.high, scale.logarithmic):
        x = left + place * width
        stroke = np.array([(x, bottom - 5 * unit), (x, bottom)])
        overlay.line(stroke, palette.faint_ink, 2.0)
        number = overlay.text(words, (x, bottom - 19 * unit), 18, palette.faint_ink)
        number.prop.justification_horizontal = "center"
    _beyond(overlay, scale, (left, bottom, width, height))
    overlay.text(bar_title(scale), (left, bottom + 34 * unit), 22, palette.faint_ink)


def bar_title(scale: Scale) -> str:
    """Name the quantity and its unit, and say where the bar is one of logarithms."""
    power = 0 if scale.logarithmic else _common_power(scale.low, scale.high)
    unit = "reduced units" if power == 0 else f"reduced units, times 1e{power}"
    return f"{scale.label} ({unit}{', logarithmic' if scale.logarithmic else ''})"


def ticks(low: float, high: float, logarithmic: bool) -> list[tuple[float, str]]:
    """Return where round numbers are on a bar, from 0 to 1, and how they are written.

    Parameters
    ----------
    low, high : float
        At its ends.
    logarithmic : bool

    Returns
    -------
    list of (float, str)
        In growing order.
    """
    if logarithmic:
        span = math.log10(high / low)
        found = [(math.log10(v / low) / span, v) for v in _round_logarithms(low, high)]
        inner = _inward(low, math.ceil), _inward(high, math.floor)
        marks = _with_ends(found, [(math.log10(end / low) / span, end) for end in inner])
        plain = all(PLAIN[0] <= _power(value) <= PLAIN[1] for _, value in marks)
        return [(place, _power_text(value, plain)) for place, value in marks]
    power = _common_power(low, high)
    step, values = _round_values(low, high)
    digits = max(0, power - math.floor(math.log10(step) + 1e-9))
    # the ends are as they are, and may need a digit more than what is round
    least = 10.0 ** (power - digits)
    odd = any(abs(end / least - round(end / least)) > 1e-6 for end in (low, high))
    finer = digits + 1 if odd else digits
    unit = 10.0 ** (power - finer)
    ends = math.ceil(low / unit - 1e-6) * unit, math.floor(high / unit + 1e-6) * unit

    def mark(value: float, decimals: int) -> tuple[float, str]:
        return (value - low) / (high - low), f"{value / 10.0**power + 0.0:.{decimals}f}"

    between = [mark(value, digits) for value in values]
    return _with_ends(between, [mark(end, finer) for end in ends])


def _with_ends(marks: list[tuple[float, T]], ends: list[tuple[float, T]]) -> list[tuple[float, T]]:
    """Put marks at both ends, in place of round numbers whose words they would touch."""
    first, last = ends
    return [first, *(mark for mark in marks if ROOM <= mark[0] <= 1 - ROOM), last]


def _inward(end: float, rounding: Callable[[float], int]) -> float:
    """Return an end with two digits, on the bar."""
    unit = 10.0 ** (_power(end) - 1)
    nearest = round(end / unit)
    return (nearest if abs(end / unit - nearest) < 1e-6 else rounding(end / unit)) * unit


def _common_power(low: float, high: float) -> int:
    """Return the power of ten that numbers are given in; 0 where they can be written out."""
    largest = max(abs(low), abs(high))
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    return 0 if PLAIN[0] <= power <= PLAIN[1] else power


def _round_values(low: float, high: float) -> tuple[float, list[float]]:
    """Return a step of 1, 2 or 5 times a power of ten, and its multiples on the bar."""
    rough = (high - low) / MOST_STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return step, [k * step for k in range(first, last + 1)]


def _round_logarithms(low: float, high: float) -> list[float]:
    """Return powers of ten on the bar, each other one of many; of few also 2 and 5 times them."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        every = -(-(last - first) // MOST_STEPS)
        return [10.0**k for k in range(first, last + 1, every)]
    between = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
    found = [value for value in between if low <= value <= high]
    return found if len(found) > 1 else [low, high]


def _power(value: float) -> int:
    return math.floor(math.log10(value) + 1e-9)


def _power_text(value: float, plain: bool) -> str:
    """Write a value; all of a bar are written out, or none is."""
    power = _power(value)
    if plain:
        return f"{float(f'{value:.2g}'):g}"
    factor = f"{value / 10.0**power:.2g}"
    return f"1e{power}" if factor == "1" else f"{factor}e{power}"


def _beyond(overlay: Overlay, scale: Scale, bar: tuple[float, float, float, float]) -> None:
    """Point beyond the ends that values lie beyond, as they have the colours of the ends."""
    left, bottom, width, height = bar
    both = np.concatenate([scale.values, scale.rival])
    found = both[np.isfinite(both)]
    middle, gap = bottom + height / 2, 5 * overlay.unit
    wedge = shapes.wedge().scale(0.7)
    first, last = scale.ramp.colours[[0, -1]].tolist()
    if (found > scale.high).any():
        overlay.icon(wedge, (left + width + gap, middle), tuple(last))
    # zero is below every power of ten, and no error is not worth a sign
    if (found < scale.low).any() and not scale.logarithmic:
        overlay.icon(wedge.rotate_z(180), (left - gap, middle), tuple(first))
