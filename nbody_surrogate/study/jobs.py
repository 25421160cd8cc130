"""What the processes of a study do: time a training, train and score a cell, score references."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.errors import DivergenceError, RunError, one_line
from nbody_surrogate.evaluation.one_shot import OneShotScore, score_model, score_references
from nbody_surrogate.evaluation.one_shot_task import read_task
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.files.new_file import make_subfolder
from nbody_surrogate.files.npy import save_npy
from nbody_surrogate.parallel.processes import Tick, no_tick
from nbody_surrogate.study.grid import VALIDATIONS, Cell, Place, recipe_of
from nbody_surrogate.study.rotated_task import turned_task
from nbody_surrogate.study.spec import StudySpec
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.training.trainer import Trainer

__all__ = ["ERRORS", "ROTATED_ERRORS", "StudyJob", "data_folder", "do", "is_done", "result_path"]

ERRORS = "errors.npy"
"""Beside a result: the error of each test trajectory, for intervals and paired tests."""

ROTATED_ERRORS = "errors_rotated.npy"
"""The same of the rotated test set, where there is one."""

TRIAL = 6  # steps that are timed at least, after one that is not
SHARE, SHORTEST, LONGEST = 0.1, 1.0, 30.0  # of a budget for its trial; seconds
FITTED_BY = 10_000  # training trajectories that settle the simple predictors


class StudyJob(NamedTuple):
    """A piece of work, as it is handed to a process.

    Attributes
    ----------
    study : StudySpec
    folder : Path
        Of the study.
    place : Place
        The data set.
    cell : Cell or None
        None for the references of the data set.
    steps : int or None
        Of the training; None where it is to be timed.
    """

    study: StudySpec
    folder: Path
    place: Place
    cell: Cell | None
    steps: int | None


def do(job: StudyJob, tick: Tick = no_tick, device: str = "cpu") -> None:
    """Do a piece of work, on a torch device, and leave its result in a file of its own.

    It counts as one step, so `tick`, which a pool of processes hands to all work, is not called.

    Raises
    ------
    RunError
        If the machine fails it: its disk or memory is full, or may not be used. That is no result,
        so none is left.
    """
    torch.set_num_threads(1)  # each process is to have a core of its own
    path = result_path(job)
    try:
        make_subfolder(job.folder, *path.parent.relative_to(job.folder).parts)
        write_json(path, _result(job, device))
    except OSError as error:
        raise RunError(f"`output` {str(path.parent)!r}: {one_line(error)}") from None


def _result(job: StudyJob, device: str) -> Any:
    if job.cell is None:
        return _references(job)
    if job.steps is None:
        return _timing(job, job.cell, device)
    return _trained(job, job.cell, job.steps, device)


def is_done(job: StudyJob) -> bool:
    """Whether a job has its result."""
    path = result_path(job)
    if not path.is_file():
        return False
    # an earlier version took errors of the machine for results
    found = read_json(path)
    return not (isinstance(found, dict) and found.get("status") == "failed")


def result_path(job: StudyJob) -> Path:
    """Return the file that a finished job leaves."""
    if job.cell is None:
        return job.folder / "references" / f"{job.place.name}.json"
    if job.steps is None:
        return job.folder / "timing" / f"{job.cell.group}.json"
    return job.folder / "cells" / job.cell.name / "result.json"


def data_folder(folder: Path, place: Place) -> Path:
    """Return where a data set of the study is."""
    return folder / "data" / place.name


def _references(job: StudyJob) -> list[dict[str, Any]]:
    dataset = Dataset(data_folder(job.folder, job.place))
    task = read_task(dataset, "test", 1, job.study.test)
    training = read_task(dataset, "train", 1, FITTED_BY)
    return [score.to_dict() for score in score_references(task, training)]


def _timing(job: StudyJob, cell: Cell, device: str) -> dict[str, float]:
    """Count the steps of the budget, by some of them and one validation."""
    assert job.study.minutes is not None
    steps = TRIAL
    try:
        each, validation = _trial(job, cell, steps, device)
        enough = min(max(SHARE * 60 * job.study.minutes, SHORTEST), LONGEST)
        if each * steps < enough:  # too short a time to go by: as many steps as fill it
            steps = int(enough / each) + 1
            each, validation = _trial(job, cell, steps, device)
    except DivergenceError:
        return {"steps": steps + 1}  # the training will show it, and be noted
    left = max(60 * job.study.minutes - VALIDATIONS * validation, 0.0)
    return {"seconds": each, "validation": validation, "steps": max(int(left / each), 1)}


def _trial(job: StudyJob, cell: Cell, steps: int, device: str) -> tuple[float, float]:
    """Return the seconds of a step and of a validation."""
    recipe = recipe_of(job.study, cell, data_folder(job.folder, job.place), steps + 1)
    last_only = recipe.model_copy(update={"validate_every": steps + 1})  # in the last step
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(last_only, folder, 1, lambda line: None, device)
        marks = [time.perf_counter()]
        trainer.run(lambda step, loss, error: marks.append(time.perf_counter()))
    spent = np.diff(marks)
    each = float(np.mean(spent[1:-1]))  # the first step warms up, the last one validates
    return each, max(float(spent[-1]) - each, 0.0)


def _trained(job: StudyJob, cell: Cell, steps: int, device: str) -> dict[str, Any]:
    """Train, or go on; a training that diverges is a result, too."""
    run = result_path(job).parent
    recipe = recipe_of(job.study, cell, data_folder(job.folder, job.place), steps)
    try:
        trainer = Trainer(recipe, run, 1, lambda line: None, device)
        trainer.run()
    except DivergenceError as error:
        return {"status": "diverged", "message": str(error)}
    return {"status": "done", **_scored(job, cell, run, device)}


def _scored(job: StudyJob, cell: Cell, run: Path, device: str) -> dict[str, Any]:
    model, _ = find_model(str(run)).load()
    model.to(device)
    dataset = Dataset(data_folder(job.folder, job.place))
    task = read_task(dataset, "test", model.config.history, job.study.test)
    score = score_model(cell.model.name, model, task)
    turned = turned_task(task, job.place.data.rotated)
    rotated: OneShotScore | None = None
    if turned is not None:
        rotated = score_model(cell.model.name, model, turned)
        save_npy(run / ROTATED_ERRORS, rotated.errors)
    save_npy(run / ERRORS, score.errors)
    summary = read_json(run / "summary.json")
    return {
        "row": score.to_dict(),
        "rotated": None if rotated is None else rotated.to_dict(),
        "device": device,
        "steps": summary["step"],
        "minutes": summary["minutes"],
        "train": _mean(summary["train"][0]),
        "validation": _mean(summary["validation"][0]),
    }


def _mean(values: dict[str, float] | None) -> float | None:
    return None if values is None else values["mean"]
