"""What a comparison looks like over time, and its distributions, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.comparison.distributions import (
    LateWindow,
    mean_squared_displacement,
    pair_distances,
    speeds,
)
from nbody_surrogate.comparison.pairing import Pairing
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.results.bootstrap import finite_or_none
from nbody_surrogate.results.metrics import normalised_rmse, rmse
from nbody_surrogate.results.quantiles import known, quantiles
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["Band", "Curves", "Histogram", "band", "curves_of"]

BINS = 40  # fine enough for the shape, coarse enough for the few hundred values of a short run
QUARTILES = (0.25, 0.5, 0.75)
HELD = 99.5  # percent of the reference's values in a histogram, whose tail would flatten the rest
INVARIANTS = ("energy", "momentum", "angular_momentum")  # in the order of `metrics.drift_curves`


class Band(NamedTuple):
    """A quantity over time: its median over trajectories and its quartiles, each (T,)."""

    median: Float64[np.ndarray, " T"]
    low: Float64[np.ndarray, " T"]
    high: Float64[np.ndarray, " T"]

    def __repr__(self) -> str:
        return brief(self)


class Histogram(NamedTuple):
    """Densities (K,) between edges (K + 1,), by role; values beyond the last edge are left out."""

    edges: Float64[np.ndarray, " E"]
    densities: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return brief(self)


class Curves(NamedTuple):
    """All that is drawn of a comparison.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Since the start.
    bands : dict of str to dict of str to Band
        ``position_rmse``, ``velocity_rmse``, ``normalised_rmse``, ``displacement`` (the mean
        squared one) and the drift_curves ``energy``, ``momentum``, ``angular_momentum``, as far as
        the system defines them, each by role: ``reference``, ``candidate`` and, where there is
        one, ``twin``; errors also ``interpolation``, what that alone does, of runs at other times.
    histograms : dict of str to Histogram
        ``speeds`` and ``pair_distances`` of the window, pooled over trajectories.
    """

    t: Float64[np.ndarray, " T"]
    bands: dict[str, dict[str, Band]]
    histograms: dict[str, Histogram]

    def __repr__(self) -> str:
        return brief(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return {
            "t": self.t.tolist(),
            "bands": {
                name: {role: _lists(each._asdict()) for role, each in roles.items()}
                for name, roles in self.bands.items()
            },
            "histograms": {
                name: {"edges": each.edges.tolist(), "densities": _lists(each.densities)}
                for name, each in self.histograms.items()
            },
        }


def band(values: Float64[np.ndarray, "B T"]) -> Band:
    """Take the median and the quartiles over the trajectories of which something is known."""
    if not np.isnan(values).any():
        low, median, high = quantiles(values, QUARTILES)
        return Band(median, low, high)
    columns = [known(column) for column in values.T]
    nothing = np.full(len(QUARTILES), np.nan)
    rows = [quantiles(each, QUARTILES) if each.size else nothing for each in columns]
    low, median, high = np.array(rows).T
    return Band(median, low, high)


def curves_of(
    pair: Pairing,
    departed: Mapping[str, np.ndarray],
    window: LateWindow,
    defined: Sequence[str] = INVARIANTS,
) -> Curves:
    """Gather the curves.

    Parameters
    ----------
    pair : Pairing
        The runs of ``reference``, ``candidate`` and perhaps ``twin``.
    departed : mapping of role to ndarray, shape (3, B, T)
        Departures of energy, momentum and angular momentum.
    window : LateWindow
        Of the histograms.
    defined : sequence of str
        Which of the drift_curves there are.
    """
    reference, runs = pair.reference, pair.runs
    displacement = {role: band(mean_squared_displacement(run)) for role, run in runs.items()}
    invariants = {
        name: {role: band(values[number]) for role, values in departed.items()}
        for number, name in enumerate(INVARIANTS)
        if name in defined
    }
    histograms = {"speeds": _histogram(speeds, runs, window)}
    if reference.particles.n > 1:
        histograms["pair_distances"] = _histogram(pair_distances, runs, window)
    bands = _error_bands(pair) | {"displacement": displacement} | invariants
    return Curves(reference.t - reference.t[0], bands, histograms)


def _error_bands(pair: Pairing) -> dict[str, dict[str, Band]]:
    truth = pair.reference
    errors: dict[str, Callable[[Ensemble], np.ndarray]] = {
        "position_rmse": lambda run: rmse(truth.x, run.x),
        "velocity_rmse": lambda run: rmse(truth.v, run.v),
        "normalised_rmse": lambda run: normalised_rmse(truth.x, run.x),
    }
    runs = {role: run for role, run in pair.runs.items() if role != "reference"}
    if pair.round_trip is not None:
        runs["interpolation"] = pair.round_trip
    judged = {"candidate": pair.errors}
    return {
        name: {role: band(judged.get(role, pair.unknown)(take(run))) for role, run in runs.items()}
        for name, take in errors.items()
    }


def _histogram(
    take: Callable[[Ensemble, np.ndarray], np.ndarray],
    runs: Mapping[str, Ensemble],
    window: LateWindow,
) -> Histogram:
    values = {role: known(take(run, window.frames)) for role, run in runs.items()}
    # The edges are the reference's, so that roles can be held against each other bin by bin.
    top = float(np.percentile(values["reference"], HELD)) if values["reference"].size else 0.0
    top = top or 1.0
    edges = np.linspace(0.0, top, BINS + 1)
    width = top / BINS
    # Over all values, those beyond the last edge too: what is missing below the curve is out there.
    densities = {
        role: np.histogram(each[np.isfinite(each)], edges)[0] / (max(len(each), 1) * width)
        for role, each in values.items()
    }
    return Histogram(edges, densities)


def _lists(arrays: Mapping[str, np.ndarray]) -> dict[str, list[float | None]]:
    return {key: [finite_or_none(float(x)) for x in values] for key, values in arrays.items()}
