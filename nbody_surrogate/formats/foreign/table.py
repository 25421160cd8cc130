"""CSV: a line of names, then one for each particle, frame after frame where there are several."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import numpy as np

from nbody_surrogate.files.limits import FOREIGN_TEXT
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.formats.foreign.columns import NAMES, content_of
from nbody_surrogate.formats.foreign.content import Content, checked_frame, read_errors

__all__ = ["read_csv"]

VECTORS = {"pos": ("x", "y", "z"), "velo": ("vx", "vy", "vz"), "momenta": ("px", "py", "pz")}
CLOCKS = ("t", "time", "frame", "step")
"""Columns that tell frames apart; the first two are times."""

SINGLE = {name for key in ("charges", "masses", "radii", "species", "id") for name in NAMES[key]}


def read_csv(path: Path, frame: int | None = None) -> Content:
    """Read all frames of a table, or one.

    Columns are ``x``, ``y`` and with three dimensions ``z``, and where they are known ``vx``,
    ``vy``, ``vz``, ``charge`` (or ``q``), ``mass`` (or ``m``), ``radius``, ``species``, ``id``;
    with several frames, one after the other, ``t`` (or ``time``) or ``frame``.

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
        If the file is damaged, or a column is not known.
    """
    with read_errors(path, "CSV"):
        lines = read_bounded(path, FOREIGN_TEXT.largest).decode("utf-8-sig").splitlines()
        rows = [
            [cell.strip() for cell in row]
            # a comment may tell where the numbers come from
            for row in csv.reader(line for line in lines if line.strip() and line[0] != "#")
        ]
        names = [name.lower() for name in rows[0]] if rows else []
        _check_names(names)
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"each line must hold {len(names)} values, as the first does")
        clock = next((names.index(name) for name in CLOCKS if name in names), None)
        groups = [
            (key, list(group))
            for key, group in groupby(rows[1:], lambda row: None if clock is None else row[clock])
        ]
        if not groups:
            raise ValueError("it holds no particles")
        if frame is not None:
            groups = [groups[checked_frame(frame, len(groups))]]
        timed = clock is not None and names[clock] in CLOCKS[:2]
        times = [float(key) if timed and key is not None else None for key, _ in groups]
        return content_of([_columns(names, group) for _, group in groups], times)


def _check_names(names: list[str]) -> None:
    known = {*SINGLE, *CLOCKS, *(each for axes in VECTORS.values() for each in axes)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"its first line must name the columns, of {', '.join(sorted(known))}; "
            f"got {unknown[0][:40]!r}"
        )
    if len(set(names)) < len(names):
        raise ValueError("two columns have the same name")


def _columns(names: list[str], rows: list[list[str]]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, axes in VECTORS.items():
        present = [axis for axis in axes if axis in names]
        if present and present not in ([*axes[:2]], [*axes]):
            raise ValueError(f"of {', '.join(axes)} it must have the first two or all")
        here = [names.index(axis) for axis in present]
        if here:
            found[name] = np.array([[float(row[k]) for k in here] for row in rows])
    for k, name in enumerate(names):
        if name in SINGLE:
            text = name in NAMES["species"]
            found[name] = np.array([row[k] if text else float(row[k]) for row in rows])
    return found
