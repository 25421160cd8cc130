"""`nbody-sim models domain`: the domain of weights, measured on the data of their recipe."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.progress import sign
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.parallel.limits import check_workers

__all__ = ["domain"]


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder for the data that CONFIG has made.  [default: they are not kept]",
)
@click.option("--workers", type=int, default=2, show_default=True, help="Processes for the data.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def domain(weights: Path, config: Path, data: Path | None, workers: int, quiet: bool) -> None:
    """Measure what WEIGHTS were trained for, on the data of the recipe CONFIG, for their card.

    A training does that itself. This is for weights of before, and for those of another program.
    Ranges of invariants go into the folder's `config.json`; see `nbody-sim run --outside`.
    """
    check_workers(workers)
    with sign("loading the recipe", hidden=quiet):
        from nbody_surrogate.contracts.wording import counted
        from nbody_surrogate.files.folder_lock import sole_writer
        from nbody_surrogate.training.add_domain import add_domain
        from nbody_surrogate.training.recipe import read_recipe
    recipe = read_recipe(config)
    with ExitStack() as held:
        if data is None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = data
            held.enter_context(sole_writer(folder, "data"))
        report = _silent if quiet else echo
        found = add_domain(weights, recipe, folder, workers=workers, report=report)
    if not quiet:
        for each in found.measured:
            frames, of = counted(each.frames, "frame"), counted(each.trajectories, "trajectory")
            echo(f"{each.system}, N = {each.particles}: ranges of {frames} of {of}")


def _silent(text: str) -> None:
    return
