"""The curve of a pair's force, with its band, over the distances that were visited."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.discovery.contents import DiscoveryFile
from nbody_surrogate.discovery.words import acceleration_unit, unit_of
from nbody_surrogate.viz.html.charts import Backdrop, Series, line_chart

__all__ = ["law_charts"]

RARE = 0.005
"""Share of all visits to distances that the chart with a linear axis leaves out, as too near."""

KEY = (
    '<div class="key"><span class="candidate">the law, with the band of 95 %</span>'
    '<span class="spread">how often pairs were at a distance</span></div>'
)


def law_charts(found: DiscoveryFile) -> str:
    """Draw the force over the distance, and where it is of one sign on a logarithmic axis too."""
    curve = found.curve
    if len(curve.r) < 2:
        return '<p class="faint">Particles do not see each other: there is no force to draw.</p>'
    r, force, low, high = (np.array(each) for each in (curve.r, curve.force, curve.low, curve.high))
    label = f"distance ({unit_of(found.tracks.length_unit)})"
    backdrop = Backdrop(np.array(curve.edges), np.array(curve.counts)) if curve.counts else None
    # the few closest pairs would leave all others flat, and their band even more so
    shown = r >= _nearest(found, r)
    ends = low[shown], high[shown]
    series = [Series("candidate", r[shown], force[shown], *ends, "force")]
    title = f"Force of a pair of mean charges ({acceleration_unit(found.tracks)}, of a mean mass)"
    charts = [line_chart(title, label, series, False, "+ repels", backdrop)]
    if (force > 0).all() or (force < 0).all():
        sign = 1.0 if force[0] > 0 else -1.0
        ends = (low, high) if sign > 0 else (-high, -low)
        series = [Series("candidate", r, sign * force, *ends, "force")]
        title = "The same" if sign > 0 else "The same, its attraction"
        charts.append(line_chart(title, label, series, True, "", backdrop))
    return f'<h2>The law</h2>{KEY}<div class="charts">{"".join(charts)}</div>'


def _nearest(found: DiscoveryFile, r: np.ndarray) -> float:
    """Return the distance that all pairs but a few are beyond."""
    counts = np.array(found.curve.counts)
    if not counts.sum():
        return float(r[0])
    beyond = np.searchsorted(np.cumsum(counts), RARE * counts.sum())
    # at least two points, or there is no curve
    return float(min(found.curve.edges[beyond], r[-2]))
