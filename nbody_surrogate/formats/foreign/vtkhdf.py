"""VTKHDF as `export` writes it: points over time, with velocities, charges, masses and radii."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.formats.foreign.content import Content, checked_frame, flat, read_errors
from nbody_surrogate.formats.foreign.h5md import plain_dataset, plain_member

__all__ = ["read_vtkhdf"]


def read_vtkhdf(path: Path, frame: int | None = None) -> Content:
    """Read all frames, or one, of points that are the same particles in each step.

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
        If the file is damaged, or its steps differ in their points.
    """
    with read_errors(path, "VTKHDF"), h5py.File(path, "r", locking=False) as file:
        root = _at(file, "VTKHDF")
        t = np.ravel(_numbers(root, "Steps/Values")[()]).astype(np.float64)
        points = _numbers(root, "Points")
        frames = len(t)
        n = len(points) // max(frames, 1)
        if points.ndim != 2 or not frames or not n or len(points) != frames * n:
            raise ValueError("its steps differ in their points")
        offsets = np.ravel(_numbers(root, "Steps/PointOffsets")[()])
        if not np.array_equal(offsets, n * np.arange(frames)):
            raise ValueError("its steps differ in their points")
        rows = range(frames)
        if frame is not None:
            number = checked_frame(frame, frames)
            rows = range(number, number + 1)
        return _content(root, t, points, n, rows)


def _content(root: Any, t: np.ndarray, points: Any, n: int, rows: range) -> Content:
    data = _at(root, "PointData")
    here = slice(n * rows.start, n * rows.stop)

    def values(name: str) -> np.ndarray | None:
        if name not in data:
            return None
        found = np.asarray(_numbers(data, name)[here], np.float64)
        return found.reshape(len(rows), n, *found.shape[1:])

    x, v = points[here].astype(np.float64).reshape(len(rows), n, 3), values("velocity")
    fields = plain_member(root, "FieldData")
    if (
        fields is not None
        and "dimensions" in fields
        and int(_numbers(fields, "dimensions")[0]) == 2
    ):
        x, v = np.asarray(flat(x)), flat(v)
    bonds = None
    if fields is not None and "couplings" in fields:
        bonds = np.asarray(_numbers(fields, "couplings")[()], np.float64)
    return Content(
        x=x,
        t=t[rows.start : rows.stop],
        v=v,
        charges=_constant(values("charge")),
        masses=_constant(values("mass")),
        couplings=bonds,
        radii=_constant(values("radius")),
    )


def _at(group: Any, path: str) -> Any:
    for name in path.split("/"):
        group = plain_member(group, name) if isinstance(group, h5py.Group) else None
    if group is None:
        raise ValueError(f"{path!r} is missing")
    return group


def _numbers(group: Any, path: str) -> Any:
    return plain_dataset(_at(group, path), path)


def _constant(values: np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    if np.any(values != values[0]):
        raise ValueError(
            "its charges, masses or radii change with time, which those of a run do not"
        )
    return np.asarray(values[0])
