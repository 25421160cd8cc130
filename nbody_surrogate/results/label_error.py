"""The errors of a verified run itself, at the horizons of a table.

A run made with ``verify`` is held against a sharper one of the same start; their difference over
time, `Ensemble.label_error`, is summarised here over trajectories. It is the error of steps in
time. A system whose own model is truncated errs by that too: `Ensemble.system_error` is the
difference between sharper runs of it and of its finer version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.results.bootstrap import finite_or_none
from nbody_surrogate.results.metrics import horizon_frames
from nbody_surrogate.results.quantiles import known, known_median
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["LabelErrors", "label_errors", "system_errors"]


@dataclass(frozen=True)
class LabelErrors:
    """An error of a run at a table's horizons, over the trajectories that are good there.

    Attributes
    ----------
    horizons : tuple of float
        Time since the start, as in `Comparison`.
    median, largest : tuple of float
        Over trajectories; NaN where none is good.
    """

    horizons: tuple[float, ...]
    median: tuple[float, ...]
    largest: tuple[float, ...]

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return {
            "horizons": list(self.horizons),
            "median": [finite_or_none(value) for value in self.median],
            "largest": [finite_or_none(value) for value in self.largest],
        }


def label_errors(run: Ensemble) -> LabelErrors | None:
    """Summarise the label error of a run, or return None where it was not verified."""
    return None if run.label_error is None else _summary(run.t, run.label_error)


def system_errors(run: Ensemble) -> LabelErrors | None:
    """Summarise the error of a run's system, or return None where it was not measured."""
    return None if run.system_error is None else _summary(run.t, run.system_error)


def _summary(t: np.ndarray, errors: np.ndarray) -> LabelErrors:
    at = horizon_frames(t)
    # NaN from where either run failed: the later the horizon, the fewer trajectories count
    good = [known(errors[:, frame]) for frame in at]
    return LabelErrors(
        horizons=tuple(float(t[frame] - t[0]) for frame in at),
        median=tuple(known_median(values) for values in good),
        largest=tuple(float(np.max(values)) if values.size else np.nan for values in good),
    )
