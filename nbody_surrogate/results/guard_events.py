"""What tripped a guard: one event, and many of them as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final, overload

import numpy as np

from nbody_surrogate.contracts.time_text import number_text

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

__all__ = ["REASONS", "TEXT_BYTES", "GuardEvent", "GuardEvents", "told_apart"]

REASONS = (
    *("non-finite", "energy", "momentum", "angular momentum"),
    *("distance", "speed", "particles", "time"),
    *("position", "local error", "estimate"),
)
"""Why a segment may trip. Files hold their numbers: a new one is added at the end."""

DRIFTS = frozenset({"energy", "momentum", "angular momentum"})
OTHERS = {
    "non-finite": "numbers that are not finite",  # of a method that does not say more
    "distance": "a pair at distance {:.3g}, the limit is {:.3g}",
    "speed": "a particle of speed {:.3g}, the limit is {:.3g}",
    "particles": "a number of particles of {:.0f}, the limit is {:g}",
}
OF_SPREAD = {
    "position": "a position error of {} of the spread at the start, the budget is {} by now",
    "estimate": "an estimated error of {} of the spread at the start, the budget is {} by now",
    "local error": "a frame whose error would be {} of the spread at the end, the limit is {}",
}


TEXT_BYTES = 200
"""Of a detail in words, in UTF-8: what is longer is cut, as files keep that much room for each."""


def told_apart(value: float, limit: float) -> tuple[str, str]:
    """Return two numbers as text, with so many digits that different ones differ."""
    pairs = [(f"{value:.{digits}g}", f"{limit:.{digits}g}") for digits in (2, 4, 8, 17)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])


def detail_of(reason: str, value: float, limit: float) -> str:
    """Say in words that a value is beyond its limit."""
    if reason in DRIFTS:
        lost, budget = told_apart(value, limit)
        return f"{reason} error {lost} of its scale, the budget is {budget} by now"
    if reason in OF_SPREAD:
        return OF_SPREAD[reason].format(*told_apart(value, limit))
    if reason == "time":  # with digits enough to tell frames late in a long run apart
        since = f"time {number_text(value, 9)} since the start"
        return f"{since}, the limit is {number_text(limit, 9)}"
    return OTHERS[reason].format(value, limit)


@dataclass(frozen=True)
class GuardEvent:
    """A segment that tripped the guard.

    Attributes
    ----------
    trajectory : int
    segment : int
        Counted from 0.
    frame : int
        The first frame at fault; 0 is the start.
    reason : str
        One of `REASONS`.
    detail : str
        The reason with its numbers.
    value, limit : float or None
        Those numbers, in reduced units; drifts are shares of their scales. None where the reason
        is none of numbers, and in what releases before the numbers wrote.
    """

    trajectory: int
    segment: int
    frame: int
    reason: str
    detail: str
    value: float | None = None
    limit: float | None = None

    @classmethod
    def beyond(
        cls, place: tuple[int, int, int], reason: str, value: float, limit: float
    ) -> GuardEvent:
        """Return an event of numbers, at a trajectory, a segment and a frame."""
        return cls(*place, reason, detail_of(reason, value, limit), value, limit)

    def __str__(self) -> str:
        where = f"trajectory {self.trajectory}, segment {self.segment}, frame {self.frame}"
        return f"{where}: {self.detail}"


# arrays, as a run of 10^4 trajectories may have 10^6 events: objects would take 300 bytes each
@final
@dataclass(frozen=True, eq=False)
class GuardEvents(Sequence[GuardEvent]):
    """Events in the order of the segments, E of them, at most one a trajectory and segment.

    Attributes
    ----------
    trajectory, segment, frame : ndarray of int, shape (E,)
    reason : ndarray of int, shape (E,)
        Places in `REASONS`.
    value, limit : ndarray, shape (E,)
        NaN where there are none.
    text : ndarray of str, shape (E,)
        The detail where it does not follow from the numbers, else empty.
    """

    trajectory: Int64[np.ndarray, " E"]
    segment: Int64[np.ndarray, " E"]
    frame: Int64[np.ndarray, " E"]
    reason: Int64[np.ndarray, " E"]
    value: Float64[np.ndarray, " E"]
    limit: Float64[np.ndarray, " E"]
    text: np.ndarray

    @classmethod
    def of(cls, events: Iterable[GuardEvent]) -> GuardEvents:
        """Gather single events.

        Raises
        ------
        ValueError
            If the reason of one is none of `REASONS`.
        """
        if isinstance(events, GuardEvents):
            return events
        rows = list(events)
        integers = [[e.trajectory, e.segment, e.frame, REASONS.index(e.reason)] for e in rows]
        values = [[_or_nan(e.value), _or_nan(e.limit)] for e in rows]
        text = np.array(["" if _is_of_numbers(e) else _cut(e.detail) for e in rows], dtype=object)
        columns = np.array(integers, dtype=np.int64).reshape(-1, 4).T
        numbers = np.array(values, dtype=np.float64).reshape(-1, 2).T
        return cls._from_columns((*columns, *numbers, text))

    @overload
    def __getitem__(self, index: int) -> GuardEvent: ...

    @overload
    def __getitem__(self, index: slice) -> GuardEvents: ...

    def __getitem__(self, index: int | slice) -> GuardEvent | GuardEvents:
        if isinstance(index, slice):
            return self.where(index)
        place = (int(self.trajectory[index]), int(self.segment[index]), int(self.frame[index]))
        reason, text = REASONS[self.reason[index]], str(self.text[index])
        value, limit = float(self.value[index]), float(self.limit[index])
        return (
            GuardEvent(*place, reason, text)
            if text
            else GuardEvent.beyond(place, reason, value, limit)
        )

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<{len(self)} guard events>"

    def __iter__(self) -> Iterator[GuardEvent]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GuardEvents):
            pairs = zip(self._columns, other._columns, strict=True)
            # NaN stands for no number, and none is as good as another
            return len(self) == len(other) and all(_same(one, two) for one, two in pairs)
        return isinstance(other, tuple | list) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of what is compared by its arrays

    def __add__(self, more: GuardEvents) -> GuardEvents:
        """Return these events, and others after them."""
        pairs = zip(self._columns, more._columns, strict=True)
        return GuardEvents(*(np.concatenate(pair) for pair in pairs))

    def where(
        self, chosen: slice | Bool[np.ndarray, " E"] | Int64[np.ndarray, " F"]
    ) -> GuardEvents:
        """Return those at some places."""
        return GuardEvents(*(column[chosen] for column in self._columns))

    def of_trajectories(self, chosen: Int64[np.ndarray, " S"]) -> GuardEvents:
        """Return what concerns some trajectories, shape (S,), as trajectories 0, 1, ..."""
        first, last = np.searchsorted(self._sorted, [chosen, chosen + 1])
        rows = [self._order[begin:end] for begin, end in zip(first, last, strict=True)]
        own = self.where(np.concatenate(rows))
        new = np.repeat(np.arange(len(chosen)), last - first)
        there = GuardEvents(new, *own._columns[1:])
        return there.where(np.argsort(there.segment, kind="stable"))

    @classmethod
    def _from_columns(cls, columns: Iterable[np.ndarray]) -> GuardEvents:
        return cls(*columns)

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return (
            *(self.trajectory, self.segment, self.frame, self.reason),
            *(self.value, self.limit, self.text),
        )

    # once for all trajectories: each looking through all events would take hours
    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.trajectory, kind="stable")

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.asarray(self.trajectory[self._order])


def _is_of_numbers(event: GuardEvent) -> bool:
    return event.value is not None and event.limit is not None


def _cut(text: str) -> str:
    """Return what a file holds of a text: no zeros, which end it there, and so many bytes."""
    encoded = text.replace("\0", " ").encode(errors="replace")
    return encoded[:TEXT_BYTES].decode(errors="ignore")


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return bool(np.array_equal(one, two, equal_nan=one.dtype.kind == "f"))
