"""Opening the file of a run, whichever program wrote it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, warn
from nbody_surrogate.formats.agreement import in_agreement
from nbody_surrogate.formats.foreign.content import Content, checked_frame
from nbody_surrogate.formats.foreign.gsd import read_gsd
from nbody_surrogate.formats.foreign.lammps import read_lammps_data
from nbody_surrogate.formats.foreign.supplements import NONE, Supplements
from nbody_surrogate.formats.foreign.table import read_csv
from nbody_surrogate.formats.foreign.xyz import read_xyz
from nbody_surrogate.formats.h5md import H5MDReader, read_h5md
from nbody_surrogate.formats.h5md.layout import SUFFIXES as H5MD
from nbody_surrogate.formats.npz import (
    has_info,
    is_trajectory,
    read_archive,
    single_start,
    trajectory_of,
)
from nbody_surrogate.results.trajectory import Ensemble, RunInfo

__all__ = [
    "SUFFIXES",
    "count_trajectories",
    "is_foreign",
    "missing",
    "other_files",
    "particles_of",
    "read_content",
    "read_run",
    "read_runs",
    "tells_system",
]

HDF5 = (*H5MD, ".part")
PLAIN: dict[str, Callable[[Path, int | None], Content]] = {
    ".csv": read_csv,
    ".data": read_lammps_data,
    ".extxyz": read_xyz,
    ".gsd": read_gsd,
    ".lmp": read_lammps_data,
    ".xyz": read_xyz,
}
SUFFIXES = (*HDF5, ".npz", ".vtkhdf", *PLAIN)
"""Endings of files that are read; LAMMPS also calls its data files ``data.NAME``."""

HOW = {
    "charges": "a number, numbers with commas, SPECIES=NUMBER, or a file that has them",
    "masses": "a number, numbers with commas, SPECIES=NUMBER, or a file that has them",
    "velocities": "zero, differences, or a file that has them",
    "frame_dt": "the time between its frames",
}
"""What would do where a file lacks something."""


def read_run(
    path: str | os.PathLike[str],
    *,
    trajectory: int | None = None,
    supplements: Supplements | None = None,
    frame_dt: float | None = None,
    strict: bool = True,
) -> Ensemble:
    """Read a run of ours, in reduced units, or a trajectory of another program.

    Parameters
    ----------
    path : path_like
        H5MD, ours or of pyh5md, ZnH5MD, MDAnalysis or LAMMPS; what `export` writes; extended XYZ,
        GSD, CSV or a LAMMPS data file. Numbers are taken as they are; a unit that the file names
        is told in a warning.
    trajectory : int, optional
        The one to read of a run of ours; by default all. Other files hold one.
    supplements : Supplements, optional
        What to take where the file lacks it. Nothing is guessed.
    frame_dt : float, optional
        Time between frames, of a file that tells no times.
    strict : bool
        Whether it is refused to supplement what the file holds.

    Returns
    -------
    Ensemble
        Of another program's file its `info` names no system, and as the method the file; so it
        does of an ``.npz`` that an earlier release wrote.

    Raises
    ------
    InputError
        If something is missing, or an argument does not fit the file.
    FileFormatError
        If the file is missing, damaged or of a kind that is not read.
    """
    file = demand_path("path", path)
    if not is_foreign(file):
        if strict:
            _refuse_additions([file], supplements, frame_dt)
        return read_h5md(file, trajectory=trajectory)
    if trajectory not in (None, 0):
        raise InputError(f"`trajectory` must be 0: {str(file)!r} holds one, got {trajectory}")
    added = supplements or Supplements()
    content = read_content(file, None, added.group)
    if not strict:
        frame_dt = frame_dt if content.t is None else None
        held = {"charges": content.charges, "masses": content.masses, "velocities": content.v}
        if added.radii != NONE:
            held["radii"] = content.radii
        added = replace(added, **{name: None for name, got in held.items() if got is not None})
    content = added.completed(_timed(file, content, frame_dt), other_files(None))
    return _as_ensemble(file, content)


def read_runs(
    paths: Sequence[Path],
    *,
    trajectory: int | None = None,
    supplements: Supplements | None = None,
    frame_dt: float | None = None,
    system: dict[str, Any] | None = None,
) -> list[Ensemble]:
    """Read several runs of one motion, as `read_run` does, each of which is given what it lacks.

    Files of other programs name no system. It is `system`, or that of the first run whose file
    names one. With that run, or else with the first file, they share what agrees to the digits that
    they keep, as `in_agreement` says.

    Raises
    ------
    InputError
        If something is missing, or none of the files lacks what is given.
    FileFormatError
        If a file is missing, damaged or of a kind that is not read.
    """
    foreign = [path for path in paths if is_foreign(path)]
    if not foreign:
        _refuse_additions(paths, supplements, frame_dt)
    strict = len(foreign) == 1
    runs = [
        read_run(
            path,
            trajectory=trajectory,
            supplements=supplements if path in foreign else None,
            frame_dt=frame_dt if path in foreign else None,
            strict=strict,
        )
        for path in paths
    ]
    told = [path not in foreign or tells_system(path) for path in paths]
    ours = next((run for own, run in zip(told, runs, strict=True) if own), None)
    described = system or (ours.info.system if ours is not None else {})
    first = runs[0] if ours is None else ours
    return [
        run if own else in_agreement(run, described, first)
        for own, run in zip(told, runs, strict=True)
    ]


def tells_system(path: Path) -> bool:
    """Whether a file says what system it is of: a run of ours, or an ``.npz`` with its account.

    Raises
    ------
    FileFormatError
        If its name ends in nothing that is read.
    """
    return not is_foreign(path) or (path.suffix.lower() == ".npz" and has_info(path))


def count_trajectories(path: Path) -> int:
    """Tell how many trajectories a file holds, without reading them.

    Raises
    ------
    FileFormatError
        If the file is missing or damaged.
    """
    if is_foreign(path):
        return 1
    with H5MDReader(path) as file:
        return file.batch


def _refuse_additions(
    files: Sequence[Path], supplements: Supplements | None, frame_dt: float | None
) -> None:
    """Refuse options where no file is another program's."""
    given = {**vars(supplements or Supplements()), "frame_dt": frame_dt}
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"`{name}` goes with files of other programs: {str(files[0])!r} holds all of it"
            )


def is_foreign(file: Path) -> bool:
    """Whether a file is no H5MD file of this package.

    Raises
    ------
    FileFormatError
        If its name ends in nothing that is read.
    """
    if file.suffix.lower() in HDF5:
        return _lacks_ours(file)
    if _has_known_name(file):
        return True
    raise FileFormatError(_of_no_kind(file))


def _has_known_name(file: Path) -> bool:
    return file.suffix.lower() in {*HDF5, *SUFFIXES} or file.name.startswith("data.")


def _of_no_kind(file: Path) -> str:
    known = ", ".join(SUFFIXES)
    return f"{str(file)!r} is of no kind that is read; its name must end in {known}"


def _lacks_ours(file: Path) -> bool:
    import h5py

    from nbody_surrogate.files.hdf5 import DAMAGE
    from nbody_surrogate.formats.h5md.layout import OURS

    if not file.is_file():
        return False
    try:
        with h5py.File(file, "r", locking=False) as root:
            return "particles" in root and OURS not in root
    except DAMAGE:  # which our own reader words
        return False


def read_content(file: Path, frame: int | None = None, group: str | None = None) -> Content:
    """Read what a file of another program, or of `export`, holds.

    Raises
    ------
    InputError
        If the frame is not there, or `group` does not fit.
    FileFormatError
        If the file is missing or damaged.
    """
    if not file.exists():
        raise MissingFileError(f"{str(file)!r} cannot be read: it does not exist")
    suffix = file.suffix.lower()
    if suffix in HDF5:
        from nbody_surrogate.formats.foreign.h5md import read_foreign_h5md

        content = read_foreign_h5md(file, frame, group)
    elif group is not None:
        raise InputError(f"`group` goes with H5MD files of other programs, not {str(file)!r}")
    elif suffix == ".vtkhdf":
        from nbody_surrogate.formats.foreign.vtkhdf import read_vtkhdf

        content = read_vtkhdf(file, frame)
    elif suffix == ".npz":
        content = _archived(file, frame)
    else:
        content = PLAIN.get(suffix, read_lammps_data)(file, frame)
    _tell(file, content)
    return content


def _archived(file: Path, frame: int | None) -> Content:
    arrays = read_archive(file, frame)
    if not is_trajectory({name: values.shape for name, values in arrays.items()}):
        raise InputError(
            f"{str(file)!r} is a start, no trajectory: `t` must hold the time of each frame"
        )
    return trajectory_of(arrays)


def _tell(file: Path, content: Content) -> None:
    """Say what is left out of account."""
    said = []
    if content.units:
        named = ", ".join(f"{name} in {unit}" for name, unit in content.units.items())
        said.append(f"numbers are taken as they are, no unit is converted ({named})")
    if content.periodic:
        said.append("its periodic box is not read, positions are taken as they are")
    if said:
        warn(f"{str(file)!r}: {'; '.join(said)}")


def _timed(file: Path, content: Content, frame_dt: float | None) -> Content:
    """Give the frames times."""
    frames = len(content.x)
    if content.t is None and frame_dt is not None:
        return replace(content, t=frame_dt * np.arange(frames))
    if content.t is None and frames == 1:
        return replace(content, t=np.zeros(1))
    if content.t is None:
        raise missing("frame_dt", file, "no times")
    if frame_dt is not None:
        raise InputError(f"`frame_dt` is not needed: {str(file)!r} tells the times of its frames")
    return content


def other_files(frame: int | None) -> Callable[[str], Content | None]:
    """Return how another file is read that a supplement names: one frame of it, or all."""

    def read(text: str) -> Content | None:
        file = Path(text)
        try:
            if not file.is_file():
                return None
        except (OSError, ValueError):  # a name too long, or with a zero in it
            return None
        if not _has_known_name(file):
            raise InputError(_of_no_kind(file))
        if is_foreign(file):
            return single_start(file, frame) or read_content(file, frame)
        run = read_h5md(file, trajectory=0)[0]
        if frame is None:
            rows = slice(None)
        else:
            number = checked_frame(frame, len(run.t))
            rows = slice(number, number + 1)
        bonds, radii = run.particles.couplings, run.particles.radii
        return Content(
            x=run.x[rows],
            t=run.t[rows],
            v=run.v[rows],
            charges=run.particles.charges[0],
            masses=run.particles.masses[0],
            couplings=None if bonds is None else bonds[0],
            radii=None if radii is None else radii[0],
        )

    return read


def missing(name: str, file: Path, what: str | None = None) -> InputError:
    """Make the error that asks for what a file lacks."""
    return InputError(
        f"`{name}` is needed: {str(file)!r} holds {what or f'no {name}'}; give {HOW[name]}"
    )


def particles_of(file: Path, content: Content) -> Particles:
    """Make particles, B = 1.

    Raises
    ------
    InputError
        If charges or masses are missing, or a value is not allowed.
    """
    if content.charges is None:
        raise missing("charges", file)
    if content.masses is None:
        raise missing("masses", file)
    bonds = None if content.couplings is None else content.couplings[None]
    radii = None if content.radii is None else content.radii[None]
    return Particles(content.charges[None], content.masses[None], bonds, radii)


def _as_ensemble(file: Path, content: Content) -> Ensemble:
    particles = particles_of(file, content)
    if content.v is None:
        raise missing("velocities", file)
    assert content.t is not None
    for name, values in (("t", content.t), ("x", content.x), ("v", content.v)):
        if not np.isfinite(values).all():
            raise InputError(f"{str(file)!r}: `{name}` must be finite, got NaN or infinity")
    if not (np.diff(content.t) > 0).all():
        raise InputError(f"{str(file)!r}: its times must grow from frame to frame")
    frames, info = len(content.t), content.info
    if info is None:  # nobody knows how long it took
        method = {"integrator": file.name}
        info = RunInfo({}, method, wall_time=math.nan, status=(0,), message=("",), good=(frames,))
    reported = {name: values[None] for name, values in content.observables.items()}
    return Ensemble(
        content.t, content.x[None], content.v[None], particles, info, observables=reported
    )
