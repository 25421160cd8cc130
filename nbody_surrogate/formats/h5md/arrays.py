"""The arrays of an ensemble, one for all trajectories, and what others see of them.

The numbers lie once, trajectory by trajectory, as they do in memory, so that an ensemble is written
and read at the disk's speed. For programs that know plain H5MD each trajectory has its particles
group too, whose positions and velocities are virtual data sets: windows on the arrays.

The rivals, for 5 000 trajectories of ten particles. Data sets for each trajectory have to be opened
to be read, which takes HDF5 more than a hundred times as long as reading the arrays does
(`benchmarks/ensemble_io.py`). With frames before trajectories, (T, B, N, D), a segment would be
written in one piece, but every single trajectory read in T pieces, and all of them would have to be
turned round in memory. One particles group of B * N particles would be plain H5MD, but no
trajectory had a name in it. Charges and masses are copies: virtual data sets take HDF5 three times
as long to make as plain ones, and rows that are equal are made once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.files.hdf5 import FLOAT, allocate, contiguous_plan, offset_of
from nbody_surrogate.formats.h5md.layout import (
    ENSEMBLE,
    LABEL_ERROR,
    OBSERVABLES,
    RADIUS,
    VECTORS,
    trajectory_name,
)

__all__ = ["UNIT", "create_arrays", "create_element_views", "create_views", "rows_of"]

UNIT = np.bytes_("1")
"""The attribute ``unit`` of charges and masses."""


def create_arrays(
    root: Any, particles: Particles, clock: dict[str, Any], shape: tuple[int, ...], verified: bool
) -> dict[str, int]:
    """Create the arrays of shape (B, T, ...), without frames; return where their data stand."""
    group = root.create_group(ENSEMBLE)
    group["time"] = clock["time"]
    for name, values in (("charge", particles.charges), ("mass", particles.masses)):
        allocate(group, name, values, FLOAT).attrs["unit"] = UNIT
    if particles.couplings is not None:
        allocate(group, "couplings", particles.couplings, FLOAT)
    if particles.radii is not None:
        allocate(group, RADIUS, particles.radii, FLOAT)
    shapes = dict.fromkeys(VECTORS, shape)
    if verified:
        shapes[LABEL_ERROR] = shape[:2]
    made = {name: allocate(group, name, None, FLOAT, each) for name, each in shapes.items()}
    return {name: offset_of(dataset) for name, dataset in made.items()}


def rows_of(offset: int, shape: tuple[int, ...]) -> list[int]:
    """Where the data of each trajectory stand, in an array of shape (B, T, ...)."""
    size = FLOAT.itemsize * int(np.prod(shape[1:], dtype=np.int64))
    return [offset + size * b for b in range(shape[0])]


def create_views(root: Any, clock: dict[str, Any], box: Any, verified: bool) -> None:
    """Create the groups of all trajectories; `box` is the group that they share.

    There are a dozen objects for each of thousands of trajectories, so that HDF5 is called without
    the objects of h5py, which take several times as long.
    """
    group, particles = root[ENSEMBLE], root.require_group("particles").id
    batch = len(group["charge"])
    views = {name: _View(group[name]) for name in (*VECTORS, "couplings") if name in group}
    constants = {
        name: _Constants(group[name]) for name in ("charge", "mass", RADIUS) if name in group
    }
    for b in range(batch):
        each = _create_group(particles, trajectory_name(b))
        h5py.h5o.link(box.id, each, b"box")
        for name in VECTORS:
            _create_element(each, name, clock, views[name], b)
        for name, rows in constants.items():
            rows.link(each, name, b)
        if "couplings" in views:
            views["couplings"].create(each, "couplings", b)
    if verified:
        create_element_views(root, clock, OBSERVABLES, LABEL_ERROR, group[LABEL_ERROR])


def create_element_views(
    root: Any, clock: dict[str, Any], place: str, name: str, array: Any
) -> None:
    """Create an element of each trajectory below `place`, a window on an array (B, T, ...)."""
    view, parent = _View(array), root.require_group(place)
    for b in range(len(array)):
        key = trajectory_name(b)
        known = parent.id.links.exists(key.encode())
        group = parent[key].id if known else _create_group(parent.id, key)
        _create_element(group, name, clock, view, b)


def _create_group(parent: Any, name: str) -> Any:
    return h5py.h5g.create(parent, name.encode(), gcpl=_group_plan())


@cache
def _group_plan() -> Any:
    # made once: that takes as long as making a group
    plan = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    plan.set_obj_track_times(False)
    return plan


def _create_element(parent: Any, name: str, clock: dict[str, Any], view: _View, b: int) -> None:
    """Create a time-dependent H5MD element of trajectory `b`."""
    element = _create_group(parent, name)
    for key, dataset in clock.items():
        h5py.h5o.link(dataset.id, element, key.encode())
    view.create(element, "value", b)


class _View:
    """Makes virtual data sets, each of which shows a row of an array in the same file."""

    def __init__(self, array: Any) -> None:
        self._path = array.name.encode()
        self._kind = h5py.h5t.py_create(array.dtype, logical=True)
        self._row = array.shape[1:]
        self._shown = h5py.h5s.create_simple(self._row)
        self._space = h5py.h5s.create_simple(array.shape)

    def create(self, group: Any, name: str, b: int) -> None:
        """Create the one that shows row `b`."""
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_obj_track_times(False)
        self._space.select_hyperslab((b, *[0] * len(self._row)), (1, *self._row))
        # "." is the file itself, whatever its name will be
        plan.set_virtual(self._shown, b".", self._path, self._space)
        h5py.h5d.create(group, name.encode(), self._kind, self._shown, plan)


class _Constants:
    """Makes what does not change in time: rows that are equal are one data set, linked to."""

    def __init__(self, array: Any) -> None:
        self._values = array[()]
        self._made: dict[bytes, Any] = {}
        self._kind = h5py.h5t.py_create(array.dtype, logical=True)
        self._space, self._plan = h5py.h5s.create_simple(array.shape[1:]), contiguous_plan()
        self._unit = h5py.h5t.py_create(UNIT.dtype), h5py.h5s.create(h5py.h5s.SCALAR)
        self._units = "unit" in array.attrs

    def link(self, group: Any, name: str, b: int) -> None:
        """Put row `b` into a group."""
        row = self._values[b]
        if (found := self._made.get(key := row.tobytes())) is None:
            found = self._made[key] = self._create(group, row)
        h5py.h5o.link(found, group, name.encode())

    def _create(self, group: Any, row: np.ndarray) -> Any:
        made = h5py.h5d.create(group, None, self._kind, self._space, self._plan)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, row)
        if self._units:
            h5py.h5a.create(made, b"unit", *self._unit).write(np.array(UNIT))
        return made
