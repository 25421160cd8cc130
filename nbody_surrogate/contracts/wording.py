"""Counts, ranges, durations and ratios as words, one way everywhere."""

from __future__ import annotations

import math

from nbody_surrogate.contracts.time_text import number_text

__all__ = [
    "AS_FAST",
    "counted",
    "duration_text",
    "factor_text",
    "figure_text",
    "range_text",
    "rate_text",
    "setting_text",
    "speed_text",
]

AS_FAST = "as fast as"

DIGITS = 3  # significant ones, as many as a time that was measured once is good for
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
LONG = ((3600.0, "h"), (60.0, "min"))
LEAST_LONG = 100.0  # of the smaller unit, from which on the larger one is read more easily
LONGEST = 60  # characters of the value of a parameter
SMALLEST, LARGEST = 1e-4, 1e7  # between which a number is read without an exponent


def counted(count: int, noun: str) -> str:
    """Write a count with its noun, in the plural unless it is one: ``1 batch``, ``2 batches``."""
    return f"{count} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith(("ch", "s", "sh", "x")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + "s"


def range_text(low: float, high: float, noun: str = "") -> str:
    """Write a range, or the one number in it: ``2 to 5 particles``, ``1 particle``."""
    words = number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"
    return f"{words} {noun if low == high == 1 else _plural(noun)}" if noun else words


def figure_text(value: float, digits: int = DIGITS) -> str:
    """Write a number with so many significant digits: 1284 is ``1280``, 0.5 is ``0.500``.

    There is an exponent only where the number is hard to read without one.
    """
    if not math.isfinite(value):
        return f"{value}"
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded == 0:
        return "0"
    if not SMALLEST <= abs(rounded) < LARGEST:
        return number_text(value, digits)
    before = math.floor(math.log10(abs(rounded))) + 1
    return f"{rounded:.{max(digits - before, 0)}f}"


def rate_text(value: float) -> str:
    """Write how often something is done, which may be whole: 8 is ``8``, 1284 is ``1280``."""
    text = figure_text(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def setting_text(key: str, value: object) -> str:
    """Write a parameter with its value, which is left out where it is as long as a curve."""
    text = str(value)
    return f"{key} {text}" if len(text) <= LONGEST else f"{key} [...]"


def duration_text(seconds: float) -> str:
    """Write a duration with its unit: 1.284 is ``1.28 s``, 0.00005 is ``50.0 µs``."""
    if math.isnan(seconds):
        return "unknown"
    rounded = float(f"{seconds:.{DIGITS - 1}e}")  # or 0.9999 would be 1000 ms
    for size, unit in LONG:
        if LEAST_LONG * (size / 60) <= rounded < math.inf:
            return f"{figure_text(seconds / size)} {unit}"
    # what is shorter than all units is so many of the smallest one
    size, unit = next((each for each in UNITS if rounded >= each[0]), UNITS[-1])
    return f"{figure_text(seconds / size)} {unit}" if rounded else "0 s"


def speed_text(ratio: float) -> str:
    """Say how fast what takes a ratio-th of another's time is, up to ``as`` or ``than``.

    So 2 is ``2.0 times faster than``, 0.5 ``2.0 times slower than``, and 1.01 ``as fast as``.
    """
    factor, word = (ratio, "faster") if ratio >= 1 else (1 / ratio, "slower")
    text = factor_text(factor)
    return AS_FAST if text == "1.0 times" else f"{text} {word} than"


def factor_text(factor: float) -> str:
    """Write by how many times: ``2.0 times``, ``25 times``, ``123 times``."""
    # as many digits as wall times are good for
    return f"{figure_text(factor, 2 if factor < 100 else DIGITS)} times"
