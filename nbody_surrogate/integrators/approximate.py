"""A method that moves a system by cheaper forces than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, final

import numpy as np

from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Frames, Limits, Problem, Tick
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.integrators.approximation_text import SIGN

__all__ = ["Approximated", "with_options"]


@final
class Approximated(AbstractIntegrator):
    """A solver whose forces are those of an approximation of the run's system.

    The run's system stays the true one: its energies are recorded, and errors are against it. The
    approximation is one of `AbstractSystem.approximations`. Names, files and restarts know it:
    ``leapfrog@p2``.

    Parameters
    ----------
    inner : AbstractIntegrator
        The solver, with its options.
    approximation : str
        Looked up when a system is there.
    """

    def __init__(self, inner: AbstractIntegrator, approximation: str) -> None:
        self.inner, self.approximation = inner, approximation
        self.name = f"{inner.name}{SIGN}{approximation}"
        self.Options = type(inner).Options
        self.options, self.origin, self.stepper = inner.options, inner.origin, inner.stepper
        self.capabilities = inner.capabilities
        self._latest: tuple[AbstractSystem, AbstractSystem] | None = None

    @property
    def description(self) -> dict[str, Any]:
        """Name and options, as they are stored with a run."""
        return {**self.inner.description, "integrator": self.name}

    @property
    def batch_invariant(self) -> bool:
        """As the solver's."""
        return self.inner.batch_invariant

    def batch_invariant_for(self, system: AbstractSystem) -> bool:
        """As the solver's, of the approximation."""
        return self.inner.batch_invariant_for(self.system_of(system))

    @property
    def history(self) -> int:
        """As the solver's."""
        return self.inner.history

    @property
    def fingerprint(self) -> str:
        """As the solver's."""
        return self.inner.fingerprint

    def limits(self, system: AbstractSystem) -> Limits:
        """As the solver's, of the approximation."""
        return self.inner.limits(self.system_of(system))

    def domain(self, system: AbstractSystem) -> Domain | None:
        """As the solver's, of the approximation."""
        return self.inner.domain(self.system_of(system))

    def threads_for(self, batch: int, n: int) -> int:
        """As the solver's."""
        return self.inner.threads_for(batch, n)

    def system_of(self, system: AbstractSystem) -> AbstractSystem:
        """Return the approximation of a system; the latest one is kept.

        Parameters
        ----------
        system : AbstractSystem

        Returns
        -------
        AbstractSystem

        Raises
        ------
        InputError
            If the system has no such approximation.
        """
        if self._latest is None or self._latest[0] is not system:
            self._latest = system, system.approximated(self.approximation)
        return self._latest[1]

    def _of(self, problem: Problem) -> Problem:
        return replace(problem, system=self.system_of(problem.system))

    def _check(self, problem: Problem, state: State) -> None:
        self.inner.check(self.system_of(problem.system), state, problem.particles, problem.dt)

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return self.inner._start(self._of(problem), state)

    def _restart(self, problem: Problem, t: float, x: np.ndarray, v: np.ndarray) -> dict[str, Any]:
        return self.inner._restart(self._of(problem), t, x, v)

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        arrays = MappingProxyType(dict(carry.arrays))
        return self.inner._advance(
            Carry(self._of(carry.problem), carry.frame, arrays), frames, tick
        )

    def _stored(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return self.inner._stored(arrays)

    def _restored(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return self.inner._restored(arrays)


def with_options(method: AbstractIntegrator, **changes: Any) -> AbstractIntegrator:
    """Return a solver like another one, with some other options.

    Parameters
    ----------
    method : AbstractIntegrator
    **changes
        Options, by name.

    Returns
    -------
    AbstractIntegrator

    Raises
    ------
    InputError
        If an option does not fit.
    """
    if isinstance(method, Approximated):
        return Approximated(with_options(method.inner, **changes), method.approximation)
    return type(method)(**(dict(method.options) | changes))
