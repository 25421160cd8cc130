"""The curves of a report, in groups: errors, what the system conserves, distributions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.curves import Band, band
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.results.estimate_note import estimate_label
from nbody_surrogate.results.metrics import Drift, defined_drifts, drift_curves
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.viz.html.charts import Series, line_chart

__all__ = ["comparison_charts", "estimate_of", "run_charts"]

OWN = "units of the run"
ERRORS = (
    ("position_rmse", "Position error (RMSE)", OWN),
    ("velocity_rmse", "Velocity error (RMSE)", OWN),
    ("normalised_rmse", "Position error over the cloud's spread", ""),
)
INVARIANTS = {
    "energy": ("Energy error over kinetic energy", ""),
    "momentum": ("Momentum error", OWN),
    "angular_momentum": ("Angular momentum error", OWN),
}
HISTOGRAMS = {"speeds": ("Speeds", "speed"), "pair_distances": ("Distances of pairs", "distance")}
ORDER = ("twin", "reference", "estimate", "candidate")  # the last is drawn on top
TIME = "time"
FLOOR = "noise floor"


def estimate_of(run: Ensemble) -> tuple[np.ndarray, str] | None:
    """Return the error estimates of a run, (B, T), NaN where invalid, and what they are called."""
    estimate = run.error_estimate
    if run.info.error_estimate is None or estimate is None:
        return None
    return np.where(run.valid, estimate, np.nan), f"estimated error ({estimate_label(run.info)})"


def comparison_charts(
    found: Comparison,
    system: AbstractSystem,
    same: bool,
    estimate: tuple[np.ndarray, str] | None = None,
) -> str:
    """Draw a candidate beside its reference; where they are the same run, that once."""
    names = {"candidate": found.candidate, "reference": found.reference, "twin": FLOOR}
    if same:
        del names["reference"]
    curves = found.curves
    bands = dict(curves.bands)
    # of other times, where a run was interpolated, it is not drawn
    if estimate is not None and not same and estimate[0].shape[1] >= len(curves.t):
        names["estimate"] = estimate[1]
        shown = band(estimate[0][:, : len(curves.t)])
        bands["position_rmse"] = bands["position_rmse"] | {"estimate": shown}
    errors = [
        _over_time(title, curves.t, bands[name], names, unit)
        for name, title, unit in ERRORS
        if not same
    ]
    drifts = {name: curves.bands[name] for name in _kept(system)}
    none = "The two are one run: there is no error to draw."
    return _key(names, found) + _groups(
        _group("Errors against the reference", errors, none if same else ""),
        _conserved(system, curves.t, drifts, names),
        _group("Distributions", _distribution_charts(found, names)),
    )


def run_charts(run: Ensemble, drifts: np.ndarray | None = None) -> str:
    """Draw the drifts of a run that has no reference; `drifts`, (3, B, T), if they are known."""
    try:
        system, run = run.system(), run.valid_part()
        if drifts is None:
            drifts = drift_curves(system, run.x, run.v, run.particles)
        found = dict(zip(Drift._fields, drifts, strict=True))
    except (InputError, PluginError):
        why = "The run's system is not installed: nothing is known of what it conserves."
        return _groups(_group("What should be conserved", [], why))
    bands = {name: {"candidate": band(found[name])} for name in _kept(system)}
    names, t = {"candidate": run.info.label}, run.t - run.t[0]
    conserved = _conserved(system, t, bands, names)
    if (estimate := estimate_of(run)) is None:
        return _groups(conserved)
    values, words = estimate
    names["estimate"] = words
    chart = _over_time(ERRORS[0][1], t, {"estimate": band(values)}, names, OWN)
    title = f"Position error, {words}"
    return _groups(_group(title[0].upper() + title[1:], [chart]), conserved)


def _kept(system: AbstractSystem) -> list[str]:
    """Name what the system conserves; of anything else a change is no error."""
    return [name for name in defined_drifts(system) if name in system.conserved]


def _conserved(
    system: AbstractSystem,
    t: np.ndarray,
    bands: dict[str, dict[str, Band]],
    names: dict[str, str],
) -> str:
    charts = [
        _over_time(INVARIANTS[name][0], t, roles, names, INVARIANTS[name][1])
        for name, roles in bands.items()
    ]
    # of an energy that is not defined there is nothing to say
    others = [name.replace("_", " ") for name in defined_drifts(system) if name not in bands]
    said = f"Not conserved by {system.name}, so not drawn: {', '.join(others)}." if others else ""
    return _group("What should be conserved", charts, said)


def _distribution_charts(found: Comparison, names: dict[str, str]) -> list[str]:
    curves = found.curves
    begin, end = number_text(found.window.begin), number_text(found.window.end)
    bands = curves.bands["displacement"]
    charts = [_over_time("Mean squared displacement", curves.t, bands, names, OWN, False)]
    for key, histogram in curves.histograms.items():
        series = [
            Series(role, histogram.edges, histogram.densities[role], name=names[role])
            for role in ORDER
            # the start, which all runs have in common, tells nothing
            if role in histogram.densities and role in names and len(curves.t) > 1
        ]
        title, label = HISTOGRAMS[key]
        charts.append(line_chart(f"{title}, t = {begin} to {end}", label, series, False, "density"))
    return charts


def _over_time(
    title: str,
    t: np.ndarray,
    bands: dict[str, Band],
    names: dict[str, str],
    unit: str,
    logarithmic: bool = True,
) -> str:
    series = [
        Series(role, t, bands[role].median, *_edges(role, bands[role]), name=names[role])
        for role in ORDER
        if role in bands and role in names
    ]
    return line_chart(title, TIME, series, logarithmic, unit)


def _edges(role: str, values: Band) -> tuple[np.ndarray | None, np.ndarray | None]:
    return (None, None) if role in ("twin", "estimate") else (values.low, values.high)


def _groups(*groups: str) -> str:
    return f'<div class="groups">{"".join(groups)}</div>'


def _group(title: str, charts: Sequence[str], said: str = "") -> str:
    """Put charts under a heading; a group is as wide as its charts, so that rows are full."""
    words = f'<p class="faint">{escape(said)}</p>' if said else ""
    grid = f'<div class="charts">{"".join(charts)}</div>' if charts else ""
    return (
        f'<section class="group" style="--charts: {max(len(charts), 1)}">'
        f"<h2>{escape(title)}</h2>{grid}{words}</section>"
    )


def _key(names: dict[str, str], found: Comparison) -> str:
    words = {role: name for role, name in names.items() if role != "twin"}
    if "twin" in found.curves.bands["position_rmse"]:
        words["twin"] = "noise floor: a true solution, its start off by 0.1 % of the spread"
    if found.trajectories > 1:
        words["spread"] = f"medians of {found.trajectories} trajectories, between their quartiles"
    spans = "".join(f'<span class="{role}">{escape(text)}</span>' for role, text in words.items())
    return f'<div class="key">{spans}</div>'
