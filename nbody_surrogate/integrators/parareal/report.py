"""What a run by parareal says of itself before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.integrators.parareal.integrator import Parareal
from nbody_surrogate.results.parareal_report import PararealReport

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["report_of"]


def report_of(method: AbstractIntegrator, system: AbstractSystem) -> PararealReport | None:
    """Return the report that windows are added to; None of another method.

    Parameters
    ----------
    method : AbstractIntegrator
    system : AbstractSystem
        That it has been checked with.

    Returns
    -------
    PararealReport or None
    """
    if not isinstance(method, Parareal):
        return None
    pair = method.pair(system)
    return PararealReport(
        coarse=pair.coarse.description,
        fine=pair.fine.description,
        slices=method.options.segment // method.slice_frames,
        slice_frames=method.slice_frames,
        tolerance=method.tolerance(system),
    )
