"""How much memory a run takes, and how much there is: told before anything is allocated.

A system that grants more memory than it has ends the process that makes use of it, without a word.
Of the estimates here only the order counts: they refuse what is far too large.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError, NBodyError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system_spec import Draw

if sys.platform != "win32":
    import resource

__all__ = [
    "available_memory",
    "demand_memory",
    "demand_pairs_memory",
    "demand_starts_memory",
    "frame_bytes",
    "pair_bytes",
    "start_bytes",
]

NUMBER = 8  # bytes of a float64
DRAW = 1000
"""Bytes of Python's objects for one start: five arrays and their generator, measured as 900."""

LARGE = 10**9
"""Bytes of starts with couplings beyond which it is worth a look whether there are some."""

COPIES = 3  # of a start: as drawn, stacked, and frozen
PAIR_ARRAYS = 10
"""Arrays that a measure of all pairs has at a time: two indices, differences, squares, a sort."""

BIG = 10**8
"""Bytes below which nobody asks what there is."""

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Of a control group, its limit and what is in use, in version 2 and in version 1."""


def start_bytes(batch: int, n: int, dimensions: int, *, coupled: bool = False) -> int:
    """Return about what the starts of B trajectories of N particles take, in bytes.

    With couplings there are N times N for each. Radii, a seventh at most, are not counted.
    """
    numbers = 2 * n * dimensions + 2 * n + (n * n if coupled else 0)
    return batch * (DRAW + COPIES * NUMBER * numbers)


def demand_starts_memory(batch: int, n: int, dimensions: int, draw_few: Callable[[], Draw]) -> None:
    """Demand the memory for the starts of B trajectories of N particles; nobody waits to be told.

    Parameters
    ----------
    batch, n, dimensions : int
    draw_few : callable
        Draws a small start, which shows whether the system has couplings.

    Raises
    ------
    InputError
        If there is not so much.
    """
    what = f"the starts of {batch} `trajectories` with {n} `particles`"
    demand_memory(start_bytes(batch, n, dimensions), what, "use fewer")
    if start_bytes(batch, n, dimensions, coupled=True) > LARGE:
        coupled = False
        with suppress(NBodyError):
            coupled = draw_few().couplings is not None
        needed = start_bytes(batch, n, dimensions, coupled=coupled)
        demand_memory(needed, what + ", coupled in pairs,", "use fewer")


def frame_bytes(batch: int, frames: int, n: int, dimensions: int) -> int:
    """Return what the frames of a run take in memory, in bytes: x and v, shape (B, T, N, D)."""
    return 2 * NUMBER * batch * frames * n * dimensions


def pair_bytes(batch: int, frames: int, n: int) -> int:
    """Return about what a measure of all pairs takes, with so many frames at a time, in bytes."""
    return PAIR_ARRAYS * NUMBER * batch * frames * (n * (n - 1) // 2)


def demand_pairs_memory(batch: int, frames: int, n: int) -> None:
    """Demand the memory for a measure of all pairs of N particles.

    Raises
    ------
    InputError
        If there is not so much.
    """
    what = f"all pairs of {counted(n, 'particle')} in {counted(batch, 'trajectory')}"
    demand_memory(pair_bytes(batch, frames, n), what, "measure fewer `particles` or trajectories")


def demand_memory(needed: int, what: str, instead: str) -> None:
    """Raise where something takes more memory than there is.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        For the message, in the plural: what takes them.
    instead : str
        For the message: what would do.

    Raises
    ------
    InputError
        If there is not so much.
    """
    if needed < BIG:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise InputError(
            f"{what} take about {_size(needed)} of memory, there are {_size(available)}; {instead}"
        )


def available_memory() -> int | None:
    """Return how many bytes this process can still have, None where nothing says so.

    That is what the machine has free, within the limits of its control groups and its own.
    """
    known = [*_free(), *_left_in_groups(), *_left_of_address_space()]
    return max(min(known), 0) if known else None


def _free() -> Iterator[int]:
    """Yield what is free or can be freed, swap included; else what is built in."""
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, rest in map(_halves, lines)}
        yield 1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0))
    except (OSError, ValueError, IndexError, KeyError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_in_groups() -> Iterator[int]:
    """Yield what each control group above this process leaves it."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = CGROUPS / controllers
        # a limit holds for all groups below; inside a container the upper ones are out of sight
        for place in [root / path.strip("/"), *(root / path.strip("/")).parents]:
            if place.is_relative_to(CGROUPS):
                yield from _left_in(place)


def _left_in(group: Path) -> Iterator[int]:
    for limit, used in LIMITS:
        try:
            most = int((group / limit).read_text())
            now = int((group / used).read_text())
            lines = (group / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # none, or "max"
            continue
        # files in the cache count as used, and give way
        cached = [int(line.split()[1]) for line in lines if line.startswith("inactive_file ")]
        yield most - now + sum(cached)


def _left_of_address_space() -> Iterator[int]:
    """Yield what the process' own limit leaves, as set by `ulimit -v`."""
    if sys.platform == "win32":
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return
    try:
        pages = int((PROC / "self" / "statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        pages = 0
    yield most - pages * os.sysconf("SC_PAGE_SIZE")


def _halves(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(":")
    return name, rest


def _size(count: int) -> str:
    """Write bytes with a unit, as "1.6 GB"."""
    step = min(int(math.log10(max(count, 1)) / 3), 5)
    unit = ("bytes", "kB", "MB", "GB", "TB", "PB")[step]
    return f"{count / 1000**step:.3g} {unit}"
