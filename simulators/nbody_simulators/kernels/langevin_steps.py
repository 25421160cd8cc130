"""Steps of particles in a bath, compiled."""

from __future__ import annotations

import numpy as np

from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations

__all__ = ["baoab"]


@compiled
def baoab(
    lanes: Lanes,
    step: float,
    substeps: int,
    decay: np.ndarray,
    kicks: np.ndarray,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    """Fill in the frames (F, D N W) that follow those in the lanes.

    Shapes: decay (D N W), what a step leaves of velocities; kicks (F substeps, D N W), what the
    bath adds to them in each step.
    """
    x, v = lanes.x, lanes.v
    scratch, a, rest = np.empty((3, x.shape[2])), np.empty_like(x), np.zeros_like(x)
    flat_x, flat_v, flat_a = x.ravel(), v.ravel(), a.ravel()  # views: long loops for vectors
    size = frames_x.shape[1]  # in two dimensions without the third component
    half = 0.5 * step
    # of particles at rest: the drag is in the decay. The force at the end begins the next step.
    lane_accelerations(lanes, x, rest, lanes.pair, lanes.field, lanes.directed, scratch, a)
    for f in range(frames_x.shape[0]):
        for s in range(substeps):
            kick = kicks[f * substeps + s]
            for k in range(size):
                flat_v[k] += half * flat_a[k]
                flat_x[k] += half * flat_v[k]
                flat_v[k] = decay[k] * flat_v[k] + kick[k]
                flat_x[k] += half * flat_v[k]
            lane_accelerations(lanes, x, rest, lanes.pair, lanes.field, lanes.directed, scratch, a)
            for k in range(size):
                flat_v[k] += half * flat_a[k]
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]
