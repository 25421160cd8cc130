"""Tables of tracks in CSV, as pandas and trackpy write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np

from nbody_surrogate.errors import FileFormatError, MissingFileError, one_line
from nbody_surrogate.files.limits import FOREIGN_TEXT
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.tracks.table import (
    LONGEST_LABEL,
    SHOWN,
    AbstractTable,
    Read,
    is_label,
    sorted_labels,
)

__all__ = ["CsvTable"]

CHUNK = 1 << 16  # rows that are cells at a time: a cell takes many times its numbers
DELIMITERS = (",", ";", "\t")
MOST_COLUMNS = 1000


@final
class CsvTable(AbstractTable):
    """A table in CSV: a line of names, then a line for each row.

    Commas, semicolons or tabs part the cells, whichever the first line has. Empty lines and those
    that begin with ``#`` are passed over. Rows are told by the lines of the file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    FileFormatError
        If it is missing, too large, or no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data = read_bounded(path, FOREIGN_TEXT.largest)
            self._underscores = "_" in self._data.decode()  # which is not kept: it takes more
        except FileNotFoundError:
            raise MissingFileError(f"{str(path)!r} cannot be read: it does not exist") from None
        except OSError as error:
            raise FileFormatError(f"{str(path)!r} cannot be read: {one_line(error)}") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise FileFormatError(f"{str(path)!r}, line {line}: it is no text (UTF-8)") from None
        self._lines: list[list[int]] = []  # of the rows, CHUNK at a time
        head = next(self._plain_lines(), None)
        if head is None:
            raise FileFormatError(f"{str(path)!r} is empty: its first line must name the columns")
        self._delimiter = max(DELIMITERS, key=head.count)
        _, first = next(self._rows())
        self.names = [name.strip() for name in first]
        if len(self.names) > MOST_COLUMNS:
            raise FileFormatError(
                f"{str(path)!r} has {len(self.names)} columns, {MOST_COLUMNS} are read at most"
            )

    def _plain_lines(self) -> Iterator[str]:
        """Yield lines that are neither empty nor a comment; `_number` is that of the last one."""
        # as the csv module wants it: line ends as they are
        text = io.TextIOWrapper(io.BytesIO(self._data), "utf-8-sig", newline="")
        for number, line in enumerate(text, 1):
            self._number = number
            if line[0] not in "#\r\n" and not line.isspace():
                yield line

    def place(self, row: int) -> str:
        """Name the line of the file."""
        return f"line {self._lines[row // CHUNK][row % CHUNK]}"

    def read(self, numbers: Sequence[int], labels: Sequence[int]) -> Read:
        """Read some columns, by their numbers."""
        found: dict[int, list[np.ndarray]] = {k: [] for k in (*numbers, *labels)}
        known: dict[int, dict[str, int]] = {k: {} for k in labels}
        done = 0
        for rows in self._chunks():
            for k in numbers:
                found[k].append(self._numbers(k, [row[k] for row in rows], done))
            for k in labels:
                cells = [row[k].strip() for row in rows]
                self._demand_labels(k, cells, done, known[k])
                found[k].append(np.array([known[k][cell] for cell in cells], dtype=np.int64))
            done += len(rows)
        if not done:
            raise FileFormatError(
                f"{str(self.path)!r} holds no rows below the names of its columns"
            )
        whole = {k: np.concatenate(parts) for k, parts in found.items()}
        return Read(
            {k: whole[k] for k in numbers},
            {k: sorted_labels(list(known[k]), whole[k]) for k in labels},
        )

    def _chunks(self) -> Iterator[list[list[str]]]:
        """Yield rows, many at a time, each with a cell for every column."""
        width, done = len(self.names), 0
        reader = self._rows()
        next(reader)
        self._lines = []
        while rows := list(islice(reader, CHUNK)):
            self._lines.append([number for number, _ in rows])
            cells = [row for _, row in rows]
            if any(len(row) != width for row in cells):
                at = next(k for k, row in enumerate(cells) if len(row) != width)
                self.wrong(
                    done + at,
                    f"it has {len(cells[at])} values, the first line names {width} columns",
                )
            done += len(cells)
            yield cells

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self._plain_lines(), delimiter=self._delimiter)
        try:
            for row in reader:
                yield self._number, row
        except csv.Error as error:
            raise FileFormatError(
                f"{str(self.path)!r}, line {self._number}: {one_line(error)}"
            ) from None

    def _numbers(self, column: int, cells: list[str], done: int) -> np.ndarray:
        try:
            values = np.array(cells, dtype=np.float64)
        except ValueError:
            self._refuse_text(column, cells, done)
            raise
        self.demand_finite(column, values, done)
        # Python takes 1_000 for a number, which no other program does
        if self._underscores and any("_" in cell for cell in cells):
            self._refuse_text(column, cells, done)
        return values

    def _refuse_text(self, column: int, cells: list[str], done: int) -> None:
        for k, cell in enumerate(cells):
            if "_" in cell or not _is_number(cell):
                got = f"{cell[:SHOWN]!r}" if cell.strip() else "an empty cell"
                self.wrong(done + k, f"`{self.names[column][:SHOWN]}` must be a number, got {got}")

    def _demand_labels(
        self, column: int, cells: list[str], done: int, known: dict[str, int]
    ) -> None:
        """Give new names their numbers, and refuse what is no name."""
        for name in dict.fromkeys(cells):
            if name in known:
                continue
            if not is_label(name):
                got = f"{name[:SHOWN]!r}" if name else "an empty cell"
                what = f"must be a name of at most {LONGEST_LABEL} printable characters, got {got}"
                self.wrong(done + cells.index(name), f"`{self.names[column][:SHOWN]}` {what}")
            known[name] = len(known)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
