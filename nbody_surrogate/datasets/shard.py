"""Shards: some hundred trajectories of a data set in one plain HDF5 file.

====================  ===============  =====================================================
data set              shape            what
====================  ===============  =====================================================
format                ()               version of this layout
spec                  ()               SHA-256 of the spec, as text
first, shape          (), (4,)         number of the first trajectory; (S, T, N, D)
t                     (T,)             times of the rows
x, v                  (S, T, N, D)     positions and velocities
hidden.NAME           (S, T, N, ...)   hidden variables, as the manifest names them
charges, masses       (S, N)
couplings             (S, N, N)        where the particles have them
radii                 (S, N)           where the particles have them
verified              (2,)             shape (K, F) of the errors
sample, label_error   (K,), (K, F)     verified trajectories; their position RMSE at some rows
system_error          (K, F)           the same of the system, where it has a finer version
stream                (627,)           state of the legacy stream after the last draw
====================  ===============  =====================================================

Numbers are little-endian, float64 or int64, and contiguous. HDF5 lays out an empty file; the
arrays are then written to their places by plain file operations, so that a full disk is an
ordinary error. The file gets its final name once it is whole and on the disk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import h5py
import numpy as np

from nbody_surrogate.contracts.segment import HIDDEN_PREFIX
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.errors import FileFormatError, RunError, one_line
from nbody_surrogate.files.atomic import renamed_at_end
from nbody_surrogate.files.hdf5 import (
    DAMAGE,
    FLOAT,
    INTEGER,
    STRUCTURE,
    allocate,
    check_size,
    create_hdf5,
    floats_at,
    integers_at,
    offset_of,
    open_floats,
    text_at,
    text_type,
)
from nbody_surrogate.files.new_file import open_existing

__all__ = ["ShardData", "ShardReader", "reported", "shard_name", "write_shard"]

FORMAT = 1
STREAM = 627  # numbers of a legacy stream's state


@dataclass(frozen=True, eq=False)
class ShardData:
    """What a shard holds.

    Attributes
    ----------
    spec : str
        SHA-256 of the spec.
    first : int
        Number of the first trajectory.
    t : ndarray, shape (T,)
    block : TrajectoryBlock
    sample : ndarray, shape (K,)
        Numbers of the verified trajectories.
    label_error : ndarray, shape (K, F)
    stream : ndarray, shape (627,), or None
    system_error : ndarray, shape (K, F), or None
    """

    spec: str
    first: int
    t: np.ndarray
    block: TrajectoryBlock
    sample: np.ndarray
    label_error: np.ndarray
    stream: np.ndarray | None = None
    system_error: np.ndarray | None = None


def shard_name(number: int) -> str:
    """Name of the file of a shard."""
    return f"shard-{number:05d}.h5"


def write_shard(path: Path, data: ShardData) -> None:
    """Write a shard, as ``.part`` until it is whole.

    Raises
    ------
    RunError
        If it cannot be written; nothing is left of it.
    """
    try:
        with renamed_at_end(path) as part:
            _fill(part, data)
    except (OSError, RuntimeError) as error:  # HDF5 raises either over a full disk
        raise RunError(f"`output` {str(path)!r} cannot be written: {one_line(error)}") from None


def _fill(path: Path, data: ShardData) -> None:
    arrays = _arrays(data)
    places = _lay_out(path, data, {key: array.shape for key, array in arrays.items()})
    with open_existing(path) as file:
        for key, array in arrays.items():
            file.seek(places[key])
            rest = memoryview(np.ascontiguousarray(array, FLOAT).data).cast("B")
            while rest:  # a raw write may take a part only
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def _arrays(data: ShardData) -> dict[str, np.ndarray]:
    particles = data.block.particles
    arrays = {
        "t": data.t,
        "x": data.block.x,
        "v": data.block.v,
        "charges": particles.charges,
        "masses": particles.masses,
        "label_error": data.label_error,
    }
    if particles.couplings is not None:
        arrays["couplings"] = particles.couplings
    if particles.radii is not None:
        arrays["radii"] = particles.radii
    if data.stream is not None:
        arrays["stream"] = data.stream
    if data.system_error is not None:
        arrays["system_error"] = data.system_error
    arrays |= {HIDDEN_PREFIX + name: values for name, values in data.block.hidden.items()}
    return {key: array for key, array in arrays.items() if array.size}


def _lay_out(path: Path, data: ShardData, shapes: dict[str, Any]) -> dict[str, int]:
    """Create the file without its arrays, and say where they belong."""
    size = STRUCTURE + len(data.spec) + 8 * sum(map(math.prod, shapes.values()))
    with create_hdf5(path, size + data.sample.nbytes, made=True) as root:
        allocate(root, "format", FORMAT, INTEGER)
        allocate(root, "spec", data.spec.encode(), text_type(len(data.spec)))
        allocate(root, "first", data.first, INTEGER)
        allocate(root, "shape", data.block.x.shape, INTEGER)
        allocate(root, "verified", data.label_error.shape, INTEGER)
        if data.sample.size:
            allocate(root, "sample", data.sample, INTEGER)
        made = {key: allocate(root, key, None, FLOAT, shape) for key, shape in shapes.items()}
        return {key: offset_of(dataset) for key, dataset in made.items()}


@final
class ShardReader:
    """An open shard, of which trajectories can be read. Use it as a context manager.

    Parameters
    ----------
    path : Path
    spec : str, optional
        SHA-256 of the spec that it must be of.
    hidden : mapping of str to tuple of int, optional
        Hidden variables that it must hold, and their shape at a row, (N, ...).

    Attributes
    ----------
    first : int
    shape : tuple of int
        (S, T, N, D).

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or of another data set.
    """

    def __init__(
        self,
        path: Path,
        spec: str | None = None,
        hidden: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    ) -> None:
        self.path, self._hidden = path, hidden
        with reported(path):
            if path.is_symlink() or not path.is_file():
                raise ValueError("it is not a regular file" if path.exists() else "it is missing")
            self._file = h5py.File(path, "r", locking=False)
            try:
                self._read_header(spec)
            except BaseException:
                self._file.close()
                raise

    def _read_header(self, spec: str | None) -> None:
        root = self._file
        (number,) = integers_at(root, "format")
        if number != FORMAT:
            raise ValueError(f"its format is {number}, this version reads format {FORMAT}")
        self.spec = text_at(root, "spec").decode("ascii")
        if spec is not None and self.spec != spec:
            raise ValueError("it is of another data set")
        (self.first,) = integers_at(root, "first")
        shape = integers_at(root, "shape", (4,))
        if min(shape) < 1 or shape[3] not in (2, 3) or self.first < 0:
            raise ValueError(f"its shape (S, T, N, D) is {tuple(shape)}")
        self.shape = (shape[0], shape[1], shape[2], shape[3])
        check_size(self._file, 16 * shape[0] * shape[1] * shape[2] * shape[3])
        self.verified = tuple(integers_at(root, "verified", (2,)))

    def t(self) -> np.ndarray:
        """Read the times of the rows, shape (T,)."""
        with reported(self.path):
            return floats_at(self._file, "t", self.shape[1:2])

    def read(self, start: int, stop: int) -> TrajectoryBlock:
        """Read trajectories `start` to `stop` of the shard, counted from 0.

        Raises
        ------
        FileFormatError
            If the file is damaged, or they are not in it.
        """
        with reported(self.path):
            size, _, n, _ = self.shape
            if not 0 <= start < stop <= size:
                raise ValueError(f"it has trajectories 0 to {size}, not {start} to {stop}")
            rows = slice(start, stop)
            x = self._values("x", self.shape)[rows]
            v = self._values("v", self.shape)[rows]
            charges = self._values("charges", (size, n))[rows]
            masses = self._values("masses", (size, n))[rows]
            couplings = radii = None
            if "couplings" in self._file:
                couplings = self._values("couplings", (size, n, n))[rows]
            if "radii" in self._file:
                radii = self._values("radii", (size, n))[rows]
            hidden = {name: values[rows] for name, values in self._hidden_values().items()}
            particles = Particles(charges, masses, couplings, radii)
            return TrajectoryBlock(x, v, particles, hidden)

    def _hidden_values(self) -> dict[str, Any]:
        """Open the hidden variables, which are to be there."""
        found = {}
        for name, tail in self._hidden.items():
            shape = (*self.shape[:2], *tail)
            check_size(self._file, 8 * math.prod(shape))
            found[name] = self._values(HIDDEN_PREFIX + name, shape)
        return found

    def _values(self, key: str, shape: tuple[int, ...]) -> Any:
        return open_floats(self._file, key, shape)

    def label_errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the verified trajectories (K,) and their position RMSE (K, F)."""
        with reported(self.path):
            count, rows = self.verified
            if count * rows == 0:
                return np.empty(0, np.int64), np.empty((0, 0))
            if not (0 < count <= self.shape[0] and 0 < rows <= self.shape[1]):
                raise ValueError(f"it cannot hold label errors of shape {(count, rows)}")
            sample = np.array(integers_at(self._file, "sample", (count,)))
            return sample, floats_at(self._file, "label_error", (count, rows))

    def system_errors(self) -> np.ndarray:
        """Position RMSE of the system's own truncation, (K, F); (0, 0) where it was not measured.

        K and F are those of the label errors, or where there are none, as they are in the file.
        """
        with reported(self.path):
            if "system_error" not in self._file:
                return np.empty((0, 0))
            shape = self._file["system_error"].shape
            if len(shape) != 2 or shape[0] > self.shape[0] or shape[1] > self.shape[1]:
                raise ValueError(f"it cannot hold errors of the system of shape {shape}")
            return floats_at(self._file, "system_error", shape)

    def stream(self) -> np.ndarray:
        """State of the legacy stream after the last draw, shape (627,)."""
        with reported(self.path):
            return floats_at(self._file, "stream", (STREAM,))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file causes into one line that names it."""
    try:
        yield
    except DAMAGE as error:
        raise FileFormatError(
            f"{str(path)!r} cannot be read as a shard: {one_line(error)}"
        ) from None
