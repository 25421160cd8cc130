"""`nbody-sim dataset verify`: whether a data set is what its manifest says."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import RunError

__all__ = ["verify"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--sample", type=int, default=8, show_default=True, help="Trajectories to make again."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def verify(folder: Path, sample: int, quiet: bool) -> None:
    """Check the hashes of the data set in FOLDER, and make some trajectories again, bit for bit.

    Ends with exit code 1 where a shard is not as recorded, or a trajectory comes out otherwise.
    """
    from nbody_surrogate.contracts.wording import counted
    from nbody_surrogate.datasets import Dataset, verify_dataset

    dataset = Dataset(folder)
    shards = len(dataset.manifest.shards)
    with progress_bar("shards", shards, hidden=quiet) as progress:
        found = verify_dataset(dataset, sample, progress=progress)
    if not quiet:
        have = "has" if shards == 1 else "have"
        echo(f"{found.shards} of {counted(shards, 'shard')} {have} the recorded SHA-256")
        if dataset.manifest.source:
            echo("imported, so no trajectory can be made again")
        else:
            remade = counted(len(found.remade), "trajectory")
            echo(f"{len(found.same)} of {remade} made again with the same bits")
    if not found.success:
        raise RunError(f"{str(folder)!r}: " + "; ".join(found.problems))
