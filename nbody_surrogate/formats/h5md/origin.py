"""Which run a file is of, read without its trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py

from nbody_surrogate.files.hdf5 import group_at, integers_at, text_at
from nbody_surrogate.files.untrusted import require_regular
from nbody_surrogate.formats.h5md.layout import FRAMES_WRITTEN, OURS
from nbody_surrogate.formats.h5md.provenance import load_info
from nbody_surrogate.formats.h5md.reader import reported
from nbody_surrogate.results.trajectory import RunInfo

__all__ = ["FileOrigin", "read_origin"]


class FileOrigin(NamedTuple):
    """What a file says of its run: whether it is finished, frames written, and how it came about.

    Events of a guard are left out.
    """

    complete: bool
    frames: int
    info: RunInfo


def read_origin(path: Path) -> FileOrigin:
    """Read it; of a file in the making, what was known before the run.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or not from this package.
    """
    with reported(path):
        require_regular(path)
        # a run under way has the file open, and HDF5 would lock others out
        with h5py.File(path, "r", locking=False) as file:
            ours = group_at(file, OURS)
            (complete,), (frames,) = (
                integers_at(ours, "complete"),
                integers_at(file, FRAMES_WRITTEN),
            )
            batch = integers_at(ours, "shape", (4,))[0]
            text = text_at(ours, "provenance" if complete else "provenance_start")
            return FileOrigin(complete == 1, frames, load_info(text, batch))
