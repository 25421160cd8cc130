"""Parareal under the call of every other method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, final

import numpy as np

from nbody_surrogate.contracts.capabilities import HIDDEN_VARIABLES, NEIGHBOURS, PERIODIC_BOX
from nbody_surrogate.contracts.convergence import Convergence
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import HIDDEN_PREFIX, Carry, Frames, Problem, Tick
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.parareal.iteration import SliceIteration
from nbody_surrogate.integrators.parareal.methods import (
    Pair,
    check_costs,
    check_pair,
    demand_sendable,
    find,
    made_method,
)
from nbody_surrogate.integrators.parareal.options import PararealOptions
from nbody_surrogate.integrators.parareal.slices import (
    SentWork,
    SlicedFrames,
    SliceStart,
    make_sent_slice,
    make_slice,
)
from nbody_surrogate.interruption import unheard
from nbody_surrogate.parallel.processes import worker_pool

__all__ = ["Parareal"]

LONGEST_REASON = 200
"""Characters; a plugin's message may be long."""

OF_FINE = "fine."
"""Begins the names of a carry's arrays that the fine method hands on."""

SMALLEST_TOLERANCE = 1e-12
"""By default: rounding of the corrections is some of 1e-14."""


@final
class Parareal(AbstractIntegrator[PararealOptions]):
    """A fine method over slices of time in parallel, which a coarse method prepares.

    A window of `segment` frames is divided into slices. The coarse method gives each a start; the
    fine method makes all slices side by side; differences of the coarse method carry what the
    starts were wrong by from slice to slice, and the fine method runs again, until no start
    changes by more than the tolerance. The result is the fine method's, to that tolerance.

    Parameters
    ----------
    executor : concurrent.futures.Executor, optional
        What makes the slices. Threads share the fine method; to all others, descriptions of it and
        of the system are sent. By default slices are made one after the other, or by `workers`
        processes.
    **options
        See `PararealOptions`; `coarse` and `fine` may be instances too.

    Raises
    ------
    InputError
        If an option is wrong, there is no such method, or the window is no whole number of the
        fine method's segments.

    References
    ----------
    Lions, Maday and Turinici, C. R. Acad. Sci. Paris 332 (2001) 661; Gander and Vandewalle, SIAM
    J. Sci. Comput. 29 (2007) 556.
    """

    name = "parareal"
    Options = PararealOptions

    def __init__(self, *, executor: Executor | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._given = {
            label: options[label]
            for label in ("coarse", "fine")
            if isinstance(options.get(label), AbstractIntegrator)
        }
        # the differences of positions are those of open space: positions are never wrapped
        self.capabilities = frozenset({PERIODIC_BOX, NEIGHBOURS, HIDDEN_VARIABLES})
        for label in ("coarse", "fine"):
            of_one = self._given.get(label) or find(label, getattr(self.options, label))
            self.capabilities &= of_one.capabilities
        if executor is not None and not isinstance(executor, Executor):
            raise InputError(
                "`executor` must be a concurrent.futures.Executor, such as ThreadPoolExecutor(8), "
                f"got {type(executor).__name__}"
            )
        self._executor = executor
        self.slice_frames = _slice_frames(self.options)
        self._made: tuple[AbstractSystem, Pair] | None = None

    def pair(self, system: AbstractSystem) -> Pair:
        """Return the two methods as they are for a system.

        Parameters
        ----------
        system : AbstractSystem

        Returns
        -------
        Pair

        Raises
        ------
        InputError
            If one cannot be made.
        """
        # a model takes long to load, and a run asks for each of its windows
        if self._made is None or self._made[0] is not system:
            methods = [
                self._given.get(label)
                or made_method(label, getattr(self.options, label), system, self.slice_frames)
                for label in ("coarse", "fine")
            ]
            self._made = system, Pair(*methods)
        return self._made[1]

    def tolerance(self, system: AbstractSystem) -> float:
        """Return the relative change of a slice's start that counts as none.

        Parameters
        ----------
        system : AbstractSystem

        Returns
        -------
        float
        """
        if self.options.tolerance is not None:
            return self.options.tolerance
        of_fine = self.pair(system).fine.options.model_dump().get("rtol")
        return 1e-9 if of_fine is None else max(of_fine, SMALLEST_TOLERANCE)

    @property
    def batch_invariant(self) -> bool:
        """Each trajectory runs by itself."""
        return True

    def _check(self, problem: Problem, state: State) -> None:
        pair = self.pair(problem.system)
        check_pair(pair, problem, state)
        if self._sends:
            demand_sendable(pair.fine, problem.system)

    @property
    def _sends(self) -> bool:
        """Whether slices are made in other processes."""
        if self._executor is None:
            return self.options.workers > 1
        return not isinstance(self._executor, ThreadPoolExecutor)

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        pair, system, dt = self.pair(problem.system), problem.system, problem.dt
        check_costs(pair, _alone(problem, 0), state[0])
        batch = zip(state, problem.particles, strict=True)
        return _handed_on([pair.fine.stored(pair.fine.start(system, *each, dt)) for each in batch])

    def _restart(self, problem: Problem, t: float, x: np.ndarray, v: np.ndarray) -> dict[str, Any]:
        fine = self.pair(problem.system).fine
        starts = [SliceStart(0, x[b : b + 1, -1], v[b : b + 1, -1]) for b in range(len(x))]
        carries = [each.carry_of(fine, _alone(problem, b)) for b, each in enumerate(starts)]
        return _handed_on([fine.stored(each) for each in carries])

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        x = np.empty((len(carry.arrays["x"]), frames, *carry.arrays["x"].shape[1:]))
        hidden = {
            name: np.empty((*x.shape[:2], *values.shape[1:]))
            for name, values in carry.hidden.items()
        }
        result, ends = Frames(x, np.empty_like(x), hidden=hidden), []
        pair = self.pair(carry.problem.system)
        with self._workers(frames) as executor:
            for b in range(len(x)):
                first = _first_slice(carry, b)
                work = self._iteration(pair, _alone(carry.problem, b), first, frames, executor)
                work.told = partial(_tick_settled, tick, self.slice_frames, frames, b, len(x))
                work.run()
                _fill_in(result, b, work)
                result.convergence += (_account(pair, work, b),)
                ends.append(work.kept[-1].carry or first.carry or {})
        result.counters = _counters(pair, result.convergence)
        result.arrays = _handed_on(ends) if frames == self.options.segment else {}
        return result

    def _iteration(
        self,
        pair: Pair,
        problem: Problem,
        first: SliceStart,
        frames: int,
        executor: Executor | None,
    ) -> SliceIteration:
        return SliceIteration(
            first,
            frames,
            self.slice_frames,
            partial(make_slice, pair.coarse, problem),
            partial(self._hand_out, pair.fine, problem, executor),
            self.tolerance(problem.system),
            self.options.max_iterations,
        )

    @contextmanager
    def _workers(self, frames: int) -> Iterator[Executor | None]:
        """Yield what makes slices; None where this thread does, one after the other."""
        slices = math.ceil(frames / self.slice_frames)
        if slices == 1:  # such as a frame to warm up, for which no process need start
            yield None
        elif self._executor is None and self.options.workers > 1:
            with worker_pool(min(self.options.workers, slices)) as pool:
                yield pool
        else:
            yield self._executor

    def _hand_out(
        self,
        fine: AbstractIntegrator,
        problem: Problem,
        executor: Executor | None,
        start: SliceStart,
        frames: int,
    ) -> Future[SlicedFrames]:
        if executor is None:
            done: Future[SlicedFrames] = Future()
            done.set_result(make_slice(fine, problem, start, frames))
            return done
        if isinstance(executor, ThreadPoolExecutor):
            return executor.submit(make_slice, fine, problem, start, frames)
        with unheard():  # a worker may be started here
            return executor.submit(make_sent_slice, SentWork.of(fine, problem), start, frames)


def _slice_frames(options: PararealOptions) -> int:
    """Return the frames of a slice: as many equal slices as there may be, of whole segments.

    Raises
    ------
    InputError
        If the window is no whole number of the fine method's segments.
    """
    unit = 1 if isinstance(options.fine, str) else int(options.fine.get("segment", 1))
    segments, rest = divmod(options.segment, unit)
    if rest or not segments:
        raise InputError(
            f"`segment` of integrator 'parareal', the frames of a window, must be a multiple of "
            f"the {unit} that a segment of `fine` has, got {options.segment}"
        )
    most = min(options.slices, segments)
    return options.segment // max(n for n in range(1, most + 1) if segments % n == 0)


def _alone(problem: Problem, b: int) -> Problem:
    return Problem(problem.system, problem.particles[b], problem.t0, problem.dt)


def _first_slice(carry: Carry, b: int) -> SliceStart:
    """Return the start of the window of a trajectory, with all that the fine method handed on."""
    x, v = (carry.arrays[kind][b : b + 1] for kind in ("x", "v"))
    more = {
        key.removeprefix(OF_FINE): np.asarray(values[b])
        for key, values in carry.arrays.items()
        if key.startswith(OF_FINE)
    }
    hidden = {name: values[b : b + 1] for name, values in carry.hidden.items()}
    known = {"x": x, "v": v, **{HIDDEN_PREFIX + name: y for name, y in hidden.items()}}
    return SliceStart(carry.frame, x, v, {**known, **more}, hidden)


def _handed_on(rows: list[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Stack what the fine method hands on of each trajectory along a new first axis."""
    # a carry has its state by itself
    names = [name for name in rows[0] if name not in ("x", "v")]
    names = [name for name in names if not name.startswith(HIDDEN_PREFIX)]
    return {OF_FINE + name: np.stack([row[name] for row in rows]) for name in names}


def _fill_in(result: Frames, b: int, work: SliceIteration) -> None:
    """Fill in the frames of trajectory `b`; after a failure they stand still."""
    begin = 0
    for each in work.kept:
        part = slice(begin, begin + each.x.shape[1])
        result.x[b, part], result.v[b, part] = each.x[0], each.v[0]
        for name, values in result.hidden.items():
            values[b, part] = each.hidden[name][0]
        begin = part.stop
    last = work.kept[-1]
    result.x[b, begin:], result.v[b, begin:] = last.x[0, -1], last.v[0, -1]
    for name, values in result.hidden.items():
        values[b, begin:] = last.hidden[name][0, -1]
    if last.message:
        # the time is told anew, by who holds the trajectory at its last good frame
        why = last.message.partition(" after t = ")[0]
        result.failures[b] = (begin - last.x.shape[1] + last.good, why)


def _tick_settled(tick: Tick, length: int, frames: int, b: int, batch: int, settled: int) -> None:
    """Count the settled slices of a trajectory as frames of the batch."""
    tick((b * frames + min(settled * length, frames)) / batch)


def _account(pair: Pair, work: SliceIteration, b: int) -> Convergence:
    made, coarse = work.made, work.coarse_made
    calls = sum(each.calls for each in made)
    return Convergence(
        trajectory=b,
        frame=work.first.frame,
        slices=work.slices,
        iterations=work.iterations,
        defects=tuple(tuple(map(_rounded, row)) for row in work.changes),
        fine_calls=calls,
        coarse_calls=sum(each.calls for each in coarse),
        serial_calls=sum(each.calls for each in work.kept),
        critical_calls=work.critical_calls(_coarse_cost(pair, work, calls)),
        workers=work.slices,
        serial_from=work.serial_from,
        reason=work.reason[:LONGEST_REASON],
    )


def _rounded(change: float) -> float | None:
    return float(f"{change:.3g}") if math.isfinite(change) else None


def _coarse_cost(pair: Pair, work: SliceIteration, calls: int) -> float:
    """Return what a slice by the coarse method takes, in force evaluations of the fine one."""
    coarse = work.coarse_made
    if not coarse or pair.counted:
        return sum(each.calls for each in coarse) / max(len(coarse), 1)
    of_fine = sum(each.seconds for each in work.made) / max(calls, 1)
    return sum(each.seconds for each in coarse) / len(coarse) / of_fine


def _counters(pair: Pair, accounts: tuple[Convergence, ...]) -> dict[str, int]:
    fine = sum(each.fine_calls for each in accounts)
    coarse = sum(each.coarse_calls for each in accounts)
    return {
        "nfev": fine + (coarse if pair.counted else 0),
        "fine_nfev": fine,
        "coarse_nfev": coarse,
        "iterations": sum(each.iterations for each in accounts),
    }
