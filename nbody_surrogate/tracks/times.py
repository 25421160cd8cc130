"""Times of frames: evenly spaced, as a camera's are, up to the digits that a file keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.spacing import SAME_TIME
from nbody_surrogate.contracts.time_text import number_text

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["frames_of_times", "spacing_of", "uneven"]

EVEN = 0.02
"""Of the time between frames, by which a time may be off: 30 frames a second in milliseconds are
off by 0.015."""


def frames_of_times(t: Float64[np.ndarray, " F"]) -> Int64[np.ndarray, " F"]:
    """Return the numbers that frames have by their times, the first being 0.

    Parameters
    ----------
    t : ndarray, shape (F,)
        Growing. Where frames are missing, numbers are missing.
    """
    gaps = np.diff(t)
    if not len(gaps):
        return np.zeros(len(t), dtype=np.int64)
    # the usual gap is one frame; of more, each is counted in what is usual for one
    steps = np.maximum(np.rint(gaps / np.median(gaps)), 1).astype(np.int64)
    return np.concatenate([[0], np.cumsum(steps)])


def spacing_of(frames: Int64[np.ndarray, " F"], t: Float64[np.ndarray, " F"]) -> float:
    """Return the time between frames.

    Where one explains all times to rounding, it is that one. Else it is the median over slopes
    between frames that are half the run apart, which a few wrong times do not move; and the slope
    of least squares where no time is wrong, as the digits that times were cut to move it least.

    Parameters
    ----------
    frames, t : ndarray, shape (F,)
        Growing, F at least 2.
    """
    dt = float((t[-1] - t[0]) / (frames[-1] - frames[0]))
    off = t - t[0] - dt * (frames - frames[0])
    if np.abs(off).max() <= SAME_TIME * abs(t[-1] - t[0]):
        return dt
    half = max(len(t) // 2, 1)
    dt = float(np.median((t[half:] - t[:-half]) / (frames[half:] - frames[:-half])))
    if uneven(frames, t, dt) is not None:
        return dt
    centred = frames - frames.mean()
    return float(centred @ t / (centred @ centred))


def uneven(
    frames: Int64[np.ndarray, " F"], t: Float64[np.ndarray, " F"], dt: float
) -> tuple[int, str] | None:
    """Look for a time that is not where even frames have it.

    Parameters
    ----------
    frames, t : ndarray, shape (F,)
        Growing.
    dt : float

    Returns
    -------
    tuple of int and str, or None
        Which of the F it is, and what is wrong with it.
    """
    usual = float(np.median(np.diff(t) / np.diff(frames)))
    steps = np.diff(t) - usual * np.diff(frames)
    # both ends of a step may be off
    wrong = ~(np.abs(steps) <= 2 * EVEN * usual * np.diff(frames))
    if wrong.any():
        k = int(np.argmax(wrong))
        gap, count = number_text(float(t[k + 1] - t[k])), int(frames[k + 1] - frames[k])
        over = "" if count == 1 else f" over {count} frames"
        return k + 1, f"it is {gap} after the one before{over}, others are {number_text(usual)}"
    off = t - dt * frames
    off -= np.median(off)
    if (wrong := ~(np.abs(off) <= EVEN * abs(dt))).any():
        k = int(np.argmax(wrong))
        return k, f"it is {number_text(float(off[k]))} off even frames {number_text(dt)} apart"
    return None
