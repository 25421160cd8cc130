"""Whether several numbers are 0, given their covariance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Test", "wald"]


class Test(NamedTuple):
    """A Wald test of several combinations of unknowns being 0."""

    statistic: float
    degrees: int
    p: float


def wald(values: np.ndarray, covariance: np.ndarray) -> Test:
    """Test whether values with that covariance are all 0.

    Combinations that the tracks do not tell apart from other unknowns do not count.
    """
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    eigenvalues, vectors = np.linalg.eigh(covariance / size[:, None] / size)
    told = eigenvalues > 1e-9 * eigenvalues[-1]
    along = vectors[:, told].T @ (values / size)
    statistic = float((along**2 / eigenvalues[told]).sum())
    degrees = int(told.sum())
    return Test(statistic, degrees, float(stats.chi2.sf(statistic, degrees)))
