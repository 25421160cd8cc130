"""`nbody-sim render`: a run as a picture, a movie, a page, a window, or a file for ParaView."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import rich_click as click

from nbody_surrogate.cli.file_options import FileOptions
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.reference_file import reference_file
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError, NBodyWarning

__all__ = ["render"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), help="The reference's run.")
@click.option("--no-against", is_flag=True, help="Without a reference, even where there is one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A .png, .jpg, .mp4, .gif, .html or .vtkhdf file.  [default: a window]",
)
@click.option("--trajectory", type=int, default=0, show_default=True, help="Of several.")
@click.option("--frame", type=int, help="Of a picture.  [default: the last valid one]")
@click.option("--trail", type=int, default=24, show_default=True, help="Frames.")
@click.option("--size", type=(int, int), help="Pixels.  [default: 1600 1200; of a movie 1280 720]")
@click.option("--fps", type=float, default=20.0, show_default=True, help="Of a movie.")
@click.option(
    "--colouring",
    default="auto",
    show_default=True,
    help="By charge, mass, identity, speed or error; auto is the first that differs.",
)
@click.option("--inset/--no-inset", default=None, help="Energy error.  [default: in movies]")
@click.option("--title", help="[default: the system and the particles]")
@options_of(FileOptions)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def render(run: Path, **options: Any) -> None:
    """Draw RUN in 3D: an H5MD file, or a trajectory that another program wrote.

    The reference, drawn solid, is `RUN.reference.h5` beside it where `--against` names no other.
    """
    from nbody_surrogate.files.output_path import CheckedPath
    from nbody_surrogate.formats.opening import count_trajectories
    from nbody_surrogate.viz.render import render as drawn
    from nbody_surrogate.viz.scene import check_picture_path

    if options["quiet"]:
        warnings.simplefilter("ignore", NBodyWarning)
    output = options["output"]
    if output is not None:
        # before the run is read and drawn, which may take minutes
        checked = check_picture_path(output, options["overwrite"], "output")
        output = CheckedPath(checked, parameter="output")
    against = reference_file(run, options["against"], options["no_against"])
    files = [run] if against is None else [run, against]
    counts = [count_trajectories(file) for file in files]
    if counts[-1] != counts[0]:
        raise InputError(
            f"`against` must hold {counts[0]} trajectories as the run does, got {counts[-1]}"
        )
    runs = FileOptions.taken(options).read(*files, trajectory=options["trajectory"])
    drawn(
        runs[0][0],
        output,
        reference=None if against is None else runs[1][0],
        frame=options["frame"],
        trail=options["trail"],
        window_size=options["size"],
        title=options["title"],
        fps=options["fps"],
        colouring=options["colouring"],
        inset=options["inset"],
        overwrite=options["overwrite"],
    )
    if output is not None and not options["quiet"]:
        echo(f"File: {output}")
