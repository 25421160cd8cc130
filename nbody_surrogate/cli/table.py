"""Tables on the terminal, folded to its width."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nbody_surrogate.cli.terminal import echo, line_width
from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.table import run_table
from nbody_surrogate.comparison.text_table import TextTable, folded_line
from nbody_surrogate.printable import printable
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["print_lines", "print_report", "print_table"]


def print_report(runs: list[Ensemble], comparison: Comparison | None, files: list[Path]) -> None:
    """Print what was run, the table, who was faster, failures, and where the files are."""
    reference = runs[1] if len(runs) > 1 else None
    start = "from a file" if runs[0].info.seed is None else None
    print_table(run_table(runs[0], reference, comparison=comparison, start=start), files)


def print_table(table: TextTable, files: Iterable[Path] = (), *, wide: bool = False) -> None:
    """Print a table with its title, its notes and failures, and where the files are.

    Parameters
    ----------
    table : TextTable
    files : iterable of Path
    wide : bool
        Whether lines are whole, however narrow the terminal is.
    """
    # before lines are measured, and a break in a name makes two of a row
    shown = TextTable(
        printable(table.title),
        tuple(map(printable, table.heads)),
        tuple(tuple(printable(cell.replace("\n", " ")) for cell in row) for row in table.rows),
        words=table.words,
    )
    for line in shown.lines(line_width(wide)):
        echo(line)
    print_lines(table.notes, wide=wide)
    print_lines(table.failures, wide=wide, alarm=True)
    if names := ", ".join(map(str, files)):
        print_lines([f"Files: {names}"], wide=wide)


def print_lines(
    lines: Iterable[str], *, wide: bool = False, alarm: bool = False, indent: int | None = None
) -> None:
    """Print lines, folded between words; `indent` is that of the rest of a line."""
    for line in lines:
        for part in folded_line(printable(line), line_width(wide), indent):
            echo(part, alarm=alarm)
