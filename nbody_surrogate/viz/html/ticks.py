"""Round numbers for the axes of charts."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.time_text import number_text

__all__ = ["decades", "nice"]

TICKS = 5  # at most, about, so that words do not touch
FEW = 2  # decades, of which 2 and 5 times each are marked too


def nice(low: float, high: float) -> list[float]:
    """Choose multiples of 1, 2 or 5 times a power of ten between two numbers."""
    span = (high - low) or 1.0
    raw = span / TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    # whole numbers of steps, as sums of them would not be round, and no -0
    return [float(f"{k * step:.12g}") + 0.0 for k in np.arange(first, last + 1)]


def decades(low: float, high: float) -> list[tuple[float, str]]:
    """Choose powers of ten between two, given and returned as their exponents, and name them."""
    if high - low <= FEW:
        values = [
            k * 10.0**e for e in np.arange(np.floor(low), np.ceil(high) + 1) for k in (1, 2, 5)
        ]
        values = [v for v in values if low - 1e-9 <= np.log10(v) <= high + 1e-9]
        return [(float(np.log10(v)), _scientific(v)) for v in values]
    step = max(1, int(np.ceil((high - low) / TICKS)))
    return [(float(v), f"1e{v:.0f}") for v in np.arange(low, high + 0.5, step)]


def _scientific(value: float) -> str:
    """Write a number of one digit: plainly where that is short."""
    if 1e-3 <= value < 1e4:
        return number_text(float(f"{value:.1g}"))
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
