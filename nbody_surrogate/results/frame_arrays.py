"""What the arrays of a run must be: frames at growing times, all of the same particles."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError, OutsideError
from nbody_surrogate.results.hidden_frames import demand_hidden_frames
from nbody_surrogate.results.observables import demand_observables

__all__ = ["demand_frames", "frame_number", "frame_range"]


def demand_frames(run: Any, axes: str) -> None:
    """Demand that all arrays of a run and its particles fit; frames may hold NaN.

    Parameters
    ----------
    run : Trajectory or Ensemble
    axes : {"(T, N, D)", "(B, T, N, D)"}
        Of `x` and `v`.

    Raises
    ------
    InputError
        If shapes disagree, or times are not finite or do not grow.
    """
    batch, n = _demand_arrays(run)
    if axes.startswith("(B"):
        _demand_shapes(run, axes, (batch, len(run.t), n))
        return
    if batch != 1:
        raise InputError(f"`particles` must be those of one trajectory, B = 1, got B = {batch}")
    _demand_shapes(run, axes, (len(run.t), n))


def _demand_arrays(run: Any) -> tuple[int, int]:
    """Demand numbers in arrays, and times in order; return (B, N) of the particles."""
    for name in ("t", "x", "v", "label_error"):
        values = getattr(run, name)
        if name == "label_error" and values is None:
            continue
        demand_kind(name, values, np.ndarray, "an array")
        if values.dtype.kind not in "fiu":
            raise InputError(f"`{name}` must be an array of real numbers, got {values.dtype}")
    demand_kind("particles", run.particles, Particles, "Particles")
    t = run.t
    if t.ndim != 1 or not len(t):
        raise InputError(f"`t` must have shape (T,), with T at least 1, got {t.shape}")
    # NaN compares as false; one pass over a few thousand numbers
    if not (np.isfinite(t[[0, -1]]).all() and (t[1:] > t[:-1]).all()):
        raise InputError(f"`t` must be finite and grow from frame to frame, got {_disorder(t)}")
    batch, n = run.particles.charges.shape
    return batch, n


def _disorder(t: np.ndarray) -> str:
    if not np.isfinite(t).all():
        at = int(np.argmin(np.isfinite(t)))
        return f"{t[at]} at frame {at}"
    at = int(np.argmin(t[1:] > t[:-1])) + 1
    return f"{t[at]} at frame {at}, after {t[at - 1]}"


def _demand_shapes(run: Any, axes: str, leading: tuple[int, ...]) -> None:
    known = len(leading)
    if run.x.shape != run.v.shape or run.x.ndim != known + 1 or run.x.shape[:known] != leading:
        names = axes.replace(", D", "")
        raise InputError(
            f"`x` and `v` must have shape {axes} with {names} = {leading}, "
            f"got {run.x.shape} and {run.v.shape}"
        )
    if run.label_error is not None and run.label_error.shape != leading[:-1]:
        names = "(B, T)" if known > 2 else "(T,)"
        raise InputError(
            f"`label_error` must have shape {names} = {leading[:-1]}, got {run.label_error.shape}"
        )
    demand_observables(run.observables, leading[:-1])
    demand_hidden_frames(run.hidden, leading)


def frame_number(frame: Any, frames: int) -> int:
    """Return the number of a frame, which counts from the end where it is negative.

    Raises
    ------
    InputError
        If it is no whole number, or there is no such frame.
    """
    try:
        if isinstance(frame, bool):
            raise TypeError
        n = operator.index(frame)
    except TypeError:
        raise InputError(
            f"`frame` must be a whole number, or in brackets a slice such as [::10], "
            f"got {type(frame).__name__}"
        ) from None
    if not -frames <= n < frames:
        raise OutsideError(f"`frame` must be from {-frames} to {frames - 1}, got {n}")
    return n % frames


def frame_range(index: slice, frames: int) -> range:
    """Return the frames that a slice takes.

    Raises
    ------
    InputError
        If it takes none, goes backwards, or holds no whole numbers.
    """
    try:
        chosen = range(*index.indices(frames))
    except (TypeError, ValueError) as error:
        raise InputError(f"`index` must be a slice of whole numbers: {error}") from None
    if chosen.step < 0:
        raise InputError(f"`index` must go forwards, as time does, got a step of {chosen.step}")
    if not chosen:
        raise InputError(f"`index` must take at least one of the {frames} frames, got {index}")
    return chosen
