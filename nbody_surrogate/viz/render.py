"""`render`: checks what it is asked for, then hands the scene's images to the writer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.comparison.alignment import frames_text
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.times import same_times
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.files.output_path import CheckedPath, parameter_of
from nbody_surrogate.formats.export import export
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_trajectory
from nbody_surrogate.viz.html.scene import write_scene_page
from nbody_surrogate.viz.scene.camera import Camera, moving_cameras, still_camera
from nbody_surrogate.viz.scene.colouring import check_colouring, scale_of
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.inset import energy_errors
from nbody_surrogate.viz.scene.picture_path import check_picture_path, is_data, is_movie, is_page
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.shown import common_frames, is_stopped, shown_part, stop_notes
from nbody_surrogate.viz.scene.tracks import Track, finite
from nbody_surrogate.viz.scene.window import check_display, show
from nbody_surrogate.viz.scene.writer import kept_rate, kept_size, write

__all__ = ["render"]

SMALLEST, LARGEST = 64, 4096  # edges of a picture, in pixels: room for words, and for memory
FASTEST = 60.0  # frames per second, as most screens have


@guided(
    size="`window_size`",
    output="`path`",
    filename="`path`",
    truth="`reference`",
    color="`colouring`",
    colour="`colouring`",
    coloring="`colouring`",
    frames="`frame`, of a picture; movies show all, or those of `run[0][10:20]`",
    duration="`fps`",
)
def render(
    candidate: Trajectory | Ensemble | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    reference: Trajectory | Ensemble | str | os.PathLike[str] | None = None,
    frame: int | None = None,
    trail: int = 24,
    window_size: tuple[int, int] | None = None,
    title: str | None = None,
    fps: float = 20.0,
    colouring: str = "charge",
    inset: bool | None = None,
    overwrite: bool = False,
) -> Path | None:
    """Draw a trajectory in 3D: a picture of one frame, a movie of all, a page, or a window.

    The reference is drawn solid. The candidate is a ring around each of its particles, with a thin
    pale trail and a line to where the reference has that particle; without a reference it is drawn
    solid itself. Flat trajectories (D = 2) are seen from above. Particles without a finite position
    are left out. Only frames that are valid in both are drawn: a movie of runs of which one stopped
    early ends there, and says so.

    Parameters
    ----------
    candidate : Trajectory, Ensemble or path_like
        `x` of shape (T, N, D) or (B, T, N, D), D = 2 or 3; of several trajectories, and of a file,
        the first is drawn.
    path : path, optional
        A picture (.png, .jpg), a movie (.mp4, .gif; they need the extra ``movie``), an interactive
        page (.html), or the points over time for ParaView (.vtkhdf). None opens a window, which
        needs a display.
    reference : Trajectory, Ensemble or path_like, optional
        What the candidate is held against: the same particles at the same times.
    frame : int
        Of a picture; counted from the end where negative. By default the last that is valid in
        both. The others show all of these.
    trail : int
        Frames that the trails reach back; 0 for none.
    window_size : tuple of int, optional
        Width and height in pixels; by default 1600 x 1200, and 1280 x 720 of movies. Those of an
        .mp4 are even: odd ones are one larger, with a warning.
    title : str, optional
        By default the system and the number of particles; empty for none.
    fps : float
        Frames per second of a movie or in a window. A .gif keeps up to 50, with delays of whole
        hundredths of a second that are right in their sum; above it plays at 50, with a warning.
    colouring : str
        What the colours stand for: ``charge``; or ``speed`` or ``error``, with a scalar bar. Pages
        are coloured by charge.
    inset : bool, optional
        Whether to show the error of the energy over time, at the lower right; by default in
        movies only.
    overwrite : bool
        Whether to replace a file that is there already.

    Returns
    -------
    Path or None
        The file written. It appears under its name only when it is complete.

    Raises
    ------
    InputError
        If an argument is wrong, the two trajectories do not belong together, or there is no
        display to open a window on.
    RunError
        If the file cannot be written to its end.
    """
    called = parameter_of(path, "render")
    candidate = as_trajectory(candidate, "candidate")
    if reference is not None:
        reference = as_trajectory(reference, "reference")
    path = _checked_path(path, overwrite)
    movie = path is not None and is_movie(path)
    size = window_size or ((1280, 720) if movie else (1600, 1200))
    _check_options(size, trail, fps)
    if path is not None and movie:
        size, fps = _kept(path, size, fps)
    if reference is not None:
        _check_same(candidate, reference)
    if path is not None and is_data(path):
        checked = CheckedPath(path, parameter=called)
        return export(candidate, checked, reference=reference, overwrite=overwrite)
    whole = [candidate] if reference is None else [candidate, reference]
    frames = common_frames(*whole)
    frame = _checked_frame(frame, frames, candidate.t)
    for note in stop_notes(*whole):
        _tell(f"{note}; only frames that are valid are drawn")
    runs = shown_part(*whole)
    _check_drawable(runs[-1])
    check_colouring(colouring, reference is not None)
    words = _title(candidate, alone=reference is None) if title is None else title
    if path is not None and is_page(path):
        checked = CheckedPath(path, parameter=called)
        return write_scene_page(
            candidate, checked, reference=reference, title=words, overwrite=overwrite
        )
    track = Track.of(runs[0], "candidate", stopped=is_stopped(candidate))
    truth = None
    if reference is not None:
        truth = Track.of(runs[1], "reference", stopped=is_stopped(reference))
    extras: dict[str, Any] = {
        "scale": scale_of(colouring, track, truth),
        "inset": energy_errors(runs[0], None if truth is None else runs[1])
        if _or(inset, movie)
        else None,
        "off_screen": path is not None,
    }
    with _quiet_vtk(), Scene(track, truth, trail, size, words, **extras) as scene:
        shots = _shots(scene.view(), track, truth, trail, None if path is None or movie else frame)
        if path is None:
            show(scene, shots, fps)
        else:
            images = (scene.image(frame, camera) for frame, camera in shots)
            write(path, images, len(shots), fps, overwrite, called)
    return path


def _shots(
    view: View, track: Track, truth: Track | None, trail: int, frame: int | None
) -> list[tuple[int, Camera]]:
    """Return the frames that are shown, one or all, and where they are seen from."""
    lead, rival = (track, None) if truth is None else (truth, track)
    if frame is not None:
        return [(frame, still_camera(lead, rival, frame, trail, view))]
    return list(enumerate(moving_cameras(lead, rival, trail, view)))


def _checked_path(path: str | os.PathLike[str] | None, overwrite: bool) -> Path | None:
    if path is not None:
        return check_picture_path(path, overwrite)
    check_display()
    return None


def _or(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


def _check_same(candidate: Trajectory, reference: Trajectory) -> None:
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


def _check_drawable(lead: Trajectory) -> None:
    if not finite(lead.x).any():
        name = lead.info.method.get("integrator", "what is drawn solid")
        raise InputError(f"`x` of {name} must hold a finite position to draw, got none")


def _check_options(window_size: tuple[int, int], trail: int, fps: float) -> None:
    if len(window_size) != 2 or not all(SMALLEST <= index(n) <= LARGEST for n in window_size):
        raise InputError(
            f"`window_size` must be a width and a height from {SMALLEST} to {LARGEST} pixels, "
            f"got {window_size}"
        )
    if index(trail) < 0:
        raise InputError(f"`trail` must be >= 0 frames, got {trail}")
    if not 0 < fps <= FASTEST:
        raise InputError(f"`fps` must be > 0 and <= {FASTEST:g} frames per second, got {fps}")


def _kept(path: Path, size: tuple[int, int], fps: float) -> tuple[tuple[int, int], float]:
    """Return the size and the rate that a movie's format keeps, and tell where they are others."""
    width, height = kept_size(path, size)
    if (width, height) != tuple(size):
        _tell(
            f"an {path.suffix} has even sizes: it is {width} x {height} pixels, "
            f"not {size[0]} x {size[1]}"
        )
    rate = kept_rate(path, fps)
    if rate != fps:
        _tell(
            f"a {path.suffix} cannot be played at {fps:g} frames per second: it plays at "
            f"{rate:.3g}; an .mp4 keeps any rate"
        )
    return (width, height), rate


def _tell(words: str) -> None:
    warnings.warn(words, NBodyWarning, stacklevel=4)


def _checked_frame(frame: int | None, valid: int, t: np.ndarray) -> int:
    """Return the number of a frame, of which the first `valid` can be shown."""
    if frame is None:
        return valid - 1
    frames = len(t)
    if not -frames <= index(frame) < frames:
        raise InputError(f"`frame` must be from {-frames} to {frames - 1}, got {frame}")
    if frame % frames >= valid:
        raise InputError(
            f"`frame` {frame} is not valid: the last that is valid is {valid - 1}, at "
            f"t = {number_text(float(t[valid - 1]))}; choose an earlier one, or leave it out"
        )
    return frame % frames


def _title(candidate: Trajectory, alone: bool) -> str:
    n, info = candidate.x.shape[1], candidate.info
    words = [str(info.system.get("system", "")), f"{n} particle{'s' if n > 1 else ''}"]
    words += [str(info.method.get("integrator", ""))] if alone else []
    return "  \u00b7  ".join(word for word in words if word)


@contextmanager
def _quiet_vtk() -> Iterator[None]:
    """Keep VTK's own messages off the terminal; it reports each display it does not find."""
    from vtkmodules.vtkCommonCore import vtkObject

    before = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtkObject.SetGlobalWarningDisplay(before)
