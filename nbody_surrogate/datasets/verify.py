"""Whether a data set is what its manifest says: hashes, and some trajectories made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.folder import made_by
from nbody_surrogate.datasets.generation.legacy_stream import LegacyStream
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.shard import ShardReader, reported
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.sha256 import file_hash

__all__ = ["Verification", "verify_dataset"]

SAMPLE = 8  # trajectories


@dataclass(frozen=True)
class Verification:
    """The outcome of `verify_dataset`.

    Attributes
    ----------
    shards : int
        Those whose hash is as recorded, and that can be read.
    remade : tuple of int
        Trajectories that were made again.
    same : tuple of int
        Those of them that came out with the same bits.
    problems : tuple of str
        One line each, naming the shard or trajectory; empty for success.
    """

    shards: int
    remade: tuple[int, ...]
    same: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether all is as it should be."""
        return not self.problems


def verify_dataset(
    dataset: Dataset,
    sample: int = SAMPLE,
    *,
    progress: Callable[[float, int], None] | None = None,
) -> Verification:
    """Check the hash of each shard, and make some trajectories again, bit for bit.

    Bits are the same on the same kind of machine and with the same versions of the libraries.

    Parameters
    ----------
    dataset : Dataset
    sample : int
        Trajectories to make again; 0 for none. Imported ones cannot be.
    progress : callable, optional
        Called with the shards checked so far and their number.

    Raises
    ------
    InputError
        If `sample` is negative.
    FileFormatError
        If a shard that the hash fits holds no state of its stream.
    """
    if sample < 0:
        raise InputError(f"`sample` must be at least 0, got {sample}")
    problems, sound = [], 0
    shards = dataset.manifest.shards
    for number, record in enumerate(shards):
        if why := _wrong(dataset, number):
            problems.append(f"{record.name}: {why}")
        else:
            sound += 1
        if progress is not None:
            progress(number + 1, len(shards))
    remade: list[int] = []
    same: list[int] = []
    if sample and not problems and not dataset.manifest.source:
        for i, made in _remade(dataset, sample):
            remade.append(i)
            if (difference := _difference(dataset.read(i, i + 1), made)) is None:
                same.append(i)
            else:
                problems.append(f"trajectory {i} is made differently here: {difference}")
    if problems and remade:
        problems += _other_versions(dataset)
    return Verification(sound, tuple(remade), tuple(same), tuple(problems))


def _wrong(dataset: Dataset, number: int) -> str | None:
    """Say what is wrong with a shard."""
    record = dataset.manifest.shards[number]
    try:
        digest = file_hash(dataset.folder / record.name)
        if digest != record.sha256:
            return f"its SHA-256 is {digest[:12]}..., recorded is {record.sha256[:12]}..."
        dataset.read(record.first, record.first + 1)
    except FileFormatError as error:
        return str(error)
    return None


def _remade(dataset: Dataset, sample: int) -> Iterator[tuple[int, TrajectoryBlock]]:
    """Make trajectories again, evenly spread over the data set."""
    spec, maker = dataset.spec, TrajectoryMaker(dataset.spec)
    count = min(sample, spec.trajectories)
    numbers = [k * spec.trajectories // count for k in range(count)]
    stream = None if spec.legacy is None else _Stream(dataset, maker)
    for i in numbers:
        part = range(i, i + 1)
        state, particles = maker.starts(part) if stream is None else stream.starts(i)
        yield i, maker.run(state, particles, i, lambda _: None)


class _Stream:
    """Goes to any trajectory of a legacy stream, by the states that the shards hold."""

    def __init__(self, dataset: Dataset, maker: TrajectoryMaker) -> None:
        self._dataset, self._stream, self._next = dataset, LegacyStream(maker.spec, maker.system), 0

    def starts(self, i: int) -> tuple:
        """Draw the start of trajectory `i`; call it with numbers that grow."""
        size = self._dataset.spec.shard
        assert size is not None
        before = i // size - 1
        if before >= 0 and before * size >= self._next - size:
            record = self._dataset.manifest.shards[before]
            path = self._dataset.folder / record.name
            with ShardReader(path) as shard, reported(path):
                part = range(record.first, record.first + record.count)
                self._stream.jump(part, shard.stream())
        self._next = i + 1
        return self._stream.draw(range(i, i + 1))[:2]


def _difference(stored: TrajectoryBlock, made: TrajectoryBlock) -> str | None:
    """Say how two trajectories differ, or return None where all bits are the same."""
    pairs: dict[str, tuple[Any, Any]] = {"x": (stored.x, made.x), "v": (stored.v, made.v)}
    for key in ("charges", "masses", "couplings", "radii"):
        ours, theirs = getattr(stored.particles, key), getattr(made.particles, key)
        if ours is not None or theirs is not None:
            pairs[key] = (ours, theirs)
    for name in sorted(stored.hidden.keys() | made.hidden.keys()):
        pairs[f"hidden {name}"] = (stored.hidden.get(name), made.hidden.get(name))
    for key, (ours, theirs) in pairs.items():
        if ours is None or theirs is None:
            return f"{key} are missing on one side"
        # As integers, so that -0.0 is not 0.0, and NaN is itself.
        if not np.array_equal(ours.view(np.int64), np.ascontiguousarray(theirs).view(np.int64)):
            return f"{key} by up to {np.abs(ours - theirs).max():.1e}"
    return None


def _other_versions(dataset: Dataset) -> list[str]:
    theirs, ours = dataset.manifest.versions, made_by()
    differing = [
        f"{key} {theirs.get(key, 'none')}, here {ours.get(key, 'none')}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]
    return [f"made with {'; '.join(differing)}"] if differing else []
