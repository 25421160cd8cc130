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
from nbody_surrogate.simulation.error_estimate.frame_solver import (
    FrameSolver,
    PhaseSpace,
    rms,
    spread,
)

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["FrameErrors", "bound_of", "frame_bounds", "frame_errors", "in_parts", "vouched_for"]

LEAST_DOUBT = 0.05
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


def frame_bounds(errors: FrameErrors, model: ErrorModel) -> Float64[np.ndarray, "B F"]:
    """Bound the position RMSE that each frame has added to the one before; finite."""
    with np.errstate(all="ignore"):
        bounds = bound_of(errors.size, model.frame_factor * errors.doubt)
    return np.asarray(np.nan_to_num(bounds, nan=np.finfo(np.float64).max))


def bound_of(
    size: Float64[np.ndarray, "B F"], doubt: Float64[np.ndarray, "B F"]
) -> Float64[np.ndarray, "B F"]:
    """Add to the size of an error the doubt about it, or a least share of the size."""
    return np.asarray(size + np.maximum(doubt, LEAST_DOUBT * size))


def vouched_for(
    errors: FrameErrors, model: ErrorModel, vouched: Float64[np.ndarray, "B F"]
) -> FrameErrors:
    """Return errors of frames, as small as their makers vouch for where that is less than is known.

    The direction stays that of the finer estimate, which knows where errors grow; both estimates
    become the same, as the cheap solver's doubt about itself is none about these frames.

    Parameters
    ----------
    errors : FrameErrors
    model : ErrorModel
    vouched : ndarray, shape (B, F)
        As a `Segment` has it; NaN where nobody vouches.
    """
    size = errors.size
    with np.errstate(all="ignore"):
        better = (vouched < frame_bounds(errors, model)) & (size > 0)
        shares = np.where(better, vouched / size, 1.0)
        fine = errors.fine.made(lambda y: spread(shares, y) * y)
    coarse = fine.with_each(errors.coarse, lambda a, b: np.where(spread(better, a), a, b))
    return errors._replace(fine=fine, coarse=coarse)


def in_parts(frames: PhaseSpace) -> list[PhaseSpace]:
    """Divide frames (B, T, N, D) so that no part is too large; each begins where one ended."""
    arrays = (frames.x, *frames.hidden.values())
    largest = max(y[:, 0].size for y in arrays)  # of a frame of all trajectories
    length = max(MOST_NUMBERS // largest, 1)
    begins = range(0, frames.x.shape[1] - 1, length)
    return [_part(frames, slice(at, at + length + 1)) for at in begins]


def _part(frames: PhaseSpace, some: slice) -> PhaseSpace:
    return frames.made(lambda y: y[:, some])


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
    batch, count = frames.x.shape[:2]
    # contiguous copies, as compiled kernels are made for these alone
    before = frames.made(lambda y: y[:, :-1].reshape(batch * (count - 1), *y.shape[2:]).copy())
    each = particles[np.repeat(np.arange(batch), count - 1)]
    made = []
    for steps in (substeps, substeps // 2, substeps // 4):
        found = solver.frame(each, before, steps)
        made.append(found.made(lambda y: y.reshape(batch, count - 1, *y.shape[1:])))
    after, share = frames.made(lambda y: y[:, 1:]), 1 / (2**solver.order - 1)
    with np.errstate(all="ignore"):
        extrapolated = [a.plus(a.minus(b), share) for a, b in itertools.pairwise(made)]
        fine, coarse = (after.minus(each) for each in extrapolated)
    return FrameErrors(fine, coarse, made[1], made[2])
