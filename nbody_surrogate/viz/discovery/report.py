"""The report of a discovery: one HTML file with the law, its surety, and where it comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arrays import demand_vectors
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.discovery.contents import DiscoveryFile
from nbody_surrogate.discovery.files import REPORT, Found, read_folder
from nbody_surrogate.discovery.words import lead
from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.discovery.interval_chart import interval_chart
from nbody_surrogate.viz.discovery.law_charts import law_charts
from nbody_surrogate.viz.discovery.scene import scene_runs
from nbody_surrogate.viz.discovery.tables import (
    field_table,
    formula_table,
    number_table,
    particle_table,
    symmetry_table,
)
from nbody_surrogate.viz.drawable import checked_camera
from nbody_surrogate.viz.html.document import check_page_path, document, resource, write_page
from nbody_surrogate.viz.html.look import PageLook
from nbody_surrogate.viz.html.scene import scene_html, scene_script

__all__ = ["write_discovery_report"]


@guided(
    run="`folder`, that of a discovery; `write_report` is of runs",
    output="`path`",
    **dict.fromkeys(["reference", "x"], "`tracks` and `forecast`, arrays of positions"),
)
def write_discovery_report(
    folder: str | os.PathLike[str],
    tracks: np.ndarray | None = None,
    forecast: np.ndarray | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    camera: str | Sequence[float] | None = None,
    theme: str | None = None,
    background: str | None = None,
    overwrite: bool = True,
) -> Path:
    """Write a page about a discovery that opens in a browser without a network.

    It holds a summary in words, the scene of tracks and forecast in 3D, the law with its band over
    the histogram of visited distances, charges, fields, symmetries and formulas, and where it all
    comes from. Numbers are in the units of the tracks.

    Parameters
    ----------
    folder : path_like
        Of the discovery.
    tracks : array_like, shape (T, N, D), optional
        Measured positions, NaN where a particle was not seen; without them there is no scene.
    forecast : array_like, shape (T, N, D), optional
        Positions of a run of the law from where the tracks begin.
    path : path_like, optional
        Ending in ``.html``; by default ``report.html`` in the folder.
    camera, theme, background : optional
        Of the scene as the page opens, as of `nbody_surrogate.write_report`.
    overwrite : bool
        Whether to replace a page that is there already.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is no discovery, arrays are not of the particles of its law, or the file cannot be
        written there.
    FileFormatError
        If the discovery is damaged.
    RunError
        If the page cannot be written to its end.
    """
    found = read_folder(folder)
    file = check_page_path(Path(folder) / REPORT if path is None else path, overwrite, "path")
    dimensions, count = found.discovery.tracks.dimensions, len(found.law["charges"])
    drawn, beside = (
        None if given is None else _positions(name, given, count, dimensions)
        for name, given in (("tracks", tracks), ("forecast", forecast))
    )
    if drawn is None and beside is not None:
        raise InputError("`forecast` goes with `tracks`, beside which it is drawn")
    look = PageLook.of(dimensions == 2, checked_camera(camera), theme, background)
    return write_page(file, _page(Path(folder), found, drawn, beside, look), overwrite, "path")


def _positions(name: str, given: Any, particles: int, dimensions: int) -> np.ndarray:
    values = demand_vectors(name, given, "T N D", (dimensions,))
    if values.shape[1] != particles:
        raise InputError(
            f"`{name}` must be of the {counted(particles, 'particle')} of the law, got "
            f"{values.shape[1]}"
        )
    return values


def _page(
    folder: Path,
    found: Found,
    tracks: np.ndarray | None,
    forecast: np.ndarray | None,
    look: PageLook,
) -> str:
    discovery = found.discovery
    title = f"The law of {counted(discovery.tracks.particles, 'particle')}"
    numbers = f"<section><h2>Numbers</h2>{number_table(discovery)}</section>"
    scene, script = "", ""
    if tracks is not None:
        runs = scene_runs(found, tracks, forecast)
        drawn = scene_html(*runs, "", look=look)
        scene = f"<section>{drawn}{_shown(found, tracks, forecast)}</section>"
        script = scene_script(*runs, look)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(lead(discovery))}</p>',
        f'<div class="top">{scene}{numbers}</div>' if scene else numbers,
        law_charts(discovery),
        "<h2>Formulas</h2>",
        formula_table(discovery),
        "<h2>Symmetries</h2>",
        symmetry_table(discovery),
        "<h2>Particles</h2>",
        _particle_charts(discovery),
        particle_table(discovery),
        "<h2>Fields</h2>",
        field_table(discovery),
        *_notes(discovery),
        _origin(folder, found),
    ]
    script = f"{script}\n{resource('charts.js')}\nnbodyCharts(document);"
    return document(title, "\n".join(parts), script, look.themed)


def _shown(found: Found, tracks: np.ndarray, forecast: np.ndarray | None) -> str:
    """Say what the scene shows: one segment of many, or the first frames."""
    dt, unit = found.discovery.tracks.frame_dt, found.discovery.tracks.time_unit or "time units"
    frames = len(tracks) if forecast is None else min(len(tracks), len(forecast))
    span = f"{counted(frames, 'frame')}, {figure_text(dt * (frames - 1), 3)} {unit}"
    what = (
        f"The tracks: {span}."
        if forecast is None
        else f"A forecast against held-out tracks: {span}. Of all forecasts it is the longest."
    )
    return f'<p class="faint">{escape(what)}</p>'


def _particle_charts(found: DiscoveryFile) -> str:
    names = [each.name for each in found.particles]
    charts = [
        interval_chart("Charge over the mean", names, [p.charge for p in found.particles], 1.0),
        interval_chart(
            "Charge / mass over the mean", names, [p.charge_to_mass for p in found.particles], 1.0
        ),
        interval_chart("Rate of drag", names, [p.drag for p in found.particles]),
    ]
    return f'<div class="charts">{"".join(charts)}</div>'


def _notes(found: DiscoveryFile) -> list[str]:
    if not found.notes:
        return []
    items = "".join(f"<li>{escape(each)}</li>" for each in found.notes)
    return [f"<h2>Notes</h2><ul>{items}</ul>"]


def _origin(folder: Path, found: Found) -> str:
    """Say how to make the discovery again, how to run it, and all numbers of its law."""
    name = folder.resolve().name
    run = f"nbody-sim run --system discovered:{name} --render {name}.html"
    law = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.law.items())
    return (
        "<h2>Where this comes from</h2>"
        f"<p>Repeat it:</p><pre>{escape(found.discovery.command)}</pre>"
        f"<p>Run the law, beside its folder:</p><pre>{escape(run)}</pre>"
        "<details><summary>All numbers of the law</summary>"
        f"<pre>{{\n{escape(law)}\n}}</pre></details>"
    )
