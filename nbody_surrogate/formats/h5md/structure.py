"""The structure of a new file: every group and data set, allocated in its final place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.files.hdf5 import (
    FLAG,
    FLOAT,
    INTEGER,
    STRUCTURE,
    allocate,
    create_hdf5,
    group_at,
    has_groups,
    offset_of,
    open_flags,
    open_floats,
    open_integer,
    open_text,
    text_type,
)
from nbody_surrogate.formats.h5md.arrays import UNIT, create_arrays, create_views, rows_of
from nbody_surrogate.formats.h5md.guard_arrays import (
    GuardPlaces,
    create_guard,
    find_guard,
    guard_bytes,
)
from nbody_surrogate.formats.h5md.layout import (
    ENSEMBLE,
    ENSEMBLE_FORMAT,
    FORMAT,
    FRAMES_WRITTEN,
    GUARDED_FORMAT,
    LABEL_ERROR,
    OBSERVABLES,
    OURS,
    RADIUS,
    VALID,
    VECTORS,
    trajectory_name,
)
from nbody_surrogate.formats.h5md.reader import reported
from nbody_surrogate.formats.h5md.series import (
    HIDDEN,
    OBSERVED,
    SeriesPlaces,
    Tails,
    all_tails,
    series_bytes,
)

__all__ = ["DataOffsets", "create_structure", "find_offsets", "run_bytes"]

OBJECTS, VIEWS = 12 * 2**10, 6 * 2**10
"""Bytes that the objects of one trajectory take at most, without their numbers: where it is alone,
and where it is one of an ensemble."""


@dataclass(frozen=True)
class DataOffsets:
    """Where in the file the data stand that change while a run is written, in bytes."""

    complete: int
    counter: int
    provenance: int
    room: int
    """Bytes that are kept for the provenance."""
    values: tuple[tuple[int, int], ...]
    """Positions and velocities of each trajectory."""
    label_errors: tuple[int, ...]
    """Of each trajectory of a verified run, else empty."""
    guard: GuardPlaces | None
    """Of a guarded run, else None."""
    valid: int | None
    """Which frames are data; None in a file that does not tell."""
    observables: SeriesPlaces
    """What is reported beside the frames."""
    hidden: SeriesPlaces
    """Hidden variables."""


def create_structure(
    path: Path,
    particles: Particles,
    times: np.ndarray,
    dimensions: int,
    start: bytes,
    room: int,
    label_error: bool = False,
    box: Box | None = None,
    segments: int = 0,
    observables: Tails | None = None,
    hidden: Tails | None = None,
) -> DataOffsets:
    """Create a file that holds everything but the frames.

    Parameters
    ----------
    path : Path
        Of a new, empty file.
    particles : Particles
    times : ndarray, shape (T,)
    dimensions : int
    start : bytes
        What is known of the provenance before the run, or nothing.
    room : int
        Bytes to keep for the provenance.
    label_error : bool
        Whether the run is verified.
    box : Box, optional
        By default open space.
    segments : int
        Those that a guard watches.
    observables : mapping of str to tuple of int, optional
        The shape of what is reported of each trajectory at a frame.
    hidden : mapping of str to tuple of int, optional
        That of hidden variables, (N, ...).
    """
    tails = all_tails(observables, hidden)
    shape = (particles.batch, len(times), particles.n, dimensions)
    size = run_bytes(shape, label_error, segments, room + len(start), tails)
    if particles.couplings is not None:
        size += particles.couplings.nbytes
    if particles.radii is not None:  # as an array, and as what the groups link to
        size += 2 * particles.radii.nbytes
    several = particles.batch > 1
    with create_hdf5(path, size, made=True, virtual=several) as root:
        _write_metadata(root)
        # what H5MD has no place for
        ours = root.create_group(OURS)
        allocate(ours, "format", _format(several, segments), INTEGER)
        allocate(ours, "shape", shape, INTEGER)
        if start:
            allocate(ours, "provenance_start", start, text_type(len(start)))
        complete = allocate(ours, "complete", 0, INTEGER)
        counter = allocate(root, FRAMES_WRITTEN, 0, INTEGER)
        provenance = allocate(ours, "provenance", b"", text_type(room))
        clock = _create_clock(root, times)
        create = _create_ensemble if several else _create_trajectory
        values, errors = create(root, particles, clock, shape, box, label_error)
        valid = _create_valid(root, clock, shape[0])
        guard = create_guard(ours, particles.batch, segments) if segments else None
        return DataOffsets(
            offset_of(complete),
            offset_of(counter),
            offset_of(provenance),
            room,
            values,
            errors,
            guard,
            valid,
            OBSERVED.create(root, clock, particles.batch, observables or {}),
            HIDDEN.create(root, clock, particles.batch, hidden or {}),
        )


def run_bytes(
    shape: tuple[int, ...],
    label_error: bool,
    segments: int,
    texts: int,
    observables: Tails | None = None,
) -> int:
    """Bytes that the file of a run takes at most, couplings and radii apart.

    Parameters
    ----------
    shape : tuple of int
        (B, T, N, D).
    label_error : bool
    segments : int
        Those that a guard watches.
    texts : int
        Bytes of its provenance.
    observables : mapping of str to tuple of int, optional
        As for `create_structure`, or what `all_tails` makes of them.
    """
    batch, frames, n, _ = shape
    # which frames are data, a byte each, and what a verified run says of them
    said = batch * frames * (9 if label_error else 1)
    said += series_bytes(batch, frames, observables or {})
    # the objects of each trajectory; times and steps, which all share; charges and masses, which
    # an ensemble has as arrays and as what its groups link to
    objects = OBJECTS if batch == 1 else 2 * STRUCTURE + VIEWS * batch
    tables = STRUCTURE + objects + 32 * frames + 32 * batch * n
    return 16 * math.prod(shape) + said + guard_bytes(batch, segments) + texts + tables


def find_offsets(
    path: Path, shape: tuple[int, int, int, int], *, to_write: bool = True
) -> DataOffsets:
    """Find where the data of a file stand, which is not trusted.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        (B, T, N, D).
    to_write : bool
        Whether it is to be written to, and so must not be a link.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or of another shape.
    """
    with reported(path):
        # it is written to by plain file operations, wherever it leads
        if to_write and path.is_symlink():
            raise ValueError("it is a symbolic link, which is not written to")
        return _find(path, shape)


def _find(path: Path, shape: tuple[int, int, int, int]) -> DataOffsets:
    with h5py.File(path, "r", locking=False) as root:
        ours = group_at(root, OURS)
        values = (_array_rows if has_groups(root, ENSEMBLE) else _group_offsets)(root, shape)
        provenance = open_text(ours, "provenance")
        arrays = has_groups(root, ENSEMBLE)
        return DataOffsets(
            offset_of(open_integer(ours, "complete")),
            offset_of(open_integer(root, FRAMES_WRITTEN)),
            offset_of(provenance),
            provenance.dtype.itemsize,
            values,
            (),  # a verified run keeps no restart file, and so never goes on
            find_guard(ours, shape[0]),
            _valid_offset(root, shape[:2]),
            OBSERVED.find(root, shape, arrays),
            HIDDEN.find(root, shape, arrays),
        )


def _group_offsets(root: Any, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Find positions and velocities in the group of each trajectory."""
    values = []
    for b in range(shape[0]):
        place = f"particles/{trajectory_name(b)}"
        position = open_floats(root, f"{place}/position/value", shape[1:])
        velocity = open_floats(root, f"{place}/velocity/value", shape[1:])
        values.append((offset_of(position), offset_of(velocity)))
    return tuple(values)


def _array_rows(root: Any, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Find positions and velocities in the arrays of all trajectories."""
    arrays = [open_floats(root, f"{ENSEMBLE}/{name}", shape) for name in VECTORS]
    rows = [rows_of(offset_of(each), shape) for each in arrays]
    return tuple(zip(*rows, strict=True))


def _valid_offset(root: Any, shape: tuple[int, int]) -> int | None:
    batch, frames = shape
    # an older version began the file
    if not has_groups(root, f"{OBSERVABLES}/{VALID}"):
        return None
    return offset_of(open_flags(root, f"{OBSERVABLES}/{VALID}/value", (frames, batch)))


def _create_clock(root: Any, times: np.ndarray) -> dict[str, Any]:
    """Create step and time, which all time-dependent elements share."""
    # without names: the elements of all trajectories link to them
    return {
        "step": allocate(root, None, np.arange(len(times)), INTEGER),
        "time": allocate(root, None, times, FLOAT),
    }


def _format(several: bool, segments: int) -> int:
    if several:
        return ENSEMBLE_FORMAT
    return GUARDED_FORMAT if segments else FORMAT


def _create_trajectory(
    root: Any,
    particles: Particles,
    clock: dict[str, Any],
    shape: tuple[int, ...],
    box: Box | None,
    label_error: bool,
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Create the one trajectory of a run; return the offsets of values and label errors."""
    group = root.create_group(f"particles/{trajectory_name(0)}")
    _write_box(group, box or Box((None,) * shape[-1]), clock)
    _write_particles(group, particles, 0)
    position, velocity = (_element(group, name, clock, shape[1:]) for name in VECTORS)
    values = ((position, velocity),)
    if not label_error:
        return values, ()
    observables = root.create_group(f"{OBSERVABLES}/{trajectory_name(0)}")
    return values, (_element(observables, LABEL_ERROR, clock, shape[1:2]),)


def _create_ensemble(
    root: Any,
    particles: Particles,
    clock: dict[str, Any],
    shape: tuple[int, ...],
    box: Box | None,
    label_error: bool,
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Create the arrays of all trajectories and a group for each, as `_create_trajectory` does."""
    offsets = create_arrays(root, particles, clock, shape, label_error)
    shared = _write_box(root[ENSEMBLE], box or Box((None,) * shape[-1]), clock)
    create_views(root, clock, shared, label_error)
    rows = [rows_of(offsets[name], shape) for name in VECTORS]
    errors = rows_of(offsets[LABEL_ERROR], shape[:2]) if label_error else ()
    return tuple(zip(*rows, strict=True)), tuple(errors)


def _create_valid(root: Any, clock: dict[str, Any], batch: int) -> int:
    """Create the mark of all frames, none of which is data yet; return its offset."""
    element = root.create_group(f"{OBSERVABLES}/{VALID}")
    for key, dataset in clock.items():
        element[key] = dataset
    # frames first, as of every element: those of a segment lie side by side
    return offset_of(allocate(element, "value", np.zeros((len(clock["step"]), batch), FLAG), FLAG))


def _element(group: Any, name: str, clock: dict[str, Any], shape: tuple[int, ...]) -> int:
    """Create a time-dependent H5MD element, step and time by hard links; return its offset."""
    element = group.create_group(name)
    for key, dataset in clock.items():
        element[key] = dataset
    value = allocate(element, "value", None, FLOAT, shape)
    return offset_of(value)


def _write_metadata(root: Any) -> None:
    h5md = root.create_group("h5md")
    h5md.attrs["version"] = np.array([1, 1], INTEGER)
    # H5MD demands an author, and nobody has been asked for a name
    h5md.create_group("author").attrs["name"] = np.bytes_("unknown")
    creator = h5md.create_group("creator")
    creator.attrs["name"] = np.bytes_("nbody-surrogate")
    creator.attrs["version"] = np.bytes_(version("nbody-surrogate"))
    units = h5md.create_group("modules/units")
    units.attrs["version"] = np.array([1, 0], INTEGER)
    units.attrs["system"] = np.bytes_("reduced")


def _write_box(parent: Any, box: Box, clock: dict[str, Any]) -> Any:
    """Write the box; H5MD asks for all edges where one axis is periodic, an open one has 0.

    They do not change, but are written for each frame: MDAnalysis reads no others.
    """
    group = parent.create_group("box")
    group.attrs["dimension"] = INTEGER.type(box.dimension)
    group.attrs["boundary"] = np.array([b"periodic" if each else b"none" for each in box.periodic])
    if any(box.periodic):
        edges = group.create_group("edges")
        for key, dataset in clock.items():
            edges[key] = dataset
        lengths = [length or 0.0 for length in box.lengths]
        allocate(edges, "value", np.tile(lengths, (len(clock["step"]), 1)), FLOAT)
    return group


def _write_particles(group: Any, particles: Particles, b: int) -> None:
    allocate(group, "charge", particles.charges[b], FLOAT).attrs["unit"] = UNIT
    allocate(group, "mass", particles.masses[b], FLOAT).attrs["unit"] = UNIT
    if particles.couplings is not None:
        allocate(group, "couplings", particles.couplings[b], FLOAT)
    if particles.radii is not None:
        allocate(group, RADIUS, particles.radii[b], FLOAT)
