"""`nbody-sim render`: a run as a picture, a movie, a page, a window, or a file for ParaView."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import rich_click as click

from nbody_surrogate.cli.file_options import FileOptions
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.progress import with_frames_bar
from nbody_surrogate.cli.reference_file import reference_file
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError, NBodyWarning

__all__ = ["render"]

LOOKS = ("camera", "orbit", "seconds", "theme", "background", "axes", "scale_bar")


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
    help="By charge, mass, identity, speed, error or a hidden variable, by its name; auto is the "
    "first that differs.",
)
@click.option("--inset/--no-inset", default=None, help="Energy error.  [default: in movies]")
@click.option("--camera", help="iso, xy, xz, yz; azimuth,elevation; or x,y,z towards it.")
@click.option("--orbit", type=float, help="Degrees that a movie turns.  [default: by its length]")
@click.option("--seconds", type=float, help="How long a movie takes, of chosen frames.")
@click.option(
    "--theme", help="dark or light.  [default: as the background; else dark, of pages the reader's]"
)
@click.option("--background", help="A colour, by name or as #rrggbb.")
@click.option("--axes", is_flag=True, help="Show where x, y and z point.")
@click.option("--scale-bar", is_flag=True, help="Show a length, at the depth of the middle.")
@click.option("--title", help="[default: the system and the particles]")
@options_of(FileOptions)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def render(run: Path, **options: Any) -> None:
    """Draw RUN in 3D: an H5MD file, or a trajectory that another program wrote.

    The reference, drawn solid, is `RUN.reference.h5` beside it where `--against` names no other.
    """
    from nbody_surrogate.files.output_path import CheckedPath, check_not_read
    from nbody_surrogate.formats.opening import count_trajectories
    from nbody_surrogate.viz.scene.pace import pace_of
    from nbody_surrogate.viz.scene.picture_path import check_picture_path
    from nbody_surrogate.viz.scene.shown import common_frames
    from nbody_surrogate.viz.scene.title import scene_title, which_of
    from nbody_surrogate.viz.scene.writer import kept_rate

    if options["quiet"]:
        warnings.simplefilter("ignore", NBodyWarning)
    output = options["output"]
    against = reference_file(run, options["against"], options["no_against"])
    check_not_read([("run", run), ("against", against)], [("output", output)])
    if output is not None:
        # before the run is read and drawn, which may take minutes
        checked = check_picture_path(output, options["overwrite"], "output")
        output = CheckedPath(checked, parameter="output")
    files = [run] if against is None else [run, against]
    counts = [count_trajectories(file) for file in files]
    if counts[-1] != counts[0]:
        raise InputError(
            f"`against` must hold {counted(counts[0], 'trajectory')} as the run does, "
            f"got {counts[-1]}"
        )
    runs = FileOptions.taken(options).read(*files, trajectory=options["trajectory"])
    title = options["title"]
    if title is None and counts[0] > 1:  # the one that is read does not know of the others
        title = scene_title(runs[0][0], against is None, which_of(options["trajectory"], counts[0]))
    drawn = with_frames_bar(hidden=options["quiet"] or output is None)
    drawn(
        runs[0][0],
        output,
        reference=None if against is None else runs[1][0],
        frame=options["frame"],
        trail=options["trail"],
        window_size=options["size"],
        title=title,
        fps=options["fps"],
        colouring=options["colouring"],
        inset=options["inset"],
        **{name: options[name] for name in LOOKS},
        overwrite=options["overwrite"],
    )
    if output is not None and not options["quiet"]:
        if options["seconds"] is not None:
            frames = common_frames(*(each[0] for each in runs))
            fps = kept_rate(options["output"], options["fps"])
            echo(f"Movie: {pace_of(frames, fps, options['seconds']).words(frames)}")
        echo(f"File: {output}")
