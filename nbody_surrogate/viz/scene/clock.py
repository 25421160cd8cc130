"""The clock of pictures, movies and pages: all frames of a run in one notation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

__all__ = ["Clock"]

PLAIN = (1e-3, 1e6)  # latest times that are written without an exponent, if frames are long enough
FINE = 1e-6  # relative: how well the digits must give the frame spacing
MOST_DIGITS = 3  # beyond the first one of a spacing such as 1/3, which no number of them gives


@dataclass(frozen=True)
class Clock:
    """How the times of a run are written, so that numbers do not jump while a movie plays.

    Attributes
    ----------
    exponent : int
        A multiple of three; 0 is plain notation.
    digits : int
        After the point.
    """

    exponent: int
    digits: int

    @classmethod
    def of(cls, t: Float64[np.ndarray, " T"]) -> Clock:
        """Choose the notation for frame times in increasing order."""
        latest = float(np.abs(t).max())
        gap = float(t[-1] - t[0]) / (len(t) - 1) if len(t) > 1 else (latest or 1.0) / 10
        # calendar times are large and milliseconds apart: an exponent would only hide that
        plain = latest == 0 or (PLAIN[0] <= latest and (latest < PLAIN[1] or gap < 1))
        exponent = 0 if plain else 3 * math.floor(math.log10(latest) / 3)
        rounding = float(np.spacing(latest))  # of the gap, whose digits beyond it mean nothing
        return cls(exponent, _digits(gap * 10.0**-exponent, rounding / gap if gap > 0 else 0.0))

    @property
    def suffix(self) -> str:
        """What follows the number, such as ``e-12``."""
        return f"e{self.exponent}" if self.exponent else ""

    def scaled(self, t: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
        """Return the numbers before the suffix."""
        return np.asarray(t * 10.0**-self.exponent)

    def text(self, t: float) -> str:
        """Write a time, such as ``t = 4.9e-12``."""
        return f"t = {t * 10.0**-self.exponent:.{self.digits}f}{self.suffix}"


def _digits(gap: float, rounding: float) -> int:
    """Count the digits after the point that a spacing needs, which is known to some share."""
    if not 0 < gap < math.inf:  # times that do not move on
        return 1
    first = max(0, math.ceil(-math.log10(gap)))
    for digits in range(first, first + MOST_DIGITS):
        if abs(round(gap, digits) - gap) <= max(FINE, rounding) * gap:
            return digits
    return first + MOST_DIGITS - 1
