"""What was found, as a short table for the terminal."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.discovery.contents import DiscoveryFile, Interval
from nbody_surrogate.discovery.words import also_fit, forecast_text, interval_text, listed

__all__ = ["summary_table"]


def summary_table(found: DiscoveryFile, notes: tuple[str, ...] = ()) -> TextTable:
    """Lay out what was found, a line for each kind.

    Parameters
    ----------
    found : DiscoveryFile
    notes : tuple of str
        Lines below those of the discovery.

    Returns
    -------
    TextTable
    """
    tracks = found.tracks
    title = (
        f"The law of {counted(tracks.particles, 'particle')} in {tracks.dimensions} dimensions, "
        f"{counted(tracks.frames, 'frame')}, {counted(tracks.runs, 'run')}"
    )
    rows = [
        ("formula", _formula(found)),
        ("held-out residuals, over noise", figure_text(found.residuals.chi2, 3)),
        ("charges over their mean", _ratios([each.charge for each in found.particles])),
        ("charge / mass over the mean", _ratios([each.charge_to_mass for each in found.particles])),
        (_in("drag", tracks.time_unit, "1 / "), _ratios([each.drag for each in found.particles])),
        (_in("noise of positions", tracks.length_unit), interval_text(found.noise.position)),
        ("temperature of the kicks", interval_text(found.noise.temperature)),
        ("broken symmetries", _broken(found)),
    ]
    if found.forecast is not None:
        label = _in("forecasts valid for", tracks.time_unit)
        rows.append((label, forecast_text(found.forecast)))
    return TextTable(title, ("", "found"), tuple(rows), (*found.notes, *notes), words=True)


def _in(label: str, unit: str | None, over: str = "") -> str:
    return label if unit is None else f"{label} ({over}{unit})"


def _formula(found: DiscoveryFile) -> str:
    if found.formula is None:
        return "none fits: the curve is the law" if found.formulas else "none was tried"
    best = next(each for each in found.formulas if each.name == found.formula)
    numbers = ", ".join(f"{key} {figure_text(value, 4)}" for key, value in best.parameters.items())
    others = also_fit(found)
    also = f"; {listed(others)} not ruled out" if others else ""
    return f"{best.text}, {numbers}{also}"


def _broken(found: DiscoveryFile) -> str:
    tested = [each for each in found.symmetries if each.tested]
    broken = [each.name for each in tested if each.broken]
    return f"{listed(broken) if broken else 'none'}, of {len(tested)} tested"


def _ratios(values: list[Interval]) -> str:
    """Give the range of several numbers, and how well they are known."""
    numbers = np.array([each.value for each in values])
    low, high = (figure_text(float(end)) for end in (numbers.min(), numbers.max()))
    span = low if low == high else f"{low} to {high}"
    widths = [
        0.5 * (each.high - each.low) / abs(each.value)
        for each in values
        if each.low is not None and each.high is not None and each.value
    ]
    return f"{span}, within {figure_text(100 * float(np.median(widths)), 2)} %" if widths else span
