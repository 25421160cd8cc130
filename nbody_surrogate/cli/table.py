"""Tables on the terminal: those that `nbody-sim run` and `nbody-sim compare` end with."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table

from nbody_surrogate.cli.console import PlainConsole
from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.table import run_table
from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["print_report", "print_table"]


def print_report(runs: list[Ensemble], comparison: Comparison | None, files: list[Path]) -> None:
    """Print what was run, the table, who was faster, failures, and where the files are."""
    reference = runs[1] if len(runs) > 1 else None
    start = "from a file" if runs[0].info.seed is None else None
    print_table(run_table(runs[0], reference, comparison=comparison, start=start), files)


def print_table(table: TextTable, files: list[Path], *, whole_lines: bool = False) -> None:
    """Print a table with its title, its notes and failures, and where the files are.

    Parameters
    ----------
    table : TextTable
    files : list of Path
    whole_lines : bool
        Whether a line is longer than the terminal rather than broken in its cells, as is best where
        columns are many.
    """
    console = PlainConsole()
    console.print(table.title)
    if whole_lines:
        console.width = max(console.width, _width(table))
    console.print(_rich(table, whole_lines))
    for line in table.notes:
        console.print(line)
    for line in table.failures:
        console.print(line, style="bold red")
    console.print("Files: " + ", ".join(map(str, files)))


def _rich(table: TextTable, whole_lines: bool) -> Table:
    made = Table(*table.heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(made.columns):
        column.no_wrap = whole_lines or number == 0
        column.justify = "right" if number else "left"
    for row in table.rows:
        made.add_row(*row)
    return made


def _width(table: TextTable) -> int:
    """Return the characters that a line takes, with three between columns."""
    columns = zip(table.heads, *table.rows, strict=True)
    return sum(max(map(len, column)) + 3 for column in columns)
