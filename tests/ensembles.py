"""Ensembles of given frames, and a run to be measured."""

from __future__ import annotations

import math

import numpy as np

from nbody_surrogate import simulate
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
)


def leapfrog_run(system):
    """Two trajectories of 30 frames."""
    return simulate(system, *system.sample(1, 4, 2), 30, "leapfrog")


def random_frames(seed=0, batch=2, frames=11, n=3, dimensions=3):
    return np.random.default_rng(seed).normal(size=(batch, frames, n, dimensions))


def linear_growth(rates, t0=0.0, frames=21, dimensions=3):
    """Two particles at rest at +-1 on an axis; the error grows by `rates` in each coordinate."""
    reference = np.zeros((len(rates), frames, 2, dimensions))
    reference[:, :, 0, 0], reference[:, :, 1, 0] = 1.0, -1.0
    t = t0 + 0.1 * np.arange(frames)
    error = np.array(rates)[:, None] * (t - t0)
    return t, reference, reference + error[:, :, None, None]


SCALE = VALID_THRESHOLD / math.sqrt(3)  # of two particles at +-1 on an axis, in 3 dimensions


def moved(values, frame=0):
    values = values.copy()
    values[0, frame, 0, 0] += 1e-9
    return values
