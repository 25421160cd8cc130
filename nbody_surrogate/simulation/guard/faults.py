"""What is wrong with the frames of a segment, and the events that this makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nbody_surrogate.results.guard_events import GuardEvent

__all__ = ["Failure", "Fault", "first_events"]


class Fault(NamedTuple):
    """Where a segment is at fault for one reason: (B, F), by which values, beyond which limit."""

    reason: str
    at: np.ndarray
    value: Callable[[int, int], float]
    limit: float


class Failure(NamedTuple):
    """Where the method gave up: (B, F), and what it said of each trajectory."""

    at: np.ndarray
    message: tuple[str, ...]
    reason: str = "non-finite"


def first_events(
    first: int, segment: int, faults: Sequence[Fault | Failure], watched: np.ndarray
) -> list[GuardEvent]:
    """Name the first fault of each trajectory that has one.

    Parameters
    ----------
    first : int
        Number of the first of the frames that the faults are about.
    segment : int
    faults : sequence of Fault or Failure
        In the order in which reasons are told of one frame.
    watched : ndarray of bool, shape (B,)
        One that was stopped is frozen, and would trip in every segment to come.
    """
    at = np.stack([fault.at for fault in faults]) & watched[:, None]
    events = []
    for b in np.flatnonzero(at.any((0, 2))).tolist():
        # the first frame decides; of its reasons, the first that was looked for
        f = int(at[:, b].any(0).argmax())
        fault = faults[int(at[:, b, f].argmax())]
        place = (b, segment, first + f)
        if isinstance(fault, Fault):
            value, limit = float(fault.value(b, f)), float(fault.limit)
            events.append(GuardEvent.beyond(place, fault.reason, value, limit))
        else:
            events.append(GuardEvent(*place, fault.reason, fault.message[b]))
    return events
