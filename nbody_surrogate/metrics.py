"""Measures of a run: errors against a reference, and drift of what should be conserved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.state import Particles
from nbody_surrogate.system import AbstractSystem
from nbody_surrogate.trajectory import Ensemble

__all__ = [
    "VALID_THRESHOLD",
    "Drift",
    "closest_pair",
    "drift",
    "fastest",
    "rmse",
    "summary",
    "valid_prediction_time",
]

VALID_THRESHOLD = 0.1  # of the reference's spread


class Drift(NamedTuple):
    """Largest departure from the start's value, one row per trajectory.

    Attributes
    ----------
    energy : ndarray, shape (B,)
        Over the scale handed to `drift`, else over the run's own time-mean kinetic energy. The
        total energy is near zero in a neutral cloud and useless as a scale.
    momentum, angular_momentum : ndarray, shape (B,)
        Euclidean norms, in reduced units.
    """

    energy: Float64[np.ndarray, " B"]
    momentum: Float64[np.ndarray, " B"]
    angular_momentum: Float64[np.ndarray, " B"]


def rmse(
    reference: Float64[np.ndarray, "B T N D"], candidate: Float64[np.ndarray, "B T N D"]
) -> Float64[np.ndarray, "B T"]:
    """Root-mean-square error per coordinate at each frame: over N and D, shape (B, T)."""
    return np.asarray(np.sqrt(((candidate - reference) ** 2).mean((2, 3))))


def closest_pair(x: Float64[np.ndarray, "B T N D"]) -> Float64[np.ndarray, "B T"]:
    """Smallest distance of a pair at each frame; infinity for a single particle."""
    i, j = np.triu_indices(x.shape[2], 1)
    smallest = np.full(x.shape[:2], np.inf)
    if i.size:
        for frame in range(x.shape[1]):  # one at a time, for the memory
            apart = x[:, frame, i] - x[:, frame, j]
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
    """Time until the position error exceeds a share of the reference's spread.

    The normalised error is RMSE(t) over the root of the time-mean of the reference's variance
    about its centroid, as in Vlachas et al., Neural Networks 126 (2020) 191, there with a
    threshold of 0.5.

    Returns
    -------
    ndarray, shape (B,)
        Time since the start of the last frame before the first excess; infinity where the
        whole run is valid.
    """
    centred = reference - reference.mean(2, keepdims=True)
    scale = np.sqrt((centred**2).mean((1, 2, 3)))
    scale = np.where(scale > 0, scale, 1.0)  # a single particle has no spread
    excess = ~(rmse(reference, candidate) <= threshold * scale[:, None])
    first = excess.argmax(1)
    return np.where(excess.any(1), t[np.maximum(first - 1, 0)] - t[0], np.inf)


def mean_kinetic(
    v: Float64[np.ndarray, "B T N D"], particles: Particles
) -> Float64[np.ndarray, " B"]:
    """Kinetic energy averaged over time, shape (B,)."""
    return np.asarray(0.5 * (particles.masses[:, None, :, None] * v**2).sum((2, 3)).mean(1))


def drift(
    system: AbstractSystem,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
    energy_scale: Float64[np.ndarray, " B"] | None = None,
) -> Drift:
    """Largest drift of energy, momentum and angular momentum over the frames of a run."""
    scale = mean_kinetic(v, particles) if energy_scale is None else energy_scale
    scale = np.where(scale > 0, scale, 1.0)
    start = system.invariants(x[:, 0], v[:, 0], particles)
    largest = np.zeros((3, len(x)))
    for frame in range(1, x.shape[1]):
        now = system.invariants(x[:, frame], v[:, frame], particles)
        departures = (
            np.abs(now.energy - start.energy) / scale,
            np.linalg.norm(now.momentum - start.momentum, axis=1),
            np.linalg.norm(now.angular_momentum - start.angular_momentum, axis=1),
        )
        largest = np.maximum(largest, departures)
    return Drift(*largest)


def summary(run: Ensemble) -> dict[str, float]:
    """Median drifts of a run by itself, energy over its own time-mean kinetic energy."""
    values = drift(run.system(), run.x, run.v, run.particles)
    return {key: float(np.median(value)) for key, value in values._asdict().items()}
