"""Hermite's scheme of order 4 with individual block time steps."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
from pydantic import Field

from nbody_simulators.integrators.fitting import methods_without_laws
from nbody_simulators.integrators.one_by_one import run_one_by_one, threads_for_trajectories
from nbody_simulators.integrators.outcome import Outcome
from nbody_simulators.integrators.right_hand_side import (
    arguments_of,
    pair_address_of,
    rates_address_of,
)
from nbody_simulators.kernels.compiled_laws import is_own, laws_of, parameters_of
from nbody_surrogate.contracts import (
    AbstractIntegrator,
    Carry,
    Frames,
    InputError,
    IntegratorOptions,
    Problem,
    State,
    Tick,
)

__all__ = ["Hermite4", "HermiteOptions"]

DEEPEST = 40
"""Halvings of a frame, by default: 1e-12 of it, where steps begin to be lost in rounding."""

MOST_HALVINGS = 60
"""A frame is counted in whole ticks of 64 bits."""

MOST_PAIRS = 5 * 10**7
"""Of a single call of compiled code, about a tenth of a second: Python hears of Ctrl-C between two
calls only."""


FAILURES = {
    1: "stopped",
    2: "the required step size is less than `smallest_step`; take a larger `eta` or shorter frames",
    3: "the force or its rate of change is not finite",
}
"""By the kernel's status, see `kernels.block_steps`."""


class HermiteOptions(IntegratorOptions):
    """Options of the Hermite scheme."""

    eta: float = Field(
        default=0.002,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="accuracy: steps go as its root, errors as its square",
    )
    smallest_step: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="a trajectory that wants a shorter one ends; default: 1e-12 of a frame",
    )
    threads: int | None = Field(
        default=None, ge=1, description="trajectories that run at a time; default: as many as pay"
    )


@final
class Hermite4(AbstractIntegrator[HermiteOptions]):
    """Hermite's predictor and corrector of order 4, each particle with a step of its own.

    The standard of collisional N-body codes. A step takes one force and its rate of change, which
    comes of the law itself, by dual numbers. Steps are a frame divided by powers of two, so that
    particles of one step move together; Aarseth's criterion chooses them,

        h^2 = eta (|a| |a^(2)| + |j|^2) / (|j| |a^(3)| + |a^(2)|^2).

    All particles meet at the frames. So a tight pair costs few evaluations of the others. Not
    symplectic, nor reversible; momentum is kept to the error of the method. ``nfev`` counts the
    evaluations of all particles over their number.

    References
    ----------
    Makino and Aarseth, PASJ 44 (1992) 141; Aarseth, "Gravitational N-Body Simulations" (2003), 2.
    """

    name = "hermite4"
    Options = HermiteOptions

    @property
    def batch_invariant(self) -> bool:
        """Each trajectory runs by itself."""
        return True

    def threads_for(self, batch: int, n: int) -> int:
        """Threads of its option, or as many as have enough trajectories each."""
        return threads_for_trajectories(self.options.threads, batch, n)

    def _check(self, problem: Problem, state: State) -> None:
        if (why := _unfit(problem)) is not None:
            raise InputError(f"`integrator` {self.name} needs {why}")
        self._deepest(problem)
        _refuse_unknown_operations(problem)

    def _deepest(self, problem: Problem) -> int:
        """Count the halvings of a frame that lead to the smallest step."""
        smallest = self.options.smallest_step
        if smallest is None:
            return DEEPEST
        if not smallest <= problem.dt:
            raise InputError(
                f"`smallest_step` must be at most a frame of {problem.dt:g}, got {smallest:g}"
            )
        halvings = math.floor(math.log2(problem.dt) - math.log2(smallest))
        if halvings > MOST_HALVINGS:
            raise InputError(
                f"`smallest_step` must be at least {problem.dt * 0.5**MOST_HALVINGS:.2g}, a frame "
                f"halved {MOST_HALVINGS} times, got {smallest:g}"
            )
        return halvings

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {"h": np.zeros(problem.particles.charges.shape)}  # steps that are still unknown

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        batch, n, _ = carry.arrays["x"].shape
        threads = self.threads_for(batch, n)
        run = _Run(carry, frames, self._deepest(carry.problem), self.options.eta)
        account = run_one_by_one(self.name, run.fill, batch, frames, threads, tick, run.stop)
        return Frames(run.x, run.v, {"h": run.h}, account.failures, account.counters)


class _Run:
    """A segment of a batch, to be filled in trajectory by trajectory, on any thread."""

    def __init__(self, carry: Carry, frames: int, deepest: int, eta: float) -> None:
        problem = carry.problem
        batch, n, dimensions = carry.arrays["x"].shape
        self.x = np.empty((batch, frames, n, dimensions))
        self.v = np.empty_like(self.x)
        self.h = np.zeros((batch, n))
        self._carry, self._deepest, self._eta = carry, deepest, eta
        self._stopped = np.zeros(1)
        self._addresses = rates_address_of(problem), pair_address_of(problem)
        self._arguments = arguments_of(problem, self._stopped)

    def stop(self) -> None:
        """Make calls of `fill` that run return soon."""
        self._stopped.fill(1.0)

    def fill(self, b: int) -> Outcome:
        """Fill in a trajectory, as far as it gets, and NaN beyond."""
        from nbody_simulators.kernels import block_steps as kernel

        frames, n, dimensions = self.x.shape[1:]
        block = self._block(b)
        found = np.full((2, frames, dimensions, n), np.nan)
        most = max(MOST_PAIRS // n, n)
        while True:
            kernel.march(block, self._carry.problem.dt, self._deepest, self._eta, most, *found)
            status = int(block.progress[kernel.STATUS])
            if status != kernel.PAUSED or self._stopped[0]:
                break
        self.x[b], self.v[b] = found.swapaxes(2, 3)
        done, _, _, steps, evaluations = block.progress.tolist()
        if done == frames:
            self.h[b] = block.due * math.ldexp(self._carry.problem.dt, -self._deepest)
        failure = None if done == frames else FAILURES[status]
        return Outcome(done, failure, steps, evaluations / n)

    def _block(self, b: int) -> Any:
        from nbody_simulators.kernels.block_steps import Block

        arrays, particles = self._carry.arrays, self._carry.problem.particles
        _, n, dimensions = arrays["x"].shape
        vectors = np.zeros((8, 3, n))
        for values, key in zip(vectors, ("x", "v"), strict=False):
            values[:dimensions] = arrays[key][b].T
        lists = np.zeros((3, n))
        lists[0] = arrays["h"][b]
        parts: list[Any] = [
            *vectors,
            *np.zeros((2, n), np.int64),
            *lists,
            particles.masses[b].copy(),  # that an array is read-only is part of its type to numba
            *self._addresses,
            self._arguments[b],
            dimensions == 2,
            np.zeros(5, np.int64),
        ]
        return Block(*parts)


def _refuse_unknown_operations(problem: Problem) -> None:
    """Refuse a stranger's law that is written with what dual numbers do not know."""
    if is_own(*parameters_of(laws_of(problem))):
        return
    from numba.core.errors import NumbaError

    try:
        rates_address_of(problem)
    except NumbaError as error:
        raise InputError(
            f"`integrator` {Hermite4.name} needs laws of arithmetic, powers, comparisons, sqrt and "
            f"where alone, to differentiate them; one of system {problem.system.name!r} has more; "
            "use dop853-compiled"
        ) from error


def _unfit(problem: Problem) -> str | None:
    """Say what the method needs and the system has not, or None."""
    system, laws = problem.system, problem.system.force_laws()
    if laws is None:
        return (
            f"forces that are written as laws, system {system.name!r} has none; "
            f"use {methods_without_laws(problem)}"
        )
    if laws.directed is not None:
        return (
            f"pair forces that are central, system {system.name!r} has directed ones; use rk4, "
            "dop853 or dop853-compiled"
        )
    if system.velocity_dependent:
        return (
            f"forces that do not depend on velocity, those of system {system.name!r} do; "
            "use rk4 or dop853-compiled"
        )
    if math.isfinite(laws.clip):
        return (
            f"forces that have a rate of change, those of system {system.name!r} are clipped; "
            "use dop853-compiled"
        )
    return None
