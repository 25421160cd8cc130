"""What was found, in words: numbers with intervals, units, and the sentences at the top."""

from __future__ import annotations

import math
from collections.abc import Callable

from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.discovery.contents import DiscoveryFile, Forecast, Interval, TracksRead

__all__ = [
    "acceleration_unit",
    "also_fit",
    "forecast_text",
    "interval_text",
    "lead",
    "listed",
    "p_text",
    "unit_of",
]


def interval_text(each: Interval | None) -> str:
    """Write a number with its interval of 95 %: ``0.310 (0.290 to 0.330)``."""
    if each is None:
        return ""
    text = _rounded(each)
    if each.low is None or each.high is None:
        return text(each.value)
    return f"{text(each.value)} ({text(each.low)} to {text(each.high)})"


def _rounded(each: Interval) -> Callable[[float], str]:
    """Round as finely as the interval is wide: to two digits of its width."""
    if each.low is None or each.high is None or each.high <= each.low:
        return lambda value: figure_text(value, 4)
    finest = math.floor(math.log10(each.high - each.low)) - 1

    def text(value: float) -> str:
        if value == 0 or not math.isfinite(value):
            return f"{value:g}"
        digits = math.floor(math.log10(abs(value))) - finest + 1
        return figure_text(value, min(max(digits, 1), 8))

    return text


def forecast_text(seen: Forecast, unit: str = "") -> str:
    """Write how long forecasts were right; one that outlasts its segment tells a bound alone."""
    if seen.whole == seen.segments:
        return f"at least {figure_text(seen.valid_time.value, 4)}{unit}, all of each segment"
    text = interval_text(seen.valid_time) + unit
    if not seen.whole:
        return text
    return f"at least {text}; {seen.whole} of {seen.segments} outlast their segment"


def p_text(p: float | None) -> str:
    """Write a p-value; one that is too small to be believed is below a bound."""
    if p is None:
        return ""
    return "< 1e-6" if p < 1e-6 else figure_text(p, 2)


def unit_of(name: str | None) -> str:
    """Name a unit, or say whose it is."""
    return "units of the tracks" if name is None else name


def acceleration_unit(tracks: TracksRead) -> str:
    """Name the unit of accelerations, which pair forces are in too: over the mean mass."""
    return f"{tracks.length_unit or 'length'} / {tracks.time_unit or 'time'}²"


def lead(found: DiscoveryFile) -> str:
    """Say in plain words what was found."""
    tracks = found.tracks
    runs = "" if tracks.runs == 1 else f" in {counted(tracks.runs, 'run')}"
    said = [
        f"{counted(tracks.particles, 'particle')} were watched for "
        f"{counted(tracks.frames, 'frame')}{runs}.",
        f"What the law leaves of held-out frames is {figure_text(found.residuals.chi2, 3)} times "
        "their noise, of which 1 is all that noise leaves.",
        _formula(found),
        _symmetries(found),
    ]
    if found.forecast is not None:
        unit = found.tracks.time_unit or "time units"
        said.append(
            f"Runs of it stay with held-out tracks for {forecast_text(found.forecast, f' {unit}')}."
        )
    return " ".join(said)


def _formula(found: DiscoveryFile) -> str:
    if not found.formulas:
        return ""
    if found.formula is None:
        tried = ", ".join(each.name for each in found.formulas)
        return f"None of the formulas fits ({tried}): the curve itself is the law."
    others = also_fit(found)
    also = f"; {listed(others)} cannot be ruled out" if others else ""
    return f"Of the formulas that were tried, {found.formula} fits best{also}."


def also_fit(found: DiscoveryFile) -> list[str]:
    """Name the formulas that fit beside the one that is given."""
    return [each.name for each in found.formulas if each.fits and each.name != found.formula]


def _symmetries(found: DiscoveryFile) -> str:
    tested = [each for each in found.symmetries if each.tested]
    broken = [each.name for each in tested if each.broken]
    if not tested:
        return "No symmetry was tested."
    if not broken:
        return f"Of {counted(len(tested), 'symmetry')} tested, none is broken."
    verb = "is" if len(broken) == 1 else "are"
    return f"Of {counted(len(tested), 'symmetry')} tested, {listed(broken)} {verb} broken."


def listed(names: list[str]) -> str:
    """Join names: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
