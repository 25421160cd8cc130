"""From rows of a table to tracks: a place for each particle in each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, warn
from nbody_surrogate.files.limits import FRAMES
from nbody_surrogate.tracks.columns import AXES, Chosen, choose
from nbody_surrogate.tracks.given import Given
from nbody_surrogate.tracks.summary_line import summary_line
from nbody_surrogate.tracks.table import AbstractTable, Labels, Read
from nbody_surrogate.tracks.times import frames_of_times, spacing_of, uneven
from nbody_surrogate.tracks.tracks import Tracks, TrackSource

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["tracks_of_table"]

SMALL_BYTES, MAX_RATIO = 64 * 2**20, 100
"""Tracks of more bytes than that take at most so many times those of their rows: of two rows a
million frames apart all else would be missing."""

LARGEST_FRAME = 2**53  # up to which whole numbers are exact
MOST_NAMES = 5  # of particles, in a message
MOST_LEFT_OUT = 16  # columns that are named

BRIGHTNESS = 'trackpy\'s `mass` is a brightness; of a table where it is a mass, columns="mass=mass"'


def tracks_of_table(table: AbstractTable, source: TrackSource, given: Given) -> list[Tracks]:
    """Make tracks of a table, one for each run in it.

    Parameters
    ----------
    table : AbstractTable
    source : TrackSource
        The file.
    given : Given

    Returns
    -------
    list of Tracks

    Raises
    ------
    InputError
        If a column is missing or not sure, or the time between frames.
    FileFormatError
        If a row is wrong.
    """
    file = repr(str(table.path))
    chosen = choose(table.names, given.columns, file)
    # what the user has to say, before any row is looked at
    given.units_of(chosen.length_unit, chosen.time_unit, file)
    if "time" not in chosen.places:
        given.dt_of(None, file)
    read = _read(table, chosen)
    runs = _labels(chosen, read, "run")
    if runs is None:
        rows = np.arange(len(read.labels[chosen.places["particle"]].codes))
        return [_Rows(table, chosen, read, rows, given).tracks(source)]
    order = np.argsort(runs.codes, kind="stable")
    ends = np.cumsum(np.bincount(runs.codes, minlength=len(runs.names)))
    return [
        _Rows(table, chosen, read, rows, given).tracks(
            TrackSource(source.file, source.sha256, name)
        )
        for name, rows in zip(runs.names, np.split(order, ends[:-1]), strict=True)
    ]


def _read(table: AbstractTable, chosen: Chosen) -> Read:
    """Read the columns that are needed; those of one name must hold the same."""
    labels = [chosen.places[role] for role in ("particle", "run") if role in chosen.places]
    others = [k for each in chosen.again.values() for k in each]
    numbers = [k for k in (*chosen.places.values(), *others) if k not in labels]
    read = table.read(numbers, labels)
    for role, again in chosen.again.items():
        first = chosen.places[role]
        for k in again:
            differs = (
                np.ones(1, dtype=bool)
                if first in labels
                else read.numbers[first] != read.numbers[k]
            )
            if differs.any():
                name = table.names[first][:40]
                table.wrong(int(np.argmax(differs)), f"two columns {name!r} differ")
    return read


def _labels(chosen: Chosen, read: Read, role: str) -> Labels | None:
    return read.labels[chosen.places[role]] if role in chosen.places else None


@dataclass
class _Rows:
    """The rows of one run."""

    table: AbstractTable
    chosen: Chosen
    read: Read
    rows: Int64[np.ndarray, " R"]
    given: Given

    @property
    def file(self) -> str:
        return repr(str(self.table.path))

    def numbers(self, role: str) -> Float64[np.ndarray, " R"] | None:
        if role not in self.chosen.places:
            return None
        return np.asarray(self.read.numbers[self.chosen.places[role]][self.rows])

    def tracks(self, source: TrackSource) -> Tracks:
        """Put the rows of one run together."""
        names, codes = self._particles()
        frames, told = self._clock()
        dt = self.given.dt_of(told, self.file)
        first, step = int(frames.min()), _step(frames)
        places = (frames - first) // step
        x = self._positions(places, codes, len(names))
        length, time = self.given.units_of(
            self.chosen.length_unit, self.chosen.time_unit, self.file
        )
        tracks = Tracks(
            x,
            dt * step,
            names,
            length,
            time,
            charges=self._constant("charge", codes, len(names)),
            masses=self._constant("mass", codes, len(names)),
            source=source,
            first_frame=first,
            frame_step=step,
        )
        return replace(tracks, reading=self._said(tracks))

    def _particles(self) -> tuple[tuple[str, ...], Int64[np.ndarray, " R"]]:
        """Choose the particles, and leave out those that are seen once."""
        labels = _labels(self.chosen, self.read, "particle")
        assert labels is not None  # `choose` demands it
        here = np.unique(labels.codes[self.rows])
        known = [labels.names[k] for k in here]
        wanted = here[self.given.taken(known, self.file)]
        self.rows = self.rows[np.isin(labels.codes[self.rows], wanted)]
        counts = np.bincount(labels.codes[self.rows], minlength=len(labels.names))
        once = [int(k) for k in wanted if counts[k] == 1]
        if len(once) == len(wanted):
            row = self.rows[labels.codes[self.rows] == once[0]][0]
            self.table.wrong(int(row), "each particle is seen once, so that none has a track")
        if once:
            self._tell_once(labels, once)
            self.rows = self.rows[~np.isin(labels.codes[self.rows], once)]
        kept, codes = np.unique(labels.codes[self.rows], return_inverse=True)
        return tuple(labels.names[k] for k in kept), codes.ravel().astype(np.int64)

    def _tell_once(self, labels: Labels, once: list[int]) -> None:
        row = int(self.rows[labels.codes[self.rows] == once[0]][0])
        names = ", ".join(repr(labels.names[k][:40]) for k in once[:MOST_NAMES])
        more = f" and {len(once) - MOST_NAMES} more" if len(once) > MOST_NAMES else ""
        warn(
            f"{self.file}, {self.table.place(row)}: {counted(len(once), 'particle')} seen once, "
            f"left out: {names}{more}"
        )

    def _clock(self) -> tuple[Int64[np.ndarray, " R"], float | None]:
        """Return the number of each row's frame, and the time between frames where it is told."""
        numbers, t = self.numbers("frame"), self.numbers("time")
        if numbers is not None:
            wrong = (numbers != np.rint(numbers)) | (np.abs(numbers) >= LARGEST_FRAME)
            if wrong.any():
                k = int(np.argmax(wrong))
                self._wrong(k, f"`frame` must be a whole number, got {numbers[k]:.17g}")
            frames = numbers.astype(np.int64)
        else:
            assert t is not None  # `choose` demands one of the two
            times, each = np.unique(t, return_inverse=True)
            frames = frames_of_times(times)[each.ravel()]
        if t is None:
            return frames, None
        return frames, self._even_spacing(frames, t)

    def _even_spacing(self, frames: np.ndarray, t: np.ndarray) -> float:
        """Return the time between frames, and demand that all rows agree with it."""
        known, first, each = np.unique(frames, return_index=True, return_inverse=True)
        differs = t != t[first][each.ravel()]
        if differs.any():
            k = int(np.argmax(differs))
            same = t[first[each.ravel()[k]]]
            self._wrong(k, f"its time {t[k]:g} is not that of its frame, {same:g}")
        if len(known) < 2:
            self._wrong(0, "all rows are of one frame, so that no particle has a track")
        times = t[first]
        if not (grown := np.diff(times) > 0).all():
            k = int(np.argmin(grown)) + 1
            self._wrong(
                int(first[k]),
                f"its time {times[k]:g} is not after that of the frame before, {times[k - 1]:g}",
            )
        dt = spacing_of(known, times)
        if (found := uneven(known, times, dt)) is not None:
            k, what = found
            self._wrong(int(first[k]), f"its time {times[k]:g} is uneven: {what}")
        return dt

    def _wrong(self, k: int, what: str) -> None:
        self.table.wrong(int(self.rows[k]), what)

    def _positions(self, places: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
        """Put positions in their places, shape (T, N, D)."""
        axes = [axis for axis in AXES if axis in self.chosen.places]
        frames = int(places.max()) + 1
        needed, held = 8 * frames * n * len(axes), 8 * len(places) * len(axes)
        if needed > min(FRAMES.largest, max(SMALL_BYTES, MAX_RATIO * held)):
            raise FileFormatError(
                f"{self.file}: {counted(len(places), 'row')} of {counted(n, 'particle')} over "
                f"{counted(frames, 'frame')} would take {needed} bytes, nearly all of them "
                "missing; mend the numbers of frames, or leave out what is seen for a few frames"
            )
        flat = places * n + codes
        self._refuse_doubled(flat)
        x = np.full((frames * n, len(axes)), np.nan)
        for k, axis in enumerate(axes):
            x[flat, k] = self.numbers(axis)
        return x.reshape(frames, n, len(axes))

    def _refuse_doubled(self, flat: np.ndarray) -> None:
        order = np.argsort(flat, kind="stable")
        again = np.flatnonzero(np.diff(flat[order]) == 0)
        if not len(again):
            return
        at = again[np.argmin(order[again + 1])]  # the first row that is there already
        first, second = int(order[at]), int(order[at + 1])
        labels = _labels(self.chosen, self.read, "particle")
        assert labels is not None
        name = labels.names[labels.codes[self.rows[second]]]
        before = self.table.place(int(self.rows[first]))
        self._wrong(second, f"particle {name[:40]!r} is in this frame already, in {before}")

    def _constant(self, role: str, codes: np.ndarray, n: int) -> np.ndarray | None:
        """Return what each particle has once, shape (N,)."""
        values = self.numbers(role)
        if values is None:
            return None
        found = np.full(n, math.nan)
        found[codes[::-1]] = values[::-1]  # the first row of each
        differs = values != found[codes]
        if differs.any():
            k = int(np.argmax(differs))
            self._wrong(
                k, f"the {role} of a particle changes, from {found[codes[k]]:g} to {values[k]:g}"
            )
        return found

    def _said(self, tracks: Tracks) -> tuple[str, ...]:
        """Say what was taken for what."""
        table, places = self.table, self.chosen.places
        taken = [
            role if table.names[k].lower() == role else f"{table.names[k][:40]} as {role}"
            for role, k in places.items()
        ]
        left = [name[:40] or "a column without a name" for name in self.chosen.left_out]
        more = f" and {len(left) - MOST_LEFT_OUT} more" if len(left) > MOST_LEFT_OUT else ""
        said = f"columns {', '.join(taken)}"
        end = ""
        if left:
            named = ", ".join(left[:MOST_LEFT_OUT])
            bright = f" ({BRIGHTNESS})" if "mass" in map(str.lower, left) else ""
            end = f"; left out: {named}{more}{bright}"
        return (summary_line(tracks, said) + end,)


def _step(frames: np.ndarray) -> int:
    """Return by how much frames are numbered on: 5 where every fifth was looked at."""
    distances = np.unique(np.diff(np.unique(frames)))
    return int(np.gcd.reduce(distances)) if len(distances) else 1
