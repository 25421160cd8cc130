"""How far a compiled solver got with a trajectory."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Outcome"]


class Outcome(NamedTuple):
    """Frames filled in, why no further, steps, and how often the forces were computed."""

    frames: int
    failure: str | None
    steps: int
    counter: float
