"""`plot`: the figure of any result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.viz.figures.comparison import draw_comparisons
from nbody_surrogate.viz.figures.trajectory import draw_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot"]


@guided(path="`plot(result).savefig(path)`", ax="the figure that `plot` returns")
def plot(
    result: Trajectory | Ensemble | Comparison | Sequence[Comparison] | str | os.PathLike[str],
) -> Figure:
    """Draw a result with matplotlib; it is a figure to show, change or save.

    Of a run: the paths of its first trajectory, and over time the drift_curves from the start's
    energy, momentum and angular momentum, of several trajectories the medians with their quartiles.
    Of comparisons: errors, energies, displacements, distributions and valid prediction times of the
    candidates beside their reference.

    Parameters
    ----------
    result : Trajectory, Ensemble, path_like, Comparison or sequence of Comparison
        Positions of shape (T, N, D) or (B, T, N, D), D = 2 or 3; comparisons with one reference.
        All in reduced units; energies are over the time-mean kinetic energy.

    Returns
    -------
    matplotlib.figure.Figure
        Apart from pyplot's global state: nothing needs to be closed. Notebooks show it.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(result, Trajectory | Ensemble | str | os.PathLike):
        return draw_run(as_ensemble(result))
    found = [result] if isinstance(result, Comparison) else result
    if not (isinstance(found, Sequence) and all(isinstance(each, Comparison) for each in found)):
        raise InputError(
            "`result` must be a Trajectory, an Ensemble, a Comparison or a list of comparisons "
            "(of several runs: compare(reference, run) each), "
            f"got {type(result).__name__}"
        )
    if not found:
        raise InputError("`result` must hold one comparison at least, got an empty list")
    return draw_comparisons(found)
