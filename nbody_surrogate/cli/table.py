"""The table that `nbody-sim run` ends with."""

from __future__ import annotations

import math
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from nbody_surrogate.cli.guards import guard_lines
from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.table import drift_label, rows_alone
from nbody_surrogate.results.label_error import LabelErrors, label_errors
from nbody_surrogate.results.trajectory import Ensemble

__all__ = [
    "print_report",
]


def print_report(runs: list[Ensemble], comparison: Comparison | None, files: list[Path]) -> None:
    """Print what was run, the table, who was faster, failures, and where the files are."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_headline(runs[0]))
    errors = label_errors(runs[-1])
    kept = runs[0].system().conserved
    if comparison is None:
        console.print(_alone(runs[0], errors, kept))
    else:
        console.print(_against(comparison, errors, kept))
        console.print(comparison.verdict)
    if (report := runs[0].info.guard) is not None:
        for line in guard_lines(report):
            console.print(line, markup=False)
    for run in runs:
        for b, why in enumerate(run.info.message):
            if why:
                name = run.info.method["integrator"]
                line = f"{name}, trajectory {b} stopped: {why}"
                console.print(line, style="bold red", markup=False)
    console.print("Files: " + ", ".join(map(str, files)), markup=False, emoji=False)


def _headline(run: Ensemble) -> str:
    info = run.info
    start = "from a file" if info.seed is None else f"seed {info.seed}"
    batch = "" if len(run) == 1 else f"{len(run)} trajectories (medians), "
    span = run.t[-1] - run.t[0]
    return (
        f"{info.system['system']}, {run.particles.n} particles, {batch}{start}, "
        f"{span:g} time units, frames 0..{len(run.t) - 1}"
    )


def _against(comparison: Comparison, errors: LabelErrors | None, kept: frozenset[str]) -> Table:
    table = _table("", comparison.candidate, f"{comparison.reference}\nthe reference")
    for horizon, position, velocity in zip(
        comparison.horizons, comparison.position_rmse, comparison.velocity_rmse, strict=True
    ):
        table.add_row(f"position RMSE at t = {horizon:g}", f"{position:.2e}", "")
        table.add_row(f"velocity RMSE at t = {horizon:g}", f"{velocity:.2e}", "")
    for label, error in _label_errors(errors):
        table.add_row(label, "", error)
    valid = comparison.valid_time
    whole = f"> {comparison.duration:g} (whole run)"
    table.add_row("valid prediction time", whole if math.isinf(valid) else f"{valid:g}", "")
    for key in comparison.drifts["reference"]:
        cells = (comparison.drifts[role][key] for role in ("candidate", "reference"))
        table.add_row(drift_label(key, kept), *(f"{value:.1e}" for value in cells))
    times = (comparison.wall_time[role] for role in ("candidate", "reference"))
    table.add_row("wall time", *(f"{1e3 * value:.3g} ms" for value in times))
    table.add_row("reference / candidate", f"{comparison.speed_ratio:.3g}", "")
    return table


def _alone(run: Ensemble, errors: LabelErrors | None, kept: frozenset[str]) -> Table:
    table = _table("", run.info.label)
    for row in [*_label_errors(errors), *rows_alone(run, kept)]:
        table.add_row(*row)
    return table


def _label_errors(errors: LabelErrors | None) -> list[tuple[str, str]]:
    """Label and value of each row, of a verified run."""
    if errors is None:
        return []
    return [
        (f"label error at t = {horizon:g}", "none is good" if math.isnan(error) else f"{error:.2e}")
        for horizon, error in zip(errors.horizons, errors.median, strict=True)
    ]


def _table(*headers: str) -> Table:
    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    return table
