"""Initial conditions from files: arrays in an ``.npz``, or a frame of an earlier run."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.npy import DAMAGE, HEADERS

__all__ = ["read_initial"]

MAX_BYTES = 2 * 2**30
"""Most bytes that the arrays of an ``.npz`` may take."""

SMALL_BYTES, MAX_RATIO = 64 * 2**20, 100
"""Arrays of more bytes than that take at most so many times the size of their archive."""

REQUIRED = ("x", "v", "charges", "masses")
OPTIONAL = ("t",)


def read_initial(path: str | os.PathLike[str], *, frame: int = 0) -> tuple[State, Particles]:
    """Read where a run starts from.

    Parameters
    ----------
    path : path_like
        Either an ``.npz`` with the arrays ``x`` and ``v`` (N, D), ``charges`` and ``masses``
        (N,), or all of them with a leading axis B, and optionally the scalar ``t``, 0 if it is
        not there. Or an H5MD file, ``.h5`` or the ``.part`` of an unfinished run, of which all
        trajectories are taken.
    frame : int
        Frame of the H5MD file; negative counts from the end. An ``.npz`` has one frame.

    Returns
    -------
    state : State
        `x` and `v` (B, N, D), at the frame's time.
    particles : Particles
        `charges` and `masses` (B, N).

    Raises
    ------
    InputError
        If the file is missing or of another kind, the frame is not there or not valid, arrays
        are missing, unknown or too large, shapes disagree, or values are not finite.
    FileFormatError
        If the file is damaged or an H5MD file of another program.
    """
    name = f"`initial` {os.fspath(path)!r}"
    file = _existing(path, name)
    try:
        if file.suffix == ".npz":
            _checked_frame(frame, 1)
            return _from_npz(file)
        return _from_h5md(file, frame)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except FileFormatError as error:
        raise FileFormatError(f"`initial` {error}") from None


def _existing(path: str | os.PathLike[str], name: str) -> Path:
    file = Path(path)
    if file.suffix not in (".npz", ".h5", ".part"):
        raise InputError(f"{name} must be a file ending in .npz, .h5 or .part")
    try:
        found = file.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise InputError(f"{name} must be a file that exists")
    return file


def _checked_frame(frame: int, frames: int) -> int:
    if not -frames <= frame < frames:
        raise InputError(f"`frame` must be from {-frames} to {frames - 1}, got {frame}")
    return frame % frames


def _from_h5md(file: Path, frame: int) -> tuple[State, Particles]:
    from nbody_surrogate.formats.h5md import H5MDReader

    with H5MDReader(file) as trajectories:
        n = _checked_frame(frame, trajectories.frames)
        for b, good in enumerate(trajectories.info.good):
            if n >= good:
                raise InputError(f"`frame` {n} of trajectory {b} is not valid, it failed at {good}")
        x, v = trajectories.read(n, n + 1)
        return State(float(trajectories.t[n]), x[:, 0], v[:, 0]), trajectories.particles


def _from_npz(file: Path) -> tuple[State, Particles]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_names(archive)
            _check_headers(archive, file.stat().st_size)
            arrays = {name: _array(archive, name) for name in _names(archive)}
    except InputError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileFormatError(
            f"{str(file)!r} cannot be read as an .npz archive: {reason}"
        ) from None
    return _checked_arrays(arrays)


def _check_names(archive: zipfile.ZipFile) -> None:
    """Demand the required arrays and no others."""
    expected = [f"{name}.npy" for name in (*REQUIRED, *OPTIONAL)]
    members = archive.namelist()
    known = f"it must hold {', '.join(REQUIRED)} and may hold {', '.join(OPTIONAL)}"
    if unknown := [member for member in members if member not in expected]:
        listed = ", ".join(repr(member.removesuffix(".npy")[:40]) for member in unknown[:5])
        raise InputError(f"unknown arrays {listed}; {known}")
    if missing := [name for name in REQUIRED if f"{name}.npy" not in members]:
        raise InputError(f"missing arrays {', '.join(missing)}; {known}")
    if len(set(members)) < len(members):
        raise ValueError("an array is there twice")


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [member.removesuffix(".npy") for member in archive.namelist()]


def _check_headers(archive: zipfile.ZipFile, size: int) -> None:
    """Check types and sizes before any array of an archive of `size` bytes is unpacked."""
    total = 0
    for name in _names(archive):
        shape, dtype, stored = _header(archive, name)
        if dtype.kind not in "iuf":
            raise InputError(f"`{name}` must hold real numbers, got dtype {dtype.name}")
        needed = math.prod(shape) * dtype.itemsize
        if needed != stored:
            raise ValueError(f"{name} of shape {shape} takes {needed} bytes, {stored} are stored")
        total += needed
    if total > MAX_BYTES:
        raise InputError(f"the arrays take {total} bytes, at most {MAX_BYTES} are allowed")
    if total > max(SMALL_BYTES, MAX_RATIO * size):
        raise InputError(
            f"the arrays take {total} bytes, the archive {size}: it would unpack to "
            f"more than {MAX_RATIO} times its size"
        )


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of an array, and how many bytes follow its header."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"arrays of version {version} are not read")
        shape, _, dtype = HEADERS[version](stream)
        return shape, dtype, member.file_size - stream.tell()


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False), dtype=np.float64)


def _checked_arrays(arrays: dict[str, np.ndarray]) -> tuple[State, Particles]:
    t = arrays.get("t", np.zeros(()))
    if t.shape != ():
        raise InputError(f"`t` must be a scalar, got shape {t.shape}")
    x, v = arrays["x"], arrays["v"]
    charges, masses = arrays["charges"], arrays["masses"]
    if x.ndim not in (2, 3):
        raise InputError(f"`x` must have shape (N, D) or (B, N, D), got {x.shape}")
    for name, array, shape in (
        ("v", v, x.shape),
        ("charges", charges, x.shape[:-1]),
        ("masses", masses, x.shape[:-1]),
    ):
        if array.shape != shape:
            raise InputError(f"`{name}` must have shape {shape} to fit `x`, got {array.shape}")
    if x.ndim == 2:
        x, v, charges, masses = x[None], v[None], charges[None], masses[None]
    return State(float(t), x, v), Particles(charges, masses)
