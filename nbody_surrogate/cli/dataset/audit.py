"""`nbody-sim dataset audit`: what is wrong with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.dataset.exchange import nri_files, nri_options
from nbody_surrogate.cli.json_output import print_json
from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.terminal import wide_option
from nbody_surrogate.errors import InputError, RunError

if TYPE_CHECKING:
    from nbody_surrogate.datasets import Audit
    from nbody_surrogate.datasets.dataset import AbstractTrajectories

__all__ = ["audit"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--sample", type=int, default=2000, show_default=True, help="Trajectories to solve anew."
)
@click.option(
    "--energy-jump",
    type=float,
    default=0.05,
    show_default=True,
    help="Change that is counted, of the kinetic energy.",
)
@nri_options
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def audit(
    folder: Path,
    sample: int,
    energy_jump: float,
    wide: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Look at every row of a data set and say what is wrong with it.

    FOLDER holds a data set of ours, made here or imported, or published .npy files, for which
    the options from --suffix to --task say what the files do not. Ends with exit code 1 where
    something is wrong; what is merely doubtful is said.
    """
    from nbody_surrogate.datasets import audit_dataset

    trajectories = _open(folder, options)
    with progress_bar("trajectories", len(trajectories), hidden=quiet) as progress:
        found = audit_dataset(
            trajectories, sample=sample, energy_jump=energy_jump, progress=progress
        )
    if as_json:
        print_json("dataset audit", found.to_dict(), indent=2)
    elif not quiet:
        _print(found, wide)
    if found.level == "wrong":
        wrong = [f"{each.check}: {each.text}" for each in found.findings if each.level == "wrong"]
        raise RunError(f"{str(folder)!r} is wrong. " + "; ".join(wrong))


def _open(folder: Path, options: dict[str, Any]) -> AbstractTrajectories:
    from nbody_surrogate.datasets import Dataset
    from nbody_surrogate.datasets.exchange.nri import has_nri_files

    if has_nri_files(folder):
        return nri_files(folder, options)
    for key, value in options.items():
        if value not in (None, ()):
            raise InputError(
                f"`{key}` goes with .npy files only, {str(folder)!r} holds none of them"
            )
    return Dataset(folder)


def _print(found: Audit, wide: bool) -> None:
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.wording import counted

    title = f"{counted(found.trajectories, 'trajectory')}: {found.level}"
    rows = tuple((each.check, each.level, each.text) for each in found.findings)
    print_table(TextTable(title, ("check", "", "finding"), rows, words=True), wide=wide)
