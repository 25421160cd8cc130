"""Measures of a run: errors against a reference, and drift of what should be conserved.

Errors are per trajectory; with x the reference's and y the candidate's positions (B, T, N, D):

====================  ==========================================================================
name                  formula
====================  ==========================================================================
`mse`                 mean over i and d of (y - x)^2, at each frame
`rmse`                its root
`normalised_rmse`     its root over the reference's spread at the start
`relative_rmse`       its root over the spread of the reference's whole run, so that 1 is no better
                      than the mean
`ade`                 mean over i and all frames after the start of |y_i - x_i|
`fde`                 mean over i of |y_i - x_i| at the last frame
====================  ==========================================================================

Frames that are not valid are NaN here, as `Ensemble.valid_part` has them: what is made of one is
NaN too, and means over time leave them out.

The last two are the average and the final displacement error of Pellegrini et al., ICCV 2009.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.memory import demand_pairs_memory
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.results.quantiles import known_median
from nbody_surrogate.results.trajectory import Ensemble

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    "HORIZONS",
    "VALID_THRESHOLD",
    "Drift",
    "ade",
    "closest_pair",
    "defined_drifts",
    "displacement",
    "drift",
    "drift_curves",
    "fastest",
    "fde",
    "horizon_frames",
    "largest_drift",
    "mean_kinetic",
    "median_drifts",
    "mse",
    "normalised_rmse",
    "own_drift_curves",
    "relative_rmse",
    "relative_valid_time",
    "rmse",
    "spread",
    "spread_at_start",
    "time_within",
    "valid_prediction_time",
]

HORIZONS = (0.5, 1.0, 2.0, 5.0)
"""Time units since the start: from early ones, where a method's order tells, to the end of the
default run, where chaos has its say."""

VALID_THRESHOLD = 0.1
"""Of the reference's spread at the start. Stricter than the 0.5 of the literature: half the spread
is about the distance between neighbours in a cloud of 30, so that an error of it no longer tells
them apart."""


class Drift(NamedTuple):
    """Largest departure from the start's value, one row per trajectory.

    Attributes
    ----------
    energy : ndarray, shape (B,)
        Over the scale handed to `drift`, else over the run's own time-mean kinetic energy. The
        total energy is near zero in a neutral cloud and useless as a scale. NaN where the system
        has no potential energy.
    momentum, angular_momentum : ndarray, shape (B,)
        Euclidean norms, in reduced units.
    """

    energy: Float64[np.ndarray, " B"]
    momentum: Float64[np.ndarray, " B"]
    angular_momentum: Float64[np.ndarray, " B"]


def mse(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """Mean squared error per coordinate at each frame: over N and D, shape (B, T)."""
    return np.asarray(((candidate - reference) ** 2).mean((2, 3)))


def rmse(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """Root-mean-square error per coordinate at each frame: over N and D, shape (B, T)."""
    return np.asarray(np.sqrt(mse(reference, candidate)))


def spread(x: Float64[np.ndarray, "B T N D"]) -> Float64[np.ndarray, " B"]:
    """Root of the time-mean variance of positions about their centroid, per coordinate.

    It is 1 where there is none, as for a single particle.
    """
    # About the centroid of each frame: a cloud that drifts as a whole is not a larger one.
    centred = x - x.mean(2, keepdims=True)
    scale = np.sqrt(_mean(centred**2, (1, 2, 3)))
    return np.where(scale > 0, scale, 1.0)


def spread_at_start(x: Float64[np.ndarray, "B T N D"]) -> Float64[np.ndarray, " B"]:
    """Root-mean-square distance from the centre at the first frame, per coordinate; 1 for none.

    The root of D times smaller than the distance itself, as an RMSE per coordinate is smaller than
    the distance from the truth: their ratio is that of the distances.
    """
    return spread(x[:, :1])


def normalised_rmse(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """RMSE over the reference's spread at the start, which does not depend on how long a run is."""
    return np.asarray(rmse(reference, candidate) / spread_at_start(reference)[:, None])


def relative_rmse(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """RMSE over the spread of the whole run, as in Vlachas et al., Neural Networks 126 (2020) 191.

    There the motion is bounded. A cloud that flies apart has a larger spread the longer it is run,
    and the same errors are smaller then.
    """
    return np.asarray(rmse(reference, candidate) / spread(reference)[:, None])


def displacement(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """Return the mean distance over particles at each frame."""
    return np.asarray(np.linalg.norm(candidate - reference, axis=3).mean(2))


def ade(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, " B"]:
    """Return the average displacement error: the mean distance over particles and frames."""
    # Without the first frame, which is given and not predicted.
    return np.asarray(displacement(reference, candidate)[:, 1:].mean(1))


def fde(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, " B"]:
    """Return the final displacement error: the mean distance over particles at the end."""
    return np.asarray(np.linalg.norm(candidate[:, -1] - reference[:, -1], axis=2).mean(1))


def closest_pair(
    x: Float64[np.ndarray, "B T N D"], box: Box | None = None
) -> Float64[np.ndarray, "B T"]:
    """Smallest distance of a pair at each frame; infinity for a single particle.

    In a box it is that of the nearest images.
    """
    demand_pairs_memory(len(x), 1, x.shape[2])
    i, j = np.triu_indices(x.shape[2], 1)
    smallest = np.full(x.shape[:2], np.inf)
    if i.size:
        for frame in range(x.shape[1]):  # all pairs of all frames need not fit into memory
            apart = x[:, frame, i] - x[:, frame, j]
            apart = apart if box is None else box.displacement(apart)
            # the root of the smallest square: one for each frame, not one for each pair
            smallest[:, frame] = np.sqrt(np.einsum("bpd,bpd->bp", apart, apart).min(1))
    return smallest


def fastest(v: Float64[np.ndarray, "B T N D"]) -> Float64[np.ndarray, "B T"]:
    """Largest speed of a particle at each frame."""
    return np.asarray(np.linalg.norm(v, axis=3).max(2))


def valid_prediction_time(
    t: Float64[np.ndarray, " T"],
    reference: Float64[np.ndarray, "B T N D"],
    candidate: Float64[np.ndarray, "B T N D"],
    threshold: float = VALID_THRESHOLD,
) -> Float64[np.ndarray, " B"]:
    """Time until the position error exceeds a share of the reference's spread at the start.

    As in Vlachas et al., Neural Networks 126 (2020) 191, there with a threshold of 0.5, and with
    the scale of `relative_valid_time`. This one is fixed, so that the time is the same for runs of
    all lengths that reach it.

    Returns
    -------
    ndarray, shape (B,)
        Time since the start of the last frame before the first excess; infinity where the
        whole run is valid.
    """
    return time_within(t, normalised_rmse(reference, candidate), threshold)


def relative_valid_time(
    t: Float64[np.ndarray, " T"],
    reference: Float64[np.ndarray, "B T N D"],
    candidate: Float64[np.ndarray, "B T N D"],
    threshold: float = VALID_THRESHOLD,
) -> Float64[np.ndarray, " B"]:
    """Time until the position error exceeds a share of the spread of the reference's whole run.

    It grows with the run where the spread does, and compares with others of the same length alone.

    Returns
    -------
    ndarray, shape (B,)
        As `valid_prediction_time`.
    """
    return time_within(t, relative_rmse(reference, candidate), threshold)


def time_within(
    t: Float64[np.ndarray, " T"], errors: Float64[np.ndarray, "B T"], limit: float
) -> Float64[np.ndarray, " B"]:
    """Time since the start of the last frame before errors first exceed a limit, else infinity."""
    # Not `>`: errors that are NaN, of a candidate that blew up, count as an excess.
    excess = ~(errors <= limit)
    first = excess.argmax(1)
    # where the first frame exceeds already, nothing was valid
    return np.where(excess.any(1), t[np.maximum(first - 1, 0)] - t[0], np.inf)


def mean_kinetic(
    v: Float64[np.ndarray, "B T N D"], particles: Particles
) -> Float64[np.ndarray, " B"]:
    """Kinetic energy averaged over time, shape (B,)."""
    # one pass, without an array as large as v
    kinetic = 0.5 * np.einsum("bn,btnd,btnd->bt", particles.masses, v, v)
    return np.asarray(_mean(kinetic, (1,)))


def _mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Average over what is known; of the start, at least, all is."""
    known = not np.isnan(values).any()
    return np.asarray(values.mean(axes) if known else np.nanmean(values, axes))


def drift_curves(
    system: AbstractSystem,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
    energy_scale: Float64[np.ndarray, " B"] | None = None,
) -> Float64[np.ndarray, "3 B T"]:
    """Departure of energy, momentum and angular momentum from the start's value, at each frame.

    Energy is over `energy_scale`, else over the run's own time-mean kinetic energy. Of frames that
    are not valid it is NaN.
    """
    scale = mean_kinetic(v, particles) if energy_scale is None else energy_scale
    scale = np.where(scale > 0, scale, 1.0)  # particles at rest have none to divide by
    start = system.invariants(x[:, 0], v[:, 0], particles)
    # zeros, since nothing departs from the start at the start
    found = np.zeros((3, *x.shape[:2]))
    # Frame by frame, since a system's energy makes all pairs: T times as many need not fit.
    for frame in range(1, x.shape[1]):
        at_x, at_v = x[:, frame], v[:, frame]
        missing = np.isnan(at_x).any((1, 2)) | np.isnan(at_v).any((1, 2))
        if missing.any():  # no system is asked for the energy of what is not there
            at_x = np.where(missing[:, None, None], x[:, 0], at_x)
            at_v = np.where(missing[:, None, None], v[:, 0], at_v)
        now = system.invariants(at_x, at_v, particles)
        gap = now.angular_momentum - start.angular_momentum
        found[0, :, frame] = np.abs(now.energy - start.energy) / scale
        found[1, :, frame] = np.linalg.norm(now.momentum - start.momentum, axis=1)
        found[2, :, frame] = np.linalg.norm(gap, axis=1)
        found[:, missing, frame] = np.nan
    return found


def defined_drifts(system: AbstractSystem) -> tuple[str, ...]:
    """Name the fields of `Drift` that a system has: energy only where there is a potential."""
    return tuple(key for key in Drift._fields if key != "energy" or system.has_potential)


def drift(
    system: AbstractSystem,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
    energy_scale: Float64[np.ndarray, " B"] | None = None,
) -> Drift:
    """Largest drift of energy, momentum and angular momentum over the valid frames of a run.

    NaN where there is none after the start, by which nothing can be judged.
    """
    return largest_drift(drift_curves(system, x, v, particles, energy_scale))


def largest_drift(curves: Float64[np.ndarray, "3 B T"]) -> Drift:
    """Take the largest of what `drift_curves` gives over the valid frames after the start."""
    return Drift(*np.fmax.reduce(curves[:, :, 1:], axis=2, initial=np.nan))


def own_drift_curves(run: Ensemble) -> Float64[np.ndarray, "3 B T"]:
    """Drift curves of a run by itself, over the frames of its `Ensemble.valid_part`."""
    part = run.valid_part()
    return drift_curves(run.system(), part.x, part.v, part.particles)


def median_drifts(
    run: Ensemble, curves: Float64[np.ndarray, "3 B T"] | None = None
) -> dict[str, float]:
    """Median drifts of a run by itself, energy over its own time-mean kinetic energy.

    Only those that its system defines, over valid frames; NaN where no trajectory has one after
    its start. `curves` are its `own_drift_curves`, where they are known already.
    """
    values = largest_drift(own_drift_curves(run) if curves is None else curves)
    return {key: known_median(getattr(values, key)) for key in defined_drifts(run.system())}


def horizon_frames(t: Float64[np.ndarray, " T"]) -> list[int]:
    """Return the frames at those of `HORIZONS` that a run reaches, and its last one.

    None where there is nothing after the start.
    """
    since = t - t[0]
    if len(since) < 2:
        return []
    # A horizon that rounding puts at the end is the end, and is not given twice.
    horizons = [*(h for h in HORIZONS if h < since[-1] * (1 - SAME_TIME)), float(since[-1])]
    # the nearest one: horizons are times, and frames may lie anywhere; of frames that are far apart
    # several horizons have the same, or the start, of which no error tells anything
    nearest = dict.fromkeys(int(np.abs(since - h).argmin()) for h in horizons)
    return [frame for frame in nearest if frame > 0] or [0]
