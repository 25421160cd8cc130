"""A small picture of a trajectory as SVG, for notebooks: the camera and colours of the pictures."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from nbody_surrogate.contracts.time_text import time_span_text
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.results.validity import validity_note
from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, Camera, still_camera
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.palette import mixed
from nbody_surrogate.viz.scene.tracks import Track, finite

__all__ = ["thumbnail"]

WIDTH, HEIGHT = 320, 240
BACK = (13, 17, 33)  # the mean of the scene's backdrop, of 255
TRAIL = 24  # frames, as in the scene
MOST = 300  # particles, beyond which trails are left out: they would hide one another


def thumbnail(run: Trajectory | Ensemble) -> str:
    """Draw a run's last frame, small, beside what the run is; notebooks show it by themselves.

    Parameters
    ----------
    run : Trajectory or Ensemble
        Positions of shape (T, N, D) or (B, T, N, D), D = 2 or 3; of several trajectories the first
        is drawn.

    Returns
    -------
    str
        A piece of HTML: the picture as SVG, which needs no script, and a table.

    Raises
    ------
    InputError
        If `run` is neither.
    """
    return _beside(_picture(as_ensemble(run)[0].valid_part()), _facts(run))


def _picture(run: Trajectory) -> str:
    """Draw the last frame as SVG; where nothing is finite, the backdrop alone."""
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{_css(np.array(BACK))}"/>']
    if finite(run.x).any():
        track = Track.of(run, "run")
        camera = still_camera(track, None, len(run.t) - 1, TRAIL, View(WIDTH / HEIGHT))
        parts += _drawn(track, camera)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="the last frame">'
        + "".join(parts)
        + "</svg>"
    )


def _drawn(track: Track, camera: Camera) -> list[str]:
    """Draw trails and balls, the far ones first and hazier."""
    last, n = len(track.t) - 1, len(track.sizes)
    place, depth, scale = _projected(camera, track.x[last])
    path, _, _ = _projected(camera, track.path(last, TRAIL))
    haze = np.nan_to_num(camera.haze(track.x[last]))
    colours = mixed(255 * track.colours(), BACK, haze[:, None])
    ball = camera.ball_radius(n)
    radius, wide = track.balls(ball) * scale, track.widths(0.6 * ball) * scale
    drawn = []
    for i in np.argsort(-depth):
        if not (np.isfinite(place[i]).all() and camera.sees(track.x[last, i])):
            continue
        colour = _css(colours[i])
        points = path[:, i][np.isfinite(path[:, i]).all(axis=1)]
        if n <= MOST and len(points) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            drawn.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" '
                f'stroke-width="{max(0.6, wide[i]):.1f}" stroke-opacity="0.55"/>'
            )
        x, y = place[i]
        r = max(1.0, radius[i])  # a pixel, below which it could not be seen
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colour}"/>')
    return drawn


def _projected(camera: Camera, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map points (..., 3) to the picture (..., 2), with their depths and scales (...)."""
    seen = (x - camera.position) @ camera.facing.T
    depth = -seen[..., 2]  # the third axis points towards the camera
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = HEIGHT / 2 / np.tan(np.radians(VIEW_ANGLE / 2)) / depth
        scale = np.where(depth > 0, scale, np.nan)  # what is behind the camera has no place
        across = seen[..., 0] * scale
        upward = seen[..., 1] * scale
    return np.stack([WIDTH / 2 + across, HEIGHT / 2 - upward], axis=-1), depth, scale


def _css(colour: np.ndarray) -> str:
    return "rgb({},{},{})".format(*(round(float(part)) for part in colour))


def _facts(run: Trajectory | Ensemble) -> dict[str, str]:
    info, t = run.info, run.t
    frames, n, dimensions = run.x.shape[-3:]
    batch = {"trajectories": str(len(run))} if isinstance(run, Ensemble) else {}
    stopped = [why for why in info.message if why]
    end = {"stopped": stopped[0]} if stopped else {}
    note = validity_note(run)
    valid = {} if note is None else {"valid": note}
    return {
        "system": str(info.system.get("system", "unknown")),
        "method": info.label,
        **batch,
        "particles": f"{n} in {dimensions} dimensions",
        "frames": f"{frames}, t = {time_span_text(t)}",
        **valid,
        **({} if info.seed is None else {"seed": str(info.seed)}),
        "wall time": "unknown" if math.isnan(info.wall_time) else f"{info.wall_time:.3g} s",
        **end,
    }


def _beside(picture: str, facts: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(key)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for key, value in facts.items()
    )
    style = "display:flex;flex-wrap:wrap;gap:1em;align-items:center"
    return f'<div style="{style}">{picture}<table>{rows}</table></div>'
