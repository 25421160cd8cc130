"""The interactive 3D scene for the browser: what it shows, as HTML and as data."""

from __future__ import annotations

import base64
import json
import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.files.output_path import parameter_of
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import Ensemble, Trajectory
from nbody_surrogate.viz.html.document import check_page_path, document, resource, write_page
from nbody_surrogate.viz.html.look import PageLook
from nbody_surrogate.viz.html.scenery import (
    colour_legend,
    colours_of,
    scale_and_ramps,
    scale_legend,
    scenery_data,
)
from nbody_surrogate.viz.scene.camera import all_around
from nbody_surrogate.viz.scene.clock import Clock
from nbody_surrogate.viz.scene.rounded import rounded
from nbody_surrogate.viz.scene.shown import is_stopped, shown_part
from nbody_surrogate.viz.scene.system_shapes import unchanging, words_of
from nbody_surrogate.viz.scene.title import scene_title
from nbody_surrogate.viz.scene.tracks import HUGE, Track

__all__ = ["is_same_run", "scene_html", "scene_script", "write_scene_page"]

MOST_NUMBERS = 1_200_000  # positions in a page, which take 5.4 bytes each: 6.4 MB
TRAIL, FPS = 24, 20.0  # frames, and frames per second, as in movies
KEYS = "arrows turn, + and - zoom, space plays"
SECONDS = 20.0  # the longest that a scene should play; a longer run plays faster


def write_scene_page(
    candidate: Trajectory,
    path: str | os.PathLike[str],
    *,
    reference: Trajectory | None = None,
    title: str = "",
    overwrite: bool = False,
    look: PageLook | None = None,
    colouring: str = "auto",
) -> Path:
    """Write a page with nothing but the scene; colours are of ``auto`` or of a hidden variable.

    Raises
    ------
    InputError
        If the file cannot be written there.
    RunError
        If it cannot be written to its end.
    """
    called = parameter_of(path, "render")
    file = check_page_path(path, overwrite, called)
    look = look or PageLook.of(candidate.x.shape[2] == 2)
    body = scene_html(candidate, reference, title, heading="h1", look=look, colouring=colouring)
    script = scene_script(candidate, reference, look, colouring)
    page = document(title or "Trajectory", body, script, look.themed)
    return write_page(file, page, overwrite, called)


def is_same_run(candidate: Trajectory | Ensemble, reference: Trajectory | Ensemble) -> bool:
    """Whether two runs agree to the last bit, and in what is valid, as a solver with itself."""
    pairs = (
        (candidate.x, reference.x),
        (candidate.v, reference.v),
        (candidate.valid_frames, reference.valid_frames),
    )
    return all(np.array_equal(mine, its, equal_nan=True) for mine, its in pairs)


def _other(candidate: Trajectory, reference: Trajectory | None) -> Trajectory | None:
    """Return the reference where it is another run: two of one would be drawn over each other."""
    if reference is None or is_same_run(candidate, reference):
        return None
    return reference


def scene_html(
    candidate: Trajectory,
    reference: Trajectory | None,
    title: str,
    *,
    heading: str = "b",
    look: PageLook | None = None,
    colouring: str = "auto",
) -> str:
    """Write the elements of the scene; a run and its reference that are the same are drawn once.

    Its title is in it, in an element `heading`: the page need not give it again.
    """
    same = reference is not None and is_same_run(candidate, reference)
    reference = _other(candidate, reference)
    lead = candidate if reference is None else reference
    shapes = words_of(unchanging(lead))
    legend = [f"{kind}: {words}" for kind, words in shapes]
    if reference is not None:
        legend += [
            f"solid: {reference.info.label} (reference)",
            f"ring: {candidate.info.label}",
            "line: error",
        ]
    if same:
        legend.append(f"{candidate.info.label} and its reference agree to the last bit, drawn once")
    name = title or scene_title(lead, alone=False)
    shown = f"<{heading}>{escape(title)}</{heading}>" if title else ""
    said = "".join(f"<span>{escape(words)}</span>" for words in legend)
    style = "" if look is None else look.style
    tracks = [Track.of(run, "run") for run in (lead, candidate)]
    colours = colour_legend(tracks[0]) if colouring == "auto" else scale_legend(colouring, *tracks)
    return f"""<div class="scene" id="scene"{style}>
<canvas tabindex="0" role="img" aria-label="{escape(name)}, in three dimensions: {KEYS}"></canvas>
<div class="words">{shown}<span class="note"></span>
<span class="note under"></span></div>
<div class="bar"><button type="button" aria-label="Play">&#9654;</button>
<input type="range" min="0" step="0.05" value="0" aria-label="Time"><output></output></div>
</div>
<p class="faint legend">{colours}{said}
<span>Drag to turn, pinch or wheel to zoom; keys: {KEYS}. Point at a particle to read it.</span>
</p>"""


def scene_script(
    candidate: Trajectory,
    reference: Trajectory | None,
    look: PageLook | None = None,
    colouring: str = "auto",
) -> str:
    """Write the script that draws the scene, with its data."""
    look = look or PageLook.of(candidate.x.shape[2] == 2)
    seen = {"view": [look.yaw, look.pitch], "turns": look.turns, "theme": look.theme}
    found = _data(candidate, reference, colouring) | seen
    data = json.dumps(found, allow_nan=False).replace("<", "\\u003c")
    return f"{resource('scene.js')}\nnbodyScene(document.getElementById('scene'), {data});"


def _data(
    candidate: Trajectory, reference: Trajectory | None, colouring: str = "auto"
) -> dict[str, Any]:
    """Gather what the script takes; of a long run, frames at equal distances."""
    reference = _other(candidate, reference)
    whole = [candidate] if reference is None else [reference, candidate]
    runs = shown_part(*whole)
    candidate = runs[-1]
    # a place, a speed and where there are shades these, for each particle
    numbers = 4 if colouring == "auto" else 5
    frames = _frames(len(candidate.t), candidate.x.shape[1] * len(runs), numbers)
    tracks = [Track.of(run, "run").at(frames) for run in runs]
    around = all_around(tracks[0], None if reference is None else tracks[1], TRAIL)
    t = candidate.t[frames]
    clock = Clock.of(t)
    return {
        "n": int(candidate.x.shape[1]),
        "t": clock.scaled(t).tolist(),
        "digits": clock.digits,
        "suffix": clock.suffix,
        "trail": TRAIL,
        "fps": max(FPS, len(frames) / SECONDS),
        "radii": around.radii.tolist(),
        "reaches": around.reaches.tolist(),
        "centres": around.centres.T.tolist(),
        "sizes": tracks[0].sizes.tolist(),
        "balls": None if tracks[0].radii is None else tracks[0].radii.tolist(),
        "colours": colours_of(tracks[0]),
        "shades": None if colouring == "auto" else _shades(colouring, tracks),
        "charges": _numbers(runs[0].particles.charges[0]),
        "masses": _numbers(runs[0].particles.masses[0]),
        "speeds": _packed(np.linalg.norm(runs[0].v[frames], axis=2)),
        "scenery": scenery_data(unchanging(runs[0])),
        "tracks": [{"name": track.name, "x": _packed(track.x)} for track in tracks],
        "rmse": [] if reference is None else _errors(candidate, runs[0], frames),
        "stopped": ", ".join(f"{run.info.label} stopped here" for run in whole if is_stopped(run)),
    }


def _shades(colouring: str, tracks: list[Track]) -> dict[str, Any]:
    """Gather what changes colour in the course of time: places on a ramp, and its colours."""
    scale, ramps = scale_and_ramps(colouring, tracks[0], tracks[-1])
    values = [_packed(scale.shares(rival)) for rival in (False, True)[: len(tracks)]]
    return {"label": scale.label, "values": values, "shown": _packed(scale.values), **ramps}


def _frames(frames: int, positions: int, numbers: int) -> np.ndarray:
    most = max(MOST_NUMBERS // (numbers * positions), 2)
    return np.unique(np.linspace(0, frames - 1, min(frames, most)).round().astype(int))


def _packed(x: np.ndarray) -> str:
    """Write positions as little-endian float32 in base64; what cannot be drawn is far away."""
    values = np.nan_to_num(x, nan=HUGE, posinf=HUGE, neginf=HUGE)
    return base64.b64encode(np.clip(values, -1e35, 1e35).astype("<f4").tobytes()).decode()


def _numbers(values: np.ndarray) -> list[str]:
    return [number_text(float(value), 4) for value in values]


def _errors(candidate: Trajectory, reference: Trajectory, frames: np.ndarray) -> list[str]:
    with np.errstate(over="ignore", invalid="ignore"):
        values = rmse(reference.x[None, frames], candidate.x[None, frames])[0]
    return [rounded(float(v)) for v in values]
