"""H5MD of other programs: pyh5md, ZnH5MD, MDAnalysis, LAMMPS.

Read here, not by MDAnalysis: it keeps positions in single precision, takes three dimensions only,
and replaces the times. Elements may be constant, of a fixed step (``step`` and ``time`` are scalars
then), or with a time for each frame; data sets may be in chunks and compressed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.formats.foreign.columns import NAMES
from nbody_surrogate.formats.foreign.content import (
    MAX_BYTES,
    Content,
    checked_frame,
    read_errors,
    same_columns,
)
from nbody_surrogate.formats.foreign.particle_order import ParticleOrder

__all__ = ["MAX_RATIO", "SMALL_BYTES", "plain_dataset", "plain_member", "read_foreign_h5md"]

SMALL_BYTES, MAX_RATIO = 64 * 2**20, 1000
"""A data set of more bytes than that takes at most so many times what is stored of it: deflate
makes no more than a thousandfold of anything."""

MOST_NAMES = 8  # of particle groups, in a message


def read_foreign_h5md(path: Path, frame: int | None = None, group: str | None = None) -> Content:
    """Read all frames of a particles group, or one.

    Parameters
    ----------
    path : Path
    frame : int, optional
        Counted from the end where negative; by default all.
    group : str, optional
        Name of the particles group, which a file with several needs.

    Raises
    ------
    InputError
        If the frame or the group is not there, or there are several groups and none is named.
    FileFormatError
        If the file is damaged.
    """
    with read_errors(path, "H5MD"), h5py.File(path, "r", locking=False) as file:
        particles = plain_member(file, "particles")
        if not isinstance(particles, h5py.Group):
            raise ValueError("it has no group of particles")
        return _Group(plain_member(particles, _chosen(particles, group))).content(frame)


def _chosen(particles: Any, group: str | None) -> str:
    names = [str(name) for name in particles]
    if group is None and len(names) == 1:
        return names[0]
    if group is not None and group in names:
        return group
    listed = ", ".join(repr(name[:40]) for name in names[:MOST_NAMES])
    more = "" if len(names) <= MOST_NAMES else f" and {len(names) - MOST_NAMES} more"
    given = "none" if group is None else repr(group)
    raise InputError(f"`group` must name one of the particles groups {listed}{more}, got {given}")


def plain_member(group: Any, name: str) -> Any:
    """Open a member of a group, which must be in the file itself; None where it is missing."""
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{name!r} is a link, which is not followed")
    return group[name]


def plain_dataset(dataset: Any, name: str) -> Any:
    """Check that a data set holds numbers, in the file itself, and no more than is stored."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iuf":
        raise ValueError(f"{name!r} must be a data set of numbers")
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise ValueError(f"{name!r} must be stored inside the file")
    if dataset.shape is None:
        raise ValueError(f"{name!r} is empty")
    stored = dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks or (1,))
    for size in (dataset.size, chunk):
        needed = size * max(dataset.dtype.itemsize, 8)
        if needed > MAX_BYTES or needed > max(SMALL_BYTES, MAX_RATIO * stored):
            raise ValueError(f"{name!r} would take {needed} bytes, {stored} are stored")
    return dataset


class _Group:
    """One particles group."""

    def __init__(self, group: Any) -> None:
        if not isinstance(group, h5py.Group):
            raise ValueError("its particles are not in a group")
        self._group = group
        self._units: dict[str, str] = {}
        self._order, self._particles = ParticleOrder(), 0

    def content(self, frame: int | None) -> Content:
        names = [name for name in NAMES["x"] if name in self._group]
        if not names:
            raise ValueError("it holds no positions")
        position, moving = self._element(names[0])
        if position.ndim != (3 if moving else 2):
            raise ValueError(f"its positions have shape {position.shape}")
        frames = len(position) if moving else 1
        if frames < 1:
            raise ValueError("it holds no frame")
        rows = slice(0, frames)
        if frame is not None:
            number = checked_frame(frame, frames)
            rows = slice(number, number + 1)
        t = self._times(names[0], frames)
        self._particles = position.shape[-2]
        self._order = ParticleOrder(self._ids(names[0], frames))
        x = self._series("x", names[0], rows, frames)
        assert x is not None  # its element is there
        return Content(
            x=x,
            t=None if t is None else t[rows],
            v=self._series("v", names[0], rows, frames),
            momenta=self._series("momenta", names[0], rows, frames),
            charges=self._constant("charges", rows, frames),
            masses=self._constant("masses", rows, frames),
            radii=self._constant("radii", rows, frames),
            species=self._species(rows, frames),
            units=self._units,
            periodic=self._periodic(),
        )

    def _element(self, name: str) -> tuple[Any, bool]:
        """Open an element; tell whether it has a time axis."""
        found = plain_member(self._group, name)
        if isinstance(found, h5py.Group):
            return plain_dataset(plain_member(found, "value"), f"{name}/value"), True
        return plain_dataset(found, name), False

    def _note_unit(self, quantity: str, dataset: Any) -> None:
        unit = dataset.attrs.get("unit", "")
        text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
        if text not in ("", "1"):
            self._units[quantity] = text[:20]

    def _times(self, name: str, frames: int) -> np.ndarray | None:
        """Read the times of an element, which one of a fixed step tells by its spacing."""
        element = self._group[name]
        if not isinstance(element, h5py.Group) or "time" not in element:
            return None
        dataset = plain_dataset(plain_member(element, "time"), f"{name}/time")
        self._note_unit("time", dataset)
        if dataset.shape == ():
            offset = float(dataset.attrs.get("offset", 0.0))
            return offset + float(dataset[()]) * np.arange(frames)
        if dataset.shape != (frames,):
            raise ValueError(f"its times have shape {dataset.shape}, for {frames} frames")
        return _decimal(dataset[()])

    def _series(self, quantity: str, clock: str, rows: slice, frames: int) -> np.ndarray | None:
        found = []
        for name in NAMES[quantity]:
            if name not in self._group:
                continue
            dataset, moving = self._element(name)
            length = len(dataset) if moving else 1
            if length != frames or not _same(self._times(name, length), self._times(clock, frames)):
                raise ValueError(f"{name!r} is not at the times of the positions")
            self._note_unit(name, dataset)
            if dataset.ndim != (3 if moving else 2) or dataset.shape[-2] != self._particles:
                raise ValueError(f"{name!r} has shape {dataset.shape}")
            values = dataset[rows] if moving else dataset[()][None]
            found.append(np.asarray(self._order.of_frames(values, rows), np.float64))
        return same_columns(quantity, found)

    def _ids(self, clock: str, frames: int) -> np.ndarray | None:
        """Read the particles' numbers of all frames, so that a frame is read as all of them are."""
        shape = (frames, self._particles)
        if "id" not in self._group:
            return None
        dataset, moving = self._element("id")
        if not moving:
            ids = np.repeat(np.atleast_1d(dataset[()])[None], frames, axis=0)
        elif not _same(self._times("id", len(dataset)), self._times(clock, frames)):
            raise ValueError("'id' is not at the times of the positions")
        else:
            ids = dataset[()]
        if ids.shape != shape:
            raise ValueError(f"its ids have shape {ids.shape}, for {shape[1]} particles")
        if np.any(ids == _placeholder(dataset)):
            raise ValueError("it lacks particles in some frames, whose ids are placeholders")
        return ids

    def _constant(self, quantity: str, rows: slice, frames: int) -> np.ndarray | None:
        found = []
        for name in NAMES[quantity]:
            if name not in self._group:
                continue
            dataset, moving = self._element(name)
            self._note_unit(name, dataset)
            values = self._unchanged(name, dataset, moving, rows, frames)
            found.append(np.asarray(values, np.float64))
        return same_columns(quantity, found)

    def _species(self, rows: slice, frames: int) -> tuple[str, ...] | None:
        if "species" not in self._group:
            return None
        dataset, moving = self._element("species")
        values = self._unchanged("species", dataset, moving, rows, frames)
        # ZnH5MD keeps them as 11.0
        return tuple(f"{each:g}" for each in np.asarray(values, np.float64))

    def _unchanged(
        self, name: str, dataset: Any, moving: bool, rows: slice, frames: int
    ) -> np.ndarray:
        """Read what a run has once, of a file that may have it for each frame."""
        if dataset.shape[moving:] != (self._particles,):
            raise ValueError(f"{name!r} has shape {dataset.shape}")
        if not moving:
            return self._order.of_particles(dataset[()])
        if len(dataset) == frames:
            values = self._order.of_frames(dataset[rows], rows)
        elif self._order.changes:
            raise ValueError(f"{name!r} is not at the times of the positions")
        else:
            values = np.array([self._order.of_particles(each) for each in dataset[()]])
        if not len(values) or np.any(values != values[0]):
            raise ValueError(f"its {name!r} changes with time, which that of a run does not")
        return np.asarray(values[0])

    def _periodic(self) -> bool:
        box = plain_member(self._group, "box")
        boundary = None if box is None else box.attrs.get("boundary")
        return boundary is not None and any(
            each in (b"periodic", "periodic") for each in np.ravel(boundary)
        )


def _placeholder(dataset: Any) -> float:
    """Return the number that stands for no particle: a fill value which a program has chosen."""
    chosen = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    # 0 is what HDF5 fills with where nobody chooses, and the number of many a first particle
    return float(dataset.fillvalue) if chosen and dataset.fillvalue != 0 else math.nan


def _decimal(times: np.ndarray) -> np.ndarray:
    """Return times in double precision; of single ones the shortest decimals, 0.1 for 0.1."""
    if times.dtype == np.float32:
        return np.array([float(str(t)) for t in times])
    return times.astype(np.float64)


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
