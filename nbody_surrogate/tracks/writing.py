"""Tracks in files: CSV and Parquet as trackpy has them, and NumPy archives."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.limits import FOREIGN_TEXT, NPZ
from nbody_surrogate.files.output_path import check_output_file, parameter_of
from nbody_surrogate.tracks.columns import AXES, LENGTHS, TIMES
from nbody_surrogate.tracks.parquet_table import demand_pyarrow
from nbody_surrogate.tracks.table import is_label, plain_label
from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["OUTPUTS", "check_tracks_path", "write_tracks"]

CHUNK = 1 << 16  # rows that are text at a time
OUTPUTS = (".csv", ".parquet", ".npz")
PER_PARTICLE = {"charge": "charges", "inertial_mass": "masses"}

Columns = dict[str, Any]


@guided(
    **dict.fromkeys(["file", "filename"], "`path`, the file's name, such as 'tracks.csv'"),
    tracks="`path` and `tracks`, such as write_tracks('tracks.csv', tracks)",
)
def write_tracks(
    path: str | os.PathLike[str],
    tracks: Tracks | Sequence[Tracks],
    *,
    overwrite: bool = False,
) -> Path:
    """Write tracks to a file, which `read_tracks` reads back to the bit.

    - ``.csv`` and ``.parquet``: a row for each time that a particle was seen: ``frame``,
      ``particle``, ``t``, ``x``, ``y`` and in space ``z``; ``run`` where there are several, and
      where they are known ``charge`` and ``inertial_mass``. A unit ends the name of its column, as
      ``x_um``.
    - ``.npz``: one run as ``x`` (T, N, D), NaN where a particle was not seen, ``dt``, ``names``,
      and what else is known.

    Parameters
    ----------
    path : path_like
    tracks : Tracks or sequence of Tracks
        Several are runs 0, 1, ... of one file.
    overwrite : bool
        Whether to replace a file that is there already.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If `tracks` are none, do not go into one file, or the file cannot be written there.
    RunError
        If it cannot be written to its end.
    """
    runs = [tracks] if isinstance(tracks, Tracks) else tracks
    demand_kind("tracks", runs, (list, tuple), "Tracks, or a list of several")
    if not runs or not all(isinstance(each, Tracks) for each in runs):
        raise InputError("`tracks` must be Tracks, or several, such as read_tracks gives")
    runs = list(runs)
    file = check_tracks_path(path, overwrite)
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        demand_pyarrow(file, "written")
    _demand_one_file(runs, suffix)
    write = {".csv": _write_csv, ".parquet": _write_parquet, ".npz": _write_npz}[suffix]
    with atomic_file(file, parameter_of(path, "output"), overwrite=overwrite) as stream:
        write(stream, runs)
    return file


def check_tracks_path(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse a file that `write_tracks` could not write.

    Raises
    ------
    InputError
        If the ending is unknown, the folder missing, or the file there already.
    """
    return check_output_file(path, "output", OUTPUTS, overwrite)


def _demand_one_file(runs: list[Tracks], suffix: str) -> None:
    if suffix == ".npz" and len(runs) > 1:
        raise InputError(
            f"`output` must end in .csv or .parquet for {counted(len(runs), 'run')}, "
            "an .npz holds one"
        )
    for what in ("dimensions", "length_unit", "time_unit"):
        if len({getattr(each, what) for each in runs}) > 1:
            raise InputError(f"`tracks` of one file must have the same {what}")
    for each in runs:
        for name in each.names:
            if not is_label(name) or plain_label(name.strip()) != name:
                raise InputError(
                    f"`names` must be such as are read back: 1 to 64 characters, whole numbers "
                    f"without fraction, no spaces around, got {name[:40]!r}"
                )


def _columns(runs: list[Tracks], k: int) -> Columns:
    """Return the columns of one run, in the order of frames and particles."""
    run = runs[k]
    frame, particle = np.nonzero(run.seen)
    names = np.array(run.names, dtype=object)
    found: Columns = {
        "frame": run.frames[frame],
        "particle": names[particle],
        _with_unit("t", run.time_unit, TIMES): run.t[frame],
    }
    for d in range(run.dimensions):
        found[_with_unit(AXES[d], run.length_unit, LENGTHS)] = run.x[frame, particle, d]
    for column, name in PER_PARTICLE.items():
        if all(getattr(each, name) is not None for each in runs):
            found[column] = getattr(run, name)[particle]
    if len(runs) > 1:
        found["run"] = np.full(len(frame), k)
    return found


def _with_unit(name: str, unit: str | None, known: Sequence[str]) -> str:
    """Add a unit that a reader knows; one that it does not would hide what the column is."""
    return f"{name}_{unit}" if unit in known else name


def _write_csv(stream: IO[bytes], runs: list[Tracks]) -> None:
    written = 0
    for text in _csv_parts(runs):
        data = text.encode()
        written += len(data)
        FOREIGN_TEXT.require(written, error=RunError)
        stream.write(data)


def _csv_parts(runs: list[Tracks]) -> Iterator[str]:
    for k in range(len(runs)):
        columns = _columns(runs, k)
        if k == 0:
            yield ",".join(columns) + "\n"
        rows = len(columns["frame"])
        for start in range(0, rows, CHUNK):
            part = [values[start : start + CHUNK].tolist() for values in columns.values()]
            text = io.StringIO()
            # which writes as many digits as give each number back, and quotes where it must
            csv.writer(text, lineterminator="\n").writerows(zip(*part, strict=True))
            yield text.getvalue()


def _write_parquet(stream: IO[bytes], runs: list[Tracks]) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    tables = [_columns(runs, k) for k in range(len(runs))]
    whole = {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}
    whole["particle"] = _numbers_if_all(whole["particle"])
    write_table(pyarrow.table(whole), stream)


def _numbers_if_all(names: np.ndarray) -> Any:
    """Return names as whole numbers where all are, as trackpy has them."""
    if all(re.fullmatch(r"-?\d{1,18}", name) for name in set(names)):
        return names.astype(np.int64)
    return names.tolist()


def _write_npz(stream: IO[bytes], runs: list[Tracks]) -> None:
    (run,) = runs
    arrays = {
        "x": run.x,
        "dt": np.array(run.frame_dt),
        "names": np.array(run.names),
        "first_frame": np.array(run.first_frame, dtype=np.int64),
        "frame_step": np.array(run.frame_step, dtype=np.int64),
    }
    others = ("charges", "masses", "length_unit", "time_unit")
    arrays |= {
        name: np.asarray(getattr(run, name)) for name in others if getattr(run, name) is not None
    }
    NPZ.require(sum(each.nbytes for each in arrays.values()), error=RunError)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(values, order="C"), allow_pickle=False)
