"""Hold one run against another: the metrics of a candidate beside its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.errors import InputError
from nbody_surrogate.metrics import (
    VALID_THRESHOLD,
    Drift,
    drift,
    mean_kinetic,
    rmse,
    valid_prediction_time,
)
from nbody_surrogate.trajectory import Ensemble

__all__ = ["HORIZONS", "Comparison", "compare", "horizon_frames"]

HORIZONS = (0.5, 1.0, 2.0, 5.0)  # time units since the start
SAME_TIME = 1e-9


@dataclass(frozen=True)
class Comparison:
    """A candidate against its reference; medians over trajectories where there are several.

    Attributes
    ----------
    reference, candidate : str
        Labels of the methods.
    trajectories : int
    horizons : tuple of float
        Time since the start: those of `HORIZONS` that the run reaches, and its end.
    position_rmse, velocity_rmse : tuple of float
        Per coordinate, at each horizon.
    valid_time : float
        Valid prediction time; infinity where the whole run is valid.
    duration : float
    drifts : dict of str to dict
        For ``reference`` and ``candidate``: ``energy`` over the reference's time-mean kinetic
        energy, ``momentum`` and ``angular_momentum`` in reduced units.
    wall_time : dict of str to float
        Seconds for ``reference`` and ``candidate``.
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

    @property
    def speed_ratio(self) -> float:
        """Wall time of the reference over that of the candidate: above 1, the candidate wins."""
        reference, candidate = (max(self.wall_time[r], 1e-12) for r in ("reference", "candidate"))
        return reference / candidate

    @property
    def verdict(self) -> str:
        """One sentence on speed, also when the candidate loses."""
        ratio = self.speed_ratio
        factor, word = (ratio, "faster") if ratio >= 1 else (1 / ratio, "slower")
        digits = 1 if factor < 10 else 0
        return f"{self.candidate} is {factor:.{digits}f} times {word} than {self.reference}."

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON.

        What is not finite becomes None: an unlimited valid time, errors that overflow.
        """
        drifts = {
            role: {key: _plain(value) for key, value in values.items()}
            for role, values in self.drifts.items()
        }
        return {
            "reference": self.reference,
            "candidate": self.candidate,
            "trajectories": self.trajectories,
            "duration": self.duration,
            "horizons": list(self.horizons),
            "position_rmse": [_plain(value) for value in self.position_rmse],
            "velocity_rmse": [_plain(value) for value in self.velocity_rmse],
            "valid_prediction_time": _plain(self.valid_time),
            "valid_threshold": VALID_THRESHOLD,
            "drift": drifts,
            "wall_time": self.wall_time,
            "speed_ratio": self.speed_ratio,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        lines = [f"{self.candidate} against {self.reference}, medians of {self.trajectories}"]
        for row in zip(self.horizons, self.position_rmse, self.velocity_rmse, strict=True):
            lines.append("t = {:g}: position RMSE {:.2e}, velocity RMSE {:.2e}".format(*row))
        return "\n".join([*lines, self.verdict])


def compare(reference: Ensemble, candidate: Ensemble) -> Comparison:
    """Compare two runs of the same starts, frame by frame.

    Parameters
    ----------
    reference, candidate : Ensemble
        With equal shapes, times and particles.

    Raises
    ------
    InputError
        If they are not runs of the same starts.
    """
    _check_same(reference, candidate)
    t = reference.t - reference.t[0]
    at = horizon_frames(reference.t)
    position = np.median(rmse(reference.x, candidate.x), axis=0)
    velocity = np.median(rmse(reference.v, candidate.v), axis=0)
    valid = valid_prediction_time(reference.t, reference.x, candidate.x)
    scale = mean_kinetic(reference.v, reference.particles)
    system = reference.system()
    drifts = {
        role: drift(system, run.x, run.v, run.particles, scale)
        for role, run in (("reference", reference), ("candidate", candidate))
    }
    return Comparison(
        reference=reference.info.label,
        candidate=candidate.info.label,
        trajectories=len(reference),
        horizons=tuple(float(t[n]) for n in at),
        position_rmse=tuple(float(position[n]) for n in at),
        velocity_rmse=tuple(float(velocity[n]) for n in at),
        valid_time=float(np.median(valid)),
        duration=float(t[-1]),
        drifts={role: _medians(values) for role, values in drifts.items()},
        wall_time={
            "reference": reference.info.wall_time,
            "candidate": candidate.info.wall_time,
        },
    )


def horizon_frames(t: Float64[np.ndarray, " T"]) -> list[int]:
    """Return the frames at those of `HORIZONS` that a run reaches, and its last one."""
    since = t - t[0]
    horizons = [*(h for h in HORIZONS if h < since[-1] * (1 - SAME_TIME)), float(since[-1])]
    return [int(np.abs(since - h).argmin()) for h in horizons]


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _medians(values: Drift) -> dict[str, float]:
    return {key: float(np.median(value)) for key, value in values._asdict().items()}


def _check_same(reference: Ensemble, candidate: Ensemble) -> None:
    if reference.x.shape != candidate.x.shape:
        raise InputError(
            f"`candidate` must have the shape of `reference` {reference.x.shape}, "
            f"got {candidate.x.shape}"
        )
    if not np.allclose(reference.t, candidate.t, rtol=SAME_TIME, atol=SAME_TIME):
        raise InputError("`candidate` must have the frame times of `reference`, they differ")
    if reference.info.system != candidate.info.system:
        raise InputError(
            f"`candidate` must be of the system of `reference` {reference.info.system}, "
            f"got {candidate.info.system}"
        )
    for key in ("charges", "masses", "couplings"):
        if not np.array_equal(getattr(reference.particles, key), getattr(candidate.particles, key)):
            raise InputError(f"`candidate` must have the {key} of `reference`, they differ")
    for y in ("x", "v"):
        if not np.array_equal(getattr(reference, y)[:, 0], getattr(candidate, y)[:, 0]):
            raise InputError(f"`candidate` must have the start of `reference`, its {y} differs")
