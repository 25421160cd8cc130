"""Hold one run against another: the metrics of a candidate beside its reference."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.comparison.curves import Curves, curves_of
from nbody_surrogate.comparison.distributions import (
    Distribution,
    LateWindow,
    compare_distributions,
    late_window,
)
from nbody_surrogate.comparison.errors import MSE_FRAMES, Errors, InterpolationError
from nbody_surrogate.comparison.lyapunov import Twins
from nbody_surrogate.comparison.pairing import Pairing, pair_up
from nbody_surrogate.contracts.arguments import demand_kind, demand_path
from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.wording import counted, range_text, speed_text
from nbody_surrogate.formats.opening import read_runs
from nbody_surrogate.results.bootstrap import Summary, finite_or_none
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
    Drift,
    defined_drifts,
    horizon_frames,
    largest_drift,
)
from nbody_surrogate.results.quantiles import known_median
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MSE_FRAMES", "Comparison", "compare"]

Run = Trajectory | Ensemble | str | os.PathLike[str]

ROUNDING = 1e-9  # of sums of times
SHORTEST = 1e-12  # seconds, in place of a wall time of zero, so that ratios are finite


@dataclass(frozen=True, repr=False)
class Comparison(Suggesting):
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
        Valid prediction time, by the spread at the start; infinity where the whole run is valid. Of
        an even number of trajectories, half of which are valid to the end, it is the longest time
        of the others.
    duration : float
    drifts : dict of str to dict
        For ``reference`` and ``candidate``: ``energy`` over the reference's time-mean kinetic
        energy, where the system has a potential energy, ``momentum`` and ``angular_momentum`` in
        reduced units.
    wall_time : dict of str to float
        Seconds for ``reference`` and ``candidate``.
    normalised_rmse : tuple of float
        Position RMSE over the reference's spread at the start, at each horizon.
    errors : dict of str to Summary
        ``mse K`` at frame K of `MSE_FRAMES`, ``ade`` and ``fde``, as in
        `nbody_surrogate.results.metrics`.
    valid : Summary
        Valid prediction time over trajectories.
    whole_runs : int
        How many trajectories are valid to the end of the run.
    lyapunov_time : float or None
        In which small errors grow e-fold; infinity where their growth is not exponential, None
        where it was not asked for.
    window : LateWindow
        Of the distributions.
    distributions : tuple of Distribution
    curves : Curves
        Over time, ready to be drawn.
    conserved : frozenset of str
        Which of the drifts are of quantities that the system keeps.
    valid_frames : dict of str to tuple of int
        For ``reference`` and ``candidate``: valid frames of each trajectory, the start included.
    covered : dict of str to float
        For both: the time that valid frames of all trajectories span.
    reaches_end : bool
        Whether the reference does, in one trajectory at least.
    interpolation : InterpolationError or None
        None where both have the same times.
    relative_valid_time : float
        The same as `valid_time`, by the spread of the reference's whole run.
    starts : str
        A digest of the reference's starts: what is paired must have the same.
    samples : dict of str to ndarray, shape (B,)
        The values that `errors` are summaries of, of each trajectory: with those of other
        candidates, of the same reference, they are paired.
    validity : tuple of str
        What is to be said where frames are not valid, a line each.
    untimed : str
        The compiled form of the reference's solver, where there is one and neither run is of it.
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
    whole_runs: int
    lyapunov_time: float | None
    window: LateWindow
    distributions: tuple[Distribution, ...]
    curves: Curves
    conserved: frozenset[str]
    valid_frames: dict[str, tuple[int, ...]]
    covered: dict[str, float]
    reaches_end: bool
    interpolation: InterpolationError | None
    relative_valid_time: float
    starts: str
    samples: dict[str, np.ndarray]
    validity: tuple[str, ...]
    untimed: str = ""

    other_words = MappingProxyType(
        {
            **dict.fromkeys(["to_dataframe", "to_pandas", "metrics", "results"], "`to_dict()`"),
            **dict.fromkeys(["rmse", "error"], "`position_rmse`, at the times `horizons`"),
            "mse": "`errors['mse 30']`, by frames",
            **dict.fromkeys(["speedup", "speed"], "`speed_ratio`"),
            "report": "`nbody_surrogate.write_report(candidate, reference)`",
            "table": "`nbody_surrogate.comparison_table([comparison])`",
        }
    )

    @property
    def speed_ratio(self) -> float:
        """Wall time of the reference over that of the candidate: above 1, the candidate wins.

        Each is per time unit that valid frames span. NaN where there is none, where the
        reference never reached its end, since what it spent on failing is no cost of a solution,
        or where a wall time is not known, as of another program's file.
        """
        if not (self.reaches_end and self.covered["candidate"] > 0):
            # of runs of one frame there is nothing that could have failed
            return np.nan if self.validity else 1.0
        if not self.covered["reference"] > 0:  # one frame, which costs nothing and tells nothing
            return np.nan
        reference = max(self.wall_time["reference"], SHORTEST)
        candidate = max(self.wall_time["candidate"], SHORTEST)
        return reference / candidate * (self.covered["candidate"] / self.covered["reference"])

    @property
    def verdict(self) -> str:
        """One sentence on speed, also when the candidate loses."""
        ratio = self.speed_ratio
        if unknown := [role for role, seconds in self.wall_time.items() if math.isnan(seconds)]:
            who = self.reference if unknown[0] == "reference" else self.candidate
            return f"No speeds are compared: nobody knows how long {who} took."
        if math.isnan(ratio):
            started = self.reaches_end and self.covered["reference"] > 0
            who = self.candidate if started else self.reference
            what = "no valid frame after its start" if self.reaches_end else "not reached its end"
            return f"No speeds are compared: {who} has {what}."
        method, other = (name.partition(" (")[0] for name in (self.candidate, self.reference))
        if method == other:  # that it takes longer to be more accurate is no news
            return f"No speeds are compared: both are runs of {method}."
        faster = speed_text(ratio)
        whole = (1 - ROUNDING) * self.duration * self.trajectories
        if self.validity and self.covered["candidate"] < whole and "faster" in faster:
            return f"No speeds are compared: {self.candidate} stopped early."
        share = " per valid time unit" if self.validity else ""
        untimed = ""
        if self.untimed and "faster" in faster:
            untimed = (
                f"; {self.untimed} was not timed and may well be faster, see `nbody-sim bench`"
            )
        return f"{self.candidate} is {faster} {self.reference}{share}{untimed}."

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
            "relative_valid_time": finite_or_none(self.relative_valid_time),
            "drift": drifts,
            "wall_time": {role: finite_or_none(each) for role, each in self.wall_time.items()},
            "speed_ratio": finite_or_none(self.speed_ratio),
            "verdict": self.verdict,
            "normalised_rmse": [finite_or_none(value) for value in self.normalised_rmse],
            "errors": {key: each.to_dict() for key, each in self.errors.items()},
            "valid": self.valid.to_dict(),
            "whole_runs": self.whole_runs,
            **self._lyapunov_times(),
            "window": [self.window.begin, self.window.end],
            "distributions": [each.to_dict() for each in self.distributions],
            "valid_frames": {role: list(counts) for role, counts in self.valid_frames.items()},
            "validity": list(self.validity),
            "interpolation": None if self.interpolation is None else self.interpolation.to_dict(),
        }

    def _lyapunov_times(self) -> dict[str, float | None]:
        unit = self.lyapunov_time
        if unit is None or not math.isfinite(unit):
            return {"lyapunov_time": None, "valid_in_lyapunov_times": None}
        valid = finite_or_none(self.valid_time / unit)
        return {"lyapunov_time": finite_or_none(unit), "valid_in_lyapunov_times": valid}

    @guided(args="to a file by comparison.plot().savefig('comparison.png')")
    def plot(self) -> Figure:
        """Draw errors, energies and distributions, as `nbody_surrogate.plot` does.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from nbody_surrogate import plot

        return plot(self)

    def __repr__(self) -> str:
        span = range_text(self.duration, self.duration, "time unit")
        return (
            f"<Comparison: {self.candidate} against {self.reference}, "
            f"{counted(self.trajectories, 'trajectory')}, {span}; print it>"
        )

    def __str__(self) -> str:
        several = (
            f", medians of {counted(self.trajectories, 'trajectory')}"
            if self.trajectories > 1
            else ""
        )
        lines = [f"{self.candidate} against {self.reference}{several}"]
        for row in zip(self.horizons, self.position_rmse, self.velocity_rmse, strict=True):
            lines.append("t = {:g}: position RMSE {:.2e}, velocity RMSE {:.2e}".format(*row))
        return "\n".join([*lines, *self.validity, self.verdict])


@guided(
    truth="`reference`",
    prediction="`candidate`",
    run="`candidate`",
    candidate="the reference first, then the run that is held against it",
    floor="`twins`, of twins_of(reference)",
)
def compare(
    reference: Run,
    candidate: Run,
    twins: Twins | None = None,
    *,
    interpolate: bool = False,
) -> Comparison:
    """Compare two runs of the same starts, frame by frame and by their distributions.

    Only valid frames count. A trajectory is compared up to the last frame that is valid in both
    runs; among several, beyond that a candidate that stopped is infinitely wrong, and nothing is
    known where the reference stopped.

    Parameters
    ----------
    reference, candidate : Trajectory, Ensemble or path_like
        With equal shapes (T, N, D) or (B, T, N, D), times and particles. Files are read as by
        `nbody_surrogate.load`; those of other programs are taken for runs of the other's system.
    twins : Twins, optional
        Of the reference, from `nbody_surrogate.twins_of`: they give the Lyapunov time and the noise
        floor, at the price of two more runs of the reference.
    interpolate : bool
        Take a candidate of other frame times at those of the reference, by a cubic through
        positions and velocities. The error of that alone is `Comparison.interpolation`; what is
        conserved is read off the candidate's own frames.

    Returns
    -------
    Comparison
        Errors, drifts, distributions and curves; in reduced units, but for wall times in seconds.

    Raises
    ------
    InputError
        If they are not runs of the same starts.
    """
    if twins is not None:
        demand_kind("twins", twins, Twins, "what `twins_of` returns, or None")
    pair = pair_up(*_both(reference, candidate), twins, interpolate)
    truth, system = pair.reference, pair.reference.system()
    departed, defined = pair.departures(), defined_drifts(system)
    lyapunov_time = None if twins is None else twins.lyapunov_time
    window = late_window(truth.t, lyapunov_time, pair.own)
    whole = pair.whole
    errors = Errors.of(truth, pair.candidate, pair.errors)
    back = None if pair.round_trip is None else Errors.of(truth, pair.round_trip, pair.unknown)
    valid = pair.valid_times(errors.normalised, None if back is None else back.normalised)
    relative = pair.valid_times(errors.relative, None if back is None else back.relative)
    at = horizon_frames(truth.t)
    return Comparison(
        reference=whole["reference"].info.label,
        candidate=whole["candidate"].info.label,
        trajectories=len(truth),
        horizons=tuple(float(truth.t[n] - truth.t[0]) for n in at),
        **errors.at(at),
        valid_time=known_median(valid, censored=True),
        duration=float(whole["reference"].t[-1] - whole["reference"].t[0]),
        drifts={
            "reference": _medians(largest_drift(departed["reference"]), defined),
            "candidate": _medians(largest_drift(pair.own_departures()), defined),
        },
        wall_time={role: run.info.wall_time for role, run in whole.items()},
        errors=errors.summaries(),
        valid=Summary.of(valid, censored=True),
        whole_runs=int(np.isinf(valid).sum()),
        lyapunov_time=lyapunov_time,
        window=window,
        distributions=_distributions(pair, window),
        curves=curves_of(pair, departed, window, defined),
        conserved=system.conserved,
        valid_frames={role: _counts(run) for role, run in whole.items()},
        covered={role: _covered(run) for role, run in whole.items()},
        reaches_end=bool((whole["reference"].valid.all(1)).any()),
        interpolation=None if back is None else InterpolationError.of(errors, back, at),
        relative_valid_time=known_median(relative, censored=True),
        starts=_digest(whole["reference"]),
        samples=errors.of_trajectories(),
        validity=pair.notes(),
        untimed=pair.untimed(),
    )


def _both(reference: Run, candidate: Run) -> tuple[Ensemble, Ensemble]:
    """Return both runs, read where they are files."""
    if isinstance(reference, str | os.PathLike) and isinstance(candidate, str | os.PathLike):
        # together: what another program's file does not say, the other one may
        paths = [demand_path("reference", reference), demand_path("candidate", candidate)]
        one, other = read_runs(paths)
        return one, other
    return as_ensemble(reference, "reference"), as_ensemble(candidate, "candidate")


def _distributions(pair: Pairing, window: LateWindow) -> tuple[Distribution, ...]:
    """Take all measures, but none of the start, which is all that some runs have in common."""
    if len(pair.reference.t) == 1 < len(pair.whole["reference"].t):
        return ()
    twin = pair.runs.get("twin")
    return compare_distributions(pair.reference, pair.candidate, twin, window, pair.round_trip)


def _digest(run: Ensemble) -> str:
    return hashlib.sha256(run.x[:, 0].tobytes() + run.v[:, 0].tobytes()).hexdigest()


def _counts(run: Ensemble) -> tuple[int, ...]:
    return tuple(int(count) for count in run.valid_frames)


def _covered(run: Ensemble) -> float:
    """Time units that valid frames of all trajectories span."""
    return float((run.t[run.valid_frames - 1] - run.t[0]).sum())


def _medians(values: Drift, defined: tuple[str, ...]) -> dict[str, float]:
    return {key: known_median(getattr(values, key)) for key in defined}
