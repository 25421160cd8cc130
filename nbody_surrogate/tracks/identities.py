"""Names that change places, and particles that jump: mistakes of whoever linked the tracks.

A track is followed in a straight line from the last two places where the particle was seen. How far
it is from there in the next frame is its *surprise*, in units of what is ordinary for it at that
time: the scale of its second differences, over the whole run and in the frames around. Where
several particles are surprising, and each stands where another was expected, their names were
exchanged. Motion that frames resolve cannot look so: in a close encounter both accelerate, but by
less in a frame than their distance, and in several frames in a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from nbody_surrogate.tracks.tracks import Jump, Swap

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Mistakes", "find_mistakes"]

EXCHANGED = 5.0
"""Surprises, in standard deviations, above which names may have been exchanged: each of them alone
is none in thousands of frames, and that both stand in each other's places is evidence by itself."""

JUMPED = 8.0  # surprises above which a particle may have jumped, for which nothing else speaks

BETTER = 4.0  # times that the exchanged names must explain each step better than those given

AROUND, MISTAKEN = 5, 3
"""What is ordinary at a time is the largest second difference within so many frames before and
after, but for so many, which a mistake may have made: a wrong position is in three of them."""

LONGEST_GAP = 10  # frames a particle may be out of sight for its line to be gone on with

FLOOR = 1e-9
"""Of the spread of all positions: the least scale of a surprise, far above rounding. Of exact
motion along a line second differences are rounding alone."""

TINY = 1e-300  # of particles that never move, so that nothing is divided by 0

USUAL = {2: 1.17741, 3: 1.53817}
"""The median length of normal vectors of D components, each of variance 1."""

LARGE = 2.0  # length of such vectors that the fourth largest of eleven has, to a tenth

MOST = 10_000  # mistakes that are followed; tracks with more are no tracks


@dataclass
class Mistakes:
    """What was found.

    Attributes
    ----------
    x : ndarray, shape (T, N, D)
        Positions with names exchanged back.
    swaps : list of Swap
    jumps : list of Jump
    """

    x: Float64[np.ndarray, "T N D"]
    swaps: list[Swap] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)


def find_mistakes(
    x: Float64[np.ndarray, "T N D"],
    names: tuple[str, ...],
    first_frame: int = 0,
    frame_step: int = 1,
) -> Mistakes:
    """Look for exchanged names and for jumps.

    Parameters
    ----------
    x : ndarray, shape (T, N, D)
        NaN where a particle was not seen.
    names : tuple of str
    first_frame, frame_step : int
        By which frames are called in what is returned.

    Returns
    -------
    Mistakes
        In the order of frames, by the names that the tracks have there. Where names are exchanged
        and then back, there are two.
    """
    found, work = Mistakes(x.copy()), _Lines(x)
    called = np.arange(len(names))  # whose name each has, after the exchanges up to here
    frame = 2
    while len(found.swaps) + len(found.jumps) < MOST:
        frame = work.next_surprise(frame)
        if frame < 0:
            break
        number = first_frame + frame_step * frame
        for cycle in work.exchanged(frame):
            # what was found with the first frame of the exchange holds up to the end
            for values in (found.x, work.x):
                values[frame:, cycle] = values[frame:, np.roll(cycle, -1)]
            work.look_again(cycle)
            found.swaps.append(Swap(number, tuple(names[called[i]] for i in cycle)))
            called[cycle] = called[np.roll(cycle, -1)]
        for i in work.surprising(frame):
            if (back := work.jump(frame, i)) is not None:
                work.forgive(frame, i, back)
                found.jumps.append(Jump(number, names[called[i]], back))
        frame += 1
    return found


class _Lines:
    """Tracks with what is expected of each particle in each frame.

    Parameters
    ----------
    x : ndarray, shape (T, N, D)
    """

    def __init__(self, x: np.ndarray) -> None:
        self.x = x.copy()
        spread = float(np.nanmax(np.abs(x - np.nanmean(x, axis=(0, 1)))))
        second = np.linalg.norm(np.diff(x, 2, axis=0), axis=2)
        frames, n, dimensions = x.shape
        usual = np.array([_median(each) for each in second.T]) / USUAL[dimensions]
        self.least = np.maximum(usual, _digit(x)) + max(FLOOR * spread, TINY)
        self.expected = np.full_like(self.x, np.nan)
        self.allowed = np.full((frames, n), np.nan)
        self.surprise = np.full((frames, n), np.nan)
        self.excused = np.zeros((frames, n), dtype=bool)
        self.wrong = np.zeros((frames, n), dtype=bool)
        self.look_again(range(n))

    def look_again(self, particles: Iterable[int]) -> None:
        """Work out what is expected of some particles, after their names were exchanged."""
        for i in particles:
            self.expected[:, i], self.allowed[:, i] = _expected(
                self.x[:, i], _scale(self.x[:, i], self.least[i])
            )
            distance = np.linalg.norm(self.x[:, i] - self.expected[:, i], axis=1)
            self.surprise[:, i] = distance / self.allowed[:, i]
            self.wrong[:, i] = (self.surprise[:, i] > EXCHANGED) & ~self.excused[:, i]
        self.any_wrong = np.asarray(self.wrong.any(axis=1))

    def next_surprise(self, frame: int) -> int:
        """Return the first frame from `frame` on in which a step is not plausible, or -1."""
        later: np.ndarray = self.any_wrong[frame:]
        return frame + int(np.argmax(later)) if later.any() else -1

    def surprising(self, frame: int) -> list[int]:
        """Return the particles whose step to a frame is not plausible."""
        return [int(i) for i in np.flatnonzero(self.wrong[frame])]

    def exchanged(self, frame: int) -> list[list[int]]:
        """Return the rings of particles that stand in each other's places from a frame on."""
        some = self.surprising(frame)
        if len(some) < 2:
            return []
        apart = self.x[frame, some][None] - self.expected[frame, some][:, None]
        cost = np.linalg.norm(apart, axis=2) / self.allowed[frame, some][:, None]
        _, best = linear_sum_assignment(cost)
        rings = [ring for ring in _rings(best) if len(ring) > 1]
        return [[some[k] for k in ring] for ring in rings if _explains(cost, ring, best)]

    def jump(self, frame: int, i: int) -> bool | None:
        """Tell whether a surprising step is a jump, and if so whether the next leads back.

        A force that acts changes the velocity for good; a jump leaves it as it was before. So the
        next steps are looked at: as from the new place with the old velocity, or from the old
        place. None where they are neither.
        """
        x, last = self.x[:, i], frame - 1
        if last < 1 or frame + 1 >= len(x) or not np.isfinite(x[[last - 1, last, frame + 1]]).all():
            return None
        if self.surprise[frame, i] <= JUMPED:
            return None
        velocity = x[last] - x[last - 1]
        far = np.linalg.norm(x[frame] - x[last] - velocity) / BETTER
        onward = np.linalg.norm(x[frame + 1] - x[frame] - velocity)
        home = np.linalg.norm(x[frame + 1] - x[last] - 2 * velocity)
        if min(onward, home) > far:
            return None
        return bool(home < onward)

    def forgive(self, frame: int, i: int, back: bool) -> None:
        """Go on as if there had been no jump, so that it is told once."""
        if back:
            self.x[frame, i] = np.nan
        else:  # the line is taken up anew, from the two places after the jump
            self.excused[frame : frame + 2, i] = True
        self.look_again([i])


def _scale(x: np.ndarray, least: float) -> np.ndarray:
    """Return what second differences are ordinary for a particle at each time, shape (T,)."""
    sizes = np.zeros(len(x) + 2 * AROUND)
    second = np.linalg.norm(np.diff(x, 2, axis=0), axis=1)
    sizes[AROUND + 2 : AROUND + len(x)] = np.where(np.isfinite(second), second, 0.0)
    windows = np.lib.stride_tricks.sliding_window_view(sizes, 2 * AROUND + 1)
    large = np.partition(windows, -MISTAKEN - 1, axis=1)[:, -MISTAKEN - 1]
    return np.maximum(large / LARGE, least)


def _expected(x: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go on in straight lines through the last two places where a particle was seen.

    Returns where it is expected in each frame (T, D), and what distance from there is ordinary
    (T,): with the time since it was seen noise grows in proportion, and what a force does with the
    square.
    """
    frames = np.arange(len(x))
    seen = frames[np.isfinite(x[:, 0])]
    expected, allowed = np.full_like(x, np.nan), np.full(len(x), np.nan)
    if len(seen) < 3:
        return expected, allowed
    a, b, here = seen[:-2], seen[1:-1], seen[2:]
    before, after = (b - a).astype(float), (here - b).astype(float)
    ratio = after / before
    expected[here] = x[b] + ratio[:, None] * (x[b] - x[a])
    noise = np.sqrt((1 + (1 + ratio) ** 2 + ratio**2) / 6)
    allowed[here] = scale[here] * np.maximum(noise, after * (before + after) / 2)
    allowed[here[(after > LONGEST_GAP) | (before > LONGEST_GAP)]] = np.nan
    return expected, allowed


def _digit(x: np.ndarray) -> float:
    """Return the last digit that positions have: the least by which one of them ever changes.

    Whole pixels, say, of particles at rest, whose second differences are mostly 0.
    """
    steps = np.abs(np.diff(x, axis=0))
    return float(np.min(steps, where=steps > 0, initial=np.inf)) if (steps > 0).any() else 0.0


def _median(sizes: np.ndarray) -> float:
    """Return the usual size, of which a few wrong steps change nothing; 0 where there are none."""
    known = sizes[np.isfinite(sizes)]
    return float(np.median(known)) if known.size else 0.0


def _rings(permutation: np.ndarray) -> list[list[int]]:
    """Split a permutation into its rings, each from its smallest member on."""
    left, rings = set(range(len(permutation))), []
    while left:
        ring = [min(left)]
        while (following := int(permutation[ring[-1]])) != ring[0]:
            ring.append(following)
        left -= set(ring)
        rings.append(ring)
    return rings


def _explains(cost: np.ndarray, ring: list[int], best: np.ndarray) -> bool:
    """Whether exchanged names make every step of a ring plausible, and far better than given."""
    given = np.array([cost[k, k] for k in ring])
    taken = np.array([cost[k, best[k]] for k in ring])
    return bool((taken <= EXCHANGED).all() and (taken * BETTER <= given).all())
