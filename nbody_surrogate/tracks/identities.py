"""Names that change places, and particles that jump: mistakes of whoever linked the tracks.

A track is followed in a straight line from the last two places where the particle was seen. How far
it is from there in the next frame is its *surprise*, in units of the particle's own: the robust
scale of its second differences. Where two particles are both surprising, and each stands where the
other was expected, their names were exchanged. Motion that frames resolve cannot look so: in a
close encounter both accelerate, but by less in a frame than their distance.
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

PLAUSIBLE = 8.0
"""Surprises, in robust standard deviations, up to which a step is one of the particle's own."""

BETTER = 4.0  # times that the exchanged names must explain the steps better than those given

LONGEST_GAP = 10  # frames a particle may be out of sight for its line to be gone on with

FLOOR = 1e-9
"""Of the spread of all positions: the least scale of a surprise, far above rounding. Of exact
motion along a line second differences are rounding alone."""

USUAL = {2: 1.17741, 3: 1.53817}
"""The median length of normal vectors of D components, each of variance 1."""

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
        usual = np.array([_median(each) for each in second.T])
        self.scale = usual / USUAL[dimensions] + FLOOR * spread
        self.expected = np.full_like(self.x, np.nan)
        self.allowed = np.full((frames, n), np.nan)
        self.surprise = np.full((frames, n), np.nan)
        self.excused = np.zeros((frames, n), dtype=bool)
        self.wrong = np.zeros((frames, n), dtype=bool)
        self.look_again(range(n))

    def look_again(self, particles: Iterable[int]) -> None:
        """Work out what is expected of some particles, after their names were exchanged."""
        for i in particles:
            self.expected[:, i], self.allowed[:, i] = _expected(self.x[:, i], self.scale[i])
            distance = np.linalg.norm(self.x[:, i] - self.expected[:, i], axis=1)
            self.surprise[:, i] = distance / self.allowed[:, i]
            self.wrong[:, i] = (self.surprise[:, i] > PLAUSIBLE) & ~self.excused[:, i]
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


def _expected(x: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
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
    allowed[here] = scale * np.maximum(noise, after * (before + after) / 2)
    allowed[here[(after > LONGEST_GAP) | (before > LONGEST_GAP)]] = np.nan
    return expected, allowed


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
    return bool((taken <= PLAUSIBLE).all() and (taken * BETTER <= given).all())
