"""`nbody-sim train`: train a surrogate by a recipe."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.errors import InputError

__all__ = ["train"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Run folder; one that holds a checkpoint of the same recipe is gone on with.",
)
@click.option("--workers", type=int, default=2, show_default=True, help="Processes for the data.")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of the training.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def train(config: Path, output: Path, workers: int, threads: int, quiet: bool) -> None:
    """Train a surrogate by the recipe CONFIG, a TOML file.

    The run folder gets the data, a checkpoint, `log.jsonl` and, in `weights/`, the model that
    `nbody-sim run --weights` takes.
    """
    import torch

    from nbody_surrogate.training.recipe import read_recipe
    from nbody_surrogate.training.trainer import Trainer

    for name, value in (("workers", workers), ("threads", threads)):
        if value < 1:
            raise InputError(f"`{name}` must be at least 1, got {value}")
    recipe = read_recipe(config)
    torch.set_num_threads(threads)

    def say(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    trainer = Trainer(recipe, output, workers, say)
    with progress_bar("training", recipe.steps, hidden=quiet) as progress:
        trainer.run(lambda step, _: progress(step, recipe.steps))
    say(f"Weights: {output / 'weights'}")
