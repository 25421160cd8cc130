"""Extended XYZ, as ASE, OVITO, LAMMPS and we ourselves write it; plain XYZ too.

Read here, not by ASE: it takes no species but chemical elements, keeps some columns under other
names, and reserves memory for as many columns as a file announces.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from nbody_surrogate.formats.foreign.columns import content_of
from nbody_surrogate.formats.foreign.content import Content, checked_frame, read_errors

__all__ = ["read_xyz"]

LONGEST_LINE = 2**22
"""Bytes: a row of 100 000 couplings has its place in it."""

PAIR = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")
PLAIN = "species:S:1:pos:R:3"
"""The columns of a file that names none."""


def read_xyz(path: Path, frame: int | None = None) -> Content:
    """Read all frames, or one.

    Parameters
    ----------
    path : Path
    frame : int, optional
        Counted from the end where negative; by default all.

    Raises
    ------
    InputError
        If the frame is not there.
    FileFormatError
        If the file is damaged or its frames do not fit together.
    """
    with read_errors(path, "extended XYZ"), path.open("rb") as file:
        places = _places(file)
        if frame is not None:
            places = [places[checked_frame(frame, len(places))]]
        frames, headers = [], []
        for place in places:
            file.seek(place)
            columns, header = _frame(file)
            frames.append(columns)
            headers.append(header)
        return content_of(
            frames,
            [_time(each) for each in headers],
            dimensions=2 if all(each.get("dimensions") == "2" for each in headers) else None,
            periodic="t" in headers[0].get("pbc", "f").lower() if headers else False,
        )


def _line(file: IO[bytes]) -> str:
    line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise ValueError(f"a line is longer than {LONGEST_LINE} bytes")
    return line.decode("utf-8")


def _places(file: IO[bytes]) -> list[int]:
    """Find where the frames start."""
    places = []
    while True:
        place, line = file.tell(), _line(file)
        if not line.strip():
            # programs end a file with empty lines
            if line and not file.read(LONGEST_LINE).strip():
                line = ""
            if line:
                raise ValueError("an empty line stands where the number of particles should")
            break
        places.append(place)
        for _ in range(1 + _count(line)):
            if not _line(file):
                raise ValueError(f"it ends within frame {len(places) - 1}")
    if not places:
        raise ValueError("it holds no frame")
    return places


def _count(line: str) -> int:
    if not re.fullmatch(r"\s*\d{1,9}\s*", line) or not int(line):
        raise ValueError("a frame must start with the number of its particles")
    return int(line)


def _frame(file: IO[bytes]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the columns of a frame and what its comment says, keys in lower case."""
    n = _count(_line(file))
    comment = _line(file)
    header = {key.lower(): a or b or c for key, a, b, c in PAIR.findall(comment)}
    rows = [_line(file).split() for _ in range(n)]
    plan = _plan(header.get("properties", PLAIN))
    width = plan[-1][2].stop
    # a plain file may have columns of which nobody says what they are
    least = min(len(row) for row in rows)
    if least < width or ("properties" in header and max(len(row) for row in rows) > width):
        raise ValueError(f"each line of a frame must hold {width} values")
    return {name: _column(rows, kind, where) for name, kind, where in plan}, header


def _plan(text: str) -> list[tuple[str, str, slice]]:
    """Read the columns' names, kinds and places."""
    words = text.split(":")
    if len(words) % 3 or not all(re.fullmatch(r"\d{1,6}", each) for each in words[2::3]):
        raise ValueError(f"Properties must be triples name:kind:count, got {text[:60]!r}")
    plan, start = [], 0
    for name, kind, count in zip(words[::3], words[1::3], words[2::3], strict=True):
        plan.append((name, kind, slice(start, start + int(count))))
        start += int(count)
    if len({name.lower() for name in words[::3]}) < len(plan):
        raise ValueError("two columns have the same name")
    return plan


def _column(rows: list[list[str]], kind: str, where: slice) -> np.ndarray:
    values: Any = [row[where] for row in rows]
    # what is no number is kept as text; columns that nobody asks for are let be as they are
    array = np.array(values, dtype=np.float64 if kind in ("R", "I") else np.str_)
    return array[:, 0] if where.stop - where.start == 1 else array


def _time(header: dict[str, str]) -> float | None:
    told = header.get("time")
    return None if told is None else float(told)
