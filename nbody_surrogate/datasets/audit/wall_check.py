"""Walls that reflect particles, as the box of Kipf et al. (2018) does; no system here has any."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.datasets.audit.finding import Finding
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.spec import DatasetSpec

__all__ = ["WallCheck"]

LEAST = 5  # reflections, below which nothing is said
MOST = 1_000_000  # that are kept, which are more than enough for a median
ALIKE = 0.25
"""Share of the velocity and of the way by which a reflection may be off: forces act on it as well.
Where a force turns a particle round, velocities before and after are as alike by chance alone."""


class _Passings(NamedTuple):
    """Coordinates that a straight line would have brought beyond all that the data hold.

    Attributes
    ----------
    reached : ndarray, shape (E,)
        How far the straight line leads.
    turned : ndarray, shape (E,)
        Whether the velocity is turned round.
    wall : ndarray, shape (E,)
        Where a mirror would have to be.
    step : ndarray, shape (E,)
        Length of the way.
    """

    reached: np.ndarray
    turned: np.ndarray
    wall: np.ndarray
    step: np.ndarray

    def beyond(self, largest: float) -> _Passings:
        """Return those that lead beyond a distance."""
        kept = np.flatnonzero(self.reached > largest)[:MOST]
        return _Passings(*(each[kept] for each in self))


@final
class WallCheck:
    """Looks for walls at one distance from the origin along all axes, block by block.

    A particle that is reflected between two rows is where a mirror would put the end of its
    straight way, and its velocity has turned round. In open space no straight way of length dt
    leads beyond the outermost place of all rows, but for a handful.

    Parameters
    ----------
    spec : DatasetSpec
    """

    def __init__(self, spec: DatasetSpec) -> None:
        self._system = spec.system
        self._gaps = np.diff(spec.numbers * spec.make_system().spec.frame_dt)
        self._largest = 0.0
        nothing = np.empty(0)
        self._passings = _Passings(nothing, nothing.astype(bool), nothing, nothing)

    def add(self, block: TrajectoryBlock) -> None:
        """Take in some trajectories."""
        inside = np.abs(block.x[np.isfinite(block.x)])
        self._largest = max(self._largest, inside.max(initial=0.0))
        if not self._gaps.size:
            return
        # over a longer gap, as that before a target, no way is straight
        narrow = np.flatnonzero(self._gaps < 1.5 * self._gaps.min())
        found = self._passings_of(block, narrow).beyond(self._largest)
        before = self._passings.beyond(self._largest)
        joined = (np.concatenate(pair) for pair in zip(before, found, strict=True))
        self._passings = _Passings(*joined).beyond(self._largest)

    def _passings_of(self, block: TrajectoryBlock, rows: np.ndarray) -> _Passings:
        x, v, following = block.x[:, rows], block.v[:, rows], block.v[:, rows + 1]
        with np.errstate(all="ignore"):  # rows may hold anything
            way = v * self._gaps[rows, None, None]
            straight = x + way
            turned = np.abs(following + v) < ALIKE * np.abs(v)
            wall = np.abs(straight + block.x[:, rows + 1]) / 2
        beyond = np.isfinite(straight) & (np.abs(straight) > self._largest)
        return _Passings(
            np.abs(straight[beyond]), turned[beyond], wall[beyond], np.abs(way[beyond])
        )

    @property
    def place(self) -> float | None:
        """Distance of the walls from the origin, or None where there are none."""
        passings = self._passings
        turned = passings.turned
        if turned.sum() < LEAST:
            return None
        place = float(np.median(passings.wall[turned]))
        mirrored = turned & (np.abs(passings.wall - place) < ALIKE * passings.step)
        return place if mirrored.mean() > 0.5 else None

    def reflected(self, block: TrajectoryBlock, first: int, last: int) -> np.ndarray:
        """Say which trajectories, shape (B,), have a particle reflected between two rows."""
        place = self.place
        if place is None:
            return np.zeros(len(block.x), bool)
        gaps = self._gaps[first:last, None, None]
        here, there = slice(first, last), slice(first + 1, last + 1)
        with np.errstate(all="ignore"):
            onwards = np.abs(block.x[:, here] + gaps * block.v[:, here]) > place
            back = np.abs(block.x[:, there] - gaps * block.v[:, there]) > place
        return np.asarray((onwards | back).any((1, 2, 3)))

    def findings(self) -> list[Finding]:
        """Say where walls are; nothing where there are none."""
        place = self.place
        if place is None:
            return []
        count = int(self._passings.turned.sum())
        text = (
            f"particles are reflected at walls at +-{place:.4g} along each axis, {count} times or "
            f"more; system {self._system!r} has none, so trajectories that meet one are not solved"
        )
        return [Finding("walls", "doubtful", text, {"place": place, "reflections": count})]
