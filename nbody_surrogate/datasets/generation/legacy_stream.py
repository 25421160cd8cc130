"""Starts of published data sets: one stream for all trajectories, drawn in turn.

So that a data set can be made shard by shard and gone on with, each shard keeps the state of the
stream after its last draw.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, stacked
from nbody_surrogate.datasets.spec import DatasetSpec

__all__ = ["LegacyStarts", "LegacyStream"]

LARGEST = np.array([2.0**32 - 1] * 624 + [624, 1])
"""Of the whole numbers in a state: 624 words, the place among them, whether a number is cached."""


class LegacyStarts(NamedTuple):
    """Starts of some trajectories, drawn from a legacy stream.

    Attributes
    ----------
    state : State, shape (B, N, D)
    particles : Particles, shape (B, N)
    stream : ndarray, shape (627,)
        State of the stream after them.
    """

    state: State
    particles: Particles
    stream: np.ndarray


@final
class LegacyStream:
    """The legacy stream of a spec, at a place in it.

    Parameters
    ----------
    spec : DatasetSpec
        With `legacy`.
    system : AbstractSystem
    """

    def __init__(self, spec: DatasetSpec, system: AbstractSystem) -> None:
        assert spec.legacy is not None and spec.legacy.rows is not None
        self._spec, self._system, self._rows = spec, system, spec.legacy.rows
        self._stream = np.random.RandomState(spec.seed)
        self._place = 0

    def draw(self, part: range) -> LegacyStarts:
        """Draw the starts of trajectories, all of which lie further on in the stream."""
        draws = []
        for i in part:
            for _ in range(self._place_of(i) - self._place):
                self._next()
            draws.append(self._next())
        return LegacyStarts(*stacked(draws), self._state())

    def _next(self) -> Draw:
        spec = self._spec
        self._place += 1
        draw = self._system.legacy_draw(self._stream, spec.particles, spec.dimensions, self._rows)
        assert draw is not None
        return draw

    def _place_of(self, i: int) -> int:
        """Place in the stream of trajectory `i`."""
        places = self._spec.stream_places()
        for name, part in self._spec.ranges.items():
            if i in part:
                return places[name][0] + i - part.start
        raise AssertionError(f"trajectory {i} is in no split")

    def _state(self) -> np.ndarray:
        """State of the stream as numbers, shape (627,)."""
        state: Any = self._stream.get_state()  # a name, then what follows
        _, key, position, has_gauss, cached = state
        return np.concatenate([key.astype(np.float64), [position, has_gauss, cached]])

    def jump(self, part: range, state: np.ndarray) -> None:
        """Go to where the stream was after the draws of `part`.

        Raises
        ------
        ValueError
            If it is not such a state.
        """
        whole = state[:-1]  # NumPy takes any place, and reads what lies there
        if not ((whole >= 0) & (whole <= LARGEST) & (whole == np.floor(whole))).all():
            raise ValueError("its state is none of a legacy stream")
        key = state[:-3].astype(np.uint32)
        position, has_gauss = int(state[-3]), int(state[-2])
        self._stream.set_state(("MT19937", key, position, has_gauss, float(state[-1])))
        self._place = self._place_of(part[-1]) + 1
