"""Times in words: as many digits as frames need to be told apart, in engineering notation."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float64

__all__ = ["number_text", "time_span_text", "time_text"]

DIGITS = 6  # as `:g` has it
MOST_DIGITS = 17  # with which a float64 is itself again


def number_text(value: float, digits: int = DIGITS) -> str:
    """Write a number as ``:g`` does, but for exponents: they are multiples of three.

    So femtoseconds and picoseconds are read off, whatever the unit is: 1.5e-13 is ``150e-15``.

    Parameters
    ----------
    value : float
    digits : int
        Significant ones, at most.
    """
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    scaled = Decimal(mantissa).scaleb(power % 3).normalize()  # exact, as 0.123 * 100 is not
    return f"{scaled:f}e{power - power % 3}"


def time_text(t: float, spacing: float = 0.0) -> str:
    """Write a time, with digits that tell it from those a frame spacing before and after.

    Parameters
    ----------
    t, spacing : float
        In time units; a spacing of 0 is one that does not matter.
    """
    digits = DIGITS
    if spacing > 0 and t != 0 and math.isfinite(t):
        # one beyond the first digit of the spacing, so that 0.25 is told from 0.3
        needed = math.ceil(math.log10(abs(t)) - math.log10(spacing)) + 2
        digits = min(max(DIGITS, needed), MOST_DIGITS)
    return number_text(t, digits)


def time_span_text(t: Float64[np.ndarray, " T"]) -> str:
    """Write from when to when a run's frames are, such as ``0 to 5``."""
    gap = float(t[-1] - t[0]) / max(len(t) - 1, 1)
    return f"{time_text(float(t[0]), gap)} to {time_text(float(t[-1]), gap)}"
