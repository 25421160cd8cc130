"""Reading a data set, shard by shard."""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import MappingProxyType
from typing import final

import numpy as np

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.manifest import Manifest, read_manifest, spec_hash
from nbody_surrogate.datasets.shard import ShardReader, reported
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import FileFormatError, InputError, OutsideError
from nbody_surrogate.results.observables import taken
from nbody_surrogate.results.trajectory import RunInfo, Trajectory

__all__ = ["AbstractTrajectories", "Dataset"]

BLOCK_BYTES = 1 << 22
"""Of positions, in a block of the default size."""


class AbstractTrajectories(ABC):
    """Many trajectories on disk, of which some are read at a time.

    To write one:

    1. set `spec`;
    2. implement `_read`: any trajectories as one block, NaN and all.
    """

    spec: DatasetSpec

    @abstractmethod
    def _read(self, start: int, stop: int) -> TrajectoryBlock:
        """Read trajectories `start` to `stop`, which are there."""

    def __len__(self) -> int:
        return self.spec.trajectories

    def read(self, start: int, stop: int) -> TrajectoryBlock:
        """Read the trajectories from `start` up to, not including, `stop`.

        Returns
        -------
        TrajectoryBlock
            `x` and `v` (B, T, N, D), their `particles`, and `hidden` variables where the data have
            some.

        Raises
        ------
        InputError
            If they are not there.
        FileFormatError
            If a file is damaged.
        """
        if not 0 <= start < stop <= len(self):
            raise InputError(f"`start` and `stop` must be within 0 and {len(self)}, got {start} "
                             f"and {stop}")  # fmt: skip
        return self._read(start, stop)

    def blocks(
        self, split: str | None = None, size: int | None = None
    ) -> Iterator[TrajectoryBlock]:
        """Read a split, or all trajectories, in blocks of at most `size`, in order.

        Raises
        ------
        InputError
            If there is no such split, or `size` is below 1.
        """
        part, size = self.part(split), self.block_size if size is None else size
        if size < 1:
            raise InputError(f"`size` must be at least 1, got {size}")
        for start in range(part.start, part.stop, size):
            yield self.read(start, min(start + size, part.stop))

    @property
    def block_size(self) -> int:
        """How many trajectories make a block of a few megabytes."""
        spec = self.spec
        return max(BLOCK_BYTES // (8 * spec.rows * spec.particles * spec.dimensions), 1)

    def part(self, split: str | None) -> range:
        """Return the numbers of the trajectories of a split, or of all.

        Raises
        ------
        InputError
            If there is no such split.
        """
        if split is None:
            return range(len(self))
        if split not in self.spec.ranges:
            known = ", ".join(self.spec.ranges)
            raise InputError(f"`split` {split!r} is none of this data set's: {known}")
        return self.spec.ranges[split]


@final
class Dataset(AbstractTrajectories, Suggesting):
    """A finished data set, made here or imported. Memory does not grow with its size.

    ``dataset[0]`` is a `Trajectory`, in reduced units, and `len` counts them.
    `nbody_surrogate.datasets.DatasetWindows` is for training: tensors, in batches.

    Parameters
    ----------
    folder : path_like

    Attributes
    ----------
    folder : Path
    manifest : Manifest
        Its spec, versions, shards, and the label error.
    spec : DatasetSpec
    t : ndarray, shape (T,)
        Times of the rows.

    Raises
    ------
    InputError
        If there is no such folder, or the data set is not finished.
    FileFormatError
        If the folder holds no data set, or a file of it is missing or damaged.
    """

    other_words = MappingProxyType(
        {
            "x": "`read(start, stop).x`, or `dataset[0].x`",
            "v": "`read(start, stop).v`, or `dataset[0].v`",
            "shape": "`len(dataset)` and `spec`",
            "audit": "`nbody_surrogate.audit_dataset(dataset)`",
            "splits": "`spec.splits`",
            **dict.fromkeys(["train", "test"], "`blocks('train')` or `part('train')`"),
        }
    )

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = demand_path("folder", folder)
        if not self.folder.is_dir():
            raise InputError(f"`folder` must be that of a data set, {str(folder)!r} is none")
        self.manifest: Manifest = read_manifest(self.folder)
        self.spec = self.manifest.spec
        self._hash = spec_hash(self.spec)
        if not self.manifest.complete:
            done = sum(shard.count for shard in self.manifest.shards)
            raise InputError(
                f"`folder` {str(folder)!r} is not finished: {done} of {self.spec.trajectories} "
                "trajectories are there; run `nbody-sim dataset generate` again to go on"
            )
        self.t = self._read_times()

    def _read_times(self) -> np.ndarray:
        with self._open(0) as shard:
            t = shard.t()
        if not np.isfinite(t).all() or not (np.diff(t) > 0).all():
            raise FileFormatError(f"{str(shard.path)!r}: its times are not in order")
        t.flags.writeable = False
        return t

    def _open(self, number: int) -> ShardReader:
        """Open a shard; its size and shape must be as recorded."""
        record, spec = self.manifest.shards[number], self.spec
        path = self.folder / record.name
        shard = ShardReader(path, self._hash, self.manifest.hidden_shapes)
        try:
            with reported(path):
                wanted = (record.count, spec.rows, spec.particles, spec.dimensions)
                if shard.shape != wanted or shard.first != record.first:
                    raise ValueError(f"it must hold (S, T, N, D) = {wanted}, got {shard.shape}")
                if path.stat().st_size != record.bytes:
                    raise ValueError(f"it must have {record.bytes} bytes")
        except BaseException:
            shard.close()
            raise
        return shard

    def system(self) -> AbstractSystem:
        """Build the system of the data."""
        return self.spec.make_system()

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"<Dataset: {str(self.folder)!r}, {spec.system}, {counted(len(self), 'trajectory')}, "
            f"{counted(spec.rows, 'row')}, {counted(spec.particles, 'particle')} in "
            f"{spec.dimensions} dimensions>"
        )

    def _read(self, start: int, stop: int) -> TrajectoryBlock:
        assert self.spec.shard is not None
        pieces = []
        while start < stop:
            number = start // self.spec.shard
            with self._open(number) as shard:
                end = min(stop - shard.first, shard.shape[0])
                pieces.append(shard.read(start - shard.first, end))
            start = shard.first + end
        return TrajectoryBlock.joined(pieces)

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Trajectory:
        """Return trajectory `i`.

        Raises
        ------
        InputError
            If there is none; as an `IndexError` too.
        """
        try:
            i = operator.index(i)
        except TypeError:
            raise InputError(
                f"`i` must be the number of a trajectory, got {type(i).__name__}; "
                "read(start, stop) gives several"
            ) from None
        if not -len(self) <= i < len(self):
            raise OutsideError(f"`i` must be one of the trajectories 0 to {len(self) - 1}, got {i}")
        block = self.read(i % len(self), i % len(self) + 1)
        spec = self.spec
        system = {"system": spec.system, **self.system().spec.model_dump(mode="json")}
        method = {"integrator": spec.integrator or "unknown", **spec.options}
        # a target that was not written is no frame, though its row is there
        good = spec.rows - int(spec.has_zero_target)
        info = RunInfo(
            system, method, self.manifest.versions, status=(0,), message=("",), good=(good,)
        )
        hidden = taken(block.hidden, 0)
        return Trajectory(self.t, block.x[0], block.v[0], block.particles, info, hidden=hidden)
