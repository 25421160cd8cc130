"""What a guard found, as arrays: a place for each segment of each trajectory.

A segment trips once at most, so the arrays have their final size before the run, and a run that
is killed has told all that it found. S segments, B trajectories, below `GUARD`:

===============  ==================================================================
segments         S, an integer
frame (S, B)     first frame at fault, -1 for the start; 0 where the segment was not
reason (S, B)    place in `nbody_surrogate.results.guard_events.REASONS`
value (S, B)     the number at fault, in reduced units or as a share of its scale
limit (S, B)     what it should have kept to
text (S, B)      why, where that is no matter of numbers, else empty: `TEXT_BYTES` of UTF-8
===============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nbody_surrogate.files.hdf5 import (
    FLOAT,
    INTEGER,
    allocate,
    check_size,
    floats_at,
    group_at,
    integer_array_at,
    integers_at,
    offset_of,
    open_floats,
    open_integers,
    open_texts,
    text_type,
)
from nbody_surrogate.results.guard_events import REASONS, TEXT_BYTES, GuardEvents
from nbody_surrogate.results.trajectory import RunInfo

__all__ = [
    *("GUARD", "GuardPlaces", "create_guard", "find_guard", "guard_bytes", "read_guard"),
    "segments_told_of",
]

GUARD = "guard"
"""The group's name."""

AT_START = -1  # in place of frame 0, which stands for no event

INTEGERS, FLOATS, TEXT = ("frame", "reason"), ("value", "limit"), "text"


def guard_bytes(batch: int, segments: int) -> int:
    """Bytes that the arrays take."""
    return (8 * len(INTEGERS + FLOATS) + TEXT_BYTES) * batch * segments


def segments_told_of(info: RunInfo | None) -> int:
    """Segments up to the last that the guard of a run tripped in."""
    if info is None or info.guard is None:
        return 0
    return 1 + int(info.guard.gathered.segment.max(initial=-1))


class GuardPlaces(NamedTuple):
    """Where the arrays stand in a file."""

    segments: int
    batch: int
    offsets: dict[str, int]

    def pieces(self, events: GuardEvents, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Give where to write what, for the segments from `first` up to, not including, `stop`.

        Texts come first: a frame says that there is an event.
        """
        events = events.where((events.segment >= first) & (events.segment < stop))
        rows, columns = events.segment - first, events.trajectory
        for index in np.flatnonzero(events.text != "").tolist():
            place = int(events.segment[index]) * self.batch + int(columns[index])
            text = str(events.text[index]).encode()
            yield self.offsets[TEXT] + TEXT_BYTES * place, text.ljust(TEXT_BYTES, b"\0")
        for name in (*FLOATS, *reversed(INTEGERS)):
            dtype = FLOAT if name in FLOATS else INTEGER
            values = np.zeros((stop - first, self.batch), dtype)
            values[rows, columns] = _stored(name, getattr(events, name))
            yield self.offsets[name] + 8 * first * self.batch, values.tobytes()


def create_guard(parent: Any, batch: int, segments: int) -> GuardPlaces:
    """Allocate the arrays."""
    group, shape = parent.create_group(GUARD), (segments, batch)
    allocate(group, "segments", segments, INTEGER)
    made = {name: allocate(group, name, None, INTEGER, shape) for name in INTEGERS}
    made |= {name: allocate(group, name, None, FLOAT, shape) for name in FLOATS}
    made[TEXT] = allocate(group, TEXT, None, text_type(TEXT_BYTES), shape)
    return GuardPlaces(segments, batch, {name: offset_of(each) for name, each in made.items()})


def find_guard(ours: Any, batch: int) -> GuardPlaces | None:
    """Find the arrays in a file, which is not trusted; None where it has none.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    if GUARD not in ours:
        return None
    group = group_at(ours, GUARD)
    (segments,) = integers_at(group, "segments")
    if segments < 1:
        raise ValueError(f"its guard watched {segments} segments")
    check_size(ours.file, guard_bytes(batch, segments))
    shape = (segments, batch)
    found = {name: open_integers(group, name, shape) for name in INTEGERS}
    found |= {name: open_floats(group, name, shape) for name in FLOATS}
    found[TEXT] = open_texts(group, TEXT, TEXT_BYTES, shape)
    return GuardPlaces(segments, batch, {name: offset_of(each) for name, each in found.items()})


def read_guard(ours: Any, batch: int, frames: int | None) -> GuardEvents | None:
    """Read the events of the first `frames` frames, the start included; None for all.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    places = find_guard(ours, batch)
    if places is None:
        return None
    group, shape = group_at(ours, GUARD), (places.segments, batch)
    frame = integer_array_at(group, "frame", shape)
    # beyond the frames that are there stands what a run found that was killed and goes on
    there = frame != 0 if frames is None else (frame != 0) & (frame < frames)
    segment, trajectory = np.nonzero(there)
    reason = integer_array_at(group, "reason", shape)[segment, trajectory]
    if not ((reason >= 0) & (reason < len(REASONS))).all():
        raise ValueError("its guard found what this version has no word for")
    value, limit = (floats_at(group, name, shape)[segment, trajectory] for name in FLOATS)
    text = _texts(open_texts(group, TEXT, TEXT_BYTES, shape), value, segment, trajectory)
    first = frame[segment, trajectory]
    if not (first >= AT_START).all():
        raise ValueError("its guard found a frame before the start")
    first = np.where(first == AT_START, 0, first)
    return GuardEvents(trajectory, segment, first, reason, value, limit, text)


def _stored(name: str, values: np.ndarray) -> np.ndarray:
    """Return the numbers of events as files hold them."""
    return np.where(values == 0, AT_START, values) if name == "frame" else values


def _texts(
    dataset: Any, value: np.ndarray, segment: np.ndarray, trajectory: np.ndarray
) -> np.ndarray:
    """Read the texts of events that are no matter of numbers."""
    text = np.full(len(value), "", dtype=object)
    wordy = np.flatnonzero(np.isnan(value))
    # row by row: most segments have none
    for row in np.unique(segment[wordy]).tolist():
        values = dataset[row]
        for index in wordy[segment[wordy] == row].tolist():
            text[index] = values[trajectory[index]].decode(errors="replace")
    return text
