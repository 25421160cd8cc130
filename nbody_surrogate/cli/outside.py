"""What `--outside` asks for: of a surrogate that is outside of what it was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.errors import InputError
from nbody_surrogate.simulation.guard.outside_policy import check_policy

if TYPE_CHECKING:
    from nbody_surrogate.cli.request import Request
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.results.trajectory import Ensemble
    from nbody_surrogate.simulation.guard.outside import Outside

__all__ = ["check_outside", "outside_of", "told_outside"]


def outside_of(request: Request, reference: AbstractIntegrator | None) -> Outside:
    """Return the policy of a run, which falls back on the run's reference.

    Raises
    ------
    InputError
        If it is none.
    """
    from nbody_surrogate.simulation.guard.outside import Outside

    return Outside(request.outside, reference if request.outside == "fallback" else None)


def check_outside(policy: str, learned: bool, methods: str) -> None:
    """Refuse a policy that is none, or that no method of these could keep.

    Raises
    ------
    InputError
    """
    check_policy(policy)
    if policy != "warn" and not learned:
        raise InputError(
            f"`outside` {policy!r} does not apply to {methods}: solvers were not trained; leave it "
            "out"
        )


def told_outside(runs: dict[str, Ensemble]) -> list[str]:
    """Say, a line each, which runs were outside of what their methods were trained for."""
    return [f"{name}: {note}" for name, run in runs.items() if (note := run.info.outside_note)]
