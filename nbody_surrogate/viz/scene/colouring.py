"""What colours of particles and trails mean: what these are, their speed, error or hidden state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.palette import DARK, Colour, Palette, Ramp
from nbody_surrogate.viz.scene.particle_colours import constants, told_apart_by
from nbody_surrogate.viz.scene.tracks import Track

__all__ = [
    "COLOURINGS",
    "Scale",
    "between_frames",
    "check_colouring",
    "is_of_hidden",
    "scale_of",
]

COLOURINGS = ("auto", "charge", "mass", "identity", "speed", "error")
SHOWN = (2.0, 98.0)  # percentiles at the ends of the ramp: one runaway must not use it all up
HIDDEN = "hidden."
"""May begin the name of a hidden variable, and has to where its name means something else."""
DECADES = 6.0  # most of them that a ramp of errors spans; more cannot be told apart by colour


class Scale(NamedTuple):
    """A quantity of each particle and frame, and what its colours stand for.

    The ends are those of all frames and of both runs: a colour means the same throughout a movie.

    Attributes
    ----------
    label : str
    values : ndarray, shape (T, N)
        Of what is drawn solid.
    rival : ndarray, shape (T, N)
        Of what is drawn as rings; the same where there is none.
    low, high : float
        What the ends of the ramp stand for.
    logarithmic : bool
    ramp : Ramp
    varies : bool
        Whether values change in the course of time.
    rows : sequence of (tuple of Colour, str)
        What the legend says in the place of a bar.
    """

    label: str
    values: Float64[np.ndarray, "T N"]
    rival: Float64[np.ndarray, "T N"]
    low: float
    high: float
    logarithmic: bool
    ramp: Ramp
    varies: bool = True
    rows: Sequence[tuple[tuple[Colour, ...], str]] = ()

    def colours(self, frame: int, rival: bool = False) -> Float64[np.ndarray, "N 3"]:
        """Return the colours at a frame; what is not finite is at the upper end."""
        return self.ramp.at(self._share(self._of(rival)[frame]))

    def along(
        self, window: slice, subframes: int, rival: bool = False
    ) -> Float64[np.ndarray, "P N 3"]:
        """Return the colours of a path: what the quantity was at each of its points."""
        share = self._share(self._of(rival)[window])
        if self.varies:
            return self.ramp.at(between_frames(share, subframes))
        points = (len(share) - 1) * subframes + 1
        same: np.ndarray = np.broadcast_to(self.ramp.at(share[-1]), (points, share.shape[1], 3))
        return same

    def shares(self, rival: bool = False) -> Float64[np.ndarray, "T N"]:
        """Return places on the ramp, from 0 to 1, of all frames."""
        return self._share(self._of(rival))

    def _of(self, rival: bool) -> Float64[np.ndarray, "T N"]:
        return self.rival if rival else self.values

    def _share(self, values: Float64[np.ndarray, "*axes"]) -> Float64[np.ndarray, "*axes"]:
        """Return shares of the ramp; where the scale has logarithms, zero is at the lower end."""
        value, low, high = (np.asarray(each) for each in (values, self.low, self.high))
        if self.logarithmic:
            value, low, high = (np.log10(np.maximum(each, 1e-300)) for each in (value, low, high))
        share = (value - low) / (high - low)
        return np.asarray(np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0))


def between_frames(
    values: Float64[np.ndarray, "frames N"], subframes: int
) -> Float64[np.ndarray, "points N"]:
    """Return values at the points of a path: those of its frames, and on lines between them."""
    share = (np.arange(subframes) / subframes)[:, None]
    lines = values[:-1, None] * (1 - share) + values[1:, None] * share
    return np.concatenate([lines.reshape(-1, values.shape[1]), values[-1:]])


def is_of_hidden(colouring: str) -> bool:
    """Whether a colouring can only be the name of a hidden variable."""
    return colouring not in COLOURINGS


def check_colouring(colouring: str, has_reference: bool, hidden: Collection[str] = ()) -> None:
    """Demand a colouring that there is.

    Parameters
    ----------
    colouring : str
    has_reference : bool
    hidden : collection of str
        Hidden variables of one number for each particle, of what is drawn.

    Raises
    ------
    InputError
        If it is unknown, or it is the error and there is no reference.
    """
    if is_of_hidden(colouring) and colouring.removeprefix(HIDDEN) not in hidden:
        own = [name if is_of_hidden(name) else HIDDEN + name for name in sorted(hidden)]
        known = ", ".join((*COLOURINGS, *own))
        raise InputError(f"`colouring` must be one of {known}, got {colouring!r}")
    if colouring == "error" and not has_reference:
        raise InputError("`colouring` error needs a reference to be held against")


def scale_of(
    colouring: str, candidate: Track, reference: Track | None, palette: Palette = DARK
) -> Scale:
    """Return the scale of one of `COLOURINGS`, or of a hidden variable.

    Speeds are each run's own, on a scale that is made for the reference. Errors are those of the
    candidate in both. Hidden variables are each run's own, or those of the other where it keeps
    none. ``auto`` is the charge, else the mass, else the identity of particles.
    """
    lead = candidate if reference is None else reference
    if is_of_hidden(colouring):
        name = colouring.removeprefix(HIDDEN)
        runs = (lead,) if lead is candidate else (lead, candidate)
        both = [each for each in runs if name in each.hidden]
        # `check_colouring` has seen to it that one has it
        solid, ring = both[0].hidden[name], both[-1].hidden[name]
        low, high = _ends(np.concatenate([each.hidden[name] for each in both]))
        return Scale(name, solid, ring, low, high, False, palette.ramp)
    if colouring == "speed":
        values = np.linalg.norm(lead.v, axis=2)
        return Scale("speed", values, _speeds(candidate), *_ends(values), False, palette.ramp)
    if colouring == "error" and reference is not None:
        values = np.linalg.norm(candidate.x - reference.x, axis=2)
        low, high = _ends(values[values > 0])
        low = max(low, high * 10**-DECADES)
        return Scale("position error", values, values, low, high, True, palette.ramp)
    quantity = told_apart_by(lead.charges, lead.masses) if colouring == "auto" else colouring
    kind = constants(quantity, lead.charges, lead.masses, palette)
    same = np.broadcast_to(kind.values, lead.x.shape[:2])
    ends = kind.low, kind.high, kind.logarithmic
    return Scale(kind.label, same, same, *ends, kind.ramp, varies=False, rows=kind.rows)


def _speeds(track: Track) -> Float64[np.ndarray, "T N"]:
    return np.asarray(np.linalg.norm(track.v, axis=2))


def _ends(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 1e-12, 1.0
    low, high = np.percentile(finite, SHOWN)
    return float(low), float(high if high > low else low + (abs(low) or 1.0))
