"""Measured runs as the estimate takes them: short gaps filled, stretches, who is there when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline, make_interp_spline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

__all__ = ["MeasuredRun", "measured_run"]

GAP = 8
"""Longest gap of a particle, in frames, that is bridged: as long as positions between are known
well enough for the force on others. In its own equation a bridged frame weighs nothing."""


MOST_LOST = 0.5
"""Share of frames in which somebody is out of sight, up to which nothing is fitted there. What he
does to the others is not known."""


JERK, ROUGH = 0.05, 20.0
"""Sixth differences over second ones, and over their median, above which a motion is no longer
smooth."""

ENOUGH = 0.15
"""The same as the first, below which forces at frames are still enough: where all are, none is left
out. Where some are not, what is left shall be told well."""


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
    slow : ndarray, shape (T, N)
        Frames that are close enough for the forces on a particle, see `_slow`.
    begun : float
        Time of its first frame.
    steps : int
        Steps from one frame to the next, see `between`.
    fine : ndarray, shape ((T - 1) steps + 1, N, D), or None
        The path at all of them; those between frames are moved in place.
    led : ndarray, shape (T - 1, N), or None
        Whether the law leads a particle from frame to frame. Where it does not, as an interval is
        too long for it, the path is held and nothing is asked of it.
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
    slow: Bool[np.ndarray, "T N"]
    begun: float = 0.0
    steps: int = 1
    fine: Float64[np.ndarray, "F N D"] | None = None
    led: Bool[np.ndarray, "L N"] | None = None

    @property
    def n(self) -> int:
        """Particles."""
        return int(self.x.shape[1])

    def cut(self, part: slice, start: int) -> MeasuredRun:
        """Return some of its frames, the first of which gets that number."""
        first, last, _ = part.indices(len(self.x))
        fine = led = None
        if self.fine is not None:
            fine = self.fine[first * self.steps : (last - 1) * self.steps + 1].copy()
        if self.led is not None:
            led = self.led[first : last - 1]
        each = (self.x[part], self.path[part], self.dt, self.seen[part], self.there[part])
        rest = (self.first, start, self.lost[part], self.whole[part], self.slow[part])
        return MeasuredRun(*each, *rest, 0.0, self.steps, fine, led)

    def along(self, path: Float64[np.ndarray, "T N D"]) -> MeasuredRun:
        """Return the run with forces evaluated along another path, where that is finite."""
        path = np.where(np.isfinite(path), path, self.path)
        fine = None
        if self.fine is not None:
            # what lies between goes along
            at = np.arange(len(self.fine)) / self.steps
            fine = self.fine + make_interp_spline(np.arange(len(path)), path - self.path, k=1)(at)
        return replace(self, path=path, fine=fine)

    def stretches(self, i: int, shortest: int) -> list[slice]:
        """Return the stretches of at least so many frames in which particle `i` is fitted."""
        return _stretches(self.there[:, i] & self.whole, shortest)

    def told(self, i: int, shortest: int) -> list[slice]:
        """Return those of them in which frames alone tell the forces on particle `i`."""
        return _stretches(self.there[:, i] & self.whole & self.slow[:, i], shortest)

    def moving(self, part: slice) -> Bool[np.ndarray, "L N"]:
        """Return whether a particle is led through each interval of a part."""
        there = self.there[part]
        both = there[1:] & there[:-1]
        if self.led is None:
            return np.asarray(both)
        first, last, _ = part.indices(len(self.x))
        return np.asarray(both & self.led[first : last - 1])

    def at_nodes(self, part: slice = slice(None)) -> MeasuredRun:
        """Return a part of the run in which all nodes are frames, on the path."""
        first, last, _ = part.indices(len(self.x))
        steps, there = self.steps, self.there[part]
        fine = self.path[part]
        if self.fine is not None:
            fine = self.fine[first * steps : (last - 1) * steps + 1]  # moved in place
        # between two frames a particle is there if it is at both
        both = np.repeat(there[1:] & there[:-1], steps, axis=0)
        both[::steps] = there[:-1]
        both = np.concatenate([both, there[-1:]])
        whole = np.ones(len(fine), dtype=bool)
        rest = (self.first, self.start, ~whole, whole, both, first * self.dt)
        return MeasuredRun(fine, fine, self.dt / steps, both, both, *rest)

    def visited(self, every: int = 1) -> Float64[np.ndarray, " V"]:
        """Return the distances of all pairs that are there, each once, at every so many nodes."""
        run = self.at_nodes() if self.steps > 1 else self
        i, j = np.triu_indices(run.n, 1)
        both = run.there[::every, i] & run.there[::every, j]
        r = np.linalg.norm(run.x[::every, i] - run.x[::every, j], axis=-1)
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
    slow = _slow(filled, there)
    return MeasuredRun(filled, filled, float(dt), seen, there, first, start, lost, whole, slow)


def _stretches(fitted: np.ndarray, shortest: int) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.r_[0, fitted.astype(np.int8), 0]))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [slice(int(a), int(b)) for a, b in pairs if b - a >= shortest]


def _slow(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return (T, N): whether the motion is smooth over the seven frames about each.

    In an oscillation of angular frequency w sixth differences are (w dt)^4 times the second ones.
    What is no more than noise would make is none.
    """
    slow = np.ones(there.shape, dtype=bool)
    if len(x) < 7:
        return slow
    square = (np.diff(x, 6, axis=0) ** 2).sum(-1)
    whole = np.lib.stride_tricks.sliding_window_view(there, 7, axis=0).all(-1)
    noise = np.median(square[whole]) if whole.any() else 0.0
    second = np.lib.stride_tricks.sliding_window_view(
        (np.diff(x, 2, axis=0) ** 2).sum(-1), 5, axis=0
    ).max(-1)
    noisy = ~whole | (square <= ROUGH**2 * noise)
    if np.all(noisy | (square <= ENOUGH**2 * second)):
        return slow
    slow[3:-3] = noisy | (square <= JERK**2 * second)
    return slow


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
