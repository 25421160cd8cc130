"""DOP853 compiled: SciPy's method for ensembles, one trajectory after another or on threads."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from pydantic import Field

from nbody_simulators.integrators import cyrk
from nbody_simulators.integrators.one_by_one import run_one_by_one, threads_for_trajectories
from nbody_simulators.integrators.outcome import Outcome
from nbody_simulators.integrators.particle_dop853 import ParticleSolver
from nbody_simulators.integrators.right_hand_side import (
    address_of,
    arguments_of,
    pair_address_of,
)
from nbody_simulators.integrators.tolerances import ToleranceOptions, warn_of_loose_atol
from nbody_surrogate.contracts import (
    AbstractIntegrator,
    Carry,
    Frames,
    InputError,
    Problem,
    State,
    Tick,
)

__all__ = ["CompiledDop853", "CompiledOptions"]

MOMENTARY = 60
"""Particles up to which a call of compiled code, a segment of a trajectory, takes a moment only."""


class CompiledOptions(ToleranceOptions):
    """Options of the compiled solver."""

    threads: int | None = Field(
        default=None, ge=1, description="trajectories that run at a time; default: as many as pay"
    )


@final
class CompiledDop853(AbstractIntegrator[CompiledOptions]):
    """Dormand and Prince's method of order 8(5, 3) (Hairer, Norsett, Wanner 1993, II.5).

    Compiled, with a compiled right-hand side: the steps, the error control and the dense output
    are those of `dop853`, and its looks ahead for encounters. With ``norm="rms"`` they are those of
    `scipy.integrate.DOP853`, in C++ by CyRK. Each trajectory has its own step size, which a
    segment starts anew. Results do not depend on the number of threads.

    References
    ----------
    Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I" (1993), II.5 and II.10;
    Renaud, CyRK, https://github.com/jrenaud90/CyRK.
    """

    name = "dop853-compiled"
    Options = CompiledOptions

    @property
    def batch_invariant(self) -> bool:
        """Each trajectory runs by itself."""
        return True

    def threads_for(self, batch: int, n: int) -> int:
        """Threads of its option, or as many as have enough trajectories each."""
        return threads_for_trajectories(self.options.threads, batch, n)

    def _check(self, problem: Problem, state: State) -> None:
        if self.options.norm == "rms":
            cyrk.load()
        if problem.system.force_laws() is None:
            raise InputError(
                f"`integrator` {self.name} needs forces that are written as laws, "
                f"system {problem.system.name!r} has none; use dop853"  # the same method
            )
        warn_of_loose_atol(self.options, problem, state)

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {}

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        batch, n, dimensions = carry.arrays["x"].shape
        threads = self.threads_for(batch, n)
        stopped = np.zeros(1)
        solver = self._solver(carry, frames, stopped)
        x = np.empty((batch, frames, n, dimensions))
        v = np.empty_like(x)
        # A view of the solver's frames, in which y is (x, v) by component, see `right_hand_side`.
        halves = solver.frames.reshape(batch, frames, 2, dimensions, n).swapaxes(3, 4)

        def run(b: int) -> Outcome:
            outcome = solver.run(b)
            x[b], v[b] = halves[b, :, 0], halves[b, :, 1]
            return outcome

        account = run_one_by_one(
            self.name,
            run,
            batch,
            frames,
            threads,
            tick,
            lambda: stopped.fill(1.0),
            apart=n > MOMENTARY,
        )
        return Frames(x, v, failures=account.failures, counters=account.counters)

    def _solver(
        self, carry: Carry, frames: int, stopped: np.ndarray
    ) -> cyrk.Solver | ParticleSolver:
        problem, options = carry.problem, self.options
        batch, _, dimensions = carry.arrays["x"].shape
        begin = carry.frame
        halves = [carry.arrays[key].swapaxes(1, 2).reshape(batch, -1) for key in ("x", "v")]
        # To the segment's end, however few frames are asked for: steps are cut there, and a
        # shorter run has to be the beginning of a longer one.
        span = problem.elapsed(begin), problem.elapsed(begin + options.segment)
        times = np.array([problem.elapsed(begin + 1 + frame) for frame in range(frames)])
        given = span, times, np.concatenate(halves, axis=1), arguments_of(problem, stopped)
        tolerances = options.rtol, options.atol, options.max_step or np.inf
        force = address_of(problem, dimensions)
        if options.norm == "rms":
            return cyrk.Solver(force, *given, *tolerances)
        pair, masses = pair_address_of(problem), problem.particles.masses
        return ParticleSolver(force, pair, *given, masses, tolerances)
