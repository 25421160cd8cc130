"""Hold one run against another: the metrics of a candidate beside its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.comparison.alignment import check_same
from nbody_surrogate.comparison.curves import Curves, curves_of
from nbody_surrogate.comparison.distributions import (
    Distribution,
    LateWindow,
    compare_distributions,
    late_window,
)
from nbody_surrogate.comparison.lyapunov import Twins
from nbody_surrogate.results.bootstrap import Summary, finite_or_none
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
    Drift,
    ade,
    defined_drifts,
    drift_curves,
    fde,
    horizon_frames,
    mean_kinetic,
    mse,
    normalised_rmse,
    rmse,
    valid_prediction_time,
)
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MSE_FRAMES", "Comparison", "compare"]

MSE_FRAMES = (1, 5, 10, 20, 50, 100)  # one step, and horizons of published benchmarks
SHORTEST = 1e-12  # seconds, in place of a wall time of zero, so that ratios are finite


@dataclass(frozen=True)
class Comparison:
    """A candidate against its reference; medians over trajectories where there are several.

    Attributes
    ----------
    reference, candidate : str
        Labels of the methods.
    trajectories : int
    horizons : tuple of float
        Time since the start: those of `metrics.HORIZONS` that the run reaches, and its end.
    position_rmse, velocity_rmse : tuple of float
        Per coordinate, at each horizon.
    valid_time : float
        Valid prediction time; infinity where the whole run is valid.
    duration : float
    drifts : dict of str to dict
        For ``reference`` and ``candidate``: ``energy`` over the reference's time-mean kinetic
        energy, where the system has a potential energy, ``momentum`` and ``angular_momentum`` in
        reduced units.
    wall_time : dict of str to float
        Seconds for ``reference`` and ``candidate``.
    normalised_rmse : tuple of float
        Position RMSE over the reference's spread, at each horizon.
    errors : dict of str to Summary
        ``mse K`` at frame K of `MSE_FRAMES`, ``ade`` and ``fde``, as in
        `nbody_surrogate.results.metrics`.
    valid : Summary
        Valid prediction time over trajectories.
    lyapunov_time : float or None
        In which small errors grow e-fold; None where it was not asked for.
    window : LateWindow
        Of the distributions.
    distributions : tuple of Distribution
    curves : Curves
        Over time, ready to be drawn.
    conserved : frozenset of str
        Which of the drifts are of quantities that the system keeps.
    """

    reference: str
    candidate: str
    trajectories: int
    horizons: tuple[float, ...]
    position_rmse: tuple[float, ...]
    velocity_rmse: tuple[float, ...]
    valid_time: float
    duration: float
    drifts: dict[str, dict[str, float]]
    wall_time: dict[str, float]
    normalised_rmse: tuple[float, ...]
    errors: dict[str, Summary]
    valid: Summary
    lyapunov_time: float | None
    window: LateWindow
    distributions: tuple[Distribution, ...]
    curves: Curves
    conserved: frozenset[str]

    @property
    def speed_ratio(self) -> float:
        """Wall time of the reference over that of the candidate: above 1, the candidate wins."""
        reference = max(self.wall_time["reference"], SHORTEST)
        candidate = max(self.wall_time["candidate"], SHORTEST)
        return reference / candidate

    @property
    def verdict(self) -> str:
        """One sentence on speed, also when the candidate loses."""
        ratio = self.speed_ratio
        factor, word = (ratio, "faster") if ratio >= 1 else (1 / ratio, "slower")
        digits = 1 if factor < 10 else 0  # as many as a wall time is good for
        return f"{self.candidate} is {factor:.{digits}f} times {word} than {self.reference}."

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON.

        What is not finite becomes None: an unlimited valid time, errors that overflow.

        Returns
        -------
        dict
        """
        drifts = {
            role: {key: finite_or_none(value) for key, value in values.items()}
            for role, values in self.drifts.items()
        }
        return {
            "reference": self.reference,
            "candidate": self.candidate,
            "trajectories": self.trajectories,
            "duration": self.duration,
            "horizons": list(self.horizons),
            "position_rmse": [finite_or_none(value) for value in self.position_rmse],
            "velocity_rmse": [finite_or_none(value) for value in self.velocity_rmse],
            "valid_prediction_time": finite_or_none(self.valid_time),
            "valid_threshold": VALID_THRESHOLD,
            "drift": drifts,
            "wall_time": self.wall_time,
            "speed_ratio": self.speed_ratio,
            "verdict": self.verdict,
            "normalised_rmse": [finite_or_none(value) for value in self.normalised_rmse],
            "errors": {key: each.to_dict() for key, each in self.errors.items()},
            "valid": self.valid.to_dict(),
            **self._lyapunov_times(),
            "window": [self.window.begin, self.window.end],
            "distributions": [each.to_dict() for each in self.distributions],
        }

    def _lyapunov_times(self) -> dict[str, float | None]:
        unit = self.lyapunov_time
        if unit is None:
            return {"lyapunov_time": None, "valid_in_lyapunov_times": None}
        valid = finite_or_none(self.valid_time / unit)
        return {"lyapunov_time": finite_or_none(unit), "valid_in_lyapunov_times": valid}

    def plot(self) -> Figure:
        """Draw errors, energies and distributions, as `nbody_surrogate.plot` does.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from nbody_surrogate import plot

        return plot(self)

    def __str__(self) -> str:
        lines = [f"{self.candidate} against {self.reference}, medians of {self.trajectories}"]
        for row in zip(self.horizons, self.position_rmse, self.velocity_rmse, strict=True):
            lines.append("t = {:g}: position RMSE {:.2e}, velocity RMSE {:.2e}".format(*row))
        return "\n".join([*lines, self.verdict])


def compare(
    reference: Trajectory | Ensemble,
    candidate: Trajectory | Ensemble,
    twins: Twins | None = None,
) -> Comparison:
    """Compare two runs of the same starts, frame by frame and by their distributions.

    Parameters
    ----------
    reference, candidate : Trajectory or Ensemble
        With equal shapes (T, N, D) or (B, T, N, D), times and particles.
    twins : Twins, optional
        Of the reference, from `nbody_surrogate.twins_of`: they give the Lyapunov time and the noise
        floor, at the price of two more runs of the reference.

    Returns
    -------
    Comparison
        Errors, drifts, distributions and curves; in reduced units, but for wall times in seconds.

    Raises
    ------
    InputError
        If they are not runs of the same starts.
    """
    reference = as_ensemble(reference, "reference")
    candidate = as_ensemble(candidate, "candidate")
    check_same(reference, candidate)
    runs = {"reference": reference, "candidate": candidate}
    runs |= {} if twins is None else {"twin": twins.far}
    system = reference.system()
    # One scale for all, the reference's: a candidate that heats up must not lower its own drift.
    scale = mean_kinetic(reference.v, reference.particles)
    departed = {
        role: drift_curves(system, run.x, run.v, run.particles, scale) for role, run in runs.items()
    }
    window = late_window(reference.t, None if twins is None else twins.lyapunov_time)
    valid = valid_prediction_time(reference.t, reference.x, candidate.x)
    return Comparison(
        reference=reference.info.label,
        candidate=candidate.info.label,
        trajectories=len(reference),
        **_at_horizons(reference, candidate),
        valid_time=float(np.median(valid)),
        duration=float(reference.t[-1] - reference.t[0]),
        drifts={
            role: _medians(Drift(*departed[role].max(2)), defined_drifts(system))
            for role in ("reference", "candidate")
        },
        wall_time={role: runs[role].info.wall_time for role in ("reference", "candidate")},
        errors=_errors(reference, candidate),
        valid=Summary.of(valid),
        lyapunov_time=None if twins is None else twins.lyapunov_time,
        window=window,
        distributions=compare_distributions(
            reference, candidate, None if twins is None else twins.far, window
        ),
        curves=curves_of(runs, departed, window, defined_drifts(system)),
        conserved=system.conserved,
    )


def _at_horizons(reference: Ensemble, candidate: Ensemble) -> dict[str, tuple[float, ...]]:
    """Medians of the errors at each horizon."""
    at = horizon_frames(reference.t)
    pairs = {"position": (reference.x, candidate.x), "velocity": (reference.v, candidate.v)}
    medians = {name: np.median(rmse(*pair), axis=0) for name, pair in pairs.items()}
    normalised = np.median(normalised_rmse(reference.x, candidate.x), axis=0)
    return {
        "horizons": tuple(float(reference.t[n] - reference.t[0]) for n in at),
        "position_rmse": tuple(float(medians["position"][n]) for n in at),
        "velocity_rmse": tuple(float(medians["velocity"][n]) for n in at),
        "normalised_rmse": tuple(float(normalised[n]) for n in at),
    }


def _errors(reference: Ensemble, candidate: Ensemble) -> dict[str, Summary]:
    """Summaries over trajectories of the errors that the literature gives."""
    squares = mse(reference.x, candidate.x)
    frames = [frame for frame in MSE_FRAMES if frame < len(reference.t)]
    found = {f"mse {frame}": Summary.of(squares[:, frame]) for frame in frames}
    if len(reference.t) > 1:
        found["ade"] = Summary.of(ade(reference.x, candidate.x))
        found["fde"] = Summary.of(fde(reference.x, candidate.x))
    return found


def _medians(values: Drift, defined: tuple[str, ...]) -> dict[str, float]:
    return {key: float(np.median(getattr(values, key))) for key in defined}
