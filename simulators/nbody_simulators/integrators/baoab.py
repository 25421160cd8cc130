"""Langevin dynamics: particles in a bath that drags and kicks them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field

from nbody_simulators.integrators.bath_noise import Bath, BathNoise, noise_keys
from nbody_simulators.integrators.fixed_step import AbstractFixedStep, SubstepOptions
from nbody_simulators.kernels.lanes import Lanes, widest
from nbody_simulators.kernels.langevin_steps import baoab
from nbody_surrogate.contracts import (
    RANDOM_KICKS,
    Carry,
    InputError,
    PluginError,
    Problem,
    State,
)

if TYPE_CHECKING:
    from nbody_simulators.integrators.plain_steps import PlainProblem
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["BAOAB", "BAOABOptions"]

KEYS = "noise_keys"
"""Of a carry: the key of each trajectory, shape (B, 2)."""

MOST_NUMBERS = 1 << 26
"""Kicks of a frame that are held at a time, half a GiB."""

CHUNK = 1 << 20
"""Kicks that are made for one call of compiled code, so that they stay near the processor."""

DRAG_ERROR = 1e-9
"""Relative: how far forces may be from those at rest with a linear drag added."""


class BAOABOptions(SubstepOptions):
    """Options of `BAOAB`."""

    seed: int = Field(
        default=0, ge=0, description="of the kicks: another one, other kicks from the same start"
    )


@final
class BAOAB(AbstractFixedStep[BAOABOptions]):
    """Half a kick, half a drift, the bath, half a drift, half a kick: the splitting BAOAB.

    For the Langevin equation d v = (a(x) - g v) dt + sqrt(2 g T / m) dW of `SystemKicks`. The part
    of the bath is exact,

        v <- e^{-g h} v + sqrt(T (1 - e^{-2 g h}) / m) z,

    with normal z. One force evaluation a step. Means in the long run are off by O(h^2), and where
    the force is linear those of positions are exact for any stable h. Without a bath it is
    velocity Verlet: order 2, time-reversible. A drag without kicks (T = 0) is order 2 too.

    The kicks depend on `seed`, and for each trajectory on its own start, x, v, charges and
    masses: not on other trajectories of a batch, nor on threads, restarts or cuts into segments.
    Two runs from one start with one seed have one path of the bath, also at unlike numbers of
    sub-steps, of which one is the other times a power of two: they may be held against each other.
    Two starts that differ in a single bit have independent ones, two that do not have the same,
    also within a batch: give another seed to have others from one start.

    References
    ----------
    Leimkuhler and Matthews, Appl. Math. Res. Express 2013 (2013) 34; J. Chem. Phys. 138 (2013)
    174102.
    """

    name = "baoab"
    Options = BAOABOptions
    capabilities = frozenset({RANDOM_KICKS})
    evaluations = 1
    opening = 1  # the force that begins the first step
    at_rest = True  # the drag is part of the bath

    def _refuse(self, problem: Problem) -> str | None:
        system = problem.system
        if system.checked_drag_rates(problem.particles) is not None:
            return None
        if system.bath_temperature:
            raise PluginError(
                f"`drag_rates` of {system.origin} must return rates where `bath_temperature` is "
                "not 0, got None"
            )
        if not system.velocity_dependent:
            return None
        fitting = "boris or rk4" if system.magnetic_field() is not None else "rk4"
        return (
            "needs forces that depend on velocity by a linear drag at most, system "
            f"{system.name!r} has others; use {fitting} or dop853"
        )

    def _check(self, problem: Problem, state: State) -> None:
        super()._check(problem, state)
        rates, system = problem.system.checked_drag_rates(problem.particles), problem.system
        if rates is not None and not (np.isfinite(rates) & (rates >= 0)).all():
            raise PluginError(f"`drag_rates` of {system.origin} must be finite and at least 0")
        _demand_linear_drag(problem, state, rates)
        self._refuse_too_many(problem, state.x.shape[2])

    def _refuse_too_many(self, problem: Problem, dimensions: int) -> None:
        """Refuse a frame whose kicks would not fit into memory."""
        if not problem.system.bath_temperature:
            return
        n, substeps = problem.particles.n, self._substeps(problem)
        most = max(MOST_NUMBERS // (dimensions * n * widest(n)), 1)
        if substeps > most:
            raise InputError(
                f"`substeps` must be at most {most} for {n} particles in a bath, whose kicks of a "
                f"frame are held in memory, got {substeps}; use a shorter frame"
            )

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {KEYS: noise_keys(self.options.seed, state, problem.particles)}

    def _noise(self, carry: Carry, part: slice, substeps: int) -> BathNoise:
        bath = _bath_of(carry, part)
        dimensions = carry.arrays["x"].shape[2]
        return BathNoise(bath, carry.frame, carry.problem.dt, substeps, dimensions)

    def _marcher(self, carry: Carry, part: slice, substeps: int) -> Callable[..., None]:
        noise = self._noise(carry, part, substeps)
        decay = _bath_of(carry, part).decay(carry.problem.dt / substeps)
        return partial(self._march, carry.problem, noise=noise, decay=decay)

    def _march(
        self,
        problem: Problem,
        lanes: Lanes,
        step: float,
        steps: int,
        x: np.ndarray,
        v: np.ndarray,
        noise: BathNoise | None = None,
        decay: np.ndarray | None = None,
    ) -> None:
        assert noise is not None
        assert decay is not None
        kernel = baoab(lanes.pair, lanes.field, lanes.directed)
        size = x.shape[1]
        every = np.tile(np.ascontiguousarray(decay.T).ravel(), size // decay.size)
        together = max(CHUNK // (steps * size), 1)
        for first in range(0, len(x), together):
            some = slice(first, min(first + together, len(x)))
            kicks = noise.take((some.stop - first) * steps).reshape(-1, size)
            kernel(lanes, step, steps, every, kicks, x[some], v[some])

    def _stepper(self, carry: Carry, substeps: int) -> Callable[..., Any]:
        every = slice(0, len(carry.arrays["x"]))
        noise = self._noise(carry, every, substeps)
        decay = _bath_of(carry, every).decay(carry.problem.dt / substeps)[..., None]

        def step_once(problem: Any, x: Any, v: Any, a: Any, step: float) -> Any:
            kick = np.ascontiguousarray(noise.take(1)[0].transpose(2, 1, 0))
            return self._array_step(problem, x, v, a, step, (decay, kick))

        return step_once

    def _array_step(
        self,
        problem: TorchProblem | PlainProblem,
        x: Any,
        v: Any,
        a: Any,
        step: float,
        bath: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Any:
        assert bath is not None
        decay, kick = (_like(v, each) for each in bath)
        half = 0.5 * step
        v = v + half * a
        x = x + half * v
        v = decay * v + kick
        x = x + half * v
        a = problem.acceleration(x, problem.array_module.zeros_like(v))
        return x, v + half * a, a


def _like(v: Any, values: np.ndarray) -> Any:
    """Bring an array to where v is."""
    if isinstance(v, np.ndarray):
        return values
    import torch

    return torch.as_tensor(values, device=v.device)


def _bath_of(carry: Carry, part: slice) -> Bath:
    """Return the bath of part of the batch."""
    problem = carry.problem
    particles = problem.particles
    rates = problem.system.checked_drag_rates(particles)
    rates = np.zeros(particles.charges.shape) if rates is None else rates
    squares = problem.system.bath_temperature / particles.masses
    return Bath(carry.arrays[KEYS][part], rates[part], squares[part])


def _demand_linear_drag(problem: Problem, state: State, rates: np.ndarray | None) -> None:
    """Demand that forces at the start are those at rest and the drag that is declared.

    Raises
    ------
    PluginError
    """
    system, particles = problem.system, problem.particles
    if not system.velocity_dependent or rates is None:
        return
    with np.errstate(all="ignore"):
        moving = system.acceleration(state.x, state.v, particles)
        rest = system.acceleration(state.x, np.zeros_like(state.v), particles)
        drag = rates[..., None] * state.v
        largest = max(float(np.abs(each).max()) for each in (moving, rest, drag))
        off = float(np.abs(moving - rest + drag).max())
    # forces that are not finite are somebody else's to refuse
    if np.isfinite(largest) and not off <= DRAG_ERROR * largest:
        raise PluginError(
            f"`drag_rates` of {system.origin} must tell all that forces do with velocities: at the "
            f"start they miss it by {off:.2g}, of accelerations up to {largest:.2g}"
        )
