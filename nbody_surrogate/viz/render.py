"""`render`: checks what it is asked for, then hands the scene's images to the writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from nbody_surrogate.contracts.arguments import demand_number, demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.errors import warn
from nbody_surrogate.files.output_path import CheckedPath, parameter_of
from nbody_surrogate.formats.export import export
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble, as_trajectory
from nbody_surrogate.viz.drawable import (
    check_drawable,
    check_same,
    check_types,
    checked_camera,
    checked_frame,
    checked_size,
    kept,
    refuse_for,
)
from nbody_surrogate.viz.html.look import PageLook
from nbody_surrogate.viz.html.scene import write_scene_page
from nbody_surrogate.viz.scene.camera import moving_cameras, still_camera
from nbody_surrogate.viz.scene.colouring import check_colouring, is_of_hidden, scale_of
from nbody_surrogate.viz.scene.inset import energy_errors
from nbody_surrogate.viz.scene.look import palette_of
from nbody_surrogate.viz.scene.pace import Pace, pace_of
from nbody_surrogate.viz.scene.picture_path import check_picture_path, is_data, is_movie, is_page
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.shown import common_frames, is_stopped, shown_part, stop_notes
from nbody_surrogate.viz.scene.system_shapes import landmarks_of, scenery_of
from nbody_surrogate.viz.scene.title import scene_title, which_of
from nbody_surrogate.viz.scene.tracks import Track
from nbody_surrogate.viz.scene.viewpoint import viewpoint_of
from nbody_surrogate.viz.scene.window import check_display, reserve, show
from nbody_surrogate.viz.scene.writer import Image, kept_rate, write

__all__ = ["render"]


@guided(
    size="`window_size`",
    output="`path`",
    filename="`path`",
    truth="`reference`",
    color="`colouring`",
    colour="`colouring`",
    coloring="`colouring`",
    frames="`frame`, of a picture; movies show all, or those of `run[0][10:20]`",
    duration="`seconds`",
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
    colouring: str = "auto",
    inset: bool | None = None,
    camera: str | Sequence[float] | None = None,
    orbit: float | None = None,
    seconds: float | None = None,
    theme: str | None = None,
    background: str | None = None,
    axes: bool = False,
    scale_bar: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Path | None:
    """Draw a trajectory in 3D: a picture of one frame, a movie of all, a page, or a window.

    The reference is drawn solid. The candidate is a ring around each of its particles, with a thin
    dashed trail and a line to where the reference has that particle; without a reference it is
    drawn solid itself. What the system shows beside particles, such as springs, is faint. Flat
    trajectories (D = 2) are seen from above. Particles without a finite position are left out. Only
    frames that are valid in both are drawn: a movie of runs of which one stopped early ends there,
    and says so.

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
        By default the system, the number of particles, and which trajectory of several; empty for
        none.
    fps : float
        Frames per second of a movie or in a window. A .gif keeps up to 50, with delays of whole
        hundredths of a second that are right in their sum; above it plays at 50, with a warning.
    colouring : str
        What the colours stand for: ``charge``, ``mass`` or ``identity`` of the particles, or
        ``speed`` or ``error`` at the time, also along trails. ``auto`` is the charge where there
        are some, else the mass where masses differ, else the identity; pages always have it. Or a
        hidden variable of one number for each particle, by its name, also on pages;
        ``hidden.charge`` where that is the name of another colouring.
    inset : bool, optional
        Whether to show the error of the energy over time, at the lower right; by default in
        movies only.
    camera : str or sequence of float, optional
        From where: ``iso``, or the plane ``xy``, ``xz`` or ``yz``; an azimuth and an elevation in
        degrees; or a direction x, y, z from the particles towards the camera. How far it is follows
        from what must be in sight. By default flat trajectories are seen from above, others by
        ``iso``. A page opens so, and can be turned.
    orbit : float, optional
        Degrees that a movie, or a window as time passes, turns around the particles. By default 0.4
        for each frame and at most 90, and none for flat trajectories or where `camera` is given and
        is not ``iso``.
    seconds : float, optional
        How long a movie takes: it then shows frames at even distances, at `fps`; or all, more
        slowly, where there are fewer. By default it shows all.
    theme : str, optional
        ``dark`` or ``light``; by default what suits the background, which is dark; of a page the
        reader's own.
    background : str, optional
        A colour by name or as #rrggbb, in place of the theme's shaded one.
    axes, scale_bar : bool
        Whether to show the directions of x, y and z, and a bar of a round length in reduced units,
        at the lower right. The bar holds at the depth of the picture's middle.
    overwrite : bool
        Whether to replace a file that is there already.
    progress : callable, optional
        Told the frames that are drawn by now and their number, of a picture or a movie.

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
    check_types(
        numbers={"seconds": seconds, "orbit": orbit},
        texts={"title": title, "theme": theme, "background": background, "colouring": colouring},
        flags={"inset": inset, "axes": axes, "scale_bar": scale_bar, "overwrite": overwrite},
        progress=progress,
    )
    fps, trail = demand_number("fps", fps), demand_whole("trail", trail, 0)
    camera = checked_camera(camera)
    called = parameter_of(path, "render")
    several = (
        candidate if isinstance(candidate, Trajectory) else as_ensemble(candidate, "candidate")
    )
    candidate = as_trajectory(several, "candidate")
    if reference is not None:
        reference = as_trajectory(reference, "reference")
    path = _checked_path(path, overwrite)
    movie = path is not None and is_movie(path)
    usual = (1280, 720) if movie else (1600, 1200)
    size = usual if window_size is None else checked_size(window_size)
    pace_of(1, fps, seconds)
    if path is not None and movie:
        size, fps = kept(path, size, fps)
    viewpoint = viewpoint_of(camera, orbit, candidate.x.shape[2] == 2)
    palette = palette_of(theme, background)
    if path is not None and not movie:
        refuse_for(f"a {path.suffix} file", {"orbit": orbit, "seconds": seconds})
    if path is not None and (is_page(path) or is_data(path)):
        refuse_for(f"a {path.suffix} file", {"axes": axes, "scale_bar": scale_bar})
    if path is not None and is_data(path):
        looks = {"camera": camera, "theme": theme, "background": background}
        refuse_for(f"a {path.suffix} file", looks)
    if reference is not None:
        check_same(candidate, reference)
    if path is not None and is_data(path):
        checked = CheckedPath(path, parameter=called)
        return export(candidate, checked, reference=reference, overwrite=overwrite)
    whole = [candidate] if reference is None else [candidate, reference]
    frames = common_frames(*whole)
    frame = checked_frame(frame, frames, candidate.t)
    for note in stop_notes(*whole):
        warn(f"{note}; only frames that are valid are drawn")
    runs = shown_part(*whole)
    check_drawable(runs[-1])
    hidden = {name for run in whole for name, y in run.hidden.items() if y.ndim == 2}
    check_colouring(colouring, reference is not None, hidden)
    which = "" if isinstance(several, Trajectory) else which_of(0, len(several))
    words = scene_title(candidate, reference is None, which) if title is None else title
    if path is not None and is_page(path):
        checked = CheckedPath(path, parameter=called)
        return write_scene_page(
            candidate,
            checked,
            reference=reference,
            title=words,
            overwrite=overwrite,
            look=PageLook.of(candidate.x.shape[2] == 2, camera, theme, background),
            colouring=colouring if is_of_hidden(colouring) else "auto",
        )
    track = Track.of(runs[0], "candidate", stopped=is_stopped(candidate))
    truth = None
    if reference is not None:
        truth = Track.of(runs[1], "reference", stopped=is_stopped(reference))
    scenery = scenery_of(runs[-1])
    extras: dict[str, Any] = {
        "scale": scale_of(colouring, track, truth, palette),
        "scenery": scenery,
        # bonds that are hidden variables form and break
        "links_at": partial(scenery_of, runs[-1]) if runs[-1].hidden else None,
        "palette": palette,
        "axes": axes,
        "scale_bar": scale_bar,
        "inset": energy_errors(runs[0], None if truth is None else runs[1])
        if _or(inset, movie)
        else None,
        "off_screen": path is not None,
    }
    lead, rival = (track, None) if truth is None else (truth, track)
    seen: dict[str, Any] = {"viewpoint": viewpoint, "landmarks": landmarks_of(scenery)}
    pace = pace_of(frames, fps, seconds) if path is None or movie else Pace([frame], fps)
    with _quiet_vtk(), Scene(track, truth, trail, size, words, **extras) as scene:
        if path is None:
            reserve(scene)
        if path is None or movie:
            cameras = moving_cameras(lead, rival, trail, scene.view(), frames=pace.frames, **seen)
        else:
            cameras = [still_camera(lead, rival, frame, trail, scene.view(), **seen)]
        shots = list(zip(pace.frames, cameras, strict=True))
        if path is None:
            show(scene, shots, pace.fps)
        else:
            images = _told((scene.image(*shot) for shot in shots), len(shots), progress)
            write(path, images, len(shots), kept_rate(path, pace.fps), overwrite, called)
    return path


def _told(
    images: Iterator[Image], total: int, progress: Callable[[int, int], object] | None
) -> Iterator[Image]:
    """Pass images on, and tell how many there are by now."""
    for done, image in enumerate(images, 1):
        yield image
        if progress is not None:  # it is written by now, which takes as long as to draw it
            progress(done, total)


def _checked_path(path: str | os.PathLike[str] | None, overwrite: bool) -> Path | None:
    if path is not None:
        return check_picture_path(path, overwrite)
    check_display()
    return None


def _or(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


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
