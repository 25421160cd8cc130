"""`read_tracks`: measured tracks from files, whichever program wrote them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nbody_surrogate.contracts.arguments import demand_flag, demand_path
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, warn
from nbody_surrogate.files.sha256 import file_hash
from nbody_surrogate.formats.h5md.layout import SUFFIXES as H5MD
from nbody_surrogate.formats.opening import is_foreign
from nbody_surrogate.tracks.assembly import tracks_of_table
from nbody_surrogate.tracks.csv_table import CsvTable
from nbody_surrogate.tracks.dense import tracks_of_dense, tracks_of_other, tracks_of_run
from nbody_surrogate.tracks.given import Given, check_given
from nbody_surrogate.tracks.identities import find_mistakes
from nbody_surrogate.tracks.npz import read_npz_tracks
from nbody_surrogate.tracks.parquet_table import ParquetTable
from nbody_surrogate.tracks.tracks import Jump, Swap, Tracks, TrackSource

__all__ = ["SUFFIXES", "read_tracks"]

CSV, PARQUET, NPZ = (".csv", ".tsv"), (".parquet", ".pq"), (".npz",)
OTHER = (*H5MD, ".extxyz", ".xyz", ".gsd", ".vtkhdf")
SUFFIXES = (*CSV, *PARQUET, *NPZ, *OTHER)
"""Endings of files that are read."""

MOST_TOLD = 5  # exchanges and jumps that a warning names


@guided(
    **dict.fromkeys(["dt", "interval"], "`frame_dt`, the time between frames"),
    fps="`frame_rate`, the frames in a second",
    **dict.fromkeys(["path", "file", "filename"], "`paths`, of one file or of several"),
    **dict.fromkeys(["mpp", "unit"], "`length_unit`; nothing is converted"),
)
def read_tracks(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    frame_dt: float | None = None,
    frame_rate: float | None = None,
    length_unit: str | None = None,
    time_unit: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    particles: str | Sequence[str] | None = None,
    group: str | None = None,
    mend_swaps: bool = False,
) -> list[Tracks]:
    """Read measured tracks.

    - ``.csv``, ``.tsv`` and ``.parquet`` with columns ``frame``, ``particle``, ``x``, ``y`` and in
      space ``z``, as trackpy writes them, rows in any order; a time ``t`` in place of ``frame`` or
      beside it, and ``run`` where there are several. Names may end in a unit, as ``x_um``.
    - H5MD, ours (a run for each trajectory) and others'; extended XYZ, GSD, VTKHDF.
    - ``.npz`` with ``x`` (T, N, D), NaN where a particle was not seen, and ``t`` or ``dt``.

    Numbers stay in the units of the measurement: nothing is converted.

    Parameters
    ----------
    paths : path_like or sequence of path_like
        Several are several runs.
    frame_dt : float, optional
        Time between frames whose numbers differ by one, of files that tell no times.
    frame_rate : float, optional
        Frames in a second, in its place.
    length_unit, time_unit : str, optional
        What the numbers are in, such as um and s.
    columns : str or mapping, optional
        Which column of a table is what, such as ``"x=x_um,particle=id"``, where that is not sure.
    particles : str or sequence of str, optional
        Names of those to take; by default all.
    group : str, optional
        Of an H5MD file with several: the particles group.
    mend_swaps : bool
        Whether names that have changed places are exchanged back.

    Returns
    -------
    list of Tracks
        One for each run, in the order of files and of runs in them; `Tracks.reading` says what was
        taken for what.

    Raises
    ------
    InputError
        If an argument does not fit, a column is missing or not sure, or the time between frames.
    FileFormatError
        If a file is missing or damaged, or a row of it is wrong; it names the row.
    """
    given = check_given(frame_dt, frame_rate, length_unit, time_unit, columns, particles)
    mend = demand_flag("mend_swaps", mend_swaps)
    found = [tracks for path in _files(paths) for tracks in _read_file(path, given, columns, group)]
    return [_looked_through(tracks, mend) for tracks in found]


def _files(paths: object) -> list[Path]:
    if isinstance(paths, str | os.PathLike):
        return [demand_path("paths", paths)]
    if not isinstance(paths, Sequence) or not paths:
        raise InputError(f"`paths` must be a file or several, got {type(paths).__name__}")
    files = [demand_path("paths", each) for each in paths]
    if len(set(files)) < len(files):
        twice = next(each for each in files if files.count(each) > 1)
        raise InputError(f"`paths` must name each file once, {str(twice)!r} is there twice")
    return files


def _read_file(path: Path, given: Given, columns: object, group: str | None) -> list[Tracks]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileFormatError(
            f"{str(path)!r} is of no kind that tracks are read from; its name must end in "
            f"{', '.join(SUFFIXES)}"
        )
    if not path.exists():
        raise MissingFileError(f"{str(path)!r} cannot be read: it does not exist")
    if group is not None and suffix not in H5MD:
        raise InputError(f"`group` goes with H5MD files, not {str(path)!r}")
    if suffix in (*CSV, *PARQUET):
        table = CsvTable(path) if suffix in CSV else ParquetTable(path)
        return tracks_of_table(table, _source(path), given)
    if columns is not None:
        raise InputError(f"`columns` goes with tables such as .csv, not {str(path)!r}")
    if suffix in NPZ:
        return [tracks_of_dense(path, _source(path), read_npz_tracks(path), given)]
    if group is None and not is_foreign(path):
        return tracks_of_run(path, _source(path), given)
    return [tracks_of_other(path, _source(path), given, group)]


def _source(path: Path) -> TrackSource:
    return TrackSource(path.name, file_hash(path))


def _looked_through(tracks: Tracks, mend: bool) -> Tracks:
    """Look for exchanged names and jumps, tell them, and exchange back where that is asked for."""
    found = find_mistakes(tracks.x, tracks.names, tracks.first_frame, tracks.frame_step)
    if found.swaps:
        _tell_swaps(tracks, found.swaps, mend)
    if found.jumps:
        _tell_jumps(tracks, found.jumps)
    swaps = tuple(replace(each, mended=mend) for each in found.swaps)
    said = tracks.reading
    if mend and swaps:
        said = (*said, f"{str(tracks.source)!r}: {counted(len(swaps), 'exchange')} of names mended")
    x = found.x if mend and swaps else tracks.x
    return replace(tracks, x=x, reading=said, swaps=swaps, jumps=tuple(found.jumps))


def _tell_swaps(tracks: Tracks, swaps: list[Swap], mend: bool) -> None:
    told = [
        f"{' and '.join(repr(name[:40]) for name in each.names)} from frame {each.frame} on"
        for each in swaps[:MOST_TOLD]
    ]
    remedy = "exchanged back" if mend else "mend_swaps=True (--mend-swaps) exchanges them back"
    warn(
        f"{str(tracks.source)!r}: particles seem to exchange their names: "
        f"{_and_more(told, len(swaps))}; {remedy}"
    )


def _tell_jumps(tracks: Tracks, jumps: list[Jump]) -> None:
    told = [
        f"{each.name[:40]!r} in frame {each.frame}{' and back' if each.back else ''}"
        for each in jumps[:MOST_TOLD]
    ]
    warn(f"{str(tracks.source)!r}: particles seem to jump: {_and_more(told, len(jumps))}")


def _and_more(told: list[str], count: int) -> str:
    more = f", and {counted(count - len(told), 'time')} more" if count > len(told) else ""
    return ", ".join(told) + more
