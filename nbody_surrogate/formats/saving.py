"""A run that is there, written to a file and read back: `save` and `load`."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.errors import InputError, MissingFileError, RunError, one_line
from nbody_surrogate.files.atomic import atomic_path
from nbody_surrogate.files.output_path import CheckedPath
from nbody_surrogate.formats.export import box_of, check_export_path, export
from nbody_surrogate.formats.foreign.supplements import Supplements
from nbody_surrogate.formats.h5md import H5MDWriter, check_output_path
from nbody_surrogate.formats.h5md.layout import SUFFIXES, trajectory_name
from nbody_surrogate.formats.opening import read_run
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble

__all__ = ["load", "save"]


@guided(file="`path`", filename="`path`", path="the file's name, such as 'run.h5'")
def save(
    run: Trajectory | Ensemble, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a run to a file, by its ending.

    ``.h5``, which may be called ``.h5md`` or ``.hdf5`` too, holds all of it, frames that are not
    valid, messages and what a guard found as well, and `load` reads it back to the bit. ``.npz``,
    ``.extxyz`` and ``.vtkhdf`` are for other programs: one trajectory, of which only valid frames
    are written, as a warning says where there are others.

    Parameters
    ----------
    run : Trajectory or Ensemble
        `x` of shape (T, N, D) or (B, T, N, D), in reduced units.
    path : path_like
    overwrite : bool
        Whether to replace a file that is there already.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the ending is unknown, the file cannot be written there, or holds one trajectory and
        there are several.
    RunError
        If it cannot be written to its end, or a file has come there meanwhile.
    """
    whole = as_ensemble(run)
    if demand_path("path", path).suffix.lower() in SUFFIXES:
        return _write_h5md(whole, path, overwrite)
    file = check_export_path(path, overwrite, "path")
    if len(whole) > 1:
        raise InputError(
            f"`path` must end in {SUFFIXES[0]} for {len(whole)} trajectories, got {file.suffix!r}; "
            "or save one of them, such as run[0]"
        )
    # checked here, and not once more
    return export(whole[0], CheckedPath(file, parameter="path"), overwrite=overwrite)


def _write_h5md(run: Ensemble, path: str | os.PathLike[str], overwrite: bool) -> Path:
    """Write an H5MD file as a run does, beside its place, and move it there."""
    file = check_output_path(path, overwrite)
    _demand_finite(run)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix=".save-", dir=file.parent))
        except OSError as error:
            raise RunError(f"`path` {str(file)!r} cannot be written: {one_line(error)}") from None
        whole = Path(folder) / "run.h5"
        _fill(whole, run)
        with atomic_path(file, "path", overwrite=overwrite) as part:
            shutil.copyfile(whole, part)
    return file


def _demand_finite(run: Ensemble) -> None:
    """Refuse what a file must not hold: no reader would take it for data."""
    arrays = {"x": run.x, "v": run.v}
    arrays |= {f"observables[{name!r}]": values for name, values in run.observables.items()}
    arrays |= {f"hidden[{name!r}]": values for name, values in run.hidden.items()}
    for name, values in arrays.items():
        wrong = run.valid & ~np.isfinite(values).all(tuple(range(2, values.ndim)))
        if wrong.any():
            b, frame = np.argwhere(wrong)[0]
            raise InputError(
                f"`{name}` must be finite in valid frames, got NaN or infinity in trajectory {b} "
                f"at frame {frame}; save the frames before it"
            )


def _fill(file: Path, run: Ensemble) -> None:
    # a restart file knows its output by the identifier, and a copy is not that
    info = replace(run.info, identifier="")
    dt = float(run.t[1] - run.t[0]) if len(run.t) > 1 else 0.0
    start = (run.particles, run.x.shape[3], len(run.t), float(run.t[0]), dt)
    verified = run.label_error is not None
    writer = H5MDWriter(
        file,
        *start,
        info=info,
        label_error=verified,
        box=box_of(run),
        observables={name: y.shape[2:] for name, y in run.observables.items()},
        hidden={name: y.shape[2:] for name, y in run.hidden.items()},
    )
    with writer:
        more = (run.label_error, run.valid, run.observables, run.hidden)
        writer.write(run.x, run.v, *more)
        writer.finish(info)
    with h5py.File(file, "r+", libver="earliest", locking=False) as root:
        for b in range(len(run)):  # to the bit, whatever they are made of
            root[f"particles/{trajectory_name(b)}/position/time"][...] = run.t


@guided(file="`path`", filename="`path`", index="`trajectory`", path="the file of a run")
def load(
    path: str | os.PathLike[str],
    *,
    trajectory: int | None = None,
    supplements: Supplements | None = None,
    frame_dt: float | None = None,
) -> Ensemble:
    """Read a run: what `save`, `simulate` and `nbody-sim run` write, or another program.

    Parameters
    ----------
    path : path_like
        H5MD, ours or of others; ``.npz``, ``.extxyz``, ``.vtkhdf``, GSD, CSV or LAMMPS data, as
        `read_run` has them.
    trajectory : int, optional
        The one to read of a run of ours; by default all.
    supplements : Supplements, optional
        What to take where a file of another program lacks it.
    frame_dt : float, optional
        Time between frames, of a file that tells no times, in its own units: nothing is converted
        to reduced units.

    Returns
    -------
    Ensemble
        `x` of shape (B, T, N, D).

    Raises
    ------
    InputError
        If something is missing, or `path` is a folder: data sets are opened by `Dataset`, models
        by `load_model`.
    FileFormatError
        If the file is missing (then a MissingFileError), damaged or of a kind that is not read.
    """
    file = demand_path("path", path)
    if file.is_dir():
        raise InputError(
            f"`path` {str(file)!r} is a folder, no run: a data set is opened by Dataset(folder), "
            "a model by load_model(folder)"
        )
    if not file.exists():
        raise MissingFileError(f"`path` {str(file)!r} cannot be read: it does not exist")
    return read_run(file, trajectory=trajectory, supplements=supplements, frame_dt=frame_dt)
