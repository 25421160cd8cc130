"""Checks that a result can be written, before a long run."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from nbody_surrogate.errors import InputError
from nbody_surrogate.files.atomic import part_path
from nbody_surrogate.files.limits import FRAMES
from nbody_surrogate.files.output_path import (
    OTHERWISE,
    CheckedPath,
    check_output_file,
    check_space,
    held,
)
from nbody_surrogate.formats.h5md.layout import SUFFIXES

if TYPE_CHECKING:
    from nbody_surrogate.formats.h5md.series import Tails

__all__ = ["check_disk_space", "check_frames", "check_output_path", "held_output"]


def check_output_path(
    path: str | os.PathLike[str], overwrite: bool, resuming: bool = False
) -> Path:
    """Check, before a long run, that its result can be written to `path`.

    Where a run goes on, what it left beside the file is to be there.

    Raises
    ------
    InputError
        If the name does not end in ``.h5``, ``.h5md`` or ``.hdf5``, its folder is missing or not
        writable, or the file or what an unfinished run left beside it is there and `overwrite` is
        not given.
    """
    if isinstance(path, CheckedPath):
        return path.path
    target = check_output_file(path, "output", SUFFIXES, overwrite)
    check_output_file(
        part_path(target),
        "output",
        overwrite=overwrite or resuming,
        otherwise=f"an unfinished run left it; {OTHERWISE}",
    )
    return target


def held_output(
    path: str | os.PathLike[str], overwrite: bool, resuming: bool = False
) -> AbstractContextManager[CheckedPath]:
    """Check a run's output as `check_output_path` does, and hold it against other processes.

    Raises
    ------
    InputError
        As of `check_output_path`.
    RunError
        If another process writes a run to it.
    """
    return held(path, "output", lambda: check_output_path(path, overwrite, resuming))


def check_disk_space(
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    label_error: bool,
    segments: int,
    observables: Tails | None = None,
) -> None:
    """Raise `InputError` where a run of shape (B, T, N, D) is too large for its disk or to be read.

    The others are as for `H5MDWriter`.
    """
    # a name is checked and held without HDF5 and all that a run is made of
    from nbody_surrogate.formats.h5md.provenance import provenance_bytes
    from nbody_surrogate.formats.h5md.structure import run_bytes

    texts = provenance_bytes(shape[0])
    check_space(Path(path), run_bytes(shape, label_error, segments, texts, observables))
    # not of what the disk does not hold either: that is the sooner mended
    FRAMES.require(16 * math.prod(shape), f"of shape (B, T, N, D) = {shape}")


def check_frames(dimensions: int, frames: int, t0: float, dt: float) -> None:
    """Refuse frames that are none, or whose times would be none.

    Raises
    ------
    InputError
    """
    if dimensions not in (2, 3):
        raise InputError(f"`dimensions` must be 2 or 3, got {dimensions}")
    if frames < 1:
        raise InputError(f"`frames` must be at least 1, the start, got {frames}")
    for name, value in (("t0", t0), ("dt", dt)):
        if not math.isfinite(value):
            raise InputError(f"`{name}` must be finite, got {value}")
