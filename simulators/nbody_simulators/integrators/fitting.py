"""What a refusal names: the methods that take what another one does not."""

from __future__ import annotations

from nbody_simulators.integrators.linear_flows import is_linear
from nbody_surrogate.contracts import Problem

__all__ = ["field_is_linear", "fitting_methods", "methods_without_laws"]


def field_is_linear(problem: Problem) -> bool:
    """Say whether the laws of a system leave particles that do not see each other linear."""
    laws, particles = problem.system.force_laws(), problem.particles
    if laws is None:
        return False
    return laws.field is None or is_linear(laws.field, particles.charges, particles.masses)


def fitting_methods(problem: Problem) -> str:
    """Name the methods that take a problem's forces."""
    system, laws = problem.system, problem.system.force_laws()
    names = []
    if laws is not None and laws.field is not None and field_is_linear(problem):
        names.append("exact-flow")
    if not system.velocity_dependent:
        names.append("leapfrog")
    elif system.magnetic_field() is not None:
        names.append("boris")
    return f"{', '.join([*names, 'rk4'])} or dop853"


def methods_without_laws(problem: Problem) -> str:
    """Name methods that take forces which are no laws, for those that do not."""
    system = problem.system
    if not system.velocity_dependent:
        return "leapfrog, srkn4, srkn6 or dop853"
    return f"{'boris, ' if system.magnetic_field() is not None else ''}rk4 or dop853"
