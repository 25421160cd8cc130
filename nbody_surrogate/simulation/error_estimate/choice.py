"""Whether a run has an error estimate, and by which error model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator

if TYPE_CHECKING:  # it needs torch
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = ["as_surrogate", "estimator_for"]


def as_surrogate(method: AbstractIntegrator) -> SurrogateIntegrator | None:
    """Return a surrogate's integrator as what it is, None where a method is a solver."""
    # a surrogate brings torch with it, so this import costs nothing then
    if "torch" in sys.modules:
        from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

        if isinstance(method, SurrogateIntegrator):
            return method
    return None


def estimator_for(
    method: AbstractIntegrator, problem: Problem, dimensions: int, asked: bool | None
) -> ErrorEstimator | None:
    """Build what estimates the error of a run.

    Parameters
    ----------
    method : AbstractIntegrator
    problem : Problem
    dimensions : int
        D of positions.
    asked : bool or None
        None is for surrogates: solvers have their tolerance.

    Returns
    -------
    ErrorEstimator or None
        None where there is to be none, and where nobody asked and none can be made, or forces are
        dear.

    Raises
    ------
    InputError
        If it was asked for, and the system has hidden variables that the method does not keep.
    """
    surrogate = as_surrogate(method)
    # frames of a surrogate hold no hidden variables, so that no motion can be started from them
    unfit = surrogate is None or bool(problem.system.hidden_variables)
    # of dear forces it would take what the surrogate is there to save
    unfit = unfit or problem.system.dear
    if asked is False or (asked is None and unfit):
        return None
    model = None if surrogate is None else surrogate.card.error_model
    return ErrorEstimator(problem, dimensions, model, method.keeps_hidden)
