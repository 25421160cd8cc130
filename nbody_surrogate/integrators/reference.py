"""Which solver is the ground truth where none is named."""

from __future__ import annotations

from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.integrators.build import make_integrator

__all__ = ["COMPILED_SOLVER", "SCIPY_SOLVER", "default_reference"]

SCIPY_SOLVER = "dop853"
COMPILED_SOLVER = "dop853-compiled"
"""The same method, for systems whose forces can be compiled."""


def default_reference(system: AbstractSystem, batch: int) -> str:
    """Name the solver that serves as ground truth.

    ``dop853-compiled`` where there is more than one start to pay for its compilation, its library
    is there and it takes the system; else ``dop853``.
    """
    return COMPILED_SOLVER if batch > 1 and _takes(COMPILED_SOLVER, system) else SCIPY_SOLVER


def _takes(name: str, system: AbstractSystem) -> bool:
    """Whether an integrator can be made and starts from a small sample of the system."""
    try:
        # two particles: whether a system fits does not depend on how many there are
        state, particles = system.sample(0, system.fixed_particles or 2)
        make_integrator(name).check(system, state, particles, system.spec.frame_dt)
    except (InputError, PluginError):  # of its library, or of a system without laws
        return False
    return True
