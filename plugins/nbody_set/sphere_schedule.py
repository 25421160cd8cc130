"""When a frame of `SETSpheres` kicks, and the steps between."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["STAGES", "schedule"]

_KICKS = (0.082984406417405018838, 0.39630980149836807709, -0.039056304922348435171)
_DRIFTS = (0.2452989571842711626, 0.60487266571107997496)


def _stages() -> tuple[tuple[float, float], ...]:
    """Return drifts, each before a kick, of a step: SRKN6b of Blanes and Moan, kicks first."""
    drifts = (*_DRIFTS, 0.5 - sum(_DRIFTS))
    kicks = (*_KICKS, 1.0 - 2.0 * sum(_KICKS))
    return tuple(zip((0.0, *drifts, *drifts[::-1]), (*kicks, *kicks[:-1][::-1]), strict=True))


STAGES = _stages()


@cache
def schedule(kicks: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the times between kicks (kicks + 1,), and the kicks, in lengths of a frame.

    Parameters
    ----------
    kicks : int

    Returns
    -------
    times, weights : tuple of float
        Those of the quadrature of Gauss and Legendre.
    """
    nodes, weights = np.polynomial.legendre.leggauss(kicks)
    # a palindrome to the bit
    nodes, weights = 0.5 * (nodes - nodes[::-1]), 0.5 * (weights + weights[::-1])
    times = 0.5 * np.diff(np.concatenate([[-1.0], nodes, [1.0]]))
    times = 0.5 * (times + times[::-1])
    return tuple(times.tolist()), tuple((0.5 * weights).tolist())
