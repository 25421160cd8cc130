"""Tracks in NumPy archives: read within bounds, and never unpickled."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, one_line
from nbody_surrogate.files.limits import NPZ
from nbody_surrogate.files.npy import DAMAGE, HEADERS
from nbody_surrogate.files.untrusted import require_regular
from nbody_surrogate.tracks.dense import Dense
from nbody_surrogate.tracks.table import LONGEST_LABEL

__all__ = ["read_npz_tracks"]

SMALL_BYTES, MAX_RATIO = 64 * 2**20, 100
"""Arrays of more bytes than that take at most so many times the size of their archive."""

NUMBERS = ("x", "t", "dt", "frame_dt", "charges", "masses", "first_frame", "frame_step")
TEXTS = ("names", "length_unit", "time_unit")


@dataclass(frozen=True)
class _Header:
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    stored: int
    """Bytes that follow it."""


def read_npz_tracks(path: Path) -> Dense:
    """Read ``x`` (T, N, D), and where they are there ``t`` (T,) or ``dt``, and ``names`` (N,).

    ``charges``, ``masses`` (N,), ``length_unit``, ``time_unit``, ``first_frame`` and
    ``frame_step`` are taken too; other arrays, as of an exported run, are left out.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If an array that is needed is missing, or of another shape or kind.
    FileFormatError
        If the archive is missing or damaged, or holds more than is read.
    """
    if not path.exists():
        raise MissingFileError(f"{str(path)!r} cannot be read: it does not exist")
    require_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            every = archive.namelist()
            if len(set(every)) < len(every):
                raise ValueError("an array is there twice")
            members = {name.removesuffix(".npy"): name for name in every}
            taken = {name: members[name] for name in (*NUMBERS, *TEXTS) if name in members}
            headers = {name: _header(archive, member) for name, member in taken.items()}
            _check_sizes(headers, path.stat().st_size)
            arrays = {
                name: _checked(name, _array(archive, member)) for name, member in taken.items()
            }
    except InputError as error:  # which is a ValueError, and so among what damage raises
        raise InputError(f"{str(path)!r}: {error}") from None
    except DAMAGE as error:
        raise FileFormatError(
            f"{str(path)!r} cannot be read as an .npz archive: {one_line(error)}"
        ) from None
    left = sorted(name[:40] for name in members if name not in taken)
    return _dense(arrays, tuple(left[:16]), path)


def _header(archive: zipfile.ZipFile, member: str) -> _Header:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"arrays of version {version} are not read")
        shape, _, dtype = HEADERS[version](stream)
        stored = archive.getinfo(member).file_size - stream.tell()
    needed = math.prod(shape) * dtype.itemsize
    # both numbers are the file's own words: only where they agree is either believed
    if min(shape, default=0) < 0 or dtype.hasobject or needed != stored:
        raise ValueError(f"{member} of shape {shape} and {dtype} does not hold what it says")
    return _Header(shape, dtype, stored)


def _check_sizes(headers: dict[str, _Header], size: int) -> None:
    total = sum(each.stored for each in headers.values())
    if total > NPZ.largest or total > max(SMALL_BYTES, MAX_RATIO * size):
        raise ValueError(
            f"its arrays take {total} bytes and the archive {size}; at most {NPZ.largest}, and "
            f"{MAX_RATIO} times the archive, are read"
        )


def _array(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    with archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _checked(name: str, values: np.ndarray) -> Any:
    """Demand the kind that an array must be of."""
    if name in TEXTS:
        if values.dtype.kind in "iu" and name == "names":
            values = values.astype(np.str_)
        if values.dtype.kind != "U":
            raise InputError(f"`{name}` must hold text, got dtype {values.dtype.name}")
        return values
    if values.dtype.kind not in "iuf":
        raise InputError(f"`{name}` must hold real numbers, got dtype {values.dtype.name}")
    return values.astype(np.float64)


def _dense(arrays: dict[str, Any], left: tuple[str, ...], path: Path) -> Dense:
    file = repr(str(path))
    if "x" not in arrays:
        raise InputError(f"{file} must hold positions `x` (T, N, D), and holds none")
    x = arrays["x"]
    if x.ndim != 3 or x.shape[2] not in (2, 3) or not x.size:
        raise InputError(f"{file}: `x` must have shape (T, N, D) with D = 2 or 3, got {x.shape}")
    frames, n, _ = x.shape
    shapes = {"t": (frames,), "charges": (n,), "masses": (n,), "names": (n,)}
    for name, values in arrays.items():
        wanted = x.shape if name == "x" else shapes.get(name, ())
        if values.shape != wanted:
            raise InputError(f"{file}: `{name}` must have shape {wanted}, got {values.shape}")
    return Dense(
        x,
        arrays.get("t"),
        _positive(arrays, file),
        _names(arrays.get("names"), file),
        arrays.get("charges"),
        arrays.get("masses"),
        _text(arrays.get("length_unit")),
        _text(arrays.get("time_unit")),
        _whole(arrays, "first_frame", 0, file),
        _whole(arrays, "frame_step", 1, file),
        left,
    )


def _positive(arrays: dict[str, Any], file: str) -> float | None:
    given = [float(arrays[name]) for name in ("dt", "frame_dt") if name in arrays]
    if not given:
        return None
    if not (math.isfinite(given[0]) and given[0] > 0):
        raise InputError(f"{file}: `dt` must be finite and > 0, got {given[0]}")
    return given[0]


def _names(values: np.ndarray | None, file: str) -> tuple[str, ...] | None:
    if values is None:
        return None
    names = tuple(str(each) for each in values)
    if len(set(names)) < len(names) or not all(0 < len(each) <= LONGEST_LABEL for each in names):
        raise InputError(
            f"{file}: `names` must be {counted(len(names), 'name')} of at most {LONGEST_LABEL} "
            "characters, each of them another"
        )
    return names


def _text(value: np.ndarray | None) -> str | None:
    return None if value is None or not str(value) else str(value)[:LONGEST_LABEL]


def _whole(arrays: dict[str, Any], name: str, otherwise: int, file: str) -> int:
    value = float(arrays.get(name, otherwise))
    if not value.is_integer() or abs(value) >= 2**53 or (name == "frame_step" and value < 1):
        raise InputError(f"{file}: `{name}` must be a whole number, got {value}")
    return int(value)
