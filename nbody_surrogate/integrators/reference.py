"""Which solver is the ground truth where none is named."""

from __future__ import annotations

from nbody_surrogate.contracts.capabilities import RANDOM_KICKS, STOCHASTIC
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.integrators.build import make_integrator

__all__ = ["COMPILED_SOLVER", "SCIPY_SOLVER", "default_method", "default_reference"]

SCIPY_SOLVER = "dop853"
COMPILED_SOLVER = "dop853-compiled"
"""The same method, for systems whose forces can be compiled."""


def default_method(system: AbstractSystem) -> str:
    """Name the method that runs a system where none is named: ``dop853``, or ``baoab`` in a bath.

    A system in a bath is one whose particles are kicked at random, see `SystemKicks`.
    """
    return STOCHASTIC if RANDOM_KICKS in system.needs else SCIPY_SOLVER


def default_reference(system: AbstractSystem, batch: int) -> str:
    """Name the solver that serves as ground truth.

    ``baoab`` where a bath kicks the particles at random. Else ``dop853-compiled`` where there is
    more than one start to pay for its compilation, its library is there and it takes the system;
    else ``dop853``.
    """
    if RANDOM_KICKS in system.needs:
        return STOCHASTIC
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
