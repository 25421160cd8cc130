"""The scores of a model that answers a task in one shot, and of what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.model_card import Card
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.evaluation.one_shot import OneShotScore
    from nbody_surrogate.evaluation.one_shot_task import OneShotTask
    from nbody_surrogate.surrogates.trained_models import Model

__all__ = ["task_pair_cells", "task_pair_table", "task_rows_of", "task_table"]

FITTED_BY = 10_000  # training trajectories that settle the simple predictors


def task_rows_of(model: Model, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Score a model and what it is held against on the task of a data set; return the rows."""
    from nbody_surrogate.datasets.dataset import Dataset
    from nbody_surrogate.evaluation.one_shot import score_model, score_references
    from nbody_surrogate.evaluation.one_shot_task import read_task

    network, card = model.load()
    _check(model, options)
    dataset = Dataset(options["dataset"])
    # what a model was trained on is no test of it
    split = options["split"] or ("test" if dataset.spec.splits.get("test") else None)
    history = network.config.history
    task = read_task(dataset, split, history, options["trajectories"])
    _check_task(model, network, card, task, dataset.spec.particles)
    found = [score_model(model.name, _prepared(network, options), task)]
    if not options["no_classical"]:
        training = read_task(dataset, "train", history, FITTED_BY)
        found += score_references(task, training)
    pairs = _pairs(found, options["bound"])
    return [
        {**row.to_dict(), "system": dataset.spec.system, "particles": dataset.spec.particles,
         "trajectories": len(task.x), "horizon": task.horizon, "pair": pair}
        for row, pair in zip(found, pairs, strict=True)
    ]  # fmt: skip


def _pairs(found: Sequence[OneShotScore], bound: float) -> list[dict[str, Any] | None]:
    """Hold the first method against each other one on the same trajectories, but for itself."""
    from nbody_surrogate.results.paired import PairedTest, corrected

    first, *others = found
    tests = corrected([PairedTest.of(first.errors, each.errors, bound) for each in others])
    return [None, *(test.to_dict() for test in tests)]


def _check(model: Model, options: dict[str, Any]) -> None:
    if options["dataset"] is None:
        raise InputError(
            f"`dataset` is needed: {model.name} answers the task of one in one shot; make it by "
            "nbody-sim dataset generate"
        )
    if options["horizon"]:
        raise InputError(f"`horizon` of {model.name} is that of its task; leave it out")
    if options["compiled"]:
        raise InputError("`compile` is for steppers; leave it out")


def _check_task(
    model: Model, network: AbstractSurrogate, card: Card, task: OneShotTask, particles: int
) -> None:
    from nbody_surrogate.contracts.times import same_spacing

    assert card.horizon is not None
    for what, got, wanted in (
        ("a horizon of", task.horizon, card.horizon),
        ("frames a time apart of", task.spacing, card.frame_dt),
    ):
        if wanted is not None and not same_spacing(got, wanted):
            raise InputError(
                f"`dataset` has {what} {got:g}, {model.name} was trained for {wanted:g}"
            )
    only = network.fixed_particles
    if only not in (None, particles):
        raise InputError(f"`dataset` has {particles} particles, {model.name} takes {only} only")


def _prepared(network: AbstractSurrogate, options: dict[str, Any]) -> AbstractSurrogate:
    import torch

    from nbody_surrogate.contracts.device import resolve_device, resolve_dtype

    torch.set_num_threads(options["threads"])
    dtype = network.dtype if options["dtype"] is None else resolve_dtype(options["dtype"])
    return network.to(resolve_device(options["device"]), dtype)


def task_table(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    """Lay out the rows."""
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.wording import counted, range_text
    from nbody_surrogate.evaluation.one_shot import HEADS, table_cells

    first = rows[0]
    title = (
        f"{first['system']}, {counted(first['particles'], 'particle')}, "
        f"{counted(first['trajectories'], 'trajectory')}, "
        f"{range_text(first['horizon'], first['horizon'], 'time unit')} ahead; "
        "x-MSE per coordinate with 95 % intervals"
    )
    return TextTable(title, ("", *HEADS[1:]), tuple(tuple(table_cells(row)) for row in rows))


def task_pair_table(rows: Sequence[Mapping[str, Any]]) -> TextTable | None:
    """Lay out how the model stands against each other method; None where there is none."""
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.evaluation.score_table import PAIRED
    from nbody_surrogate.results.paired import too_few_starts

    cells = task_pair_cells(rows)
    if not cells:
        return None
    title = f"{rows[0]['method']} on the same trajectories: {PAIRED}"
    starts = max(row["pair"]["starts"] for row in rows if row.get("pair") is not None)
    return TextTable(title, ("", "x-MSE"), tuple(cells), tuple(too_few_starts(starts, len(cells))))


def task_pair_cells(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return each other method, and how the model stands against it; none of rows of before."""
    from nbody_surrogate.results.paired import PairedTest

    first, found = rows[0]["method"], []
    for row in rows:
        if row.get("pair") is not None:
            test = PairedTest.from_dict(row["pair"])
            found.append((row["method"], f"{test.numbers}: {test.verdict(first, row['method'])}"))
    return found
