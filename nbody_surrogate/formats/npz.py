"""NumPy archives: a start, or the frames of a trajectory as `export` writes them."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, InputError, one_line
from nbody_surrogate.files.limits import NPZ, PROVENANCE
from nbody_surrogate.files.npy import DAMAGE, HEADERS
from nbody_surrogate.formats.foreign.content import Content, checked_frame
from nbody_surrogate.formats.h5md.provenance import load_info
from nbody_surrogate.results.observables import demand_observables
from nbody_surrogate.results.run_info import RunInfo

__all__ = [
    *("INFO", "OBSERVABLE", "Archive", "has_info", "is_trajectory", "read_archive", "single_start"),
    *("start_of", "trajectory_of"),
]

MAX_BYTES = NPZ.largest
"""Most bytes that the arrays that are read of an archive may take."""

SMALL_BYTES, MAX_RATIO = 64 * 2**20, 100
"""Arrays of more bytes than that take at most so many times the size of their archive."""

REQUIRED = ("x", "v", "charges", "masses")
OPTIONAL = ("t", "couplings", "radii")
OBSERVABLE = "observable_"
"""Names that begin so are quantities that a run reported, of which a start has none."""
INFO = "info"
"""The account of a run, `RunInfo` as JSON in a single text of bytes; older files have none."""
FRAMES = ("t", "x", "v")
"""Arrays of which a trajectory has a row for each frame."""

Archive = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Member:
    """What the header of an array says."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    stored: int
    """Bytes that follow the header."""

    @property
    def needed(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def is_trajectory(shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether arrays of such shapes are the frames of a trajectory, and not a start."""
    # only there does time have an axis, and x one more than the charges and their particles
    return len(shapes.get("t", ())) == 1 and len(shapes["x"]) == 3 and len(shapes["charges"]) == 1


def has_info(file: Path) -> bool:
    """Whether an archive holds the account of its run; false of what is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            return f"{INFO}.npy" in archive.namelist()
    except DAMAGE:
        return False


def read_archive(file: Path, frame: int | None) -> Archive:
    """Read the arrays, of a trajectory only one frame of it unless `frame` is None.

    Raises
    ------
    InputError
        If arrays are missing, unknown or too large, or the frame is not there.
    FileFormatError
        If the archive is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_names(archive)
            members = {name: _header(archive, name) for name in _names(archive, frame is None)}
            shapes = {name: each.shape for name, each in members.items()}
            rows = None
            if is_trajectory(shapes):
                rows = slice(0, len_of(shapes))
                if frame is not None:
                    number = checked_frame(frame, len_of(shapes))
                    rows = slice(number, number + 1)
            elif frame is not None:
                checked_frame(frame, 1)
            _check_sizes(members, rows, file.stat().st_size)
            return {
                name: _array(archive, name, each, rows if name in FRAMES else None)
                for name, each in members.items()
            }
    except InputError:  # which is a ValueError, and so among what damage raises
        raise
    except DAMAGE as error:
        raise FileFormatError(
            f"{str(file)!r} cannot be read as an .npz archive: {one_line(error)}"
        ) from None


def len_of(shapes: dict[str, tuple[int, ...]]) -> int:
    """Frames of a trajectory.

    Raises
    ------
    InputError
        If its arrays differ in them.
    """
    frames = shapes["t"][0]
    for name in ("x", "v"):
        if shapes[name][:1] != (frames,):
            raise InputError(
                f"`{name}` must have {counted(frames, 'frame')} as `t` does, "
                f"got shape {shapes[name]}"
            )
    return frames


def _check_names(archive: zipfile.ZipFile) -> None:
    """Demand the required arrays and no others."""
    expected = [f"{name}.npy" for name in (*REQUIRED, *OPTIONAL, INFO)]
    every = archive.namelist()
    members = [each for each in every if not each.startswith(OBSERVABLE)]
    known = f"it must hold {', '.join(REQUIRED)} and may hold {', '.join(OPTIONAL)}"
    if unknown := [member for member in members if member not in expected]:
        listed = ", ".join(repr(member.removesuffix(".npy")[:40]) for member in unknown[:5])
        raise InputError(f"unknown arrays {listed}; {known}")
    if missing := [name for name in REQUIRED if f"{name}.npy" not in members]:
        raise InputError(f"missing arrays {', '.join(missing)}; {known}")
    # zip allows it, and readers differ in which of the two they take
    if len(set(every)) < len(every):
        raise ValueError("an array is there twice")


def _names(archive: zipfile.ZipFile, whole: bool) -> list[str]:
    names = [member.removesuffix(".npy") for member in archive.namelist()]
    return [each for each in names if whole or not (each == INFO or each.startswith(OBSERVABLE))]


def _header(archive: zipfile.ZipFile, name: str) -> _Member:
    """Check the type of an array, and its size, before it is unpacked."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"arrays of version {version} are not read")
        shape, fortran, dtype = HEADERS[version](stream)
        found = _Member(shape, fortran, dtype, member.file_size - stream.tell())
    if name == INFO:
        if dtype.kind != "S" or shape != () or found.stored > PROVENANCE.largest:
            raise ValueError(f"{INFO} is no single text of bytes, of a length that is read")
    elif dtype.kind not in "iuf":
        raise InputError(f"`{name}` must hold real numbers, got dtype {dtype.name}")
    # both numbers are the file's own words: only where they agree is either believed
    if min(shape, default=0) < 0 or found.needed != found.stored:
        raise ValueError(
            f"{name} of shape {shape} takes {found.needed} bytes, {found.stored} are stored"
        )
    return found


def _check_sizes(members: dict[str, _Member], rows: slice | None, size: int) -> None:
    """Check what an archive of `size` bytes unpacks to, and what is kept of it."""
    total = sum(each.needed for each in members.values())
    read = sum(
        each.needed
        if rows is None or name not in FRAMES or each.fortran
        else each.needed // max(each.shape[0], 1) * (rows.stop - rows.start)
        for name, each in members.items()
    )
    if read > MAX_BYTES:
        raise InputError(f"the arrays take {read} bytes, at most {MAX_BYTES} are allowed")
    # a few zeros may unpack to any size
    if total > max(SMALL_BYTES, MAX_RATIO * size):
        raise InputError(
            f"the arrays take {total} bytes, the archive {size}: it would unpack to "
            f"more than {MAX_RATIO} times its size"
        )


def _array(archive: zipfile.ZipFile, name: str, member: _Member, rows: slice | None) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        if name == INFO:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
        if rows is None or member.fortran:
            values = np.lib.format.read_array(stream, allow_pickle=False)
            return np.asarray(values if rows is None else values[rows], dtype=np.float64)
        return _rows(stream, member, rows)


def _rows(stream: Any, member: _Member, rows: slice) -> np.ndarray:
    """Read some frames, of which each follows the one before."""
    version = np.lib.format.read_magic(stream)
    HEADERS[version](stream)
    each = math.prod(member.shape[1:]) * member.dtype.itemsize
    stream.seek(rows.start * each, 1)
    content = stream.read((rows.stop - rows.start) * each)
    values = np.frombuffer(content, member.dtype)
    return values.reshape(rows.stop - rows.start, *member.shape[1:]).astype(np.float64)


def trajectory_of(arrays: Archive) -> Content:
    """Take what `read_archive` has read of a trajectory.

    Raises
    ------
    InputError
        If shapes disagree, or a quantity that a run reported has no name that it may have.
    FileFormatError
        If the account of the run is damaged.
    """
    observables = {
        name.removeprefix(OBSERVABLE): values
        for name, values in arrays.items()
        if name.startswith(OBSERVABLE)
    }
    demand_observables(observables, arrays["t"].shape)
    try:
        return Content(
            x=arrays["x"],
            t=arrays["t"],
            v=arrays["v"],
            charges=arrays["charges"],
            masses=arrays["masses"],
            couplings=arrays.get("couplings"),
            radii=arrays.get("radii"),
            observables=observables,
            info=_info_of(arrays),
        )
    except ValueError as error:
        raise InputError(f"the arrays do not fit together: {error}") from None


def _info_of(arrays: Archive) -> RunInfo | None:
    """Read the account of the run, of which an archive holds the valid frames alone."""
    if INFO not in arrays:
        return None
    try:
        info = load_info(arrays[INFO].item(), 1)
    except ValueError as error:
        raise FileFormatError(f"the account of the run is damaged: {one_line(error)}") from None
    return replace(info, good=(len(arrays["t"]),))


def start_of(arrays: Archive) -> tuple[State, Particles]:
    """Take what `read_archive` has read of a start.

    Raises
    ------
    InputError
        If shapes disagree.
    """
    t = arrays.get("t", np.zeros(()))
    if t.shape != ():
        raise InputError(f"`t` must be a scalar, got shape {t.shape}")
    x = arrays["x"]
    if x.ndim not in (2, 3):
        raise InputError(f"`x` must have shape (N, D) or (B, N, D), got {x.shape}")
    shapes = {
        "v": x.shape,
        "charges": x.shape[:-1],
        "masses": x.shape[:-1],
        "couplings": (*x.shape[:-1], x.shape[-2]),
        "radii": x.shape[:-1],
    }
    given = {name: arrays[name] for name in shapes if name in arrays}
    for name, array in given.items():
        if array.shape != shapes[name]:
            raise InputError(
                f"`{name}` must have shape {shapes[name]} to fit `x`, got {array.shape}"
            )
    if x.ndim == 2:
        x, given = x[None], {name: array[None] for name, array in given.items()}
    v = given.pop("v")
    return State(float(t), x, v), Particles(**given)


def single_start(file: Path, frame: int | None) -> Content | None:
    """Read an archive that holds one start; None where it is another file."""
    if file.suffix.lower() != ".npz":
        return None
    arrays = read_archive(file, frame)
    if is_trajectory({name: values.shape for name, values in arrays.items()}):
        return None
    try:
        state, particles = start_of(arrays)
    except InputError as error:
        raise InputError(f"{str(file)!r}: {error}") from None
    if len(state.x) != 1:
        raise InputError(f"{str(file)!r} must hold one start, got {len(state.x)}")
    bonds, radii = particles.couplings, particles.radii
    return Content(
        x=state.x,
        v=state.v,
        charges=particles.charges[0],
        masses=particles.masses[0],
        couplings=None if bonds is None else bonds[0],
        radii=None if radii is None else radii[0],
    )
