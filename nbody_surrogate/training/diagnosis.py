"""What went wrong in a training run, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_surrogate.training.validation import Score

__all__ = ["diagnose"]

GAP = 1.5  # validation over training error, from which on it is called over-fitting
FALLING = 0.05  # of the residual, in the last tenth of the steps
ASYMMETRIC = 1e-3  # over the increments, far beyond rounding of float32


def diagnose(
    train: list[Score | None],
    validation: list[Score | None],
    log: list[dict[str, Any]],
    symmetry: float | None,
) -> list[str]:
    """Say, in a line for each, what a run shows of known failures, or that it shows none."""
    lines = [*_gaps(train, validation), *_convergence(log)]
    if symmetry is not None and not symmetry < ASYMMETRIC:
        lines.append(f"poor symmetry: rotated inputs change the increments by {symmetry:.1e}")
    return lines or ["no sign of over-fitting, slow convergence or poor symmetry"]


def _gaps(train: list[Score | None], validation: list[Score | None]) -> list[str]:
    lines = []
    for number, (seen, new) in enumerate(zip(train, validation, strict=True)):
        if seen is None or new is None:
            continue
        apart = new.low > seen.high  # of trajectories of their own, which are not paired
        if apart and new.mean > GAP * seen.mean:
            lines.append(
                f"over-fitting: source {number} has a one-step error of {new.mean:.1e} on "
                f"validation and {seen.mean:.1e} on training trajectories"
            )
    return lines


def _convergence(log: list[dict[str, Any]]) -> list[str]:
    residuals = [entry["residual"] for entry in log if entry.get("residual") is not None]
    if len(residuals) < 10:
        return []
    tenth = max(len(residuals) // 10, 1)
    before, last = np.mean(residuals[-2 * tenth : -tenth]), np.mean(residuals[-tenth:])
    if last < (1 - FALLING) * before:
        return ["slow convergence: the residual still falls; more `steps` would help"]
    return []
