"""The clocks that methods are timed by."""

from __future__ import annotations

import time

from nbody_surrogate.errors import InputError

__all__ = ["CLOCKS", "check_clock"]

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def check_clock(clock: str, threads: int) -> None:
    """Demand a clock that there is, and one that means something.

    Raises
    ------
    InputError
        If it is unknown, or sums the times of several threads.
    """
    if clock not in CLOCKS:
        raise InputError(f"`clock` must be one of {', '.join(CLOCKS)}, got {clock!r}")
    if clock == "processor" and threads > 1:
        raise InputError(
            f"`clock` processor goes with one thread only, got {threads}: it sums those of all"
        )
