"""One frame by a cheap solver of fixed steps, of many states side by side.

Errors are estimated with it, so it must fit every system: compiled where the forces are laws, in
NumPy where a system gives its forces as a function.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.error_follower import AbstractErrorFollower
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden, listed
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Problem
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.integrators.build import Method, find_method

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["LARGEST", "FrameSolver", "PhaseSpace", "rms", "spread"]

COMPILED = {"leapfrog": 2, "boris": 2, "rk4": 4}
"""Solvers in the order in which they are tried, and their orders. The first is the cheapest; the
others do what it cannot, forces that depend on velocity."""

OPTIONS = {"leapfrog": {"form": "kdk"}}
"""What they are made with: errors are calibrated in runs against this form of leapfrog."""

LARGEST = 1e150
"""What an error is held at that is beyond all meaning; its square is finite."""

OF_ORDER_4 = 2
"""How many times longer the steps of a method of order 4 are, of which each takes four forces."""


class PhaseSpace(NamedTuple):
    """Positions, velocities and hidden variables, or differences of them.

    Attributes
    ----------
    x, v : ndarray, both of one shape (..., N, D)
    hidden : mapping of str to ndarray, shape (..., N, ...)
        Empty, where the system has none.
    """

    x: np.ndarray
    v: np.ndarray
    hidden: Hidden = NOTHING_HIDDEN

    def made(self, change: Callable[[np.ndarray], np.ndarray]) -> PhaseSpace:
        """Return what something makes of each array."""
        hidden = {name: change(values) for name, values in self.hidden.items()}
        return PhaseSpace(change(self.x), change(self.v), hidden)

    def with_each(
        self, other: PhaseSpace, change: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> PhaseSpace:
        """Return what something makes of each array and that of another one."""
        hidden = {name: change(y, other.hidden[name]) for name, y in self.hidden.items()}
        return PhaseSpace(change(self.x, other.x), change(self.v, other.v), hidden)

    def plus(self, other: PhaseSpace, share: float = 1.0) -> PhaseSpace:
        """Add a share of another one."""
        return self.with_each(other, lambda mine, its: mine + share * its)

    def minus(self, other: PhaseSpace) -> PhaseSpace:
        """Subtract another one."""
        return self.with_each(other, lambda mine, its: mine - its)

    def at(self, frame: int) -> PhaseSpace:
        """Return one frame of (B, F, N, D), shape (B, N, D)."""
        return self.made(lambda y: y[:, frame])


@final
class FrameSolver:
    """Advances states by one frame, in a number of steps that the caller chooses.

    ``leapfrog`` where it fits, else ``boris``, else ``rk4``, else a Runge-Kutta method of order 4
    in NumPy, which takes any system.

    Parameters
    ----------
    system : AbstractSystem
    dt : float
        Time between frames, in reduced units.
    keeps_hidden : bool
        Whether the frames hold the hidden variables of the system.

    Attributes
    ----------
    order : int
        Of the method: its error falls as the number of steps to this power.
    name : str
    calls : int
        Evaluations of the forces of all pairs of one state, by now.

    Raises
    ------
    InputError
        If the system has hidden variables, and frames do not hold them.
    """

    def __init__(self, system: AbstractSystem, dt: float, keeps_hidden: bool = False) -> None:
        if system.hidden_variables and not keeps_hidden:
            raise InputError(
                f"`error_estimate` cannot be made of system {system.name!r}: frames of a surrogate "
                "do not hold its hidden variables, "
                f"{listed([each.name for each in system.hidden_variables])}"
            )
        self.system, self.dt, self.calls = system, dt, 0
        self._methods: dict[int, AbstractIntegrator] = {}
        found = (find_method(name) for name in COMPILED)
        self._found: Method | None = next((each for each in found if self._fits(each)), None)
        self.name = "" if self._found is None else self._found.name
        self.order = COMPILED.get(self.name, 4)

    def _fits(self, method: Method) -> bool:
        if self.system.hidden_variables:  # which are followed in NumPy, below
            return False
        try:
            state, particles = self.system.sample(0, self.system.fixed_particles or 2)
            method.build().check(self.system, state, particles, self.dt)
        except (InputError, PluginError):
            return False
        return True

    @property
    def description(self) -> str:
        """Its name, as a table has it."""
        return self.name or "rk4 in NumPy"

    def steps(self, substeps: int) -> int:
        """Return the steps of a frame that cost and give about what so many of a leapfrog do."""
        return substeps if self.order == 2 else max(substeps // OF_ORDER_4, 1)

    def frame(self, particles: Particles, now: PhaseSpace, substeps: int) -> PhaseSpace:
        """Advance states by a frame.

        Parameters
        ----------
        particles : Particles, shape (L, N)
        now : PhaseSpace, shape (L, N, D)
        substeps : int

        Returns
        -------
        PhaseSpace, shape (L, N, D)
            A state that does not stay finite is returned as it was.
        """
        steps = self._counted(len(now.x), substeps)
        with np.errstate(all="ignore"):
            if self._found is None:
                return self._in_numpy(particles, now, steps)
            problem = Problem(self.system, particles, 0.0, self.dt)
            carry = Carry(problem, 0, MappingProxyType({"x": now.x, "v": now.v}))
            made = self._method(self._found, steps).advance(carry, 1)
        return PhaseSpace(made.x[:, 0], made.v[:, 0])

    def _counted(self, states: int, substeps: int) -> int:
        """Count the forces of states that are advanced by a frame; return the steps of one."""
        steps = self.steps(substeps)
        self.calls += states * (4 if self.order == 4 else 1) * steps
        return steps

    def follow(
        self,
        particles: Particles,
        frames: PhaseSpace,
        error: PhaseSpace,
        mapped: PhaseSpace,
        added: PhaseSpace,
        substeps: int,
    ) -> PhaseSpace:
        """Carry an error along frames: e_{n+1} = m_n - L(x_n - e_n) + r_n.

        Parameters
        ----------
        particles : Particles, shape (B, N)
        frames : PhaseSpace, shape (B, F + 1, N, D)
        error : PhaseSpace, shape (B, N, D)
            Of the first of them.
        mapped, added : PhaseSpace, shape (B, F, N, D)
            m_n = L(x_n), and what each further frame has added.
        substeps : int
            Of L.

        Returns
        -------
        PhaseSpace, shape (B, F, N, D)
            The error of each further frame, within `LARGEST`.
        """
        found = self._found
        method = None if found is None else self._method(found, self.steps(substeps))
        if isinstance(method, AbstractErrorFollower):
            problem = Problem(self.system, particles, 0.0, self.dt)
            given = [np.stack(each[:2]) for each in (frames, error, mapped, added)]
            with np.errstate(all="ignore"), plugin_errors(method.origin, "followed"):
                errors = method.followed(problem, *given, LARGEST)
            if errors is not None:
                self._counted(mapped.x.shape[0] * mapped.x.shape[1], substeps)
                return PhaseSpace(*errors)
        return self._frame_by_frame(particles, frames, error, mapped, added, substeps)

    def _frame_by_frame(
        self,
        particles: Particles,
        frames: PhaseSpace,
        error: PhaseSpace,
        mapped: PhaseSpace,
        added: PhaseSpace,
        substeps: int,
    ) -> PhaseSpace:
        errors = []
        with np.errstate(all="ignore"):
            for f in range(mapped.x.shape[1]):
                there = self.frame(particles, frames.at(f).minus(error), substeps)
                found = mapped.at(f).minus(there).plus(added.at(f))
                error = found.made(lambda y: np.clip(np.nan_to_num(y), -LARGEST, LARGEST))
                errors.append(error)
        hidden = {
            name: np.stack([each.hidden[name] for each in errors], axis=1) for name in error.hidden
        }
        x, v = (np.stack(each, axis=1) for each in zip(*(y[:2] for y in errors), strict=True))
        return PhaseSpace(x, v, hidden)

    def _method(self, found: Method, steps: int) -> AbstractIntegrator:
        if steps not in self._methods:
            self._methods[steps] = found.build(substeps=steps, **OPTIONS.get(found.name, {}))
        return self._methods[steps]

    def _in_numpy(self, particles: Particles, now: PhaseSpace, steps: int) -> PhaseSpace:
        """Runge and Kutta's classical method: Hairer, Norsett, Wanner (1993), II.1, table 1.2."""
        h, start = self.dt / steps, now
        for _ in range(steps):
            one = self._rate(particles, now)
            two = self._rate(particles, now.plus(one, h / 2))
            three = self._rate(particles, now.plus(two, h / 2))
            four = self._rate(particles, now.plus(three, h))
            now = now.plus(one.plus(four).plus(two, 2).plus(three, 2), h / 6)
        kept = np.ones(len(now.x), dtype=bool)
        for values in (now.x, now.v, *now.hidden.values()):
            kept &= np.isfinite(values).all(tuple(range(1, values.ndim)))
        return now.with_each(start, lambda y, was: np.where(spread(kept, y), y, was))

    def _rate(self, particles: Particles, now: PhaseSpace) -> PhaseSpace:
        system, hidden = self.system, now.hidden
        a = system.acceleration(now.x, now.v, particles, hidden)
        moved = system.hidden_rate(now.x, now.v, particles, hidden) if hidden else NOTHING_HIDDEN
        return PhaseSpace(now.v, a, moved)


def spread(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return values of the first axes of an array, with axes of length 1 for the others."""
    return values.reshape(values.shape + (1,) * (like.ndim - values.ndim))


def rms(difference: Float64[np.ndarray, "*L N D"]) -> Float64[np.ndarray, "*L"]:
    """Root-mean-square over particles and coordinates, as `results.metrics.rmse` has it."""
    # scaled, as squares of differences beyond 1e154 would be infinite
    largest = np.abs(difference).max((-2, -1), keepdims=True, initial=1e-300)
    scaled = np.sqrt(((difference / largest) ** 2).mean((-2, -1)))
    return np.asarray(largest[..., 0, 0] * scaled)
