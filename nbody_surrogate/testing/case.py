"""A plugin under test, together with the problem that it is tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import integrator_class, make_system
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.testing.check import AbstractCase

__all__ = ["StepperCase", "SystemCase", "integrator_case", "system_case"]

DEFAULT_SYSTEM = "charged"
FEW = 4  # particles


@dataclass(frozen=True)
class StepperCase(AbstractCase):
    """An integrator, or a surrogate as one.

    Attributes
    ----------
    make : callable
        Builds the integrator anew; takes options such as ``segment``.
    system : AbstractSystem
        One that it fits.
    n : int
        Particles.
    """

    make: Callable[..., AbstractIntegrator]
    system: AbstractSystem
    n: int

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt

    @property
    def usual(self) -> str:
        """The method that frames come from."""
        return self.make().stepper

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Numbers of dimensions that the system can be in."""
        return dimensions_of(self.system)

    def start(
        self, seed: int, batch: int = 1, n: int | None = None, dimensions: int | None = None
    ) -> tuple[State, Particles]:
        """Draw a start."""
        return self.system.sample(seed, n or self.n, batch, dimensions)

    def run(
        self, integrator: AbstractIntegrator, state: State, particles: Particles, frames: int
    ) -> Ensemble:
        """Run an integrator from a start."""
        return simulate(
            self.system, state, particles, frames, integrator, dt=self.dt, error_estimate=False
        )


def integrator_case(name: str, system: str | None = None) -> StepperCase:
    """Return the case of an integrator, on a system that it takes."""
    cls = integrator_class(name)

    def make(**options: Any) -> AbstractIntegrator:
        return make_integrator(name, **options)

    return StepperCase(make().origin, make, _fitting(cls.name, make, system), FEW)


def _fitting(
    name: str, make: Callable[..., AbstractIntegrator], wanted: str | None
) -> AbstractSystem:
    """Build the wanted system, or the first one that an integrator takes."""
    if wanted is not None:
        return _taken(make, wanted)
    refusals = []
    for each in dict.fromkeys([DEFAULT_SYSTEM, *names("systems")]):
        try:
            return _taken(make, each)
        except InputError as error:
            refusals.append(str(error))
    raise PluginError(f"integrator {name!r} takes no system: {'; '.join(refusals)}")


def _taken(make: Callable[..., AbstractIntegrator], name: str) -> AbstractSystem:
    system = make_system(name)
    make().start(system, *system.sample(0, FEW), system.spec.frame_dt)
    return system


@dataclass(frozen=True)
class SystemCase(AbstractCase):
    """A system."""

    system: AbstractSystem

    @property
    def usual(self) -> str:
        """See `AbstractCase.usual`."""
        return "pair_acceleration"

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Numbers of dimensions that the system can be in."""
        return dimensions_of(self.system)

    def forces(self, state: State, particles: Particles) -> np.ndarray:
        """Total accelerations of a state, shape (B, N, D)."""
        return self.system.acceleration(state.x, state.v, particles, state.hidden)


def dimensions_of(system: AbstractSystem) -> tuple[int, ...]:
    """Numbers of dimensions that a system can be in: those of its box, or 3 and 2."""
    return (3, 2) if system.box is None else (system.box.dimension,)


def system_case(name: str) -> SystemCase:
    """Return the case of a system with its default parameters."""
    system = make_system(name)
    return SystemCase(system.origin, system)
