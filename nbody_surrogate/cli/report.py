"""`nbody-sim report`: one HTML file about a run, for the browser."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import rich_click as click

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.file_options import FileOptions
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.progress import sign
from nbody_surrogate.cli.reference_file import reference_file
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError, NBodyWarning

__all__ = ["report"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), help="The reference's run.")
@click.option("--no-against", is_flag=True, help="Without a reference, even where there is one.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN.html]")
@click.option("--no-floor", is_flag=True, help="Skip the two more runs that give the noise floor.")
@click.option("--camera", help="iso, xy, xz, yz; azimuth,elevation; or x,y,z towards it.")
@click.option("--theme", help="dark or light.  [default: the reader's own]")
@click.option("--background", help="Of the scene: a colour, by name or as #rrggbb.")
@options_of(FileOptions)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def report(
    run: Path,
    against: Path | None,
    no_against: bool,
    output: Path | None,
    no_floor: bool,
    camera: str | None,
    theme: str | None,
    background: str | None,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Write a page about RUN: numbers, curves, and the scene in 3D.

    The reference is `RUN.reference.h5` beside it where `--against` names no other.
    """
    from nbody_surrogate.files.output_path import CheckedPath, check_not_read
    from nbody_surrogate.viz.html.document import check_page_path

    if quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    if output is None:
        if not run.name:
            raise InputError(f"`run` must be an H5MD file, got '{run}'")
        output = run.with_suffix(".html")
    against = reference_file(run, against, no_against)
    check_not_read([("run", run), ("against", against)], [("output", output)])
    checked = CheckedPath(check_page_path(output, overwrite, "output"), parameter="output")
    files = [run] if against is None else [run, against]
    with sign("writing the report", hidden=quiet):
        candidate, *others = FileOptions.taken(options).read(*files)
        from nbody_surrogate.viz.html.report import write_report  # after what may be refused

        reference = others[0] if others else None
        command = command_line(("quiet", "overwrite"))
        write_report(
            candidate,
            reference,
            checked,
            floor=not no_floor,
            command=command,
            camera=camera,
            theme=theme,
            background=background,
            overwrite=overwrite,
        )
    if not quiet:
        echo(f"Report: {output}")
