"""The error of single frames: how far each is from what a sharper solver makes of the one before.

The solver takes every frame of a segment as a start, all side by side, with K, K/2 and K/4 steps.
Richardson's extrapolation of two of them, Hairer, Norsett, Wanner, "Solving Ordinary Differential
Equations I" (1993), II.4, is the finer and the coarser estimate of where the next frame should be:

    R_K = L_K + (L_K - L_{K/2}) / (2^p - 1)

with L_K the solver of order p. A frame minus R_K is its error, with its sign; R_K minus R_{K/2}
says how well that is known. Nothing is asked of whoever made the frames.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.simulation.error_estimate.frame_solver import FrameSolver, PhaseSpace, rms

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["FrameErrors", "bound_of", "frame_errors", "local_errors"]

LEAST_DOUBT = 0.02
"""About the size of an error, as a share. Where both estimates agree to all digits but the last,
these would decide between covered and not; and of eccentric pairs both are off alike, by some
percent. Nobody needs an error to better than that."""

MOST_NUMBERS = 1 << 22
"""Numbers of states that are advanced side by side: some 30 MB an array."""


class FrameErrors(NamedTuple):
    """Errors of F frames, and what the solver makes of the frames before them, (B, F, N, D) all.

    Attributes
    ----------
    fine, coarse : PhaseSpace
        The error of each frame by R_K and by R_{K/2}.
    fine_map, coarse_map : PhaseSpace
        L_{K/2} and L_{K/4} of the frame before: from these, differences are followed.
    """

    fine: PhaseSpace
    coarse: PhaseSpace
    fine_map: PhaseSpace
    coarse_map: PhaseSpace

    @property
    def size(self) -> Float64[np.ndarray, "B F"]:
        """Position RMSE of each frame."""
        return rms(self.fine.x)

    @property
    def doubt(self) -> Float64[np.ndarray, "B F"]:
        """How far the two estimates are apart."""
        return rms(self.fine.x - self.coarse.x)


def local_errors(
    system: AbstractSystem,
    particles: Particles,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    dt: float,
    error_model: ErrorModel | None = None,
) -> Float64[np.ndarray, "B F"]:
    """Bound the error that each frame has added to the one before.

    Parameters
    ----------
    system : AbstractSystem
        Without hidden variables.
    particles : Particles, shape (B, N)
    x, v : ndarray, shape (B, T, N, D)
        Frames in a row, the one before the first that is judged included.
    dt : float
        Time between them, in reduced units.
    error_model : ErrorModel, optional
        A card's, ``integrator.card.error_model``; by default a cautious one.

    Returns
    -------
    ndarray, shape (B, F), F = T - 1
        Of the position RMSE of frame n + 1 against the exact motion from frame n, at the model's
        coverage; finite.

    Raises
    ------
    InputError
        If the system has hidden variables.
    """
    model = ErrorModel() if error_model is None else error_model
    solver, frames = FrameSolver(system, dt), PhaseSpace(x, v)
    parts = [
        frame_bounds(frame_errors(solver, particles, part, model.substeps), model)
        for part in in_parts(frames)
    ]
    return np.concatenate(parts, axis=1)


def frame_bounds(errors: FrameErrors, model: ErrorModel) -> Float64[np.ndarray, "B F"]:
    """Bound the error of each frame, as `local_errors` does."""
    with np.errstate(all="ignore"):
        bounds = bound_of(errors.size, model.frame_factor * errors.doubt)
    return np.asarray(np.nan_to_num(bounds, nan=np.finfo(np.float64).max))


def bound_of(
    size: Float64[np.ndarray, "B F"], doubt: Float64[np.ndarray, "B F"]
) -> Float64[np.ndarray, "B F"]:
    """Add to the size of an error the doubt about it, or a least share of the size."""
    return np.asarray(size + np.maximum(doubt, LEAST_DOUBT * size))


def in_parts(frames: PhaseSpace) -> list[PhaseSpace]:
    """Divide frames (B, T, N, D) so that no part is too large; each begins where one ended."""
    batch, count, n, dimensions = frames.x.shape
    length = max(MOST_NUMBERS // (batch * n * dimensions), 1)
    return [
        PhaseSpace(frames.x[:, at : at + length + 1], frames.v[:, at : at + length + 1])
        for at in range(0, count - 1, length)
    ]


def frame_errors(
    solver: FrameSolver, particles: Particles, frames: PhaseSpace, substeps: int
) -> FrameErrors:
    """Hold frames (B, F + 1, N, D) against the solver.

    Parameters
    ----------
    solver : FrameSolver
    particles : Particles, shape (B, N)
    frames : PhaseSpace, shape (B, F + 1, N, D)
    substeps : int
        K of the finer estimate, a multiple of 4.

    Returns
    -------
    FrameErrors
    """
    batch, count, n, dimensions = frames.x.shape
    flat, shape = (batch * (count - 1), n, dimensions), (batch, count - 1, n, dimensions)
    # contiguous copies, as compiled kernels are made for these alone
    before = PhaseSpace(*(y[:, :-1].reshape(flat).copy() for y in frames))
    each = particles[np.repeat(np.arange(batch), count - 1)]
    made = []
    for steps in (substeps, substeps // 2, substeps // 4):
        found = solver.frame(each, before, steps)
        made.append(PhaseSpace(found.x.reshape(shape), found.v.reshape(shape)))
    after, share = PhaseSpace(*(y[:, 1:] for y in frames)), 1 / (2**solver.order - 1)
    with np.errstate(all="ignore"):
        extrapolated = [a.plus(a.minus(b), share) for a, b in itertools.pairwise(made)]
        fine, coarse = (after.minus(each) for each in extrapolated)
    return FrameErrors(fine, coarse, made[1], made[2])
