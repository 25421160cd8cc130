"""What the colours of particles mean: their charge, their speed, or their error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.tracks import Track, mixed

__all__ = ["COLOURINGS", "RAMP", "Scale", "check_colouring", "scale_of"]

COLOURINGS = ("charge", "speed", "error")
RAMP = np.array(
    [
        (0.23, 0.19, 0.55),
        (0.20, 0.45, 0.75),
        (0.24, 0.70, 0.67),
        (0.72, 0.84, 0.36),
        (0.99, 0.80, 0.25),
        (0.98, 0.45, 0.22),
    ]
)
"""From low to high: each is lighter than the dark backdrop, and tells its order in grey too."""
SHOWN = (2.0, 98.0)  # percentiles at the ends of the ramp: one runaway must not use it all up
DECADES = 6.0  # most of them that a ramp of errors spans; more cannot be told apart by colour


class Scale(NamedTuple):
    """A quantity of each particle and frame, and what its colours stand for.

    Attributes
    ----------
    label : str
    values : ndarray, shape (T, N)
    low, high : float
        What the ends of the ramp stand for.
    logarithmic : bool
    """

    label: str
    values: Float64[np.ndarray, "T N"]
    low: float
    high: float
    logarithmic: bool

    def colours(self, frame: int) -> Float64[np.ndarray, "N 3"]:
        """Return the colours at a frame; what is not finite is at the upper end."""
        value = self._scaled(self.values[frame])
        low = self._scaled(self.low)
        high = self._scaled(self.high)
        share = np.clip(np.nan_to_num((value - low) / (high - low), nan=1.0), 0.0, 1.0)
        return ramp(share)

    def _scaled(self, value: float | np.ndarray) -> np.ndarray:
        """Take logarithms where the scale has them; zero becomes very small."""
        return np.asarray(np.log10(np.maximum(value, 1e-300)) if self.logarithmic else value)


def ramp(share: Float64[np.ndarray, "*axes"]) -> Float64[np.ndarray, "*axes 3"]:
    """Return the colours at shares of the ramp from 0 to 1."""
    place = share * (len(RAMP) - 1)
    lower = np.minimum(place.astype(int), len(RAMP) - 2)
    return mixed(RAMP[lower], RAMP[lower + 1], (place - lower)[..., None])


def check_colouring(colouring: str, has_reference: bool) -> None:
    """Demand a colouring that there is.

    Raises
    ------
    InputError
        If it is unknown, or it is the error and there is no reference.
    """
    if colouring not in COLOURINGS:
        known = ", ".join(COLOURINGS)
        raise InputError(f"`colouring` must be one of {known}, got {colouring!r}")
    if colouring == "error" and not has_reference:
        raise InputError("`colouring` error needs a reference to be held against")


def scale_of(colouring: str, candidate: Track, reference: Track | None) -> Scale | None:
    """Return the scale of speeds or errors, or None where charges give the colours."""
    if colouring == "speed":
        lead = candidate if reference is None else reference
        values = np.linalg.norm(lead.v, axis=2)
        low, high = _ends(values)
        return Scale("speed", values, low, high, False)
    if colouring == "error" and reference is not None:
        values = np.linalg.norm(candidate.x - reference.x, axis=2)
        low, high = _ends(values[values > 0])
        return Scale("position error", values, max(low, high * 10**-DECADES), high, True)
    return None


def _ends(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 1e-12, 1.0
    low, high = np.percentile(finite, SHOWN)
    return float(low), float(high if high > low else low + (abs(low) or 1.0))
