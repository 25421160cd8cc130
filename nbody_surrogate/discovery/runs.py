"""Measured runs as the estimate takes them: short gaps filled, stretches, who is there when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

__all__ = ["MeasuredRun", "measured_run"]

GAP = 8
"""Longest gap of a particle, in frames, that is bridged: as long as positions between are known
well enough for the force on others. In its own equation a bridged frame weighs nothing."""


MOST_LOST = 0.5
"""Share of frames in which somebody is out of sight, up to which nothing is fitted there. What he
does to the others is not known."""


@dataclass(frozen=True)
class MeasuredRun:
    """One run, with gaps bridged.

    Attributes
    ----------
    x : ndarray, shape (T, N, D)
        Anything finite where a particle is away.
    path : ndarray, shape (T, N, D)
        Where forces are evaluated: as measured, or smoothed by a law that is known already.
    dt : float
    seen, there : ndarray, shape (T, N)
        Whether a particle was measured; whether it was, or its gap is short.
    first : int
        Number of its first particle among those of all runs.
    start : int
        Number of its first frame among those of all runs, one after the other.
    lost : ndarray, shape (T,)
        Whether somebody is out of sight, in a gap that is not bridged.
    whole : ndarray, shape (T,)
        Frames that are fitted: those in which nobody is lost, if they are enough.
    """

    x: Float64[np.ndarray, "T N D"]
    path: Float64[np.ndarray, "T N D"]
    dt: float
    seen: Bool[np.ndarray, "T N"]
    there: Bool[np.ndarray, "T N"]
    first: int
    start: int
    lost: Bool[np.ndarray, " T"]
    whole: Bool[np.ndarray, " T"]

    @property
    def n(self) -> int:
        """Particles."""
        return int(self.x.shape[1])

    def cut(self, part: slice, start: int) -> MeasuredRun:
        """Return some of its frames, the first of which gets that number."""
        each = (self.x[part], self.path[part], self.dt, self.seen[part], self.there[part])
        return MeasuredRun(*each, self.first, start, self.lost[part], self.whole[part])

    def along(self, path: Float64[np.ndarray, "T N D"]) -> MeasuredRun:
        """Return the run with forces evaluated along another path, where that is finite."""
        return replace(self, path=np.where(np.isfinite(path), path, self.path))

    def stretches(self, i: int, shortest: int) -> list[slice]:
        """Return the stretches of at least so many frames in which particle `i` is fitted."""
        fitted = self.there[:, i] & self.whole
        edges = np.flatnonzero(np.diff(np.r_[0, fitted.astype(np.int8), 0]))
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [slice(int(a), int(b)) for a, b in pairs if b - a >= shortest]

    def visited(self, every: int = 1) -> Float64[np.ndarray, " V"]:
        """Return the distances of all pairs that are there, each once, of every so many frames."""
        i, j = np.triu_indices(self.n, 1)
        both = self.there[::every, i] & self.there[::every, j]
        r = np.linalg.norm(self.x[::every, i] - self.x[::every, j], axis=-1)
        return np.asarray(r[both & (r > 0)])


def measured_run(x: np.ndarray, dt: float, first: int, start: int) -> MeasuredRun:
    """Prepare positions (T, N, D) that are NaN where a particle is not seen."""
    seen = np.isfinite(x).all(-1)
    filled, there = np.array(x), np.array(seen)
    for i in range(x.shape[1]):
        _bridge(filled[:, i], seen[:, i], there[:, i])
    filled[~there] = 0.0
    lost = _lost(there)
    whole = ~lost if lost.mean() <= MOST_LOST else np.ones_like(lost)
    return MeasuredRun(filled, filled, float(dt), seen, there, first, start, lost, whole)


def _lost(there: np.ndarray) -> np.ndarray:
    """Return (T,): whether a particle is away that was there before and is again later.

    Before it is seen first and after it is seen last it may be anywhere.
    """
    come = np.logical_or.accumulate(there, 0)
    stays = np.logical_or.accumulate(there[::-1], 0)[::-1]
    return np.asarray((come & stays & ~there).any(1))


def _bridge(x: np.ndarray, seen: np.ndarray, there: np.ndarray) -> None:
    """Fill in the short gaps of one particle, in place."""
    known = np.flatnonzero(seen)
    if known.size < 4 or known.size == len(x):
        return
    for before, after in pairwise(known):
        if 1 < after - before <= GAP + 1:
            # four neighbours on each side decide: a spline through all would be no better
            at = known[max(0, np.searchsorted(known, before) - 3) :][:8]
            missing = np.arange(before + 1, after)
            x[missing] = CubicSpline(at, x[at])(missing)
            there[missing] = True
