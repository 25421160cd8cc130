"""Opening objects of a file that is not trusted.

Nothing is believed before it is checked: every object is reached through hard links, is of the
very type and shape that are asked for, lies uncompressed and contiguous in the file itself and
is no larger than the file. Object types are not among those asked for, and nothing is unpickled.
What does not pass raises a `ValueError`, or what h5py raises.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.errors import RunError, one_line
from nbody_surrogate.files.atomic import atomic_path
from nbody_surrogate.files.limits import PROVENANCE
from nbody_surrogate.files.new_file import create_file, open_existing

__all__ = [
    "DAMAGE",
    "FLAG",
    "FLOAT",
    "INTEGER",
    "STRUCTURE",
    "allocate",
    "atomic_hdf5",
    "check_size",
    "contiguous_plan",
    "create_hdf5",
    "floats_at",
    "group_at",
    "has_groups",
    "integer_array_at",
    "integers_at",
    "integers_of",
    "offset_of",
    "open_flags",
    "open_floats",
    "open_integer",
    "open_integers",
    "open_text",
    "open_texts",
    "require_room",
    "text_at",
    "text_type",
]

FLOAT = np.dtype("<f8")
INTEGER = np.dtype("<i8")
FLAG = np.dtype("i1")  # 0 or 1; HDF5 itself has no truth values, only enumerations of each program

REDUCED = b"1"
"""The unit of all numbers that are read."""

STRUCTURE = 2**16
"""Bytes that HDF5's own tables take at most in a file of a few dozen objects."""

RESERVED_AT_MOST = 64 * 2**20
"""Bytes that are reserved as a trial: disks that cannot reserve any are written to instead."""

DAMAGE = (OSError, LookupError, RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError)
"""What h5py and the checks raise over a damaged file. `InputError` is a `ValueError`."""


def require_room(path: Path, size: int) -> None:
    """Demand that a file that is there can grow to `size` bytes; it stays as it is.

    HDF5 must never meet a full disk or a limit on the size of files: what it could not write it
    keeps, tries again when the process ends, and may bring it down.

    Raises
    ------
    OSError
        If it cannot.
    """
    with open_existing(path) as file:
        descriptor = file.fileno()
        before = os.fstat(descriptor).st_size
        try:
            os.ftruncate(descriptor, max(size, before))
            # a size alone takes no room yet; macOS and Windows have no such call
            if size > before and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, before, min(size - before, RESERVED_AT_MOST))
        finally:
            os.ftruncate(descriptor, before)


def create_hdf5(path: Path, size: int, *, made: bool = False, virtual: bool = False) -> Any:
    """Create an HDF5 file, of the version of the format that every reader knows.

    Parameters
    ----------
    path : Path
        Nothing may be there, be it a link that leads nowhere.
    size : int
        Bytes that it will have at most.
    made : bool
        Whether it is the empty file of `renamed_at_end`, which is filled.
    virtual : bool
        Whether it will hold virtual data sets. They take HDF5 1.10, of 2016, whose groups are made
        faster and are a third as large.

    Raises
    ------
    OSError
        If it cannot be made, or not so large.
    """
    if not made:
        create_file(path).close()
    require_room(path, size)
    # on a file that is new nobody else has a lock, and some disks know none
    version = ("v110", "v110") if virtual else "earliest"
    # numbers are read where they lie, which is faster where they are aligned; no compiler of ours
    # has to know another case
    aligned = {"alignment_threshold": FLOAT.itemsize, "alignment_interval": FLOAT.itemsize}
    return h5py.File(path, "w", libver=version, locking=False, **aligned)


@contextmanager
def atomic_hdf5(
    path: Path, size: int, parameter: str = "output", *, overwrite: bool = True
) -> Iterator[Any]:
    """Give a new HDF5 file, which has its name only when the block has ended well.

    Parameters
    ----------
    path : Path
    size : int
        Bytes that it will have at most.
    parameter : str
        What messages call it.
    overwrite : bool
        Whether a file that is there at the end may be replaced.

    Raises
    ------
    RunError
        If it cannot be written, or may not be replaced; nothing is left of it.
    """
    try:
        with atomic_path(path, parameter, overwrite=overwrite) as part:
            require_room(part, size)
            with h5py.File(part, "w", locking=False) as file:
                yield file
    except RuntimeError as error:  # HDF5 raises either over a full disk
        said = f"`{parameter}` {str(path)!r} cannot be written: {one_line(error)}"
        raise RunError(said) from None


def group_at(group: Any, path: str) -> Any:
    """Open a group."""
    found = _follow(group, path)
    if not isinstance(found, h5py.h5g.GroupID):
        raise ValueError(f"{path!r} is not a group")
    return h5py.Group(found)


def has_groups(group: Any, path: str) -> bool:
    """Whether there is a group at `path`; what is there must be groups all the way."""
    for name in path.split("/"):
        if group.get(name, getlink=True) is None:
            return False
        group = group_at(group, name)
    return True


def integers_at(group: Any, path: str, shape: tuple[int, ...] = ()) -> list[int]:
    """Read a few integers."""
    values = _open(group, path, INTEGER, shape)[()]
    return [int(value) for value in np.ravel(values)]


def integers_of(group: Any, path: str, most: int) -> list[int]:
    """Read a row of at most `most` integers."""
    found = _follow(group, path)
    shape: tuple[int, ...] = found.shape if isinstance(found, h5py.h5d.DatasetID) else ()
    if len(shape) != 1 or shape[0] > most:
        raise ValueError(f"{path!r} is no row of at most {most} integers")
    return integers_at(group, path, shape)


def integer_array_at(group: Any, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array of integers; the caller knows that its shape is not too large."""
    return np.array(open_integers(group, path, shape)[()], dtype=np.int64)


def floats_at(group: Any, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array; the caller knows that its shape is not too large."""
    return np.array(open_floats(group, path, shape)[()], dtype=np.float64)


def open_floats(group: Any, path: str, shape: tuple[int, ...]) -> Any:
    """Open an array without reading it, in reduced units."""
    dataset = _open(group, path, FLOAT, shape)
    # asked of HDF5 itself: h5py's own mapping of attributes takes ten times as long
    unit = dataset.attrs["unit"] if h5py.h5a.exists(dataset.id, b"unit") else REDUCED
    if not isinstance(unit, bytes | str) or unit not in (REDUCED, REDUCED.decode()):
        raise ValueError(f"{path!r} is in unit {str(unit)[:20]!r}, only reduced units (1) are read")
    return dataset


def open_integer(group: Any, path: str) -> Any:
    """Open an integer without reading it."""
    return _open(group, path, INTEGER, ())


def open_integers(group: Any, path: str, shape: tuple[int, ...]) -> Any:
    """Open an array of integers without reading it."""
    return _open(group, path, INTEGER, shape)


def open_flags(group: Any, path: str, shape: tuple[int, ...]) -> Any:
    """Open an array of zeros and ones without reading it."""
    return _open(group, path, FLAG, shape)


def open_texts(group: Any, path: str, length: int, shape: tuple[int, ...]) -> Any:
    """Open an array of texts of `length` bytes each without reading it."""
    return _open(group, path, text_type(length), shape)


def open_text(group: Any, path: str) -> Any:
    """Open a text of fixed length, whatever it is, without reading it."""
    found = _follow(group, path)
    if not isinstance(found, h5py.h5d.DatasetID) or found.dtype.kind != "S":
        raise ValueError(f"{path!r} is not a text of fixed length")
    if found.dtype.itemsize > PROVENANCE.largest:
        raise ValueError(f"{path!r} is longer than {PROVENANCE.largest} bytes")
    return _open(group, path, found.dtype, ())


def text_at(group: Any, path: str) -> bytes:
    """Read a text of fixed length, without the zeros that fill it up."""
    return bytes(open_text(group, path)[()])


def check_size(file: Any, needed: int) -> None:
    """Demand that arrays that are announced to take `needed` bytes can be in the file."""
    size = file.id.get_filesize()
    if needed > size:
        raise ValueError(f"it has {size} bytes, its arrays would take {needed}")


def _open(group: Any, path: str, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """Open a data set, everything about it checked."""
    found = _follow(group, path)
    if not isinstance(found, h5py.h5d.DatasetID):
        raise ValueError(f"{path!r} is not a data set")
    if found.dtype != dtype or found.shape != shape:
        raise ValueError(
            f"{path!r} must be {dtype} with shape {shape}, got {found.dtype} with {found.shape}"
        )
    plan = found.get_create_plist()
    contiguous = plan.get_layout() == h5py.h5d.CONTIGUOUS
    if not contiguous or plan.get_external_count():
        raise ValueError(f"{path!r} must be contiguous inside the file")
    offset, size = found.get_offset(), math.prod(shape) * dtype.itemsize
    if offset is None or offset + size > h5py.h5i.get_file_id(found).get_filesize():
        raise ValueError(f"{path!r} lies outside the file")
    return h5py.Dataset(found)


def _follow(group: Any, path: str) -> Any:
    """Open an object below `group`, through hard links only; return HDF5's handle of it.

    Of the files with many trajectories each has a dozen objects, so no object of h5py is made on
    the way: that takes several times as long as HDF5 does.
    """
    found = group.id
    for name in path.split("/"):
        key = name.encode()
        if not isinstance(found, h5py.h5g.GroupID) or not found.links.exists(key):
            raise ValueError(f"{path!r} is missing, which every file of nbody-surrogate holds")
        if found.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{path!r} is a link, which is not followed")
        found = h5py.h5o.open(found, key)
    return found


def text_type(length: int) -> np.dtype:
    """Text of a fixed number of bytes."""
    dtype: np.dtype = h5py.string_dtype("utf-8", length)
    return dtype


def allocate(group: Any, name: str | None, value: Any, dtype: np.dtype, shape: Any = None) -> Any:
    """Create a contiguous data set with its space in the file, and write `value` where given."""
    shape, plan = np.shape(value) if shape is None else shape, contiguous_plan()
    kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(shape)
    dataset = h5py.Dataset(h5py.h5d.create(group.id, name and name.encode(), kind, space, plan))
    if value is not None:
        dataset[()] = value
    return dataset


def contiguous_plan() -> Any:
    """Return HDF5's plan of a contiguous data set that has its space in the file at once."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    return plan


def offset_of(dataset: Any) -> int:
    """Where the data of a contiguous data set start in the file."""
    return int(dataset.id.get_offset())
