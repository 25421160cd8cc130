"""The table that `nbody-sim compare` ends with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from nbody_surrogate.cli.table import DRIFTS, drift_label
from nbody_surrogate.comparison import Comparison
from nbody_surrogate.statistics import Summary

__all__ = ["comparison_rows", "print_comparisons"]


def print_comparisons(
    found: list[Comparison], no_floor: str | None, failures: list[str], files: list[Path]
) -> None:
    """Print the table, what the noise floor says, who is faster, and where the files are."""
    console = Console(highlight=False, soft_wrap=True)
    first = found[0]
    sample = "" if first.trajectories == 1 else ", medians (95 % intervals)"
    runs = "1 trajectory" if first.trajectories == 1 else f"{first.trajectories} trajectories"
    console.print(f"Against {first.reference}: {runs} of {first.duration:g} time units{sample}")
    heads = ["", *(each.candidate for each in found)]
    rows = list(comparison_rows(found))
    console.width = max(console.width, _width(heads, rows))
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(table.columns):
        column.no_wrap, column.justify = True, "right" if number else "left"
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in [*_notes(first, no_floor), *(each.verdict for each in found)]:
        console.print(line, markup=False)
    for line in failures:
        console.print(line, style="bold red", markup=False)
    console.print("Files: " + ", ".join(map(str, files)), markup=False, emoji=False)


def comparison_rows(found: list[Comparison]) -> Iterator[list[str]]:
    """Yield a label and a cell for each candidate, as text."""
    first = found[0]
    for key in first.errors:
        yield [_error_label(key), *(_shown(each.errors[key]) for each in found)]
    for number, horizon in enumerate(first.horizons):
        cells = (f"{each.normalised_rmse[number]:.2e}" for each in found)
        yield [f"RMSE over spread, t = {horizon:g}", *cells]
    yield ["valid prediction time", *(_valid(each) for each in found)]
    if first.lyapunov_time is not None and math.isfinite(first.lyapunov_time):
        yield ["  in Lyapunov times", *(_valid_lyapunov(each) for each in found)]
    for key in DRIFTS:
        label = (
            f"{drift_label(key, first.conserved)}; reference {first.drifts['reference'][key]:.0e}"
        )
        yield [label, *(f"{each.drifts['candidate'][key]:.1e}" for each in found)]
    for number, measure in enumerate(first.distributions):
        yield [
            f"{measure.name}, distance (noise floor)",
            *(_distance(each, number) for each in found),
        ]
    times = (1e3 * each.wall_time["candidate"] / each.trajectories for each in found)
    yield ["wall time per trajectory", *(f"{value:.3g} ms" for value in times)]


def _error_label(key: str) -> str:
    names = {"ade": "average displacement error", "fde": "final displacement error"}
    return names.get(key) or f"position MSE at frame {key.removeprefix('mse ')}"


def _shown(value: Summary) -> str:
    text = f"{value.median:.1e}"
    return text if value.low == value.high else f"{text} ({value.low:.1e}..{value.high:.1e})"


def _valid(found: Comparison) -> str:
    return "whole run" if math.isinf(found.valid_time) else f"{found.valid_time:.3g}"


def _valid_lyapunov(found: Comparison) -> str:
    assert found.lyapunov_time is not None
    reached = min(found.valid_time, found.duration) / found.lyapunov_time
    return f"{'> ' if math.isinf(found.valid_time) else ''}{reached:.2g}"


def _distance(found: Comparison, number: int) -> str:
    measure = found.distributions[number]
    if measure.floor is None:
        return f"{measure.distance.median:.1e}"
    mark = "" if measure.within_noise else " !"
    return f"{measure.distance.median:.1e} ({measure.floor.median:.1e}){mark}"


def _notes(first: Comparison, no_floor: str | None) -> list[str]:
    window = f"Distributions are over t = {first.window.begin:g} to {first.window.end:g}"
    if no_floor is not None:
        return [f"{window}; there is no noise floor: {no_floor}."]
    said = [f"{window}; ! marks what is farther from the reference than its noise floor."]
    if first.lyapunov_time is not None and not first.window.chaotic:
        said.append(
            f"That window begins before one Lyapunov time, {first.lyapunov_time:.2g}: compare "
            "positions there; distributions say more in longer runs."
        )
    elif first.lyapunov_time is not None:
        said.append(f"The Lyapunov time is {first.lyapunov_time:.2g}.")
    return said


def _width(heads: list[str], rows: list[list[str]]) -> int:
    """Return the characters that a line takes."""
    return sum(max(map(len, column)) + 3 for column in zip(heads, *rows, strict=True))
