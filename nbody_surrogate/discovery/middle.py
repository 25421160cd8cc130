"""Fields are sought about the middle of the tracks, wherever a camera has its origin.

About a far origin, a field that is 0 in the middle of a trap is a large constant less a large
gradient, which no fit tells apart, and a law that prefers no direction has one to the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64

    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["about_middle", "at_origin", "middle_of"]


def middle_of(runs: Sequence[Tracks]) -> Float64[np.ndarray, " D"]:
    """Return the mean of all positions."""
    seen = np.concatenate([run.x[run.seen] for run in runs])
    return np.asarray(seen.mean(0))


def about_middle(runs: Sequence[Tracks], middle: np.ndarray) -> list[Tracks]:
    """Return the tracks with the middle at 0."""
    return [replace(run, x=run.x - middle) for run in runs]


def at_origin(law: dict[str, Any], middle: np.ndarray) -> dict[str, Any]:
    """Return a law found about the middle as it is about the tracks' own origin."""
    moved = dict(law)
    where = np.zeros(3)
    where[: middle.size] = middle
    for kind in ("", "_by_charge"):
        field = np.array(law[f"uniform{kind}"]) - np.array(law[f"gradient{kind}"]) * where
        moved[f"uniform{kind}"] = field.tolist()
    moved["starts_x"] = (np.array(law["starts_x"]) + middle).tolist()
    return moved
