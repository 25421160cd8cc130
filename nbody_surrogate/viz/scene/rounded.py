"""Numbers in words and notes, with few digits."""

from __future__ import annotations

import math

__all__ = ["rounded"]


def rounded(value: float, digits: int = 2) -> str:
    """Round to significant digits, without an exponent where 130 says what 1.3e+02 does."""
    return f"{float(f'{value:.{digits}g}'):g}" if math.isfinite(value) else f"{value}"
