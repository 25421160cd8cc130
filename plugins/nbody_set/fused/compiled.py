"""The compiled frames of `SET`, kept on disk by numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nbody_set import domain
from nbody_set.fused import arguments, gate, kernel, pairs, particles, weights
from nbody_surrogate.layers import code, code_functions, fused

__all__ = ["advance"]

_frames = fused.emitted(kernel.frames)


def _compiled(sources: int) -> Any:
    @numba.njit(cache=True, nogil=True)
    def advance(like: np.ndarray, table: np.ndarray, begin: int, end: int) -> int:
        _frames(like, table, begin, end)
        return sources  # a free variable, by which the compiled code is known

    return advance


advance = _compiled(
    fused.source_number(
        arguments, gate, kernel, pairs, particles, domain, weights, code, code_functions, fused
    )
)
"""``advance(like, table, begin, end)`` makes the frames of some trajectories, in the precision of
the array `like`; `table` is that of `arguments`."""
