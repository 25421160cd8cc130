"""The iteration over the slices of one window, of one trajectory.

With U_n the start of slice n, F the fine method over a slice and G the coarse one::

    U_{n+1}^0     = G(U_n^0)
    U_{n+1}^{k+1} = F(U_n^k) + G(U_n^{k+1}) - G(U_n^k)

All F(U_n^k) of an iteration k are made side by side. A slice is settled, and its F is kept, once
neither its start nor that of a slice before it changes by more than the tolerance; the first one is
settled from the beginning. What follows a settled slice goes on from all that the fine method hands
on at its end, as if it were one run: so after k iterations the first k slices are the fine
method's own, to the bit, where the tolerance is 0.

Whatever is decided about a slice depends on the slices before it alone, so that a shorter run is
the beginning of a longer one. Work is handed out as soon as its start is known: an iteration does
not wait for the slowest slice of the one before.

References
----------
Lions, Maday and Turinici, C. R. Acad. Sci. Paris 332 (2001) 661; Gander and Vandewalle, SIAM J.
Sci. Comput. 29 (2007) 556.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from functools import partial
from typing import NamedTuple, final

from nbody_surrogate.errors import RunError
from nbody_surrogate.integrators.parareal.change import relative_change
from nbody_surrogate.integrators.parareal.critical_path import CriticalPath
from nbody_surrogate.integrators.parareal.slices import SlicedFrames, SliceStart

__all__ = ["Coarse", "HandOut", "SliceIteration"]

LOOK_BACK = 2
"""Iterations after which a change that is not smaller tells of a start that will not settle: errors
grow faster within a slice than an iteration takes off. A single one may grow on its way through
the slices."""

POLL = 0.2  # seconds

DIED = (
    "a worker of parareal was killed, or could not be started; it may have needed more memory "
    "than there is, so try fewer `workers`"
)

HandOut = Callable[[SliceStart, int], "Future[SlicedFrames]"]
"""Hands a slice of so many frames to whoever makes it."""

Coarse = Callable[[SliceStart, int], SlicedFrames]
"""Makes a slice by the coarse method."""


def _result(work: Future[SlicedFrames], meanwhile: Callable[[], None]) -> SlicedFrames:
    """Wait for work, and look every now and then whether it is still wanted."""
    while True:
        try:
            return work.result(None if work.done() else POLL)
        except TimeoutError:
            if work.done():  # the work's own
                raise
            meanwhile()
        except BrokenExecutor:
            raise RunError(DIED) from None


class _Before(NamedTuple):
    """What was made of an earlier start of a slice: the number of the work, and the coarse end."""

    number: int
    end: SlicedFrames | None


def _unheard(_settled: int) -> None:
    """Tell nobody."""


@final
class SliceIteration:
    """Parareal over a window.

    Parameters
    ----------
    first : SliceStart
        The start of the window, with all that the fine method handed on.
    frames, length : int
        Of the window, and of each slice but the last.
    coarse : callable
    hand_out : callable
    tolerance : float
        Relative change of a start up to which it counts as settled; with 0 only slices that go on
        from a settled one are.
    most : int or None
        Iterations after which the rest is made slice by slice.

    Attributes
    ----------
    told : callable
        Gets the number of settled slices; may raise to cancel.
    kept : list of SlicedFrames
        The settled slices; fewer than there are where the fine method failed in the last of them.
    iterations : int
    changes : list of list of float
        For each iteration, of each slice but the first.
    made : list of SlicedFrames
        By the fine method, those that were not kept too.
    coarse_made : list of SlicedFrames
    path : CriticalPath
    serial_from : int or None
    reason : str
        Why the iteration was given up from that slice on.
    """

    def __init__(
        self,
        first: SliceStart,
        frames: int,
        length: int,
        coarse: Coarse,
        hand_out: HandOut,
        tolerance: float,
        most: int | None,
    ) -> None:
        self.first, self.frames, self.length = first, frames, length
        self._coarse, self._submit, self.told = coarse, hand_out, _unheard
        self.tolerance, self.most = tolerance, most
        self.slices = math.ceil(frames / length)
        self.path = CriticalPath(self.slices)
        self.kept: list[SlicedFrames] = []
        self.iterations, self.changes = 0, list[list[float]]()
        self.coarse_made: list[SlicedFrames] = []
        self.serial_from: int | None = None
        self.reason = ""
        self._starts: list[SliceStart | None] = [None] * self.slices
        self._ends: list[SlicedFrames | None] = [None] * self.slices  # of the coarse method
        self._numbers = [-1] * self.slices  # of the latest work at each slice
        self._work: list[Future[SlicedFrames]] = []

    def run(self) -> None:
        """Iterate until every slice is settled, or the fine method fails."""
        try:
            self._predict()
            while len(self.kept) < self.slices and not self._failed:
                self._iterate()
        except BaseException:
            for each in self._work:
                each.cancel()
            raise

    @property
    def made(self) -> list[SlicedFrames]:
        """All that the fine method has made."""
        return [each.result() for each in self._work]

    def critical_calls(self, coarse: float) -> float:
        """Return in the time of how many fine force evaluations all is done, side by side.

        Parameters
        ----------
        coarse : float
            What the coarse method takes for a slice, in force evaluations of the fine one.

        Returns
        -------
        float
        """
        for number, each in enumerate(self._work):
            self.path.cost(number, each.result().calls)
        return self.path.length(coarse)

    @property
    def _failed(self) -> bool:
        return bool(self.kept and self.kept[-1].message)

    def _predict(self) -> None:
        """Give every slice a start, by the coarse method alone."""
        start = self.first
        for n in range(self.slices):
            self._begin(n, start)
            if n + 1 == self.slices or (end := self._coarse_end(n, start)) is None:
                return
            # what the coarse method would hand on is nothing to the fine one
            start = replace(end.following(self._frame(n + 1)), carry=None)

    def _iterate(self) -> None:
        """Look at what the fine method has made of all starts, and correct those not settled."""
        self.iterations += 1
        self.changes.append([0.0] * (self.slices - 1))
        self._settle()
        n = len(self.kept)
        if n == self.slices or self._failed:
            return
        if self.most is not None and self.iterations >= self.most:
            self._give_up(n, f"`max_iterations` {self.most} were made")
        before = self._renew(n, self._after_settled(n))
        for m in range(n + 1, self.slices):
            new = self._corrected(m, before)
            if new is None:
                self._starts[m:] = [None] * (self.slices - m)
                return
            before = self._renew(m, new)

    def _settle(self) -> None:
        """Keep the slices whose starts, and all before them, have not changed."""
        while (n := len(self.kept)) < self.slices and not self._failed:
            if not self._stands(n):
                return
            self.kept.append(self._made(self._numbers[n]))
            self.told(len(self.kept))

    def _stands(self, n: int) -> bool:
        """Say whether the first slice that is not settled has begun where it must."""
        start, new = self._starts[n], self._after_settled(n)
        if start is None:
            self._note(n, math.inf)
            return False
        change = relative_change(new, start, self.first)
        self._note(n, change)
        # of a start that was handed on there is more than places and velocities, such as a step
        return start.carry is not None or (self.tolerance > 0 and change <= self.tolerance)

    def _after_settled(self, n: int) -> SliceStart:
        """Return the start of the first slice that is not settled."""
        return self.kept[n - 1].following(self._frame(n)) if n else self.first

    def _corrected(self, n: int, before: _Before) -> SliceStart | None:
        """Return the next start of a slice, by the old and the new start of the one before it.

        None where the iteration is given up from here on.
        """
        old, new = before.end, self._ends[n - 1]
        if (self.serial_from is not None and n >= self.serial_from) or old is None or new is None:
            self._note(n, math.inf)
            return None
        fine = self._made(before.number)
        if fine.message:
            self._give_up(n, f"the fine method failed from a start to be corrected: {fine.message}")
            self._note(n, math.inf)
            return None
        # the difference first: of equal ends it is zero, and what the fine method made stands
        x = fine.x[:, -1] + (new.x[:, -1] - old.x[:, -1])
        v = fine.v[:, -1] + (new.v[:, -1] - old.v[:, -1])
        hidden = {
            name: values[:, -1] + (new.hidden[name][:, -1] - old.hidden[name][:, -1])
            for name, values in fine.hidden.items()
        }
        corrected, start = SliceStart(self._frame(n), x, v, hidden=hidden), self._starts[n]
        if start is not None:
            self._note(n, relative_change(corrected, start, self.first))
        return None if self._is_hopeless(n) else corrected

    def _note(self, n: int, change: float) -> None:
        """Note the change of a slice's start; where there is none, of all after it too."""
        if n:
            count = 1 if math.isfinite(change) else self.slices - n
            self.changes[-1][n - 1 : n - 1 + count] = [change] * count

    def _is_hopeless(self, n: int) -> bool:
        """Say whether a start will not settle soon enough, and give it up then."""
        latest = [each[n - 1] for each in self.changes[-LOOK_BACK - 1 :]]
        grows = len(latest) > LOOK_BACK and latest[-1] >= latest[0] and latest[-1] > self.tolerance
        if math.isfinite(latest[-1]) and not grows:
            return False
        self._give_up(n, "the changes do not become smaller: errors grow too fast for it")
        return True

    def _give_up(self, n: int, reason: str) -> None:
        """Leave the slices from here on to the fine method, one after the other."""
        if self.serial_from is None or n < self.serial_from:
            self.serial_from, self.reason = n, reason

    def _renew(self, n: int, start: SliceStart) -> _Before:
        """Begin a slice anew; return what was made of its start before."""
        before = _Before(self._numbers[n], self._ends[n])
        self._begin(n, start)
        given_up = self.serial_from is not None and n + 1 >= self.serial_from
        if n + 1 < self.slices and not given_up:
            self._coarse_end(n, start)
        return before

    def _coarse_end(self, n: int, start: SliceStart) -> SlicedFrames | None:
        """Make a slice by the coarse method, whose end corrects the next start."""
        # what was handed on is the fine method's
        made = self._coarse(replace(start, carry=None), self.length)
        self.coarse_made.append(made)
        self.path.coarse()
        self._ends[n] = None if made.message else made
        if made.message:
            self._give_up(n + 1, f"the coarse method failed: {made.message}")
        return self._ends[n]

    def _begin(self, n: int, start: SliceStart) -> None:
        """Hand a slice out, from its newest start."""
        self._starts[n], self._numbers[n] = start, len(self._work)
        self.path.hand_out(len(self._work))
        left = self.frames - n * self.length
        self._work.append(self._submit(start, min(self.length, left)))

    def _made(self, number: int) -> SlicedFrames:
        """Wait for work that was handed out; what happens meanwhile may raise to cancel."""
        self.path.wait_for(number)
        return _result(self._work[number], partial(self.told, len(self.kept)))

    def _frame(self, n: int) -> int:
        return self.first.frame + n * self.length
