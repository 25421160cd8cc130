"""DOC."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.results.metrics import summary
from nbody_surrogate.results.statistics import Summary
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["DRIFTS", "comparison_rows", "drift_label", "rows_alone"]


def comparison_rows(found: list[Comparison]) -> Iterator[list[str]]:
    """Yield a label and a cell for each candidate, as text."""
    first = found[0]
    for key in first.errors:
        yield [_error_label(key), *(_shown(each.errors[key]) for each in found)]
    for number, horizon in enumerate(first.horizons):
        cells = (f"{each.normalised_rmse[number]:.2e}" for each in found)
        yield [f"RMSE over spread, t = {horizon:g}", *cells]
    yield ["valid prediction time", *(_valid(each) for each in found)]
    if first.lyapunov_time is not None and math.isfinite(first.lyapunov_time):
        yield ["  in Lyapunov times", *(_valid_lyapunov(each) for each in found)]
    for key in first.drifts["reference"]:
        label = (
            f"{drift_label(key, first.conserved)}; reference {first.drifts['reference'][key]:.0e}"
        )
        yield [label, *(f"{each.drifts['candidate'][key]:.1e}" for each in found)]
    for number, measure in enumerate(first.distributions):
        yield [
            f"{measure.name}, distance (noise floor)",
            *(_distance(each, number) for each in found),
        ]
    times = (1e3 * each.wall_time["candidate"] / each.trajectories for each in found)
    yield ["wall time per trajectory", *(f"{value:.3g} ms" for value in times)]


def _error_label(key: str) -> str:
    names = {"ade": "average displacement error", "fde": "final displacement error"}
    return names.get(key) or f"position MSE at frame {key.removeprefix('mse ')}"


def _shown(value: Summary) -> str:
    text = f"{value.median:.1e}"
    return text if value.low == value.high else f"{text} ({value.low:.1e}..{value.high:.1e})"


def _valid(found: Comparison) -> str:
    return "whole run" if math.isinf(found.valid_time) else f"{found.valid_time:.3g}"


def _valid_lyapunov(found: Comparison) -> str:
    assert found.lyapunov_time is not None
    reached = min(found.valid_time, found.duration) / found.lyapunov_time
    return f"{'> ' if math.isinf(found.valid_time) else ''}{reached:.2g}"


def _distance(found: Comparison, number: int) -> str:
    measure = found.distributions[number]
    if measure.floor is None:
        return f"{measure.distance.median:.1e}"
    mark = "" if measure.within_noise else " !"
    return f"{measure.distance.median:.1e} ({measure.floor.median:.1e}){mark}"


DRIFTS = {
    "energy": "energy drift / kinetic energy",
    "momentum": "momentum drift",
    "angular_momentum": "angular momentum drift",
}


def rows_alone(run: Ensemble, kept: frozenset[str] | None = None) -> list[list[str]]:
    """Return label and value of each row, of a run without a reference."""
    kept = run.system().conserved if kept is None else kept
    drifts = [[drift_label(key, kept), f"{value:.1e}"] for key, value in summary(run).items()]
    return [*drifts, ["wall time", f"{1e3 * run.info.wall_time:.3g} ms"]]


def drift_label(key: str, kept: frozenset[str]) -> str:
    """Name a drift, or a change where the system does not keep the quantity."""
    label = DRIFTS[key]
    return label if key in kept else label.replace("drift", "change") + " (not conserved)"
