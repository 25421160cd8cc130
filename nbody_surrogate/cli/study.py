"""`nbody-sim study`: train and compare a grid of models."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.files import write_whole
from nbody_surrogate.cli.interruption import interruptible

__all__ = ["study"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def study(config: Path, output: Path, workers: int, device: str, quiet: bool) -> None:
    """Train and compare the models of the study CONFIG, a TOML file.

    Every model is trained on every data set with every seed, under one budget of steps or of time.
    The folder gets the data, each training with its weights, `results.json`, `table.md` and
    `figure.png`. A study that was stopped goes on, cell by cell, by the same command; a training
    that diverges is noted, and the others go on.
    """
    from nbody_surrogate.device import resolve_device
    from nbody_surrogate.study.figure import draw_study
    from nbody_surrogate.study.running import run_study
    from nbody_surrogate.study.spec import read_study
    from nbody_surrogate.study.summary import summarise, to_markdown

    spec, where = read_study(config), str(resolve_device(device))

    def say(what: str, done: int, total: int) -> None:
        if not quiet:
            click.echo(f"{what}: {done} of {total}", err=True)

    again = shlex.join(["nbody-sim", "study", str(config), "--output", str(output)])
    with interruptible(f"what is finished stays; go on with {again}"):
        run_study(spec, output, workers, say, where)
    tables = summarise(spec, output)
    text = to_markdown(spec, tables)
    found = {"study": spec.model_dump(mode="json"), "tables": [_plain(each) for each in tables]}
    write_whole(output / "results.json", json.dumps(found, indent=1) + "\n")
    write_whole(output / "table.md", text)
    draw_study(tables, output / "figure.png")
    if not quiet:
        click.echo(text, nl=False)


def _plain(table: object) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(table)  # type: ignore[call-overload, no-any-return]
