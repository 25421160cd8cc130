"""The noise of measured positions, told from the motion by its high frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.tracks.tracks import Tracks

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["PositionNoise", "position_noise"]

ROBUST = 1.4826
"""The standard deviation of a normal distribution over the median of its absolute values."""

ORDERS = (4, 6)
SAME = 0.8
"""Ratio of two estimates above which they are of one noise: that of white noise is 1, and of motion
that the frames hardly resolve each further difference is the smaller."""


@dataclass(frozen=True)
class PositionNoise:
    """Standard deviation of measured positions.

    Attributes
    ----------
    axes : tuple of float
        Along each of the D axes, in the tracks' unit of length; NaN where no stretch is long
        enough.
    is_bound : bool
        Whether it is a bound alone: the motion itself changes as fast as the noise.
    """

    axes: tuple[float, ...]
    is_bound: bool

    @property
    def mean(self) -> float:
        """Root of the mean square over the axes."""
        return math.sqrt(sum(each * each for each in self.axes) / len(self.axes))


def position_noise(tracks: Tracks) -> PositionNoise:
    """Estimate the noise of positions from fourth differences.

    Differences over five frames in a row, with weights 1, -4, 6, -4, 1, leave nothing of a motion
    that is a polynomial of third degree over them, and of white noise of variance s² they are
    normal with variance 70 s². The median of their sizes is not moved by jumps. Sixth differences,
    of variance 924 s², must tell the same noise; where they tell less, what was found is motion.

    Parameters
    ----------
    tracks : Tracks

    Returns
    -------
    PositionNoise

    Raises
    ------
    InputError
        If `tracks` is none.
    """
    demand_kind("tracks", tracks, Tracks, "Tracks, such as one of those of read_tracks")
    fourth, sixth = (_noise_of_order(tracks.x, order) for order in ORDERS)
    bound = not np.all(sixth >= SAME * fourth)
    return PositionNoise(tuple(float(each) for each in fourth), bool(bound))


def _noise_of_order(x: Float64[np.ndarray, "T N D"], order: int) -> Float64[np.ndarray, " D"]:
    if len(x) <= order:
        return np.full(x.shape[2], np.nan)
    # of a stretch with a gap the differences are NaN
    differences = np.diff(x, order, axis=0).reshape(-1, x.shape[2])
    known = np.abs(differences[np.isfinite(differences[:, 0])])
    if not len(known):
        return np.full(x.shape[2], np.nan)
    return np.asarray(ROBUST * np.median(known, axis=0) / math.sqrt(math.comb(2 * order, order)))
