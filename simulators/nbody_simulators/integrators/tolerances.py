"""The tolerances of adaptive solvers, and whether they fit the size of what is solved."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts import IntegratorOptions, Problem, State, warn

__all__ = ["ToleranceOptions", "warn_of_loose_atol"]

SMALLEST_RTOL = 3e-14  # SciPy raises anything below 100 machine epsilons, with a warning

LOOSER = 1e4
"""How many times the relative tolerance the absolute one may be, over the positions: within that
it is a choice, such as equal tolerances where positions are of order one or far smaller."""

COARSE = 1e-6
"""Of the positions: whatever the relative tolerance, a finer absolute one is no mistake."""


class ToleranceOptions(IntegratorOptions):
    """Options of the adaptive solvers.

    With ``norm="particle"`` the error of a step is that of the particle with the largest one, and
    steps are cut before encounters that they would miss: see `particle_norm` and `encounters`.
    With ``norm="rms"`` both are as in SciPy: the root mean square over all components, so that
    particles at rest make room for errors of the others, and no look ahead.
    """

    # what files of releases before these options mean
    of_before: ClassVar[Mapping[str, Any]] = MappingProxyType({"norm": "rms"})

    rtol: float = Field(default=1e-9, ge=SMALLEST_RTOL, lt=1, allow_inf_nan=False)
    atol: float = Field(default=1e-9, gt=0, allow_inf_nan=False)
    norm: Literal["particle", "rms"] = Field(
        default="particle", description="error of a step: of the worst particle, or over all"
    )
    max_step: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="longest step; default: no bound"
    )


def warn_of_loose_atol(options: ToleranceOptions, problem: Problem, state: State) -> None:
    """Warn where an absolute tolerance leaves the errors of positions without control.

    The default is one of reduced units. In metres, ions are 1e-10 or 1e-6 apart: steps are then as
    long as frames, and nothing would tell it.
    """
    # what starts at one place goes as far as this in a frame
    size = max(np.abs(state.x).max(), np.abs(state.v).max() * problem.dt)
    if size > 0 and options.atol > max(LOOSER * options.rtol, COARSE) * size:
        warn(
            f"`atol` of {options.atol:g} is too large for positions of {size:.2g}: their errors "
            f"are not held within `rtol`; take --atol {options.rtol * size:.1g}, or of a "
            "reference --reference-atol as small",
        )
