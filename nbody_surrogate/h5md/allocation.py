"""Data sets whose place in the file is fixed when they are made."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

__all__ = ["allocate", "offset_of"]


def allocate(group: Any, name: str | None, value: Any, dtype: np.dtype, shape: Any = None) -> Any:
    """Create a contiguous data set with its space in the file, and write `value` where given."""
    shape = np.shape(value) if shape is None else shape
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(shape)
    dataset = h5py.Dataset(h5py.h5d.create(group.id, name and name.encode(), kind, space, plan))
    if value is not None:
        dataset[()] = value
    return dataset


def offset_of(dataset: Any) -> int:
    """Where the data of a contiguous data set start in the file."""
    return int(dataset.id.get_offset())
