"""How far a compiled solver got with a trajectory."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PATIENCE", "SPECK", "TOO_SHORT", "Outcome"]

SPECK, PATIENCE = 2.0**-52, 1000
"""Of a frame, the share that is as good as nothing, and how many steps in a row may be shorter.
Near t = 0, where floats are dense, a step may have any size: one of 1e-77, of a coupling of 1e150,
is no less than the spacing of numbers, and would have to be taken 1e76 times. Steps that begin so
short and grow have grown before: two charges that start 1e-28 apart take 315 for a whole run."""

TOO_SHORT = "steps are too short to ever reach the next frame, as of forces far too strong"


class Outcome(NamedTuple):
    """Frames filled in, why no further, steps, and how often the forces were computed."""

    frames: int
    failure: str | None
    steps: int
    counter: float
