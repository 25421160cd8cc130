"""`nbody-sim export`: a run in a file of another program."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError

__all__ = ["export"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--trajectory", type=int, default=0, show_default=True, help="Of several.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def export(run: Path, output: Path, trajectory: int, overwrite: bool, quiet: bool) -> None:
    """Write RUN, an H5MD file, to OUTPUT: .extxyz (ASE), .npz (NumPy) or .vtkhdf (ParaView)."""
    from nbody_surrogate.formats.export import check_export_path
    from nbody_surrogate.formats.export import export as exported
    from nbody_surrogate.formats.h5md import read_h5md

    check_export_path(output, overwrite)
    ensemble = read_h5md(run)
    if not 0 <= trajectory < len(ensemble):
        raise InputError(f"`trajectory` must be from 0 to {len(ensemble) - 1}, got {trajectory}")
    exported(ensemble[trajectory], output, overwrite=overwrite)
    if not quiet:
        echo(f"File: {output}")
