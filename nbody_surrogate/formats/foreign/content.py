"""What a file of another program holds, before anything is added to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.errors import FileFormatError, InputError, NBodyError, one_line
from nbody_surrogate.files.limits import FRAMES
from nbody_surrogate.files.untrusted import require_regular
from nbody_surrogate.results.run_info import RunInfo

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["MAX_BYTES", "Content", "checked_frame", "flat", "read_errors", "same_columns"]

MAX_BYTES = FRAMES.largest
"""Largest trajectory that is read into memory, as of our own runs."""


@dataclass(frozen=True)
class Content:
    """One trajectory as a file has it; what the file does not hold is None.

    Attributes
    ----------
    x : ndarray, shape (T, N, D)
    t : ndarray, shape (T,)
    v, momenta : ndarray, shape (T, N, D)
    charges, masses : ndarray, shape (N,)
    couplings : ndarray, shape (N, N)
    radii : ndarray, shape (N,)
    species : tuple of str
        One for each particle, as the file names it.
    units : dict
        Units that the file names, by quantity. Numbers are as they are in the file.
    default_mass : float
        What its format says that all masses are where a file holds none.
    periodic : bool
        Whether the file has a periodic box, which is not read.
    observables : dict of str to ndarray, shape (T, ...)
        What was reported of a run of ours.
    info : RunInfo
        The account of a run of ours.
    """

    x: Float64[np.ndarray, "T N D"]
    t: Float64[np.ndarray, " T"] | None = None
    v: Float64[np.ndarray, "T N D"] | None = None
    momenta: Float64[np.ndarray, "T N D"] | None = None
    charges: Float64[np.ndarray, " N"] | None = None
    masses: Float64[np.ndarray, " N"] | None = None
    couplings: Float64[np.ndarray, "N N"] | None = None
    radii: Float64[np.ndarray, " N"] | None = None
    species: tuple[str, ...] | None = None
    units: dict[str, str] = field(default_factory=dict)
    default_mass: float | None = None
    periodic: bool = False
    observables: dict[str, np.ndarray] = field(default_factory=dict)
    info: RunInfo | None = None

    def __post_init__(self) -> None:
        frames, n, dimensions = self.x.shape
        shapes = {
            "t": (frames,),
            "v": (frames, n, dimensions),
            "momenta": (frames, n, dimensions),
            "charges": (n,),
            "masses": (n,),
            "couplings": (n, n),
            "radii": (n,),
        }
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values is not None and values.shape != shape:
                raise ValueError(f"{name} must have shape {shape} to fit x, got {values.shape}")
        if n < 1:
            raise ValueError("it holds no particles")


def checked_frame(frame: int, frames: int) -> int:
    """Return the number of a frame, counted from the end where negative.

    Raises
    ------
    InputError
        If it is not there.
    """
    if not -frames <= frame < frames:
        raise InputError(f"`frame` must be from {-frames} to {frames - 1}, got {frame}")
    return frame % frames


def flat(vectors: np.ndarray | None) -> np.ndarray | None:
    """Return vectors of a flat run without the z that a file of three dimensions gives them.

    Raises
    ------
    ValueError
        If one has a z other than 0.
    """
    if vectors is None or vectors.shape[-1] == 2:
        return vectors
    if np.any(vectors[..., 2]):
        raise ValueError(
            "it is marked as flat, and a z is not 0: write it with z = 0 of positions and "
            "velocities, or marked as one of three dimensions"
        )
    return np.ascontiguousarray(vectors[..., :2])


def same_columns(name: str, found: list[np.ndarray]) -> np.ndarray | None:
    """Return what several columns of one quantity agree on.

    Raises
    ------
    ValueError
        If they differ.
    """
    for other in found[1:]:
        if not np.array_equal(found[0], other):
            raise ValueError(f"it has {name} twice, and they differ")
    return found[0] if found else None


@contextmanager
def read_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a damaged file causes into one line that names it.

    Raises
    ------
    FileFormatError
    """
    require_regular(path)
    try:
        yield
    except NBodyError:  # of which one is a ValueError
        raise
    except Exception as error:  # of readers that were not written for damaged files
        raise FileFormatError(
            f"{str(path)!r} cannot be read as {kind}: {one_line(error)}"
        ) from None
