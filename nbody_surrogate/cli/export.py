"""`nbody-sim export`: a run in a file of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.file_options import FileOptions
from nbody_surrogate.cli.options import options_of
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.files.output_path import check_not_read

if TYPE_CHECKING:
    from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["export"]

FORMATS = {"extxyz": ".extxyz", "h5md": ".h5", "npz": ".npz", "vtkhdf": ".vtkhdf"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path), required=False)
@click.option("--trajectory", type=int, default=0, show_default=True, help="Of several.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(list(FORMATS)),
    help="In place of OUTPUT: beside RUN, as RUN-trajectory-K.",
)
@options_of(FileOptions)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def export(
    run: Path,
    output: Path | None,
    trajectory: int,
    file_format: str | None,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Write one trajectory of RUN to OUTPUT, for other programs.

    OUTPUT ends in .extxyz (ASE, OVITO), .h5 (H5MD, for MDAnalysis and ZnH5MD, which read one
    trajectory in three dimensions), .npz (NumPy) or .vtkhdf (ParaView). RUN may be another
    program's file too.
    """
    from nbody_surrogate.formats.export import check_export_path
    from nbody_surrogate.formats.export import export as exported
    from nbody_surrogate.formats.opening import count_trajectories
    from nbody_surrogate.viz.scene.title import which_of

    target = _target(run, output, trajectory, file_format)
    check_not_read([("run", run)], [("output", target)])
    check_export_path(target, overwrite)
    (ensemble,) = FileOptions.taken(options).read(run, trajectory=trajectory)
    _tell_unfinished(run, ensemble)
    exported(ensemble[0], target, overwrite=overwrite)
    if not quiet:
        which = which_of(trajectory, count_trajectories(run))
        echo(f"File: {target}{f', {which}' if which else ''}")


def _tell_unfinished(run: Path, ensemble: Ensemble) -> None:
    """Warn of a run that is not done, whose frames by now look like those of a shorter one."""
    from nbody_surrogate.formats.h5md import H5MDReader
    from nbody_surrogate.formats.opening import is_foreign

    if is_foreign(run):
        return
    with H5MDReader(run) as file:
        if file.complete:
            return
    # as it was when the frames were read; the run may have gone on
    for why in ensemble.info.message[:1]:
        warn(f"{str(run)!r} is {why}")


def _target(run: Path, output: Path | None, trajectory: int, file_format: str | None) -> Path:
    """Name the file, whose ending is its format."""
    if output is None:
        if file_format is None:
            raise InputError("`output` is needed, or `format`; name a file such as run.extxyz")
        return run.with_name(f"{run.stem}-trajectory-{trajectory}{FORMATS[file_format]}")
    # an H5MD file has several
    ending = {".h5md": ".h5", ".hdf5": ".h5"}.get(output.suffix.lower(), output.suffix.lower())
    if file_format is not None and ending != FORMATS[file_format]:
        raise InputError(
            f"`output` must end in {FORMATS[file_format]} to be of format {file_format}, "
            f"got {str(output)!r}"
        )
    return output
