"""`nbody-sim dataset export` and `import`: data sets for others, and of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.datasets.exchange.nri import NriFiles

__all__ = ["export", "import_", "nri_files", "nri_options"]


SPLIT = click.Choice(["train", "validation", "test"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["npz", "nri"]),
    default="npz",
    show_default=True,
    help="Archives of NumPy, or loc, vel, edges and charges in .npy files.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the files."
)
@click.option("--suffix", default="", help="Of the files' names, with --format nri.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def export(
    folder: Path, kind: str, output: Path, suffix: str, overwrite: bool, quiet: bool
) -> None:
    """Write the splits of the data set in FOLDER for other programs."""
    from nbody_surrogate.datasets import Dataset, export_npz, export_nri

    dataset = Dataset(folder)
    if kind == "nri":
        written = export_nri(dataset, output, suffix=suffix, overwrite=overwrite)
    elif suffix:
        raise InputError(f"`suffix` goes with --format nri only, got {suffix!r}")
    else:
        written = export_npz(dataset, output, overwrite=overwrite)
    if not quiet:
        echo("Files: " + ", ".join(map(str, written)))


def nri_options(command: Any) -> Any:
    """Add the options that say what published files do not."""
    decorators = (
        click.option("--suffix", help="Of the .npy files, where a folder holds several sets."),
        click.option(
            "--split",
            "splits",
            multiple=True,
            type=SPLIT,
            help="To read this one alone; may be repeated.  [default: all]",
        ),
        click.option(
            "--system", help="Their physics.  [default: charged-clipped; gravity for masses]"
        ),
        click.option(
            "-p", "--parameter", multiple=True, metavar="KEY=VALUE", help="Of the system."
        ),
        click.option("--frame-dt", type=float, help="Time between rows.  [default: 0.1]"),
        click.option(
            "--first", type=int, help="Frame of the first row.  [default: 1; 0 for masses]"
        ),
        click.option("--velocity-lag", type=float, help="Time of velocities behind positions."),
        click.option("--task", metavar="INPUT:TARGET", help="Rows of the task, such as 30:40."),
    )
    # help shows first what was applied last
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def nri_files(folder: Path, options: dict[str, Any]) -> NriFiles:
    """Open the files of a folder by the options of the command line.

    Raises
    ------
    InputError
        If an option is wrong, files are missing or their shapes disagree.
    FileFormatError
        If a file is damaged.
    """
    from nbody_surrogate.cli.request import not_none
    from nbody_surrogate.datasets.exchange.nri import NriFiles

    frame_dt = 0.1 if options["frame_dt"] is None else options["frame_dt"]
    parameters = parameters_of(options["parameter"], {"frame_dt": frame_dt})
    keys = ("system", "first", "velocity_lag")
    return NriFiles(
        folder,
        options["suffix"],
        parameters=parameters,
        task=_task(options["task"]),
        splits=options["splits"] or None,
        **not_none(**{key: options[key] for key in keys}),
    )


def _task(text: str | None) -> Any:
    from nbody_surrogate.contracts.parameters import validated
    from nbody_surrogate.datasets.spec import TaskSpec

    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not (colon and first.strip().isdecimal() and last.strip().isdecimal()):
        raise InputError(f"`task` must be INPUT:TARGET, such as 30:40, got {text!r}")
    return validated(TaskSpec, {"input": int(first), "target": int(last)}, "`--task`")


@click.command("import")
@click.argument("files", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder.")
@nri_options
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def import_(files: Path, output: Path, quiet: bool, **options: Any) -> None:
    """Make a data set of published files: loc, vel, edges and charges in the folder FILES.

    Or loc, vel and mass. Nothing is unpickled. What the files do not say is given by options; their
    defaults fit EGNN's charged sets, and SEGNN's of masses. Charges that are missing, as in
    NRI's sets, are recovered from the edges. The manifest keeps the SHA-256 of each file.
    """
    from nbody_surrogate.datasets import import_nri

    source = nri_files(files, options)
    with progress_bar("trajectories", len(source), hidden=quiet) as progress:
        made = import_nri(source, output, progress=progress)
    if not quiet:
        from nbody_surrogate.cli.dataset.info import print_info

        print_info(made)
