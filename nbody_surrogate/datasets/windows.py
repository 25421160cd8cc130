"""Windows of a data set for training in PyTorch: streamed, shuffled by a seed, resumable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories
from nbody_surrogate.errors import InputError

__all__ = ["AbstractWindows", "DatasetWindows", "SizedWindows", "Windows"]

MIXED = 4
"""Blocks that are shuffled together: more mix better and take more memory. Of one block alone, a
batch would hold windows of few trajectories."""


class Windows(NamedTuple):
    """Rows of one trajectory or of a batch of them.

    Attributes
    ----------
    x, v : Tensor, shape (T, N, D) or (B, T, N, D)
    charges, masses : Tensor, shape (N,) or (B, N)
    """

    x: Tensor
    v: Tensor
    charges: Tensor
    masses: Tensor

    def __repr__(self) -> str:
        return brief(self)


class SizedWindows(NamedTuple):
    """Windows of particles that have radii: as `Windows`, with a column more.

    Attributes
    ----------
    x, v : Tensor, shape (T, N, D) or (B, T, N, D)
    charges, masses, radii : Tensor, shape (N,) or (B, N)
    """

    x: Tensor
    v: Tensor
    charges: Tensor
    masses: Tensor
    radii: Tensor

    def __repr__(self) -> str:
        return brief(self)


class AbstractWindows(IterableDataset, ABC):
    """Windows in an order that a seed settles, from any place on.

    To write one:

    1. hand the number of rows of a trajectory and the options to ``super().__init__``;
    2. implement `_rest`: what comes from the present place on, out of `_of_group`, which moves
       `position` on.
    """

    def __init__(
        self,
        rows: int,
        window: int | None,
        stride: int | None,
        batch: int | None,
        seed: int,
        picked: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        window = rows if window is None else window
        stride = max(window - 1, 1) if stride is None else stride
        if not 1 <= window <= rows:
            raise InputError(f"`window` must be from 1 to the {rows} rows, got {window}")
        for name, value in (("stride", stride), ("batch", batch)):
            if value is not None and value < 1:
                raise InputError(f"`{name}` must be at least 1, got {value}")
        if seed < 0:
            raise InputError(f"`seed` must be at least 0, got {seed}")
        self.batch, self.seed = batch, seed
        self.firsts = np.arange(0, rows - window + 1, stride)
        self.offsets = np.arange(window)
        if picked is not None:
            if not picked or not all(0 <= row < rows for row in picked):
                raise InputError(f"`picked` must be some of the rows 0 to {rows - 1}, got {picked}")
            self.firsts, self.offsets = np.zeros(1, int), np.asarray(picked)
        self.epoch, self.position = 0, 0

    @abstractmethod
    def _rest(self, share: int, workers: int) -> Iterator[Windows | SizedWindows]:
        """Yield the windows from `position` on, of the groups of one worker out of several."""

    @final
    def __iter__(self) -> Iterator[Windows | SizedWindows]:
        info = get_worker_info()
        return self._rest(0, 1) if info is None else self._rest(info.id, info.num_workers)

    @final
    def state_dict(self) -> dict[str, int]:
        """Return the place of the next window: where to go on after an interruption.

        It counts what this object gave, not what its copies in the workers of a loader did.
        """
        return {"epoch": self.epoch, "position": self.position}

    @final
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at a place.

        Raises
        ------
        InputError
            If it is none.
        """
        place = {key: state.get(key) for key in ("epoch", "position")}
        if not all(isinstance(value, int) and value >= 0 for value in place.values()):
            raise InputError(f"`state` must hold epoch and position, at least 0, got {state}")
        self.epoch, self.position = state["epoch"], state["position"]

    @final
    def _of_group(
        self, block: TrajectoryBlock, key: tuple[int, ...] | None, skip: int
    ) -> Iterator[Windows | SizedWindows]:
        """Cut a group's windows, in an order drawn by the key, and leave out the first ones."""
        order = np.arange(len(block.x) * len(self.firsts))
        if key is not None:
            order = np.random.default_rng([self.seed, *key]).permutation(order)
        size = self.batch or 1
        for begin in range(skip, len(order), size):
            picked = order[begin : begin + size]
            windows = self._windows(block, picked)
            self.position += len(picked)
            yield windows if self.batch else type(windows)(*(column[0] for column in windows))

    def _windows(self, block: TrajectoryBlock, picked: np.ndarray) -> Windows | SizedWindows:
        b, k = np.divmod(picked, len(self.firsts))
        rows = self.firsts[k][:, None] + self.offsets
        charges, masses = block.particles.charges[b], block.particles.masses[b]
        columns = (block.x[b[:, None], rows], block.v[b[:, None], rows], charges, masses)
        windows = Windows(*(torch.from_numpy(column) for column in columns))
        if block.particles.radii is None:
            return windows
        return SizedWindows(*windows, torch.from_numpy(block.particles.radii[b]))


@final
class DatasetWindows(AbstractWindows):
    """Windows of a data set's split, read block by block. Memory does not grow with its size.

    They are `Windows`, or `SizedWindows` where the particles have radii.
    Each pass over it is one epoch, in another order. A few blocks of a few megabytes are mixed
    at a time. In a `torch.utils.data.DataLoader` with workers, each worker reads blocks of its
    own; without ``batch`` it is the loader that makes batches, else pass ``batch_size=None``.
    Keep the workers from one pass to the next (``persistent_workers=True``), or set `epoch` before
    each pass: new workers begin with the epoch of the object that they are copies of.

    Parameters
    ----------
    trajectories : Dataset or NriFiles
    split : str
    window : int, optional
        Rows of a window; by default all.
    stride : int, optional
        Rows from one window to the next; by default neighbours share one row, so that each
        increment comes once.
    batch : int, optional
        Windows of a batch; the last of each few blocks may be smaller. By default single windows.
    shuffle : bool
    seed : int
    picked : sequence of int, optional
        Rows of the one window of each trajectory, in place of rows that follow one another.

    Raises
    ------
    InputError
        If a number is out of range, or there is no such split or nothing in it.
    """

    def __init__(
        self,
        trajectories: AbstractTrajectories,
        split: str = "train",
        *,
        window: int | None = None,
        stride: int | None = None,
        batch: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        picked: Sequence[int] | None = None,
    ) -> None:
        super().__init__(trajectories.spec.rows, window, stride, batch, seed, picked)
        self._trajectories, self._shuffle = trajectories, shuffle
        part, size = trajectories.part(split), trajectories.block_size
        if not part:
            raise InputError(f"`split` {split!r} must not be empty")
        self._blocks = [
            range(first, min(first + size, part.stop))
            for first in range(part.start, part.stop, size)
        ]

    def __len__(self) -> int:
        """Windows of an epoch, or batches of the present one."""
        sizes = [sum(map(len, parts)) * len(self.firsts) for parts in self._groups(self.epoch)]
        return sum(-(-size // (self.batch or 1)) for size in sizes)

    def _rest(self, share: int, workers: int) -> Iterator[Windows | SizedWindows]:
        groups = list(enumerate(self._groups(self.epoch)))[share::workers]
        skip = self.position
        for number, parts in groups:
            windows = sum(map(len, parts)) * len(self.firsts)
            if skip < windows:
                blocks = [self._trajectories.read(part.start, part.stop) for part in parts]
                key = (self.epoch, number) if self._shuffle else None
                yield from self._of_group(TrajectoryBlock.joined(blocks), key, skip)
            skip = max(skip - windows, 0)
        self.epoch, self.position = self.epoch + 1, 0

    def _groups(self, epoch: int) -> list[list[range]]:
        """Blocks in the order of an epoch, a few to a group."""
        blocks = self._blocks
        if self._shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(blocks))
            blocks = [blocks[i] for i in order]
        return [blocks[i : i + MIXED] for i in range(0, len(blocks), MIXED)]
