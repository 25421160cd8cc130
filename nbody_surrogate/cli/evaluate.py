"""`nbody-sim evaluate`: a model's accuracy and cost, classical methods beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.bound import bound_option, check_factor
from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.files import write_text
from nbody_surrogate.cli.foresight import check_hardware
from nbody_surrogate.cli.json_output import json_text
from nbody_surrogate.cli.progress import compiling_shown, progress_bar, sign
from nbody_surrogate.cli.terminal import echo, wide_option
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.limits import EVALUATION
from nbody_surrogate.files.output_path import check_distinct, check_output_file

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.evaluation.rollouts import Truth
    from nbody_surrogate.surrogates.trained_models import Model

__all__ = ["evaluate"]

SILENT = ("output", "overwrite", "as_json", "quiet", "wide")  # options that change no number


@click.command()
@click.argument("model")
@click.option("--system", multiple=True, help="Physics; may be repeated.  [default: the card's]")
@click.option(
    "-n", "--particles", type=int, multiple=True, help="May be repeated.  [default: 5 30]"
)
@click.option("--trajectories", type=int, help="Of each sample.  [default: 500 to N = 5, else 200]")
@click.option(
    "--dataset", type=click.Path(path_type=Path), help="Judge by a data set in place of samples."
)
@click.option("--split", help="Of that data set.  [default: all of it]")
@click.option("--horizon", type=int, multiple=True, help="Frames.  [default: 10 20 40]")
@click.option("--no-classical", is_flag=True, help="Leave the solvers out.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--dtype", help="float32 or float64.  [default: the weights']")
@click.option("--compile", "compiled", is_flag=True, help="Compile the model's step.")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of the model.")
@click.option("--floor", is_flag=True, help="Beside it, what no model without memory gets below.")
@bound_option
@click.option("--card", is_flag=True, help="Put table and model card into the weights' folder.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write JSON.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def evaluate(model: str, **options: Any) -> None:
    """Score MODEL: a name of `nbody-sim models list`, a folder of weights or a run folder.

    One step from true frames, and roll-outs, as mean squared errors of positions per coordinate:
    mean, median with its bootstrap 95 % interval, and 95th percentile; milliseconds per frame. All
    methods of a table share one seeded sample, or the trajectories of a data set, so that the model
    is held against each solver trajectory by trajectory: who is better, whether they are
    equivalent, or that they are not told apart.

    With `--floor`, of a system with hidden variables: the variance of the next frame given
    positions and velocities alone, by states that share them and differ in what is hidden; a model
    whose history is longer than one frame may get below it.

    A model that was trained to predict a task in one shot is scored on the task of `--dataset`,
    by default on its split `test`: mean, median and 95th percentile over trajectories, and the mean
    over the clean subset, whose labels keep their energy.
    """
    from nbody_surrogate.surrogates.places import refuse_unknown_model

    refuse_unknown_model(model)
    _check(options)
    # what needs torch, after what may be refused: it takes seconds
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.evaluation.floor.against import floor_table
    from nbody_surrogate.evaluation.score_table import pair_tables, score_tables
    from nbody_surrogate.evaluation.scorecard import HORIZONS, score_methods
    from nbody_surrogate.evaluation.task_rows import task_pair_table, task_rows_of, task_table
    from nbody_surrogate.surrogates.trained_models import find_model

    found = find_model(model)
    _check_places(found, options)
    quiet = options["quiet"] or options["as_json"]
    # only models of one shot have a horizon on their card
    network, card = found.load()
    if card.horizon is not None:
        if options["floor"]:
            raise InputError("`floor` is of one step of a frame, and the model answers in one shot")
        plain = task_rows_of(found, options)
        for table in () if quiet else (task_table(plain), task_pair_table(plain)):
            if table is not None:
                print_table(table, wide=options["wide"])
        _write(found, plain, [], options)
        return
    horizons = options["horizon"] or HORIZONS
    rows: list[dict[str, Any]] = []
    floors: list[dict[str, Any]] = []
    for truth in _truths(found, options):
        if options["floor"]:
            floors.append(_floor(found, network, truth, quiet))
        methods = _methods(found, truth, options)
        label = f"{truth.system.name}, N = {truth.x.shape[2]}"
        bar = progress_bar(label, len(methods), hidden=quiet)
        with compiling_shown(hidden=quiet), bar as progress:
            scored = score_methods(methods, truth, horizons, progress, options["bound"])
        plain = [row.to_dict() for row in scored]
        rows += plain
        for table in () if quiet else (*score_tables(plain), *pair_tables(plain)):
            print_table(table, wide=options["wide"])
        if floors and not quiet:
            print_table(floor_table(floors[-1:]), wide=options["wide"])
    _write(found, rows, floors, options)


def _floor(model: Model, network: AbstractSurrogate, truth: Truth, quiet: bool) -> dict[str, Any]:
    """Hold the model against the floor of a sample."""
    from nbody_surrogate.evaluation.floor.against import against_floor

    with sign("making twins for the floor", hidden=quiet):
        return against_floor(model.name, network, truth).to_dict()


def _check(options: dict[str, Any]) -> None:
    """Check what needs no model, before anything is computed."""
    check_hardware(options["device"], options["dtype"], options["threads"])
    check_factor(options["bound"])
    if options["trajectories"] is not None and options["trajectories"] < 1:
        raise InputError(f"`trajectories` must be at least 1, got {options['trajectories']}")
    for name in ("particles", "horizon"):
        for value in options[name]:
            if value < 1:
                raise InputError(f"`{name}` must be at least 1, got {value}")
    if options["dataset"] is None and options["split"] is not None:
        raise InputError("`split` goes with `dataset` only; name its folder")
    for name in ("system", "particles"):
        if options["dataset"] is not None and options[name]:
            raise InputError(f"`{name}` does not go with `dataset`, which settles it")
    if options["dataset"] is not None:
        from nbody_surrogate.datasets.dataset import Dataset

        Dataset(options["dataset"])  # which it is, and read in full where it is used
    if options["output"] is not None:
        check_output_file(options["output"], "output", overwrite=options["overwrite"])


def _check_places(model: Model, options: dict[str, Any]) -> None:
    from nbody_surrogate.surrogates.trained_models import CARD_FILE, EVALUATION_FILE

    if options["card"]:
        cards = [("card", model.folder / name) for name in (EVALUATION_FILE, CARD_FILE)]
        check_distinct([("output", options["output"]), *cards])


def _truths(model: Model, options: dict[str, Any]) -> list[Truth]:
    from nbody_surrogate.datasets.dataset import Dataset
    from nbody_surrogate.evaluation.evaluate import truths_of

    dataset = None if options["dataset"] is None else Dataset(options["dataset"])
    return truths_of(
        model.load()[1],
        options["system"],
        options["particles"],
        options["trajectories"],
        dataset,
        options["split"],
        options["horizon"],
    )


def _methods(model: Model, truth: Truth, options: dict[str, Any]) -> dict[str, AbstractIntegrator]:
    import torch

    from nbody_surrogate.evaluation.scorecard import classical_methods
    from nbody_surrogate.integrators.build import make_integrator

    torch.set_num_threads(options["threads"])
    chosen = {
        "weights": str(model.folder),
        "device": options["device"],
        "dtype": options["dtype"],
        "threads": options["threads"],
        "compile": options["compiled"],
    }
    methods = {model.name: make_integrator(model.surrogate, **chosen)}
    return methods if options["no_classical"] else methods | classical_methods(truth.system)


def _write(
    model: Model,
    rows: list[dict[str, Any]],
    floors: list[dict[str, Any]],
    options: dict[str, Any],
) -> None:
    from nbody_surrogate.environment.versions import versions
    from nbody_surrogate.evaluation.model_card_text import card_text
    from nbody_surrogate.surrogates.trained_models import CARD_FILE, EVALUATION_FILE

    found = {
        "model": model.name,
        # the name and no folder, so that it is a command for other machines too
        "command": command_line(SILENT, {"model": model.name}),
        "rows": rows,
        "floors": floors,
        "versions": versions(),
    }
    text = json_text("evaluate", found)
    if options["as_json"]:
        echo(text, nl=False)
    if options["output"] is not None:
        write_text(options["output"], text, options["overwrite"])
    if options["card"]:
        EVALUATION.require(len(text.encode()), error=RunError)
        write_text(model.folder / EVALUATION_FILE, text, parameter="card")
        write_text(model.folder / CARD_FILE, card_text(model), parameter="card")
