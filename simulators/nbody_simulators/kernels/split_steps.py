"""Steps of kicks and drifts, compiled: of frames, and of the errors that are carried along them."""

from __future__ import annotations

import numba
import numpy as np

from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations

__all__ = ["carry_errors", "split"]


@numba.extending.register_jitable(error_model="numpy")
def _steps(
    lanes: Lanes,
    step: float,
    substeps: int,
    kicks: np.ndarray,
    drifts: np.ndarray,
    size: int,
    moved: bool,
    scratch: np.ndarray,
    a: np.ndarray,
) -> bool:
    """Take some steps; `moved` tells whether `a` is of another place than the lanes."""
    x, v = lanes.x, lanes.v
    flat_x, flat_v, flat_a = x.ravel(), v.ravel(), a.ravel()  # views: long loops for vectors
    for _ in range(substeps):
        for s in range(kicks.size):
            kick, drift = kicks[s] * step, drifts[s] * step
            if kick != 0.0:
                if moved:
                    lane_accelerations(
                        lanes, x, v, lanes.pair, lanes.field, lanes.directed, scratch, a
                    )
                for k in range(size):
                    flat_v[k] += kick * flat_a[k]
                moved = False
            if drift != 0.0:
                for k in range(size):
                    flat_x[k] += drift * flat_v[k]
                moved = True
    return moved


@compiled
def split(
    lanes: Lanes,
    step: float,
    substeps: int,
    kicks: np.ndarray,
    drifts: np.ndarray,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    """Fill in the frames (F, D N W) that follow those in the lanes."""
    flat_x, flat_v = lanes.x.ravel(), lanes.v.ravel()
    scratch, a = np.empty((3, lanes.x.shape[2])), np.empty_like(lanes.x)
    size = frames_x.shape[1]  # in two dimensions without the third component
    # No drift, no new force: a kick that ends a step and the one that begins the next share one
    # evaluation. Two half drifts that meet are left apart: steps are cut into calls, by the size of
    # the batch, and a trajectory has the same bits in any batch.
    moved = True
    for f in range(frames_x.shape[0]):
        moved = _steps(lanes, step, substeps, kicks, drifts, size, moved, scratch, a)
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]


@compiled
def carry_errors(
    lanes: Lanes,
    step: float,
    substeps: int,
    kicks: np.ndarray,
    drifts: np.ndarray,
    frames: np.ndarray,
    mapped: np.ndarray,
    added: np.ndarray,
    largest: float,
    errors: np.ndarray,
) -> None:
    """Carry errors along frames, see `AbstractErrorFollower`, from lanes that hold x_0 - e_0.

    Shapes: frames, mapped, added, errors (2, F, D N W), of positions and velocities; the frames are
    those after the first.
    """
    width = lanes.x.shape[2]
    state = (lanes.x.ravel(), lanes.v.ravel())
    scratch, a = np.empty((3, width)), np.empty_like(lanes.x)
    size = frames.shape[2]
    before, finite = np.empty((2, size)), np.empty(width, dtype=np.bool_)
    for f in range(frames.shape[1]):
        for c in range(2):
            for k in range(size):
                before[c, k] = state[c][k]
        _steps(lanes, step, substeps, kicks, drifts, size, True, scratch, a)
        finite[:] = True
        for c in range(2):
            for k in range(size):
                finite[k % width] &= np.isfinite(state[c][k])
        for c in range(2):
            for k in range(size):
                # a trajectory that is lost stands still, as in a segment
                there = state[c][k] if finite[k % width] else before[c, k]
                error = mapped[c, f, k] - there + added[c, f, k]
                error = 0.0 if np.isnan(error) else min(max(error, -largest), largest)
                errors[c, f, k] = error
                state[c][k] = frames[c, f, k] - error
