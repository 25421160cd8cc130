"""What pictures show of a system has to be well formed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from nbody_surrogate.contracts.scenery import Shape
from nbody_surrogate.contracts.state import State
from nbody_surrogate.testing.case import SystemCase

__all__ = ["check_scenery"]


def check_scenery(case: SystemCase) -> None:
    """Scenery is of shapes that can be drawn, for any N, and the same each time."""
    for n in (1, 2, 5):
        for dimensions in case.dimensions:
            state, particles = case.system.sample(9, n, 1, dimensions)
            # as frames of a surrogate's run have it too: without what is hidden
            start = State(state.t, state.x, state.v)
            for given in (state, start) if state.hidden else (start,):
                first, again = (case.system.scenery(given, particles) for _ in range(2))
                same = len(first) == len(again) and all(map(_same, first, again))
                case.demand(same, "must return the same shapes each time", "_scenery")
    # couplings are left out where another program's run has none
    case.system.scenery(start, replace(particles, couplings=None))


def _same(one: Shape, other: Shape) -> bool:
    return type(one) is type(other) and all(
        np.array_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(one)
    )
