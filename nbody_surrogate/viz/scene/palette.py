"""The colours of pictures, on a dark background and on a light one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

__all__ = ["DARK", "LIGHT", "Colour", "Palette", "Ramp", "mixed"]

Colour = tuple[float, float, float]


class Ramp(NamedTuple):
    """Colours from low to high.

    Attributes
    ----------
    stops : ndarray, shape (K,)
        Growing, from 0 to 1.
    colours : ndarray, shape (K, 3)
        Red, green and blue from 0 to 1, at the stops.
    """

    stops: Float64[np.ndarray, " K"]
    colours: Float64[np.ndarray, "K 3"]

    @classmethod
    def even(cls, *colours: Colour) -> Ramp:
        """Make a ramp of colours at equal distances."""
        return cls(np.linspace(0, 1, len(colours)), np.array(colours))

    def at(self, share: Float64[np.ndarray, "*axes"]) -> Float64[np.ndarray, "*axes 3"]:
        """Return the colours at shares of the ramp from 0 to 1."""
        channels = [np.interp(share, self.stops, channel) for channel in self.colours.T]
        return np.stack(channels, axis=-1)


@dataclass(frozen=True)
class Palette:
    """Colours that go together.

    Attributes
    ----------
    bottom, top, backdrop : Colour
        Of the background, which shades from one to the other, and their mean, into which things
        fade.
    ink, faint_ink : Colour
        Of words.
    error : Colour
        Of the lines from truth to prediction: a violet that no particle has.
    scenery : Colour
        Of what is drawn of the system beside its particles.
    positive, negative, neutral : Colour
        Of charges.
    several : tuple of Colour
        For a few particles: told apart also by those who see colours otherwise.
    cycle : Ramp
        For many particles: of one lightness, and its ends meet.
    ramp : Ramp
        From low to high values. It grows lighter throughout, so that it is right in grey too, and
        stands out from the background throughout.
    """

    bottom: Colour
    top: Colour
    backdrop: Colour
    ink: Colour
    faint_ink: Colour
    error: Colour
    scenery: Colour
    positive: Colour
    negative: Colour
    neutral: Colour
    several: tuple[Colour, ...]
    cycle: Ramp
    ramp: Ramp


DARK = Palette(
    bottom=(0.020, 0.026, 0.055),
    top=(0.085, 0.110, 0.200),
    backdrop=(0.052, 0.068, 0.128),
    ink=(0.96, 0.97, 1.00),
    faint_ink=(0.66, 0.71, 0.80),
    error=(0.93, 0.25, 1.00),
    scenery=(0.36, 0.42, 0.54),
    positive=(1.00, 0.42, 0.20),
    negative=(0.22, 0.62, 1.00),
    neutral=(0.70, 0.72, 0.76),
    # after Okabe and Ito's, without its yellow, too light for a ball, and without black
    several=(
        (0.93, 0.60, 0.10),
        (0.36, 0.72, 0.95),
        (0.05, 0.68, 0.48),
        (0.90, 0.45, 0.72),
        (0.25, 0.48, 0.95),
        (0.90, 0.34, 0.16),
        (0.66, 0.80, 0.30),
        (0.80, 0.82, 0.86),
    ),
    # hues at equal steps in OKLCH, L = 0.75 and C = 0.10
    cycle=Ramp.even(
        (0.90, 0.58, 0.57),
        (0.85, 0.63, 0.40),
        (0.68, 0.71, 0.41),
        (0.46, 0.76, 0.59),
        (0.33, 0.76, 0.79),
        (0.48, 0.70, 0.92),
        (0.69, 0.64, 0.91),
        (0.85, 0.59, 0.77),
        (0.90, 0.58, 0.57),
    ),
    ramp=Ramp.even(
        (0.18, 0.27, 0.76),
        (0.33, 0.36, 0.86),
        (0.72, 0.39, 0.66),
        (0.95, 0.50, 0.40),
        (0.99, 0.70, 0.25),
        (0.98, 0.93, 0.50),
    ),
)

LIGHT = Palette(
    bottom=(0.930, 0.938, 0.952),
    top=(0.985, 0.988, 0.994),
    backdrop=(0.958, 0.963, 0.973),
    ink=(0.07, 0.09, 0.14),
    faint_ink=(0.30, 0.34, 0.42),
    error=(0.58, 0.00, 0.95),
    scenery=(0.62, 0.66, 0.74),
    positive=(0.86, 0.25, 0.06),
    negative=(0.05, 0.38, 0.82),
    neutral=(0.46, 0.48, 0.52),
    several=(
        (0.85, 0.50, 0.00),
        (0.15, 0.56, 0.84),
        (0.00, 0.55, 0.38),
        (0.76, 0.28, 0.56),
        (0.12, 0.28, 0.72),
        (0.76, 0.22, 0.05),
        (0.44, 0.56, 0.08),
        (0.30, 0.32, 0.36),
    ),
    # as above, L = 0.55 and C = 0.10
    cycle=Ramp.even(
        (0.66, 0.33, 0.32),
        (0.61, 0.39, 0.10),
        (0.45, 0.47, 0.12),
        (0.16, 0.52, 0.35),
        (0.00, 0.50, 0.54),
        (0.21, 0.46, 0.68),
        (0.46, 0.39, 0.67),
        (0.60, 0.34, 0.53),
        (0.66, 0.33, 0.32),
    ),
    ramp=Ramp.even(
        (0.10, 0.10, 0.45),
        (0.24, 0.17, 0.62),
        (0.62, 0.16, 0.48),
        (0.80, 0.28, 0.28),
        (0.87, 0.45, 0.12),
        (0.88, 0.64, 0.10),
    ),
)


def mixed(first: Any, second: Any, share: float | np.ndarray) -> Float64[np.ndarray, "*axes 3"]:
    """Return colours `share` of the way from the first to the second."""
    first, second = np.asarray(first), np.asarray(second)
    return np.asarray(first + (second - first) * share)
