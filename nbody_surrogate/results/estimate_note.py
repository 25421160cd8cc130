"""What a run's error estimate and its tolerance say, in words and in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.wording import counted, duration_text
from nbody_surrogate.results.bootstrap import finite_or_none
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble

if TYPE_CHECKING:
    from jaxtyping import Float64

    from nbody_surrogate.results.run_info import RunInfo

__all__ = ["covered", "estimate_as_dict", "estimate_label", "estimate_notes", "final_estimates"]


def final_estimates(run: Ensemble) -> Float64[np.ndarray, " B"] | None:
    """Return the estimates at the last valid frame of each trajectory, shape (B,).

    Parameters
    ----------
    run : Ensemble

    Returns
    -------
    ndarray or None
        None of a run without estimate.
    """
    if (estimate := run.error_estimate) is None:
        return None
    return np.asarray(estimate[np.arange(len(run)), run.valid_frames - 1])


def covered(run: Ensemble, reference: Ensemble) -> tuple[int, int] | None:
    """Count the trajectories whose true error is below the estimate where both runs end.

    Parameters
    ----------
    run : Ensemble
    reference : Ensemble
        The ground truth of the same starts, at the same times.

    Returns
    -------
    (covered, all) or None
        None of a run without estimate, and where a reference of other frames says nothing.
    """
    estimate = run.error_estimate
    if estimate is None or reference.x.shape != run.x.shape:
        return None
    last = np.minimum(run.valid_frames, reference.valid_frames) - 1
    rows = np.arange(len(run))
    true = rmse(reference.x[rows, last][:, None], run.x[rows, last][:, None])[:, 0]
    return int((true <= estimate[rows, last]).sum()), len(run)


def estimate_notes(
    run: Trajectory | Ensemble, reference: Trajectory | Ensemble | None = None
) -> list[str]:
    """Say how large the error of a run is estimated to be, and what a tolerance did.

    Parameters
    ----------
    run : Trajectory or Ensemble
    reference : Trajectory or Ensemble, optional
        The ground truth, where there is one.

    Returns
    -------
    list of str
        A line each; none of a run without estimate and tolerance.
    """
    whole = as_ensemble(run)
    lines, report, last = [], whole.info.error_estimate, final_estimates(whole)
    if report is not None and last is not None:
        sizes = f"{last[0]:.3g}"
        if len(last) > 1:
            sizes = f"{np.median(last):.3g} in the median, {last.max():.3g} at most"
        line = (
            f"Estimated error at the end: {sizes} ({estimate_label(whole.info)}, position RMSE), "
        )
        line += f"made in {duration_text(report.seconds)} beside the run"
        found = None if reference is None else covered(whole, as_ensemble(reference))
        if found is not None and found[1] > 1:
            line += f"; the true error is below it in {found[0]} of {found[1]}"
        elif found is not None:
            line += f"; the true error is {'below' if found[0] else 'above'} it"
        lines.append(f"{line}.")
    if (kept := whole.info.tolerance) is not None:
        frames = counted(kept.frames, "frame")
        lines.append(
            f"Tolerance {kept.tolerance:g} of each frame's error: {kept.by_solver} of {frames} "
            f"by {kept.solver['integrator']}, {kept.discarded} made by the surrogate in vain."
        )
    return lines


def estimate_label(info: RunInfo) -> str:
    """Say the coverage of a run's estimate, and where nobody has measured it.

    Parameters
    ----------
    info : RunInfo

    Returns
    -------
    str
        Such as ``95 %``; of trajectories outside of the method's domain, with words that it was
        calibrated on others; empty of a run without estimate.
    """
    report, domain = info.error_estimate, info.domain
    if report is None:
        return ""
    if not report.calibrated or domain is None or not domain.outside:
        return report.label
    batch = len(domain.since)
    if domain.outside == batch:
        return f"{report.label}, calibrated on other starts"
    return f"{report.label}, calibrated on starts unlike {domain.outside} of these {batch}"


def estimate_as_dict(run: Ensemble) -> dict[str, Any] | None:
    """Return the estimate as plain types, fit for JSON; None of a run without."""
    report, last = run.info.error_estimate, final_estimates(run)
    if report is None or last is None:
        return None
    return {
        "coverage": report.coverage,
        "calibrated": report.calibrated,
        "final": [finite_or_none(float(value)) for value in last],
        "solver": report.solver,
        "substeps": report.substeps,
        "force_calls": report.force_calls,
        "seconds": report.seconds,
    }
