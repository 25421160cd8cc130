"""GSD, the format of HOOMD-blue, through its own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.formats.foreign.content import (
    MAX_BYTES,
    Content,
    checked_frame,
    flat,
    read_errors,
)
from nbody_surrogate.formats.foreign.extra import needed

__all__ = ["read_gsd"]


def read_gsd(path: Path, frame: int | None = None) -> Content:
    """Read all frames, or one.

    The format says what holds where a file leaves something out, and its writers leave out what
    is so: masses are 1, unless the user says otherwise. It says charge 0 and velocity 0 too, but a
    simulation that has velocities stores none unless it is told to, and one without charges is
    none of charges: where they are not stored, they count as missing. So do diameters, which are
    twice the radii. There are steps and no times.

    Parameters
    ----------
    path : Path
    frame : int, optional
        Counted from the end where negative; by default all.

    Raises
    ------
    InputError
        If the frame is not there, or the library is not.
    FileFormatError
        If the file is damaged or its particles change.
    """
    needed("gsd", path)
    import gsd.fl

    with read_errors(path, "GSD"), gsd.fl.open(str(path), "r") as file:
        if file.schema != "hoomd":
            raise ValueError(f"its schema is {file.schema[:20]!r}, not hoomd")
        frames = range(file.nframes)
        if frame is not None:
            number = checked_frame(frame, len(frames))
            frames = range(number, number + 1)
        return _content(file, frames)


def _content(file: Any, frames: range) -> Content:
    if not frames:
        raise ValueError("it holds no frame")
    x = _series(file, "particles/position", frames)
    if x is None:
        raise ValueError("it holds no positions")
    v = None
    # the first frame's stand for all others in the format, also where only that one has some
    if frames == range(1) or _stored_later(file, "particles/velocity"):
        v = _series(file, "particles/velocity", frames)
    if _dimensions(file, frames[0]) == 2:
        x, v = flat(x), flat(v)
    masses = _constant(file, "particles/mass", frames)
    diameters = _constant(file, "particles/diameter", frames)
    box = _chunk(file, "configuration/box", frames[0])
    return Content(
        x=np.asarray(x),
        v=v,
        charges=_constant(file, "particles/charge", frames),
        masses=masses,
        radii=None if diameters is None else 0.5 * diameters,
        default_mass=1.0,
        species=_species(file, frames),
        periodic=box is not None and bool(np.any(box[:3])),
    )


def _chunk(file: Any, name: str, frame: int) -> np.ndarray | None:
    """Read a chunk, which is that of frame 0 where the frame has none of its own."""
    for place in (frame, 0):
        if file.chunk_exists(frame=place, name=name):
            return np.asarray(file.read_chunk(frame=place, name=name))
    return None


def _stored_later(file: Any, name: str) -> bool:
    return any(file.chunk_exists(frame=k, name=name) for k in range(1, file.nframes))


def _dimensions(file: Any, frame: int) -> int:
    found = _chunk(file, "configuration/dimensions", frame)
    return 3 if found is None else int(np.ravel(found)[0])


def _series(file: Any, name: str, frames: range) -> np.ndarray | None:
    values: list[np.ndarray] = []
    for k in frames:
        chunk = _chunk(file, name, k)
        if chunk is None:
            return None
        if values and chunk.shape != values[0].shape:
            raise ValueError("its frames differ in their particles")
        if 8 * chunk.size * len(frames) > MAX_BYTES:
            raise ValueError(f"its frames take more than {MAX_BYTES} bytes")
        values.append(chunk)
    return np.stack(values).astype(np.float64)


def _constant(file: Any, name: str, frames: range) -> np.ndarray | None:
    values = _series(file, name, frames)
    if values is None:
        return None
    if np.any(values != values[0]):
        raise ValueError(f"its {name!r} changes with time, which that of a run does not")
    return np.asarray(values[0])


def _species(file: Any, frames: range) -> tuple[str, ...] | None:
    numbers, names = _chunk(file, "particles/typeid", frames[0]), _names(file, frames[0])
    if numbers is None or names is None:
        return None
    return tuple(names[int(k)] if int(k) < len(names) else str(int(k)) for k in numbers)


def _names(file: Any, frame: int) -> list[str] | None:
    table = _chunk(file, "particles/types", frame)
    if table is None:
        return None
    # a row of bytes for each name, filled up with zeros
    return [bytes(row).split(b"\0")[0].decode("utf-8", "replace") for row in table.astype(np.uint8)]
