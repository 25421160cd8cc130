"""SciPy's adaptive Runge-Kutta solvers, stepped by hand.

Stepping `scipy.integrate.OdeSolver` ourselves gives progress, cancellation and counters.
Frames come from dense output, so the solver's steps do not depend on the frame spacing inside
a segment. Each trajectory has its own step-size controller. A segment starts again from the
last frame with the last step size: its result depends on nothing else. Times are counted from the
start of the run, as no system depends on them: a run is the same whatever its t0.

By default the error of a step is that of the worst particle (`particle_norm`), and steps are cut
before encounters that they would miss (`encounters`); stages, step-size control and dense output
are SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
from scipy import integrate

from nbody_simulators.integrators.encounters import Encounters
from nbody_simulators.integrators.outcome import PATIENCE, SPECK, TOO_SHORT
from nbody_simulators.integrators.particle_norm import (
    ParticleDOP853,
    ParticleNorm,
    ParticleRK45,
)
from nbody_simulators.integrators.tolerances import ToleranceOptions, warn_of_loose_atol
from nbody_surrogate.contracts import (
    CAPABILITIES,
    RANDOM_KICKS,
    AbstractIntegrator,
    Carry,
    Frames,
    Particles,
    Problem,
    State,
    Tick,
)

__all__ = ["RK45", "Dop853"]


class _SciPySolver(AbstractIntegrator[ToleranceOptions]):
    """What `Dop853` and `RK45` share: everything but the method.

    All that a system can need they can do, but for kicks at random. Neighbours are found anew for
    each force: that is right for any step, and slow.
    """

    Options = ToleranceOptions
    capabilities = frozenset(CAPABILITIES) - {RANDOM_KICKS}
    solver: ClassVar[type[integrate.OdeSolver]]
    """SciPy's own, for the norm over all components."""
    per_particle: ClassVar[type[ParticleDOP853 | ParticleRK45]]

    @property
    def batch_invariant(self) -> bool:
        """Each trajectory runs by itself."""
        return True

    def _check(self, problem: Problem, state: State) -> None:
        warn_of_loose_atol(self.options, problem, state)

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        del problem
        return {"h": np.full(state.x.shape[0], np.nan)}  # NaN: let the solver choose

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        batch, n, dimensions = carry.arrays["x"].shape
        x = np.empty((batch, frames, n, dimensions))
        v = np.empty_like(x)
        result = Frames(x, v, {"h": np.empty(batch)}, counters={"nfev": 0, "steps": 0})
        for name, values in carry.hidden.items():
            result.hidden[name] = np.empty((batch, frames, *values.shape[1:]))
        for b in range(batch):
            self._advance_one(carry, b, result, partial(_tick_share, tick, b * frames, batch))
        return result

    def _advance_one(self, carry: Carry, b: int, result: Frames, tick: Tick) -> None:
        """Fill in trajectory `b`."""
        problem, frames = carry.problem, result.x.shape[1]
        wanted = {"x": result.x, "v": result.v, **result.hidden}
        layout = {name: values.shape[2:] for name, values in wanted.items()}
        solver = self._solver(carry, b)
        cut = self._cut(carry, b)
        done, step, short = 0, solver.h_abs, 0
        # From a force that is NaN, SciPy would choose a first step of NaN, and never end it.
        failure = None if np.isfinite(solver.f).all() else "the force is not finite"
        while done < frames and failure is None:
            step = solver.h_abs  # as proposed: the step itself may be cut short by the boundary
            if cut is not None:
                cut(solver)
            failure = solver.step()
            result.counters["steps"] += 1
            short = short + 1 if failure is None and solver.step_size < SPECK * problem.dt else 0
            if short > PATIENCE:
                failure = TOO_SHORT
                break
            reached = done
            while reached < frames and problem.elapsed(carry.frame + reached + 1) <= solver.t:
                reached += 1
            if reached > done:
                times = [problem.elapsed(carry.frame + f + 1) for f in range(done, reached)]
                y = solver.dense_output()(np.array(times))
                if times[-1] == solver.t:  # the state itself, without the interpolant's rounding
                    y[:, -1] = solver.y
                for name, values in _apart(y.T, layout).items():
                    wanted[name][b, done:reached] = values
                done = reached
                tick(done)
        result.arrays["h"][b] = step
        result.counters["nfev"] += solver.nfev
        if failure is not None:
            result.failures[b] = (done, f"{self.name}: {failure.rstrip('.').lower()}")

    def _solver(self, carry: Carry, b: int) -> integrate.OdeSolver:
        options, problem = self.options, carry.problem
        first_step = carry.arrays["h"][b]
        # since the start: at a late t0 a step would have to be longer than the spacing of floats
        begin, end = (problem.elapsed(carry.frame + n) for n in (0, options.segment))
        state = {"x": carry.arrays["x"], "v": carry.arrays["v"], **carry.hidden}
        shapes = {name: values.shape[1:] for name, values in state.items()}
        given = (
            first_order(problem, b, shapes),
            begin,
            np.concatenate([values[b].ravel() for values in state.values()]),
            end,
        )
        # NaN > 0 is False
        step = min(first_step, end - begin) if first_step > 0 else None
        rtol, atol, longest = options.rtol, options.atol, options.max_step or np.inf
        if options.norm == "particle":
            norm = ParticleNorm(shapes.values(), rtol, atol)
            return self.per_particle(*given, norm, step, longest)
        return self.solver(*given, first_step=step, rtol=rtol, atol=atol, max_step=longest)

    def _cut(self, carry: Carry, b: int) -> _Cut | None:
        """Return what bounds the next step by encounters, where there may be some."""
        options, problem = self.options, carry.problem
        shape = carry.arrays["x"].shape[1:]
        laws = problem.system.force_laws()
        alone = shape[0] < 2 or (laws is not None and not laws.has_pairs)
        # dear forces are of all particles: no pair can be asked for its own
        if options.norm != "particle" or alone or problem.system.dear:
            return None
        particles = problem.particles[b]
        look = Encounters(problem.system, particles, shape[1], options.rtol, options.atol)
        return _Cut(look, shape, options.max_step or np.inf)


@final
class _Cut:
    """Sets the longest next step of a SciPy solver."""

    def __init__(self, look: Encounters, shape: tuple[int, int], longest: float) -> None:
        self.look, self.shape, self.longest = look, shape, longest
        self.size = math.prod(shape)

    def __call__(self, solver: Any) -> None:
        x = solver.y[: self.size].reshape(self.shape)
        v = solver.y[self.size : 2 * self.size].reshape(self.shape)
        bound = self.look.bound(x, v, min(solver.h_abs, self.longest))
        # SciPy fails below ten spacings of floats, where it may as well take the least step it can
        least = 10 * np.spacing(solver.t)
        solver.max_step = min(self.longest, max(bound, least))


def _tick_share(tick: Tick, before: int, batch: int, done: float) -> None:
    """Count a trajectory's frames as their share of the batch."""
    tick((before + done) / batch)


def first_order(
    problem: Problem, b: int, layout: Mapping[str, tuple[int, ...]]
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Write trajectory `b` as y' = f(t, y) with y = (x, v, hidden variables) flattened."""
    particles: Particles = problem.particles[b]
    acceleration, hidden_rate = problem.system.acceleration, problem.system.hidden_rate
    shape, size = layout["x"], math.prod(layout["x"])
    behind = {name: axes for name, axes in layout.items() if name not in ("x", "v")}

    def right_hand_side(t: float, y: np.ndarray) -> np.ndarray:
        del t  # the systems are autonomous
        x, v = y[:size].reshape(1, *shape), y[size : 2 * size].reshape(1, *shape)
        if not behind:
            return np.concatenate([y[size:], acceleration(x, v, particles).ravel()])
        hidden = _apart(y[None, 2 * size :], behind)
        a, rates = acceleration(x, v, particles, hidden), hidden_rate(x, v, particles, hidden)
        moved = (rates[name].ravel() for name in behind)
        return np.concatenate([y[size : 2 * size], a.ravel(), *moved])

    return right_hand_side


def _apart(y: np.ndarray, layout: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Take y (F, M) apart into arrays (F, ...) by name, of the shapes that are laid out in it."""
    parts, begin = {}, 0
    for name, shape in layout.items():
        end = begin + math.prod(shape)
        parts[name] = y[:, begin:end].reshape(-1, *shape)
        begin = end
    return parts


@final
class Dop853(_SciPySolver):
    """Dormand and Prince's method of order 8(5, 3) (Hairer, Norsett, Wanner 1993, II.5).

    References
    ----------
    Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I" (1993), II.5 and II.10.
    """

    name = "dop853"
    solver = integrate.DOP853
    per_particle = ParticleDOP853


@final
class RK45(_SciPySolver):
    """Dormand and Prince's method of order 5(4) (J. Comp. Appl. Math. 6, 1980).

    References
    ----------
    Dormand and Prince, J. Comp. Appl. Math. 6 (1980) 19; Shampine, Math. Comp. 46 (1986) 135, for
    its dense output.
    """

    name = "rk45"
    solver = integrate.RK45
    per_particle = ParticleRK45
