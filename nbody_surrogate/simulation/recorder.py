"""What a run gathers, segment by segment: frames, failures, counters and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Segment, Tick
from nbody_surrogate.contracts.state import State
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.simulation.guard.monitor import Watch

if TYPE_CHECKING:
    from nbody_surrogate.formats.h5md import H5MDWriter

__all__ = ["Keep", "Loop", "Progress"]

Progress = Callable[[float, int], None]
"""Called with the frames done so far and the total; may raise to cancel."""

Keep = Callable[["Loop", Carry], None]
"""Called at a segment's boundary with the run so far and what it goes on from."""


@final
class Loop:
    """What the loop gathers: frames, failures, counters and time.

    It is judged by the `truth`, a sharper run of the same start, and guarded by the `watch`, where
    there are any.
    """

    def __init__(
        self, state: State, frames: int, truth: Loop | None = None, watch: Watch | None = None
    ) -> None:
        batch, n, dimensions = state.x.shape
        self.frames, self.done, self.wall_time = frames, 0, 0.0
        self.x = np.empty((batch, frames + 1, n, dimensions))
        self.v = np.empty_like(self.x)
        self.x[:, 0], self.v[:, 0] = state.x, state.v
        self.truth, self.watch = truth, watch
        self.label_error = None if truth is None else np.zeros((batch, frames + 1))
        self.good = np.full(batch, frames + 1)
        self.message = [""] * batch
        self.counters: dict[str, int] = {}

    def go_to(
        self,
        frame: int,
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        good: Sequence[int],
        message: Sequence[str],
    ) -> None:
        """Take over a run up to and including a frame, F = frame + 1."""
        self.x[:, : frame + 1], self.v[:, : frame + 1] = x[:, : frame + 1], v[:, : frame + 1]
        self.done, self.good, self.message = frame, np.array(good), list(message)

    def run(
        self,
        integrator: AbstractIntegrator,
        carry: Carry | None,
        writer: H5MDWriter | None,
        progress: Progress | None,
        keep: Keep | None = None,
    ) -> None:
        """Advance segment by segment; a carry is None only after the last one.

        Each boundary is handed to `keep`, once its frames are written. Where every trajectory has
        failed, the rest stands still and is not computed.
        """
        while carry is not None and self.done < self.frames:
            if all(self.message):
                self.take(self.stand_still(), writer)
                break
            wanted = min(integrator.options.segment, self.frames - self.done)
            began = time.perf_counter()
            segment = self.advance(integrator, carry, wanted, self.tick(progress))
            self.wall_time += time.perf_counter() - began
            self.take(self.add(segment), writer)
            carry = segment.carry
            if keep is not None and carry is not None and self.done < self.frames:
                keep(self, carry)

    def advance(
        self, integrator: AbstractIntegrator, carry: Carry, frames: int, tick: Tick | None
    ) -> Segment:
        """Advance, under the guard's eyes where there is one."""
        if self.watch is None:
            return integrator.advance(carry, frames, tick)
        past_x, past_v = (y[:, : self.done + 1] for y in (self.x, self.v))
        return self.watch.advance(carry, frames, tick, past_x, past_v)

    def take(self, new: slice, writer: H5MDWriter | None) -> None:
        """Judge new frames and write them."""
        self.judge(new)
        self.write(writer, new)

    def tick(self, progress: Progress | None) -> Tick | None:
        """Count a segment's frames as part of the run's."""
        if progress is None:
            return None
        return lambda within: progress(self.done + within, self.frames)

    def add(self, segment: Segment) -> slice:
        """Take over a segment's frames; trajectories that failed before stay frozen."""
        length = segment.x.shape[1]
        new = slice(self.done + 1, self.done + 1 + length)
        self.x[:, new], self.v[:, new] = segment.x, segment.v
        for b, why in enumerate(segment.message):
            if self.message[b]:
                self.x[b, new], self.v[b, new] = self.x[b, self.done], self.v[b, self.done]
            elif why:
                self.message[b] = why
                self.good[b] = self.done + 1 + segment.good[b]
        for key, count in segment.counters.items():
            self.counters[key] = self.counters.get(key, 0) + count
        self.done += length
        return new

    def stand_still(self) -> slice:
        """Repeat the last frame to the end of the run."""
        new = slice(self.done + 1, self.frames + 1)
        for y in (self.x, self.v):
            y[:, new] = y[:, self.done, None]
        self.done = self.frames
        return new

    def judge(self, new: slice) -> None:
        """Fill in the label error of new frames: NaN where either run is not good any more."""
        if self.truth is None or self.label_error is None:
            return
        error = rmse(self.truth.x[:, new], self.x[:, new])
        good = np.minimum(self.good, self.truth.good)[:, None]
        self.label_error[:, new] = np.where(np.arange(new.start, new.stop) < good, error, np.nan)

    def write(self, writer: H5MDWriter | None, new: slice) -> None:
        """Write new frames to the file, where there is one."""
        if writer is not None:
            label_error = None if self.label_error is None else self.label_error[:, new]
            writer.write(self.x[:, new], self.v[:, new], label_error)

    def complete(self, info: RunInfo) -> RunInfo:
        """Say how the run went."""
        return replace(
            info,
            wall_time=self.wall_time,
            counters=self.counters,
            status=tuple(-1 if why else 0 for why in self.message),
            message=tuple(self.message),
            good=tuple(int(count) for count in self.good),
            guard=None if self.watch is None else self.watch.report,
        )
