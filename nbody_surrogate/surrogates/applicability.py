"""DOC."""

from __future__ import annotations

import numpy as np

__all__ = []


SAME_DT = 1e-9  # relative difference of frame spacings that counts as none


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
