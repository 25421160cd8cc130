"""A small picture of a trajectory as SVG, for notebooks: the camera and colours of the pictures."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.results.trajectory import Ensemble, RunInfo, Trajectory
from nbody_surrogate.viz.html.document import escaped
from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, Camera, still_camera
from nbody_surrogate.viz.scene.tracks import Track, finite, mixed

__all__ = ["ensemble_html", "thumbnail", "trajectory_html"]

WIDTH, HEIGHT = 320, 240
BACK = (13, 17, 33)
TRAIL, MOST = 24, 300  # frames; particles, beyond which trails are left out
BALL = 0.036


def trajectory_html(run: Trajectory) -> str:
    """Write a picture of the last frame beside what the run is."""
    return _beside(thumbnail(run), _facts(run.info, run.x.shape, run.t))


def ensemble_html(run: Ensemble) -> str:
    """Write a picture of the first trajectory beside what the ensemble is."""
    return _beside(thumbnail(run[0]), _facts(run.info, run.x.shape[1:], run.t, len(run)))


def thumbnail(run: Trajectory) -> str:
    """Draw the last frame as SVG."""
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{_css(np.array(BACK))}"/>']
    if finite(run.x).any():
        track = Track.of(run, "run")
        camera = still_camera(run.x, run.x, len(run.t) - 1, TRAIL, WIDTH / HEIGHT)
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
    path = _projected(camera, track.path(last, TRAIL))[0]
    haze = np.clip(0.05 + 0.3 * camera.depth(track.x[last]), 0.0, 0.45)
    colours = mixed(255 * track.colours(), BACK, np.nan_to_num(haze)[:, None])
    radius = BALL * min(30 / n, 4.0) ** 0.25 * camera.radius * track.sizes * scale
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
                f'stroke-width="{max(0.6, 0.6 * radius[i]):.1f}" stroke-opacity="0.55"/>'
            )
        (x, y), r = place[i], max(1.0, radius[i])
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colour}"/>')
    return drawn


def _projected(camera: Camera, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map points (..., 3) to the picture (..., 2), with their depths and scales (...)."""
    seen = (x - camera.position) @ camera.facing.T
    depth = -seen[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = HEIGHT / 2 / np.tan(np.radians(VIEW_ANGLE / 2)) / depth
        scale = np.where(depth > 0, scale, np.nan)
        across, upward = seen[..., 0] * scale, seen[..., 1] * scale
    return np.stack([WIDTH / 2 + across, HEIGHT / 2 - upward], axis=-1), depth, scale


def _css(colour: np.ndarray) -> str:
    return "rgb({},{},{})".format(*(round(float(part)) for part in colour))


def _facts(
    info: RunInfo, shape: tuple[int, ...], t: np.ndarray, trajectories: int | None = None
) -> dict[str, str]:
    frames, n, dimensions = shape
    batch = {} if trajectories is None else {"trajectories": str(trajectories)}
    stopped = [why for why in info.message if why]
    end = {"stopped": stopped[0]} if stopped else {}
    return {
        "system": str(info.system.get("system", "unknown")),
        "method": info.label,
        **batch,
        "particles": f"{n} in {dimensions} dimensions",
        "frames": f"{frames}, t = {t[0]:g} to {t[-1]:g}",
        **({} if info.seed is None else {"seed": str(info.seed)}),
        "wall time": f"{info.wall_time:.3g} s",
        **end,
    }


def _beside(picture: str, facts: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{escaped(key)}</th>'
        f'<td style="text-align:left">{escaped(value)}</td></tr>'
        for key, value in facts.items()
    )
    style = "display:flex;flex-wrap:wrap;gap:1em;align-items:center"
    return f'<div style="{style}">{picture}<table>{rows}</table></div>'
