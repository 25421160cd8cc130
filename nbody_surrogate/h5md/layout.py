"""What writer and reader agree on: names, types and limits."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

__all__ = ["MAX_BYTES", "part_path"]

FORMAT = 1
"""Version of what stands below ``parameters/nbody_surrogate``."""

FLOAT = np.dtype("<f8")
INTEGER = np.dtype("<i8")

OURS = "parameters/nbody_surrogate"
FRAMES_WRITTEN = "parameters/frames_written"
OBSERVABLES = "observables"
LABEL_ERROR = "label_error"

MAX_BYTES = 16 * 2**30
"""Largest trajectory that is read into memory at once, unless asked otherwise."""

MAX_TEXT = 256 * 2**20
"""Largest provenance that is read."""


def trajectory_name(b: int) -> str:
    """Name of the groups of trajectory `b`."""
    return f"trajectory_{b:04d}"


def part_path(path: Path) -> Path:
    """Where the frames stand until the run is finished: ``NAME.h5.part``."""
    return path.with_name(path.name + ".part")


def text_type(length: int) -> np.dtype:
    """Text of a fixed number of bytes."""
    dtype: np.dtype = h5py.string_dtype("utf-8", length)
    return dtype
