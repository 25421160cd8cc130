"""`nbody-sim train`: train a surrogate by a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.foresight import check_hardware
from nbody_surrogate.cli.interruption import interruptible
from nbody_surrogate.cli.progress import sign, training_bar
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError
from nbody_surrogate.parallel.limits import check_workers

if TYPE_CHECKING:
    from nbody_surrogate.training.recipe import Recipe

__all__ = ["train"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run folder.")
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Go on with the run in this folder."
)
@click.option("--workers", type=int, default=2, show_default=True, help="Processes for the data.")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of the training.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def train(
    config: Path | None,
    output: Path | None,
    resume: Path | None,
    workers: int,
    threads: int,
    device: str,
    quiet: bool,
) -> None:
    """Train a surrogate by the recipe CONFIG, a TOML file.

    The run folder gets the recipe, the data that are made, checkpoints, `log.jsonl`,
    `training.png`, `summary.json` and, in `weights/`, the model that `nbody-sim run --weights`
    takes. A run that was stopped goes on by `--resume FOLDER`, or by the same command again, and
    ends with the bits of one that was not.
    """
    check_workers(workers)
    check_hardware(device, None, threads)
    recipe, folder = _chosen(config, output, resume)
    with sign("loading torch", hidden=quiet):
        import torch  # with all that needs it after what may be refused: it takes seconds

        from nbody_surrogate.contracts.device import resolve_device
        from nbody_surrogate.files.folder_lock import sole_writer
        from nbody_surrogate.training.trainer import Trainer

    torch.set_num_threads(threads)

    def say(line: str) -> None:
        if not quiet:
            echo(line, err=True)

    command = shlex.join(["nbody-sim", "train", *_arguments(config, folder)])
    where = str(resolve_device(device))
    kept = interruptible(f"go on with nbody-sim train --resume {shlex.quote(str(folder))}")
    with kept, sole_writer(folder):
        trainer = Trainer(recipe, folder, workers, say, where, command)
        before = trainer.step
        with training_bar(recipe.steps, hidden=quiet) as tick:
            found = trainer.run(tick)
    if trainer.step == before:  # what follows was said when it ended
        say("It had ended with:")
    for line in [*_scores(folder), *found]:
        say(line)
    say(f"Weights: {folder / 'weights'}")


def _scores(folder: Path) -> list[str]:
    """Say how good the weights are that a run has kept."""
    from nbody_surrogate.files.json_file import read_json

    scores = read_json(folder / "summary.json")["validation"]
    return [
        f"one step, validation of source {number}: x-MSE {each['mean']:.1e} "
        f"({each['low']:.1e}..{each['high']:.1e})"
        for number, each in enumerate(scores)
        if each is not None
    ]


def _chosen(config: Path | None, output: Path | None, resume: Path | None) -> tuple[Recipe, Path]:
    """Return the recipe and the run folder."""
    if resume is not None:
        if config is not None or output is not None:
            raise InputError("`resume` goes without CONFIG and `output`: the folder holds both")
        from nbody_surrogate.training.recipe import recipe_of_run

        return recipe_of_run(resume), resume
    if config is None or output is None:
        raise InputError("`train` needs CONFIG and `output`, or `resume` with a run folder")
    from nbody_surrogate.files.toml import read_toml

    read_toml(config, "config")  # all that is wrong with a file, before pydantic is imported
    from nbody_surrogate.training.recipe import read_recipe

    return read_recipe(config), output


def _arguments(config: Path | None, folder: Path) -> list[str]:
    if config is None:
        return ["--resume", str(folder)]
    return [str(config), "--output", str(folder)]
