"""What particles are told apart by, where colours stand for what they are: charge, mass, number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.viz.scene.palette import DARK, Colour, Palette, Ramp, mixed

__all__ = ["Constants", "constants", "particle_colours", "told_apart_by"]

LOGARITHMIC = 30.0  # masses of which the largest is so many times the smallest span decades
WEAKEST = 0.3  # how far the weakest charge is from grey: it still shows its sign


class Constants(NamedTuple):
    """A quantity of each particle that does not change, and what its colours stand for.

    Attributes
    ----------
    label : str
    values : ndarray, shape (N,)
    low, high : float
        What the ends of the ramp stand for.
    logarithmic : bool
    ramp : Ramp
    rows : tuple of (tuple of Colour, str)
        What the legend says, where a few words are enough; else there is a bar.
    """

    label: str
    values: Float64[np.ndarray, " N"]
    low: float
    high: float
    logarithmic: bool
    ramp: Ramp
    rows: tuple[tuple[tuple[Colour, ...], str], ...] = ()

    def colours(self) -> Float64[np.ndarray, "N 3"]:
        """Return the colours of the particles."""
        value, low, high = (np.asarray(each) for each in (self.values, self.low, self.high))
        if self.logarithmic:
            value, low, high = np.log10(value), np.log10(low), np.log10(high)
        return self.ramp.at(np.clip((value - low) / (high - low), 0.0, 1.0))


def told_apart_by(charges: Float64[np.ndarray, " N"], masses: Float64[np.ndarray, " N"]) -> str:
    """Say what colours tell best: ``charge``, else ``mass``, else ``identity``."""
    if charges.any():
        return "charge"
    return "mass" if np.ptp(masses) > 0 else "identity"


def particle_colours(
    charges: Float64[np.ndarray, " N"],
    masses: Float64[np.ndarray, " N"],
    palette: Palette = DARK,
) -> Float64[np.ndarray, "N 3"]:
    """Return colours by which particles are best told apart."""
    return constants(told_apart_by(charges, masses), charges, masses, palette).colours()


def constants(
    quantity: str,
    charges: Float64[np.ndarray, " N"],
    masses: Float64[np.ndarray, " N"],
    palette: Palette = DARK,
) -> Constants:
    """Return the colours of a quantity: ``charge``, ``mass`` or ``identity``.

    Charges of one strength are warm or cool; unequal ones shade from there to grey, which is no
    charge. A few particles have a colour each, many have those of a circle of hues.
    """
    if quantity == "charge":
        return _charges(charges, palette)
    if quantity == "mass":
        return _masses(masses, palette)
    return _identities(len(charges), palette)


def _charges(charges: Float64[np.ndarray, " N"], palette: Palette) -> Constants:
    strengths = np.abs(charges[charges != 0])
    high = float(strengths.max(initial=0.0)) or 1.0
    kinds = (
        (palette.positive, "positive charge", (charges > 0).any()),
        (palette.negative, "negative charge", (charges < 0).any()),
        (palette.neutral, "no charge", (charges == 0).any()),
    )
    rows = tuple(((colour,), words) for colour, words, some in kinds if some)
    unequal = bool(len(strengths)) and np.ptp(strengths) > 1e-9 * high
    # without the other sign, half of a bar would be of charges that nobody has
    low = 0.0 if unequal and not (charges < 0).any() else -high
    high = 0.0 if unequal and not (charges > 0).any() else high
    ramp = _diverging(palette, low < 0, high > 0)
    return Constants("charge", charges, low, high, False, ramp, () if unequal else rows)


def _diverging(palette: Palette, below: bool, above: bool) -> Ramp:
    """Return a ramp with grey where there is no charge, and a step on either side of it."""
    grey, step = palette.neutral, 1e-6
    stops, colours = [0.0], [grey]
    if above:
        stops += [step, 1.0]
        colours += [tuple(mixed(grey, palette.positive, WEAKEST)), palette.positive]
    if below:
        stops = [-1.0, -step, *stops]
        colours = [palette.negative, tuple(mixed(grey, palette.negative, WEAKEST)), *colours]
    places = np.array(stops)
    return Ramp((places - places[0]) / (places[-1] - places[0]), np.array(colours))


def _masses(masses: Float64[np.ndarray, " N"], palette: Palette) -> Constants:
    low, high = float(masses.min()), float(masses.max())
    if low == high:
        grey = Ramp.even(palette.neutral, palette.neutral)
        rows = (((palette.neutral,), f"mass {low:.3g}"),)
        return Constants("mass", masses, low, low + 1.0, False, grey, rows)
    return Constants("mass", masses, low, high, high > LOGARITHMIC * low, palette.ramp)


def _identities(n: int, palette: Palette) -> Constants:
    """Give each particle a colour: unlike ones to a few, by turns of a circle to many."""
    numbers = np.arange(n, dtype=np.float64)
    said = "a colour for each particle" if n > 1 else "the particle"
    words = ((palette.several[: min(n, 3)], said),)
    if n <= len(palette.several):
        few = palette.several[: max(n, 2)]
        return Constants("particle", numbers, 0.0, len(few) - 1.0, False, Ramp.even(*few), words)
    return Constants("particle", numbers, 0.0, float(n), False, palette.cycle, words)
