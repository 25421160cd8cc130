"""The table that `nbody-sim compare` ends with."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.table import comparison_rows

__all__ = ["print_comparisons"]


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
