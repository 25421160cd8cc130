"""The domain of a model, measured on the trajectories that it is trained on.

An end of a range leaves the rarest share of values outside, so that a handful of frames, such as
the closest encounter of thousands of runs, does not stretch it. Only the tails are kept, of each
quantity by itself, so memory does not grow with the data but by that share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import final

import numpy as np

from nbody_surrogate.contracts.domain import Domain, DomainRanges, Span, joined
from nbody_surrogate.contracts.domain_quantities import QUANTITIES, frame_quantities, softening_of
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.block import TrajectoryBlock

__all__ = ["domain_of", "measure_ranges"]

OF_STARTS, OF_FRAMES = 1.5e-3, 1e-4
"""Shares of values beyond an end of a range: where a run may begin, and where it may come."""

ENDS = {
    "nearest": (True, False),
    "third": (True, False),
    "separation": (True, True),
    "extent": (True, True),
    "speed": (False, True),
    "rms_speed": (True, True),
    "pair_energy": (True, False),
    "repulsion": (False, True),
    "eccentricity": (False, True),
    "thickness": (True, False),
    "dimensions": (True, True),
}
"""Whether a range has a lower and an upper end: of others, one side is what all models can do."""


@final
class _Tails:
    """The smallest and the largest of many values.

    Parameters
    ----------
    most : int
        Of all values that are to come.
    """

    def __init__(self, most: int) -> None:
        # for the larger of the two shares, and one more, which is the end itself
        self.kept = math.floor(OF_STARTS * most) + 1
        self.count = 0
        self.low = self.high = np.empty(0)

    def add(self, values: np.ndarray) -> None:
        """Take values of any shape; NaN stands for none."""
        there = values[~np.isnan(values)]
        self.count += len(there)
        self.low = np.sort(np.concatenate([self.low, there]))[: self.kept]
        self.high = np.sort(np.concatenate([self.high, there]))[-self.kept :]

    def span(self, share: float, ends: tuple[bool, bool]) -> Span | None:
        """Return the range that leaves a share outside at either end; None of no values."""
        if self.count == 0:
            return None
        beyond = math.floor(share * self.count)
        low, high = float(self.low[beyond]), float(self.high[-1 - beyond])
        return _finite(low) if ends[0] else None, _finite(high) if ends[1] else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def measure_ranges(
    system: AbstractSystem, blocks: Iterable[TrajectoryBlock], trajectories: int, rows: int
) -> DomainRanges:
    """Measure the ranges of trajectories of one system and one number of particles.

    Parameters
    ----------
    system : AbstractSystem
    blocks : iterable of TrajectoryBlock
        All of them; the first row of each is its start.
    trajectories, rows : int
        How many there are, and frames of each, the start included.

    Returns
    -------
    DomainRanges
    """
    starts = {name: _Tails(trajectories) for name in QUANTITIES}
    frames = {name: _Tails(trajectories * rows) for name in QUANTITIES}
    n = 0
    for block in blocks:
        n = block.x.shape[2]
        for name, values in frame_quantities(system, block.x, block.v, block.particles).items():
            starts[name].add(values[:, 0])
            frames[name].add(values)
    start: dict[str, Span] = {}
    run: dict[str, Span] = {}
    for name, ends in ENDS.items():
        usual, seen = frames[name].span(OF_STARTS, ends), frames[name].span(OF_FRAMES, ends)
        begun = starts[name].span(OF_STARTS, ends)
        if usual is not None and seen is not None:
            # where a run may begin it may also be, whatever the shares say of few frames
            start[name] = usual if begun is None else joined(usual, begun)
            run[name] = joined(start[name], seen)
    return DomainRanges(
        system=system.name,
        particles=n,
        trajectories=trajectories,
        frames=trajectories * rows,
        start=start,
        run=run,
    )


def domain_of(parts: Iterable[tuple[AbstractSystem, DomainRanges]]) -> Domain:
    """Join what was measured on several sets of data.

    Parameters
    ----------
    parts : iterable of tuple
        The system of each set, and its ranges.

    Returns
    -------
    Domain
        With the ranges of each system and number of particles.
    """
    softened, found = True, dict[tuple[str, int], DomainRanges]()
    for system, ranges in parts:
        softened &= softening_of(system) is not None
        key = ranges.system, ranges.particles
        found[key] = _union(found[key], ranges) if key in found else ranges
    return Domain(softened=softened and bool(found), measured=tuple(found.values()))


def _union(one: DomainRanges, other: DomainRanges) -> DomainRanges:
    return DomainRanges(
        system=one.system,
        particles=one.particles,
        trajectories=one.trajectories + other.trajectories,
        frames=one.frames + other.frames,
        start=_joined(one.start, other.start),
        run=_joined(one.run, other.run),
    )


def _joined(one: dict[str, Span], other: dict[str, Span]) -> dict[str, Span]:
    both = {name: joined(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}
