"""`nbody-sim study`: train and compare a grid of models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import rich_click as click

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.files import write_text
from nbody_surrogate.cli.foresight import check_hardware
from nbody_surrogate.cli.interruption import interruptible
from nbody_surrogate.cli.json_output import json_text
from nbody_surrogate.cli.terminal import echo, line_width, wide_option

__all__ = ["study"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes.")
@click.option("--steps", type=int, help="Of each training, in place of the study's budget.")
@click.option("--minutes", type=float, help="Of each training, in place of the study's budget.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def study(
    config: Path,
    output: Path,
    workers: int,
    steps: int | None,
    minutes: float | None,
    device: str,
    wide: bool,
    quiet: bool,
) -> None:
    """Train and compare the models of the study CONFIG, a TOML file.

    Every model is trained on every data set with every seed, under one budget of steps or of time.
    First it says what factor between two models so many seeds can show: by how seeds scatter, as
    the study's `spread` assumes it, or as measured where the folder has some seeds already. The
    folder gets the data, each training with its weights, `results.json`, `table.md` and
    `figure.png`. A study that was stopped goes on, cell by cell, by the same command; a training
    that diverges is noted, and the others go on.
    """
    check_hardware(device, None, 1)
    from nbody_surrogate.files.toml import read_toml

    read_toml(config, "config")  # all that is wrong with a file, before pydantic is imported
    from nbody_surrogate.study.spec import read_study, with_budget

    spec = with_budget(read_study(config), steps, minutes)
    # what needs torch, after what may be refused: it takes seconds
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.contracts.device import resolve_device
    from nbody_surrogate.study.figure import draw_study
    from nbody_surrogate.study.markdown import text_tables, to_markdown
    from nbody_surrogate.study.run_study import run_study
    from nbody_surrogate.study.summary import power, summarise

    where, command = str(resolve_device(device)), command_line(("quiet", "wide"))

    def say(what: str, done: int, total: int) -> None:
        if not quiet:
            echo(f"{what}: {done} of {total}", err=True)

    def begin() -> None:
        if not quiet:  # what it can find, before anybody waits for it
            echo(str(power(spec, summarise(spec, output))), err=True)

    with interruptible(f"what is finished stays; go on with {command}"):
        run_study(spec, output, workers, say, where, begin)
    tables = summarise(spec, output)
    text = to_markdown(spec, tables)
    found = {
        "command": command,
        "study": spec.model_dump(mode="json"),
        "tables": [asdict(table) for table in tables],
    }
    write_text(output / "results.json", json_text("study", found))
    write_text(output / "table.md", text)
    draw_study(tables, output / "figure.png")
    if quiet:
        return
    if line_width(wide) is None:
        echo(text, nl=False)
        return
    for each in text_tables(spec, tables):
        print_table(each)
