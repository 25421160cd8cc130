"""Options of a discovery, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbody_surrogate.contracts.arguments import demand_flag, demand_number, demand_whole
from nbody_surrogate.discovery.freedom import DRAGS, Freedom
from nbody_surrogate.discovery.symbolic import demand_regressor
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.law_folder import MOST_KNOTS

if TYPE_CHECKING:
    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["MOST_DRAWS", "Options", "checked", "demand_callables", "demand_held_out"]

HELD_OUT = 10
"""Fewest frames of a run to judge by: below, blocks of them would be of one frame each."""

MOST_DRAWS = 100_000
"""For intervals: of a tenth of a per cent of their own, and all in memory."""

AXES = {"z": 2}
"""About which the simulator's directed forces are."""


@dataclass(frozen=True)
class Options:
    """What was asked for: see `discover`."""

    axis: int | None
    freedom: Freedom
    couplings: bool
    same_particles: bool
    hold_out: float
    bootstrap: int
    seed: int
    knots: int


def checked(
    axis: str | None,
    drag: str,
    couplings: bool,
    same_particles: bool,
    hold_out: float,
    bootstrap: int,
    seed: int,
    knots: int,
) -> Options:
    """Return the options of `discover`.

    Raises
    ------
    InputError
        If one is out of range.
    """
    if axis is not None and not (isinstance(axis, str) and axis in AXES):
        raise InputError(f"`axis` must be {' or '.join(AXES)}, or None, got {axis!r}")
    if not (isinstance(drag, str) and drag in DRAGS):
        raise InputError(f"`drag` must be one of {', '.join(DRAGS)}, got {drag!r}")
    demand_flag("couplings", couplings)
    demand_flag("same_particles", same_particles)
    share = demand_number("hold_out", hold_out)
    if not 0.0 <= share <= 0.5:
        raise InputError(f"`hold_out` must be from 0 to 0.5, got {hold_out!r}")
    if demand_whole("bootstrap", bootstrap, 20) > MOST_DRAWS:
        raise InputError(f"`bootstrap` must be from 20 to {MOST_DRAWS}, got {bootstrap}")
    demand_whole("seed", seed, 0)
    if demand_whole("knots", knots, 8) > MOST_KNOTS:
        raise InputError(f"`knots` must be from 8 to {MOST_KNOTS}, got {knots}")
    along = None if axis is None else AXES[axis]
    rest = couplings, same_particles, share, bootstrap, seed, knots
    return Options(along, Freedom(drag=drag), *rest)


def demand_held_out(runs: Sequence[Tracks], hold_out: float) -> None:
    """Refuse to judge by a handful of frames.

    Raises
    ------
    InputError
    """
    shortest = min(len(run.x) for run in runs)
    if hold_out > 0 and hold_out * shortest < HELD_OUT:
        raise InputError(
            f"`hold_out` must leave at least {HELD_OUT} of {shortest} frames to judge by, or none, "
            f"got {hold_out:g}; write 0 or at least {HELD_OUT / shortest:.2g}"
        )


def demand_callables(progress: Any, search: Any) -> None:
    """Refuse what cannot be called, or fitted.

    Raises
    ------
    InputError
    """
    if progress is not None and not callable(progress):
        raise InputError(
            f"`progress` must be callable with a stage and two numbers, got {progress!r}"
        )
    if search is not None:
        demand_regressor(search)
