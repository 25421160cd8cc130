"""Arrays in ``.npy`` files, read and written piece by piece, and never unpickled."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import numpy as np

from nbody_surrogate.errors import FileFormatError, InputError, one_line
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.untrusted import require_regular

__all__ = ["DAMAGE", "HEADERS", "NpyFile", "save_npy", "write_npy"]

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3 differs for structured types only, which are not read."""


DAMAGE = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise over a damaged archive."""


@final
class NpyFile:
    """A file with one array of real numbers, of which parts of the first axis can be read.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shape : tuple of int

    Raises
    ------
    InputError
        If the array holds objects or no real numbers, or is in Fortran order.
    FileFormatError
        If the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        require_regular(path)
        try:
            with path.open("rb") as stream:
                version = np.lib.format.read_magic(stream)
                if version not in HEADERS:
                    raise ValueError(f"arrays of version {version} are not read")
                self.shape, fortran, self._dtype = HEADERS[version](stream)
                self._offset = stream.tell()
                size = path.stat().st_size - self._offset
                if min(self.shape, default=0) < 0:
                    raise ValueError(f"its shape is {self.shape}")
        except DAMAGE as error:
            raise FileFormatError(
                f"{str(path)!r} cannot be read as an array: {one_line(error)}"
            ) from None
        if self._dtype.kind not in "iuf":
            kind = "Python objects" if self._dtype.hasobject else f"{self._dtype.name} values"
            raise InputError(f"{str(path)!r} must hold real numbers, it holds {kind}")
        if fortran and len(self.shape) > 1:
            raise InputError(f"{str(path)!r} must be in C order; save np.ascontiguousarray(...)")
        if (needed := math.prod(self.shape) * self._dtype.itemsize) != size:
            raise FileFormatError(
                f"{str(path)!r} must hold {needed} bytes for shape {self.shape}, it holds {size}"
            )

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read the rows `start` to `stop` of the first axis as float64; by default all.

        Raises
        ------
        FileFormatError
            If the file cannot be read any more.
        """
        row = math.prod(self.shape[1:])
        stop = self.shape[0] if stop is None else stop
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset + start * row * self._dtype.itemsize)
                values = np.fromfile(stream, self._dtype, (stop - start) * row)
            return values.reshape(stop - start, *self.shape[1:]).astype(np.float64)
        except DAMAGE as error:
            raise FileFormatError(f"{str(self.path)!r}: {one_line(error)}") from None


def save_npy(path: Path, array: np.ndarray) -> None:
    """Write an array of float64 to a file, which has its name only when it is whole.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    with atomic_file(path) as stream:
        write_npy(stream, array.shape, [array])


def write_npy(stream: Any, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Write an array of float64 to an open binary file, in parts of its first axis."""
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for each in parts:
        stream.write(np.ascontiguousarray(each, "<f8").tobytes())
