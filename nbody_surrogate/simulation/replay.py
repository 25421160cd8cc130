"""Segments of which some trajectories are not what the method gave: frozen, or replayed."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import FAILED, HIDDEN_PREFIX, OK, Carry, Segment
from nbody_surrogate.integrators.solver_doubt import solver_doubt

__all__ = ["SegmentEdit", "standstill"]


@final
class SegmentEdit:
    """A segment in the making, of which some trajectories are not what the method gave."""

    def __init__(self, carry: Carry, segment: Segment) -> None:
        self.carry, self._made = carry, segment
        # copies: the carry shares a segment's frames, which are frozen
        self.x, self.v = segment.x.copy(), segment.v.copy()
        # none, where the method keeps none
        self.hidden = {name: values.copy() for name, values in segment.hidden.items()}
        self.status, self.good = segment.status.copy(), segment.good.copy()
        self.message = list(segment.message)
        self.counters = dict(segment.counters)
        self.vouched = np.full(self.x.shape[:2], np.nan)
        if segment.vouched is not None:
            self.vouched[...] = segment.vouched
        self._replayed: list[int] = []

    def freeze(self, b: int, valid: int, why: str) -> None:
        """Hold a trajectory at the last of its valid frames."""
        for key, values in self._moving.items():
            values[b, valid:] = values[b, valid - 1] if valid else self.carry.arrays[key][b]
        self.status[b], self.good[b], self.message[b] = FAILED, valid, why

    @property
    def _moving(self) -> dict[str, np.ndarray]:
        """Frames by the names that a carry has for them."""
        hidden = {HIDDEN_PREFIX + name: values for name, values in self.hidden.items()}
        return {"x": self.x, "v": self.v, **hidden}

    def replace(self, b: int, replayed: Segment, solver: AbstractIntegrator) -> None:
        """Take the only trajectory of another segment, which a solver made, for trajectory `b`."""
        self.vouched[b] = solver_doubt(solver, replayed.x[0])
        self.x[b], self.v[b] = replayed.x[0], replayed.v[0]
        for name, values in self.hidden.items():
            values[b] = replayed.hidden[name][0]
        self.status[b], self.good[b] = replayed.status[0], replayed.good[0]
        self.message[b] = replayed.message[0]
        self._replayed.append(b)
        # apart from the method's own: a call of a model is no call of a force
        for key, count in replayed.counters.items():
            name = f"fallback_{key}"
            self.counters[name] = self.counters.get(name, 0) + count

    def mark_replayed(self, b: int) -> None:
        """Say that the frames of trajectory `b` were changed, so that its history is refilled."""
        self._replayed.append(b)

    def segment(self, method: AbstractIntegrator, past: tuple[np.ndarray, np.ndarray]) -> Segment:
        """Finish it, with a carry from which the method goes on."""
        for values in self._moving.values():
            values.flags.writeable = False
        carry = None
        if self.x.shape[1] == method.options.segment:
            carry = self._carry(method, past)
        return Segment(
            x=self.x,
            v=self.v,
            carry=carry,
            status=self.status,
            message=tuple(self.message),
            good=self.good,
            counters=self.counters,
            hidden=self.hidden,
            vouched=None if np.isnan(self.vouched).all() else self.vouched,
        )

    def _carry(self, method: AbstractIntegrator, past: tuple[np.ndarray, np.ndarray]) -> Carry:
        """Refill the method's history from the frames of those that were replayed."""
        problem, frame = self.carry.problem, self.carry.frame + self.x.shape[1]
        latest = slice(-method.history, None)
        past_x, past_v = past
        # a segment may be shorter than the history; cut before they are joined, as the past is long
        x = np.concatenate([past_x[:, latest], self.x], axis=1)[:, latest]
        v = np.concatenate([past_v[:, latest], self.v], axis=1)[:, latest]
        hidden = {name: values[:, -1] for name, values in self.hidden.items()}
        if self._made.carry is None:  # the method has not run
            return method.restart(problem, frame, x, v, hidden)
        # those that were frozen start from where they stand, too
        last = {name: values[:, -1] for name, values in self._moving.items()}
        arrays = {**self._made.carry.arrays, **last}
        carry = replace(self._made.carry, arrays=MappingProxyType(arrays))
        # one by one, so that all others go on with the bits of their own history
        for b in self._replayed:
            alone, one = replace(problem, particles=problem.particles[b]), slice(b, b + 1)
            its = {name: values[one] for name, values in hidden.items()}
            carry = carry.with_row(b, method.restart(alone, frame, x[one], v[one], its))
        return carry


def standstill(carry: Carry, frames: int) -> Segment:
    """Return a segment in which nothing has happened yet."""
    x = np.repeat(carry.arrays["x"][:, None], frames, axis=1)
    v = np.repeat(carry.arrays["v"][:, None], frames, axis=1)
    hidden = {key: np.repeat(y[:, None], frames, axis=1) for key, y in carry.hidden.items()}
    batch = len(x)
    return Segment(
        x=x,
        v=v,
        carry=None,
        status=np.full(batch, OK),
        message=("",) * batch,
        good=np.full(batch, frames),
        counters={},
        hidden=hidden,
    )
