"""Trajectories in files for other programs: extended XYZ, NumPy archives, VTKHDF, H5MD."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.files.atomic import atomic_file, atomic_path
from nbody_surrogate.files.hdf5 import STRUCTURE, atomic_hdf5
from nbody_surrogate.files.limits import NPZ
from nbody_surrogate.files.npy import write_npy
from nbody_surrogate.files.output_path import check_output_file, check_space, parameter_of
from nbody_surrogate.formats.h5md.layout import SUFFIXES
from nbody_surrogate.formats.h5md.provenance import dump_info
from nbody_surrogate.formats.h5md.whole import whole_h5md
from nbody_surrogate.formats.npz import INFO, OBSERVABLE
from nbody_surrogate.registry.registry import installed_system
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE, SYSTEM_ERROR
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.results.validity import validity_note

__all__ = ["EXPORT_SUFFIXES", "box_of", "check_export_path", "export"]

POINTS_ALONE = (".extxyz", ".vtkhdf")  # what is not of each particle has no place there
ELEMENT = "X"  # extended XYZ needs one for each particle; this stands for none


def export(
    candidate: Trajectory,
    path: str | os.PathLike[str],
    *,
    reference: Trajectory | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a trajectory to a file of another program, by its extension.

    - ``.extxyz``: extended XYZ, which ASE and OVITO read: positions, velocities, momenta, charges,
      masses, the time of each frame, and a periodic box where the run's system has one. Charges
      and masses are there twice, under the names that each of the two programs looks for.
      Radii, by which OVITO draws, and couplings are columns too.
    - ``.h5``, ``.h5md`` or ``.hdf5``: H5MD, as the run itself, for programs that read the first of
      several trajectories, know three dimensions only, or want to be told species.
    - ``.npz``: arrays ``t`` (T,), ``x``, ``v`` (T, N, D), ``charges``, ``masses`` (N,), and
      ``couplings`` (N, N) and ``radii`` (N,) where there are some, what was reported as
      ``observable_NAME`` (T, ...), and as ``info`` the account of the run, JSON in bytes: system,
      method, what a guard found, where it was outside; read it by `numpy.load`, no pickle is
      inside.
    - ``.vtkhdf``: points over time for ParaView 5.12 and later: velocity, speed, charge, mass,
      radius where there are radii, and with a reference the error vector; couplings as field data.

    Valid frames alone are written; a warning says so where there are others. Where the reference
    has stopped before, there is no error vector: it is NaN.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the extension is unknown or the file cannot be written there.
    RunError
        If it cannot be written to its end, or a file has come there meanwhile.
    """
    demand_kind("candidate", candidate, Trajectory, "a Trajectory, one of those of an Ensemble")
    file = check_export_path(path, overwrite)
    if reference is not None and reference.x.shape != candidate.x.shape:
        raise InputError(
            f"`reference` must have the shape of `candidate` {candidate.x.shape}, "
            f"got {reference.x.shape}"
        )
    box_of(candidate)  # refuses a forged system, whatever the format holds of it
    if (note := validity_note(candidate)) is not None:
        # before the file, which holds what is meant: nothing frozen
        warn(f"{note}; only these are written")
    reported = sorted(set(candidate.observables) - {ERROR_ESTIMATE, SYSTEM_ERROR})
    if reported and file.suffix.lower() in POINTS_ALONE:
        names = ", ".join(reported)
        warn(
            f"a {file.suffix} does not hold what reporters gave ({names}); an .h5 or .npz does",
        )
    if candidate.hidden and file.suffix.lower() not in SUFFIXES:
        names = ", ".join(sorted(candidate.hidden))
        warn(f"a {file.suffix} does not hold hidden variables ({names}); an .h5 does")
    run = candidate.valid_part()
    if reference is not None:
        reference = as_ensemble(reference).valid_part(len(run.t))[0]
    _WRITERS[file.suffix.lower()](file, run, reference, overwrite, parameter_of(path, "output"))
    return file


def check_export_path(
    path: str | os.PathLike[str], overwrite: bool = False, parameter: str = "output"
) -> Path:
    """Refuse a file that `export` could not write; `parameter` is what the user calls it.

    Raises
    ------
    InputError
        If the extension is unknown, the folder missing, or the file there already.
    """
    return check_output_file(path, parameter, EXPORT_SUFFIXES, overwrite)


def _write_extxyz(
    path: Path, run: Trajectory, reference: Trajectory | None, overwrite: bool, parameter: str
) -> None:
    del reference
    n, dimensions = run.x.shape[1:]
    charges, masses = run.particles.charges[0], run.particles.masses[0]
    # ASE makes velocities of momenta and masses, OVITO reads them as `velo`
    columns = "species:S:1:pos:R:3:velo:R:3:momenta:R:3"
    # ASE looks for the first and third of these, OVITO for the others
    columns += ":initial_charges:R:1:charge:R:1:masses:R:1:mass:R:1"
    constant = [charges, charges, masses, masses]
    if run.particles.couplings is not None:
        columns += f":couplings:R:{n}"
        constant.append(run.particles.couplings[0])
    if run.particles.radii is not None:
        columns += ":radius:R:1"  # OVITO's name of it; ASE keeps it as an array
        constant.append(run.particles.radii[0])
    # ASE's positions have three components
    pad, cell = ((0, 0), (0, 3 - dimensions)), _cell(run)
    if dimensions == 2:
        columns += " dimensions=2"  # or a start from this file would be one in space
    with atomic_file(path, parameter, overwrite=overwrite) as stream:
        for t, x, v in zip(run.t, run.x, run.v, strict=True):
            stream.write(f"{n}\nProperties={columns} time={float(t)!r} {cell}\n".encode())
            velocities = np.pad(v, pad)
            table = np.column_stack(
                [np.pad(x, pad), velocities, masses[:, None] * velocities, *constant]
            )
            text = BytesIO()
            # 17 digits give every float64 back to the bit
            np.savetxt(text, table, fmt=f"{ELEMENT} " + " ".join(["%.17g"] * table.shape[1]))
            stream.write(text.getvalue())


def _cell(run: Trajectory) -> str:
    """Return the box as extended XYZ has it, an axis of length 0 being open."""
    box, lengths = box_of(run), [0.0, 0.0, 0.0]
    if box is not None:
        lengths[: box.dimension] = [length or 0.0 for length in box.lengths]
    flags = " ".join("T" if length else "F" for length in lengths)
    if not any(lengths):
        return f'pbc="{flags}"'
    lattice = " ".join(repr(float(each)) for each in np.diag(lengths).ravel())
    return f'Lattice="{lattice}" pbc="{flags}"'


def box_of(run: Trajectory | Ensemble) -> Box | None:
    """Return the box of a run's system, or None where that is open or not installed.

    Raises
    ------
    InputError
        If a parameter of its system does not fit.
    """
    # a trajectory knows its system by name and parameters alone
    system = installed_system(run.info.system)
    return None if system is None else system.box


def _write_npz(
    path: Path, run: Trajectory, reference: Trajectory | None, overwrite: bool, parameter: str
) -> None:
    del reference
    arrays = {
        "t": run.t,
        "x": run.x,
        "v": run.v,
        "charges": run.particles.charges[0],
        "masses": run.particles.masses[0],
    }
    if run.particles.couplings is not None:
        arrays["couplings"] = run.particles.couplings[0]
    if run.particles.radii is not None:
        arrays["radii"] = run.particles.radii[0]
    arrays |= {f"{OBSERVABLE}{name}": values for name, values in run.observables.items()}
    # a restart file knows its output by the identifier, and a copy is not that
    account = np.array(dump_info(replace(run.info, identifier=""), 1))
    NPZ.require(sum(each.nbytes for each in (*arrays.values(), account)))
    with (
        atomic_file(path, parameter, overwrite=overwrite) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for key, values in arrays.items():
            # an entry may be above 2 GiB, which zip wants to know before it is written
            with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
                write_npy(stream, values.shape, [values])
        with archive.open(f"{INFO}.npy", "w") as stream:
            np.lib.format.write_array(stream, account, allow_pickle=False)


def _write_vtkhdf(
    path: Path, run: Trajectory, reference: Trajectory | None, overwrite: bool, parameter: str
) -> None:
    """Write PolyData of VTKHDF 2.0: one vertex for each particle, the same cells in each step."""
    size = _vtkhdf_bytes(run, reference is not None)
    check_space(path, size)
    with atomic_hdf5(path, size, parameter, overwrite=overwrite) as file:
        _fill_vtkhdf(file.create_group("VTKHDF"), run, reference)


def _vtkhdf_bytes(run: Trajectory, error: bool) -> int:
    """Bytes that the file of a run takes at most, all numbers being of 8 bytes."""
    frames, n, _ = run.x.shape
    points = frames * n * (14 if error else 10)
    cells = 3 * n + 8
    steps = frames * 50  # some two dozen arrays, of which a few have several columns
    couplings = 0 if run.particles.couplings is None else run.particles.couplings[0].size
    return int(2 * STRUCTURE + 8 * (points + cells + steps + couplings))


def _fill_vtkhdf(root: Any, run: Trajectory, reference: Trajectory | None) -> None:
    frames, n, dimensions = run.x.shape
    pad = ((0, 0), (0, 0), (0, 3 - dimensions))
    root.attrs["Version"] = np.array([2, 0], dtype=np.int64)
    # VTK takes text of fixed length only
    root.attrs.create("Type", np.bytes_("PolyData"), dtype="S8")
    root["Points"] = np.pad(run.x, pad).reshape(-1, 3)
    root["NumberOfPoints"] = np.full(frames, n, dtype=np.int64)
    # VTK wants all four kinds of cells, though three of them are empty
    for cells in ("Vertices", "Lines", "Polygons", "Strips"):
        count = n if cells == "Vertices" else 0
        group = root.create_group(cells)
        group["NumberOfCells"] = np.full(frames, count, dtype=np.int64)
        group["NumberOfConnectivityIds"] = np.full(frames, count, dtype=np.int64)
        group["Offsets"] = np.arange(count + 1, dtype=np.int64)
        group["Connectivity"] = np.arange(count, dtype=np.int64)
    _fill_steps(root.create_group("Steps"), run.t, n)
    data = root.create_group("PointData")
    offsets = root["Steps"].create_group("PointDataOffsets")
    for name, values in _point_data(run, reference, pad).items():
        data[name] = values
        offsets[name] = n * np.arange(frames, dtype=np.int64)
    _fill_fields(root, run)


def _fill_fields(root: Any, run: Trajectory) -> None:
    """Write what is the same in each step and belongs to no point: what a start needs beyond."""
    fields = root.create_group("FieldData")
    sizes = root["Steps"].create_group("FieldDataSizes")
    offsets = root["Steps"].create_group("FieldDataOffsets")
    found = {"dimensions": np.array([run.x.shape[2]], dtype=np.int64)}
    if run.particles.couplings is not None:
        found["couplings"] = run.particles.couplings[0]
    for name, values in found.items():
        fields[name] = values
        width = 1 if values.ndim == 1 else values.shape[1]
        sizes[name] = np.tile(np.array([width, len(values)], np.int64), (len(run.t), 1))
        offsets[name] = np.zeros(len(run.t), dtype=np.int64)


def _fill_steps(steps: Any, t: np.ndarray, n: int) -> None:
    frames = len(t)
    steps.attrs["NSteps"] = np.int64(frames)
    steps["Values"] = t
    steps["PartOffsets"] = np.arange(frames, dtype=np.int64)
    steps["NumberOfParts"] = np.ones(frames, dtype=np.int64)
    steps["PointOffsets"] = n * np.arange(frames, dtype=np.int64)
    # each step has the cells of the first one: a particle is the same vertex throughout
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        steps[name] = np.zeros((frames, 4), dtype=np.int64)


def _point_data(
    run: Trajectory, reference: Trajectory | None, pad: tuple[tuple[int, int], ...]
) -> dict[str, np.ndarray]:
    frames = len(run.t)
    found = {
        "velocity": np.pad(run.v, pad).reshape(-1, 3),
        "speed": np.linalg.norm(run.v, axis=2).ravel(),
        "charge": np.tile(run.particles.charges[0], frames),
        "mass": np.tile(run.particles.masses[0], frames),
    }
    if run.particles.radii is not None:
        found["radius"] = np.tile(run.particles.radii[0], frames)
    if reference is not None:
        error = np.pad(run.x - reference.x, pad).reshape(-1, 3)
        found |= {"error": error, "error_size": np.linalg.norm(error, axis=1)}
    return found


def _write_h5md(
    path: Path, run: Trajectory, reference: Trajectory | None, overwrite: bool, parameter: str
) -> None:
    del reference
    with (
        whole_h5md(path, run, box_of(run)) as file,
        atomic_path(path, parameter, overwrite=overwrite) as part,
    ):
        shutil.copyfile(file, part)


_WRITERS: dict[str, Callable[[Path, Trajectory, Trajectory | None, bool, str], None]] = {
    ".extxyz": _write_extxyz,
    **dict.fromkeys(SUFFIXES, _write_h5md),
    ".npz": _write_npz,
    ".vtkhdf": _write_vtkhdf,
}
EXPORT_SUFFIXES = tuple(_WRITERS)
"""Extensions that `export` knows."""
