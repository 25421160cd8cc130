"""`nbody-sim report`: one HTML file about a run, for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.comparison import Comparison
    from nbody_surrogate.trajectory import Ensemble

__all__ = ["report", "write_report_of"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), help="The reference's run.")
@click.option("--no-against", is_flag=True, help="Without a reference, even where there is one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN.html]")
@click.option("--no-floor", is_flag=True, help="Skip the two more runs that give the noise floor.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def report(
    run: Path,
    against: Path | None,
    no_against: bool,
    output: Path | None,
    no_floor: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a page about RUN, an H5MD file: numbers, curves, and the scene in 3D.

    The reference is `RUN.reference.h5` beside it where `--against` names no other.
    """
    from nbody_surrogate.h5md import read_h5md
    from nbody_surrogate.page.document import check_page_path

    output = run.with_suffix(".html") if output is None else output
    check_page_path(output, overwrite, "output")
    beside = run.with_suffix(".reference.h5")
    if no_against and against is not None:
        raise InputError("`against` and `no_against` do not go together")
    if against is None and beside.is_file() and not no_against:
        against = beside
    candidate = read_h5md(run)
    reference = None if against is None else read_h5md(against)
    command = command_line(("quiet", "overwrite"))
    write_report_of(candidate, reference, output, command, overwrite, floor=not no_floor)
    if not quiet:
        click.echo(f"Report: {output}")


def write_report_of(
    candidate: Ensemble,
    reference: Ensemble | None,
    path: Path,
    command: str,
    overwrite: bool,
    *,
    floor: bool = True,
) -> None:
    """Compare, with the noise floor where it can be had, and write the page.

    Raises
    ------
    InputError
        If the runs do not belong together, or the file cannot be written there.
    RunError
        If it cannot be written to its end.
    """
    from nbody_surrogate.cli.compare import twins_or_why
    from nbody_surrogate.cli.comparison_table import comparison_rows
    from nbody_surrogate.cli.table import rows_alone
    from nbody_surrogate.comparison import compare
    from nbody_surrogate.page import write_report

    comparison: Comparison | None = None
    if reference is not None:
        twins = twins_or_why(reference)[0] if floor else None
        comparison = compare(reference, candidate, twins)
    rows = rows_alone(candidate) if comparison is None else list(comparison_rows([comparison]))
    write_report(
        candidate,
        path,
        reference=reference,
        comparison=comparison,
        rows=rows,
        command=command,
        overwrite=overwrite,
    )
