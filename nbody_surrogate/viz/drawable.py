"""What can be drawn of what is asked for; the rest is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.comparison.alignment import frames_text
from nbody_surrogate.contracts.arguments import demand_kind, demand_number, demand_whole
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.times import same_times
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.results.frame_arrays import frame_number
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.tracks import finite
from nbody_surrogate.viz.scene.writer import kept_rate, kept_size

__all__ = [
    "check_drawable",
    "check_same",
    "check_types",
    "checked_camera",
    "checked_frame",
    "checked_size",
    "kept",
    "refuse_for",
]

SMALLEST, LARGEST = 64, 4096  # edges of a picture, in pixels: room for words, and for memory


def refuse_for(what: str, options: dict[str, Any]) -> None:
    """Refuse options that mean nothing for some kind of file, where they are given.

    Raises
    ------
    InputError
        If one is neither None nor False.
    """
    for name, value in options.items():
        if value is not None and value is not False:
            raise InputError(f"`{name}` means nothing for {what}, got {value!r}; leave it out")


def check_same(candidate: Trajectory, reference: Trajectory) -> None:
    """Demand the same particles at the same times."""
    if candidate.x.shape[1:] != reference.x.shape[1:]:
        raise InputError(
            "`reference` must have the particles and dimensions of `candidate`, "
            f"{candidate.x.shape[1:]}; got {reference.x.shape[1:]}"
        )
    if len(candidate.t) != len(reference.t) or not same_times(candidate.t, reference.t):
        raise InputError(
            f"`reference` must have the frame times of `candidate`, {frames_text(candidate.t)}; "
            f"got {frames_text(reference.t)}: make one of these times, or leave it out "
            "(--no-against)"
        )
    ours, theirs = candidate.particles, reference.particles
    for name, one, other in (
        ("charges", ours.charges, theirs.charges),
        ("masses", ours.masses, theirs.masses),
    ):
        if not np.array_equal(one, other):
            raise InputError(f"`reference` must have the {name} of `candidate`, got others")


def check_drawable(lead: Trajectory) -> None:
    """Demand a position that can be drawn."""
    if not finite(lead.x).any():
        name = lead.info.method.get("integrator", "what is drawn solid")
        raise InputError(f"`x` of {name} must hold a finite position to draw, got none")


def check_types(
    *, numbers: dict[str, Any], texts: dict[str, Any], flags: dict[str, Any], progress: object
) -> None:
    """Demand numbers, texts, truth values and a callable, of options by their names; None is none.

    Raises
    ------
    InputError
        If one is of another type.
    """
    for name, value in numbers.items():
        if value is not None:
            demand_number(name, value)
    for name, value in texts.items():
        if value is not None:
            demand_kind(name, value, str, "text")
    for name, value in flags.items():
        if value is not None:
            demand_kind(name, value, (bool, np.bool_), "True or False")
    if progress is not None and not callable(progress):
        raise InputError(f"`progress` must be callable with two numbers, got {progress!r}")


def checked_size(window_size: Any) -> tuple[int, int]:
    """Return the width and the height of a picture."""
    try:
        sizes = [demand_whole("window_size", each, 0) for each in window_size]
    except (TypeError, InputError):
        sizes = []
    if len(sizes) != 2 or not all(SMALLEST <= n <= LARGEST for n in sizes):
        raise InputError(
            f"`window_size` must be a width and a height from {SMALLEST} to {LARGEST} pixels, "
            f"got {str(window_size)[:60]}"
        )
    return sizes[0], sizes[1]


def checked_camera(camera: Any) -> Any:
    """Return a camera that is text, None, or numbers that have a size as float64."""
    if camera is None or isinstance(camera, str):
        return camera
    try:
        return tuple(float(each) for each in camera)
    except (TypeError, ValueError, OverflowError):
        shown = repr(camera) if isinstance(camera, list | tuple) else type(camera).__name__
        raise InputError(
            "`camera` must be iso, xy, xz or yz, two angles in degrees, or three numbers of a "
            f"direction, got {shown[:60]}"
        ) from None


def kept(path: Path, size: tuple[int, int], fps: float) -> tuple[tuple[int, int], float]:
    """Return the size and the rate that a movie's format keeps, and tell where they are others."""
    width, height = kept_size(path, size)
    if (width, height) != tuple(size):
        warn(
            f"an {path.suffix} has even sizes: it is {width} x {height} pixels, "
            f"not {size[0]} x {size[1]}"
        )
    rate = kept_rate(path, fps)
    if rate != fps:
        warn(
            f"a {path.suffix} cannot be played at {fps:g} frames per second: it plays at "
            f"{rate:.3g}; an .mp4 keeps any rate"
        )
    return (width, height), rate


def checked_frame(frame: int | None, valid: int, t: np.ndarray) -> int:
    """Return the number of a frame, of which the first `valid` can be shown."""
    if frame is None:
        return valid - 1
    frames = len(t)
    frame_number(frame, frames)
    if frame % frames >= valid:
        raise InputError(
            f"`frame` {frame} is not valid: the last that is valid is {valid - 1}, at "
            f"t = {number_text(float(t[valid - 1]))}; choose an earlier one, or leave it out"
        )
    return frame % frames
