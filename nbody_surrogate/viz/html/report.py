"""The report of a run: one HTML file with numbers, curves, the scene, and where they come from."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.comparison.comparison import Comparison, compare
from nbody_surrogate.comparison.lyapunov import twins_or_why
from nbody_surrogate.comparison.table import comparison_rows, drift_rows
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.segment import OVER_BUDGET
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.contracts.wording import counted, range_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.files.output_path import parameter_of
from nbody_surrogate.results.metrics import own_drift_curves
from nbody_surrogate.results.parareal_report import parareal_notes
from nbody_surrogate.results.trajectory import Ensemble, Trajectory, as_ensemble
from nbody_surrogate.results.validity import validity_note
from nbody_surrogate.viz.drawable import check_types, checked_camera
from nbody_surrogate.viz.html.document import check_page_path, document, resource, write_page
from nbody_surrogate.viz.html.look import PageLook
from nbody_surrogate.viz.html.report_charts import comparison_charts, estimate_of, run_charts
from nbody_surrogate.viz.html.scene import is_same_run, scene_html, scene_script
from nbody_surrogate.viz.scene.rounded import rounded
from nbody_surrogate.viz.scene.shown import stop_notes
from nbody_surrogate.viz.scene.title import scene_title, which_of

__all__ = ["sentence", "write_report"]

EXPONENT = re.compile(r"[0-9.]+e-[0-9]+")


@guided(
    candidate="`run`",
    truth="`reference`",
    output="`path`",
    comparison="`run` and `reference`, which are compared",
    run="a Trajectory or an Ensemble",
)
def write_report(
    run: Trajectory | Ensemble | str | os.PathLike[str],
    reference: Trajectory | Ensemble | str | os.PathLike[str] | None = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    floor: bool = True,
    command: str | None = None,
    camera: str | Sequence[float] | None = None,
    theme: str | None = None,
    background: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page about a run that opens in a browser without a network.

    It holds a summary in words, the scene in 3D, the table, curves of errors and drifts,
    distributions, and where it all comes from. Of several trajectories the first is drawn, and
    numbers and curves are medians. Lengths, times and errors are in reduced units.

    Parameters
    ----------
    run : Trajectory, Ensemble or path_like
        Positions of shape (T, N, D) or (B, T, N, D), D = 2 or 3.
    reference : Trajectory, Ensemble or path_like, optional
        What the run is compared with: the same starts, particles and times.
    path : path_like
        Ending in ``.html``.
    floor : bool
        Whether errors stand beside their noise floor, for two more runs of the reference's method;
        it is left out where that method is not installed.
    command : str, optional
        That makes the page again; shown on it.
    camera, theme, background : optional
        Of the scene as the page opens, as of `nbody_surrogate.render`; the theme is the whole
        page's. By default the reader's own.
    overwrite : bool
        Whether to replace a file that is there already.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the runs do not belong together, the file cannot be written there, or an option of the
        scene is unknown.
    RunError
        If it cannot be written to its end.
    """
    if isinstance(run, Comparison):
        raise InputError(
            "`run` must be a Trajectory or an Ensemble, got a Comparison: "
            "write_report(candidate, reference) compares them"
        )
    called = parameter_of(path, "path")
    file = check_page_path(path, overwrite, called)
    candidate = as_ensemble(run)
    truth = None if reference is None else as_ensemble(reference, "reference")
    texts = {"theme": theme, "background": background}
    check_types(numbers={}, texts=texts, flags={}, progress=None)
    look = PageLook.of(candidate.x.shape[3] == 2, checked_camera(camera), theme, background)
    for note in stop_notes(candidate, *([] if truth is None else [truth])):
        warn(f"{note}; the page is about the valid ones")
    if truth is None:
        drifts = own_drift_curves(candidate)  # once, for the table and the curves
        page = _page(candidate, None, None, drift_rows(candidate, drifts), command, look, drifts)
        return write_page(file, page, overwrite, called)
    twins = twins_or_why(truth)[0] if floor else None
    comparison = compare(truth, candidate, twins)
    rows: Iterable[tuple[str, ...]] = comparison_rows([comparison])
    rows = rows if _has_floor(comparison) else _without_floor(rows)
    page = _page(candidate, truth, comparison, rows, command, look)
    return write_page(file, page, overwrite, called)


def _page(
    candidate: Ensemble,
    reference: Ensemble | None,
    comparison: Comparison | None,
    rows: Iterable[tuple[str, ...]],
    command: str | None,
    look: PageLook,
    drifts: np.ndarray | None = None,
) -> str:
    title = _title(candidate)
    shown = candidate[0], None if reference is None else reference[0]
    which = scene_title(shown[0], alone=False, which=which_of(0, len(candidate)))
    same = reference is not None and is_same_run(candidate, reference)
    said = sentence(candidate, comparison)
    said += " The two agree to the last bit, so they are drawn once." if same else ""
    if comparison is None:
        charts = run_charts(candidate, drifts)
    else:
        charts = comparison_charts(comparison, candidate.system(), same, estimate_of(candidate))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(said)}</p>',
        '<div class="top">',
        f"<section>{scene_html(*shown, which, look=look)}</section>",
        f"<section><h2>Numbers</h2>{_table(rows, _caption(comparison, len(candidate)))}</section>",
        "</div>",
        charts,
        "<h2>Where this comes from</h2>",
        *([] if command is None else [f"<p>Repeat it:</p><pre>{escape(command)}</pre>"]),
        *(_provenance(run) for run in (candidate, reference) if run is not None),
    ]
    script = f"{scene_script(*shown, look)}\n{resource('charts.js')}\nnbodyCharts(document);"
    return document(title, "\n".join(parts), script, look.themed)


def sentence(candidate: Ensemble, comparison: Comparison | None) -> str:
    """Say in plain words how the run went."""
    duration = float(candidate.t[-1] - candidate.t[0])
    span = range_text(duration, duration, "time unit")
    runs = "" if len(candidate) == 1 else f"{len(candidate)} runs of "
    moved = f"{runs}{counted(candidate.particles.n, 'particle')}"
    said = [f"{candidate.info.label} moved {moved} through {span}."]
    said += _failed(candidate, comparison)
    if comparison is None:
        return " ".join([*said, "It was not held against a reference."])
    if not comparison.normalised_rmse:
        return " ".join([*said, comparison.verdict])
    error = comparison.normalised_rmse[-1]
    last = number_text(float(comparison.curves.t[-1]))
    end, whole = "end", "the whole run"
    if comparison.validity:
        end, whole = f"last frame compared, t = {last}", f"all that is compared, up to t = {last}"
    if math.isinf(comparison.valid_time):
        said.append(
            f"Its positions stay with the reference for {whole}: they are off by "
            f"{_percent(error)} of the cloud's spread at the {end}."
        )
    else:
        said.append(
            f"Its positions stay within a tenth of the cloud's spread of the reference for "
            f"{number_text(comparison.valid_time, 3)} time units and are off by {_percent(error)} "
            f"of it at the {end}."
        )
    if "energy" in comparison.conserved:
        drift = {role: _percent(values["energy"]) for role, values in comparison.drifts.items()}
        said.append(
            f"Its energy is off by {drift['candidate']} of the kinetic energy at most "
            f"(reference: {drift['reference']})."
        )
    return " ".join([*said, _beyond_noise(comparison), comparison.verdict]).replace("  ", " ")


def _failed(candidate: Ensemble, comparison: Comparison | None) -> list[str]:
    """Say which part of the frames is data, and what else went wrong."""
    over = sum(status == OVER_BUDGET for status in candidate.info.status)
    said = [f"{over} of {len(candidate)} did not keep the budget of its guard."] if over else []
    if outside := candidate.info.outside_note:
        said.append(outside)
    said += parareal_notes(candidate.info.parareal)
    if stopped := int((candidate.valid_frames < len(candidate.t)).sum()):
        said.append(f"{stopped} of {len(candidate)} did not reach the end.")
    if comparison is not None:
        return [*said, *comparison.validity]
    note = validity_note(candidate)
    return said if note is None else [*said, f"{note[0].upper()}{note[1:]}."]


def _beyond_noise(comparison: Comparison) -> str:
    judged = [each for each in comparison.distributions if each.within_noise is not None]
    if not judged:
        return ""
    off = [each.name for each in judged if not each.within_noise]
    if off:
        return f"Distributions that differ by more than their noise floor: {', '.join(off)}."
    return "Its distributions differ from the reference's by no more than their noise floor."


def _percent(share: float) -> str:
    return f"{rounded(100 * share)} %" if math.isfinite(share) else "more than can be said"


def _title(candidate: Ensemble) -> str:
    system = candidate.info.system.get("system", "a run")
    method = candidate.info.method.get("integrator", "unknown")
    return f"{method}: {counted(candidate.particles.n, 'particle')} of {system}"


def _caption(comparison: Comparison | None, trajectories: int) -> str:
    """Say what the numbers are: medians, and what stands in brackets or is marked."""
    said = [f"Medians over {trajectories} trajectories."] if trajectories > 1 else []
    if comparison is None:
        return " ".join(said)
    if any(value.low < value.high for value in comparison.errors.values()):
        said.append("In brackets behind displacement errors and MSE: 95 % intervals.")
    if _has_floor(comparison):
        said.append("! marks what is farther from the reference than its noise floor.")
    return " ".join(said)


def _has_floor(comparison: Comparison) -> bool:
    return any(each.floor is not None for each in comparison.distributions)


def _without_floor(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Take from labels what the cells do not have."""
    return [(row[0].removesuffix(" (noise floor)"), *row[1:]) for row in rows]


def _label(words: str) -> str:
    """Write a label as HTML that breaks between words, not inside of a number at its minus sign."""
    return EXPONENT.sub(r'<span class="whole">\g<0></span>', escape(words))


def _table(rows: Iterable[tuple[str, ...]], caption: str) -> str:
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(
        f'<tr><th scope="row">{_label(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table>{said}{body}</table></div>'


def _provenance(run: Ensemble) -> str:
    info = run.info
    facts: dict[str, Any] = {
        "method": info.method,
        "system": info.system,
        "seed": info.seed,
        "particles": run.particles.n,
        "trajectories": len(run),
        "frames": len(run.t),
        "wall_time": None if math.isnan(info.wall_time) else info.wall_time,
        "counters": info.counters,
        "parareal": None if info.parareal is None else info.parareal.to_dict(),
        "versions": info.versions,
    }
    if stopped := [why for why in info.message if why]:
        facts["stopped"] = stopped
    text = json.dumps(facts, indent=1, default=str)
    return f"<details><summary>{escape(info.label)}</summary><pre>{escape(text)}</pre></details>"
