"""Tracks from files with a place for each particle in each frame: H5MD, extended XYZ, `.npz`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, warn
from nbody_surrogate.formats.export import box_of
from nbody_surrogate.formats.h5md import read_h5md
from nbody_surrogate.formats.opening import read_content
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.tracks.given import Given
from nbody_surrogate.tracks.summary_line import summary_line
from nbody_surrogate.tracks.times import spacing_of, uneven
from nbody_surrogate.tracks.tracks import Tracks, TrackSource

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Dense", "tracks_of_dense", "tracks_of_other", "tracks_of_run"]

LENGTHS = ("pos", "position", "positions", "x", "r")
"""What files call the quantity whose unit is that of lengths."""


@dataclass(frozen=True)
class Dense:
    """What a file holds of one run; what it does not is None.

    Attributes
    ----------
    x : ndarray, shape (T, N, D)
        NaN in all coordinates where a particle is missing.
    t : ndarray, shape (T,)
    frame_dt : float
        In place of `t`.
    names : tuple of str
    charges, masses : ndarray, shape (N,)
    length_unit, time_unit : str
    first_frame, frame_step : int
    left_out : tuple of str
        What is not taken.
    """

    x: Float64[np.ndarray, "T N D"]
    t: Float64[np.ndarray, " T"] | None = None
    frame_dt: float | None = None
    names: tuple[str, ...] | None = None
    charges: Float64[np.ndarray, " N"] | None = None
    masses: Float64[np.ndarray, " N"] | None = None
    length_unit: str | None = None
    time_unit: str | None = None
    first_frame: int = 0
    frame_step: int = 1
    left_out: tuple[str, ...] = ()


def tracks_of_run(path: Path, source: TrackSource, given: Given) -> list[Tracks]:
    """Make tracks of a run of ours, one for each trajectory: of its valid frames.

    Raises
    ------
    FileFormatError
        If the file is missing or damaged.
    """
    ensemble = read_h5md(path)
    if box_of(ensemble) is not None:
        warn(f"{str(path)!r}: its periodic box is not read, positions are taken as they are")
    several = len(ensemble) > 1
    return [
        tracks_of_dense(
            path,
            TrackSource(source.file, source.sha256, str(b) if several else None),
            dense_of_trajectory(run),
            given,
        )
        for b, run in enumerate(ensemble)
    ]


def dense_of_trajectory(run: Trajectory) -> Dense:
    """Take the positions of a run's valid frames."""
    part = run.valid_part()
    charges, masses = part.particles.charges[0], part.particles.masses[0]
    left = ["velocity"] + ["couplings"] * (part.particles.couplings is not None)
    return Dense(part.x, part.t, charges=charges, masses=masses, left_out=tuple(left))


def tracks_of_other(path: Path, source: TrackSource, given: Given, group: str | None) -> Tracks:
    """Make tracks of another program's trajectory.

    Raises
    ------
    InputError
        If `group` does not fit.
    FileFormatError
        If the file is missing or damaged.
    """
    content = read_content(path, None, group)
    left = {"velocity": content.v, "momenta": content.momenta, "couplings": content.couplings}
    units = content.units
    length = next((units[name] for name in LENGTHS if name in units), None)
    dense = Dense(
        content.x,
        content.t,
        charges=content.charges,
        masses=content.masses,
        length_unit=length,
        time_unit=units.get("time"),
        left_out=tuple(name for name, values in left.items() if values is not None),
    )
    return tracks_of_dense(path, source, dense, given)


def tracks_of_dense(path: Path, source: TrackSource, dense: Dense, given: Given) -> Tracks:
    """Make tracks of what a file holds.

    Raises
    ------
    InputError
        If the time between frames is missing, or a particle that is asked for.
    FileFormatError
        If times are uneven, positions are not finite, or no particle has a track.
    """
    file = repr(str(path))
    names = dense.names or tuple(map(str, range(dense.x.shape[1])))
    dt = given.dt_of(_told(dense, file), file)
    length, time = given.units_of(dense.length_unit, dense.time_unit, file)
    _demand_whole(dense, names, file)
    kept = _kept(dense.x, given.taken(names, file), names, file)
    tracks = Tracks(
        np.ascontiguousarray(dense.x[:, kept]),
        dt,
        tuple(names[k] for k in kept),
        length,
        time,
        charges=None if dense.charges is None else dense.charges[kept],
        masses=None if dense.masses is None else dense.masses[kept],
        source=source,
        first_frame=dense.first_frame,
        frame_step=dense.frame_step,
    )
    taken = ["positions"]
    taken += ["times"] * (dense.t is not None)
    taken += ["charges"] * (dense.charges is not None) + ["masses"] * (dense.masses is not None)
    left = f"; left out: {', '.join(dense.left_out)}" if dense.left_out else ""
    return replace(tracks, reading=(summary_line(tracks, ", ".join(taken)) + left,))


def _told(dense: Dense, file: str) -> float | None:
    """Return the time between frames as the file tells it; times must be even."""
    t = dense.t
    if t is None or len(t) < 2:
        return dense.frame_dt
    if not np.isfinite(t).all():
        at = int(np.argmin(np.isfinite(t)))
        raise FileFormatError(f"{file}, frame {at}: its time must be finite, got {t[at]}")
    grown = np.diff(t) > 0
    if not grown.all():
        at = int(np.argmin(grown)) + 1
        raise FileFormatError(
            f"{file}, frame {at}: its time {t[at]:g} is not after that of the frame before, "
            f"{t[at - 1]:g}"
        )
    frames = np.arange(len(t))
    dt = spacing_of(frames, t)
    if (found := uneven(frames, t, dt)) is not None:
        at, what = found
        raise FileFormatError(f"{file}, frame {at}: its time {t[at]:g} is uneven: {what}")
    return dt


def _demand_whole(dense: Dense, names: tuple[str, ...], file: str) -> None:
    """Demand positions that are finite, or missing as a whole."""
    known = np.isfinite(dense.x)
    wrong = (known.any(axis=2) != known.all(axis=2)) | np.isinf(dense.x).any(axis=2)
    if wrong.any():
        frame, i = (int(each) for each in np.argwhere(wrong)[0])
        raise FileFormatError(
            f"{file}, frame {frame}: the position of particle {names[i][:40]!r} must be finite, or "
            f"NaN as a whole where it is missing, got {dense.x[frame, i].tolist()}"
        )


def _kept(x: np.ndarray, wanted: list[int], names: tuple[str, ...], file: str) -> list[int]:
    """Leave out particles that are seen once or never."""
    counts = np.isfinite(x[:, :, 0]).sum(axis=0)
    kept = [k for k in wanted if counts[k] > 1]
    if not kept:
        raise FileFormatError(
            f"{file}: no particle is seen in two of its {counted(len(x), 'frame')}, so that none "
            "has a track"
        )
    if few := [names[k][:40] for k in wanted if counts[k] < 2]:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        shown = ", ".join(map(repr, few[:5]))
        warn(
            f"{file}: {counted(len(few), 'particle')} seen in less than two frames, left out: "
            f"{shown}{more}"
        )
    return kept
