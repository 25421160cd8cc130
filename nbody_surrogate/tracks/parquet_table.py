"""Tables of tracks in Parquet, as pandas and trackpy write them; read by pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from nbody_surrogate.errors import InputError, MissingFileError
from nbody_surrogate.files.limits import FRAMES
from nbody_surrogate.formats.foreign.content import read_errors
from nbody_surrogate.formats.foreign.extra import needed
from nbody_surrogate.tracks.table import (
    LONGEST_LABEL,
    SHOWN,
    AbstractTable,
    Read,
    is_label,
    sorted_labels,
)

__all__ = ["ParquetTable", "demand_pyarrow"]

LEAST_PYARROW = 15
"""Older ones unpickle what a file says is a type of theirs (CVE-2023-47248)."""

SMALL_ROWS, MOST_BYTES = 1 << 20, 100
"""A file of more rows takes at least a byte for so many of what is kept of them: positions are
noise to a compressor, and a file that holds many more rows than bytes holds no positions."""

KEPT = 8 * 5  # bytes of a row: frame, particle and three coordinates


def demand_pyarrow(path: Path, verb: str = "read") -> None:
    """Demand pyarrow, of a version that reads no code.

    Raises
    ------
    InputError
        If it is not installed, or too old.
    """
    needed("pyarrow", path, "tracks", verb)
    import pyarrow

    if int(pyarrow.__version__.partition(".")[0]) < LEAST_PYARROW:
        raise InputError(
            f"{str(path)!r} is {verb} by pyarrow of version {LEAST_PYARROW} or later, "
            f"{pyarrow.__version__} is installed: pip install 'nbody-surrogate[tracks]'"
        )


@final
class ParquetTable(AbstractTable):
    """A table in Parquet, whose rows are counted from 1.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If pyarrow is not there.
    FileFormatError
        If the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise MissingFileError(f"{str(path)!r} cannot be read: it does not exist")
        demand_pyarrow(path)
        from pyarrow.parquet import ParquetFile

        with read_errors(path, "Parquet"):
            self._file = ParquetFile(path, memory_map=False)
            self.names = [str(name) for name in self._file.schema_arrow.names]
            self._check_size(path)

    def _check_size(self, path: Path) -> None:
        rows, size = self._file.metadata.num_rows, path.stat().st_size
        if not rows:
            raise ValueError("it holds no rows")
        if rows * KEPT > FRAMES.largest or (rows > SMALL_ROWS and rows * KEPT > MOST_BYTES * size):
            raise ValueError(f"its {rows} rows would take {rows * KEPT} bytes, it has {size}")
        if len(set(self.names)) < len(self.names):
            raise ValueError("two columns have the same name")

    def place(self, row: int) -> str:
        """Name the row, counted from 1."""
        return f"row {row + 1}"

    def read(self, numbers: Sequence[int], labels: Sequence[int]) -> Read:
        """Read some columns, by their numbers."""
        found: dict[int, Any] = {}
        for k in {*numbers, *labels}:
            with read_errors(self.path, "Parquet"):
                columns = self._file.read(columns=[self.names[k]], use_threads=False)
                found[k] = columns.column(0).combine_chunks()
        return Read(
            {k: self._numbers(k, found[k]) for k in numbers},
            {k: self._labels(k, found[k]) for k in labels},
        )

    def _numbers(self, column: int, values: Any) -> np.ndarray:
        from pyarrow import types

        kind = values.type
        if not (types.is_integer(kind) or types.is_floating(kind)):
            self.wrong(0, f"`{self.names[column][:SHOWN]}` must hold numbers, its type is {kind}")
        numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        self.demand_finite(column, numbers)  # NaN where there is no value
        return numbers

    def _labels(self, column: int, values: Any) -> Any:
        from pyarrow import types

        kind = values.type
        if types.is_integer(kind) or types.is_floating(kind):
            numbers, codes = np.unique(self._numbers(column, values), return_inverse=True)
            return sorted_labels([repr(float(each)) for each in numbers], codes.ravel())
        if types.is_dictionary(kind):
            kind, values = kind.value_type, values.dictionary_decode()
        if not (types.is_string(kind) or types.is_large_string(kind)):
            what = f"must hold numbers or names, its type is {kind}"
            self.wrong(0, f"`{self.names[column][:SHOWN]}` {what}")
        coded = values.dictionary_encode()
        if coded.null_count:
            row = int(np.argmax(coded.is_null().to_numpy(zero_copy_only=False)))
            self.wrong(row, f"`{self.names[column][:SHOWN]}` must be a name, got none")
        names = [name.strip() for name in coded.dictionary.to_pylist()]
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        for k, name in enumerate(names):
            if not is_label(name):
                got = f"{name[:SHOWN]!r}"
                what = f"must be a name of at most {LONGEST_LABEL} printable characters, got {got}"
                row = int(np.argmax(codes == k))
                self.wrong(row, f"`{self.names[column][:SHOWN]}` {what}")
        return sorted_labels(names, codes)
