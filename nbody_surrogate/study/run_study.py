"""Running a study: data, references, timings and cells, on several processes, and on again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import torch

from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.errors import InputError, RunError, one_line
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.files.new_file import make_subfolder
from nbody_surrogate.parallel.limits import check_workers
from nbody_surrogate.parallel.processes import Tick, run_here, run_on_workers
from nbody_surrogate.registry.lookup import is_local
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.study.grid import Cell, Place, cells, places, recipe_of
from nbody_surrogate.study.jobs import StudyJob, data_folder, do, is_done
from nbody_surrogate.study.spec import JUDGED_BY, StudySpec
from nbody_surrogate.training.checks import check_device, check_fit

__all__ = ["run_study"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Work = Callable[[StudyJob, Tick], None]

DIED = "a process of the study died, perhaps for want of memory; use fewer `workers`"


def run_study(
    study: StudySpec,
    folder: Path,
    workers: int,
    progress: Progress,
    device: str = "cpu",
    begin: Callable[[], None] | None = None,
) -> None:
    """Run what is missing of a study in its folder; models train on a torch device.

    `begin` is called when nothing stands in its way, before anything is made.

    Raises
    ------
    InputError
        If a model, its config or a data set's spec is wrong, or the folder holds another study.
    RunError
        If another process runs a study in the folder, a process dies, data cannot be made, or the
        machine fails a training, which is then tried again by the next call.
    """
    check_study(study, workers, device)
    with sole_writer(folder):
        _claim(study, folder)
        if begin is not None:
            begin()
        _run_all(study, folder, workers, progress, partial(do, device=device))


def _run_all(
    study: StudySpec, folder: Path, workers: int, progress: Progress, do_here: Work
) -> None:
    there = places(study)
    for done, place in enumerate(there):
        progress("data", done, len(there))
        generate_dataset(place.spec(), _made_folder(folder, place), workers=workers)
    progress("data", len(there), len(there))
    references = [StudyJob(study, folder, place, None, None) for place in there]
    _run(do_here, references, workers, lambda done, total: progress("references", done, total))
    if study.minutes is not None:  # all trainings are timed beside one another, as they will run
        timings = [StudyJob(study, folder, cell.place, cell, None) for cell in cells(study)
                   if cell.seed == study.seeds[0] and cell.model.steps is None]  # fmt: skip
        _run(do_here, timings, workers, lambda done, total: progress("timings", done, total))
    trainings = [
        StudyJob(study, folder, cell.place, cell, _steps(study, folder, cell))
        for cell in cells(study)
    ]
    _run(do_here, trainings, workers, lambda done, total: progress("trainings", done, total))


def check_study(study: StudySpec, workers: int, device: str = "cpu") -> None:
    """Find what is wrong before anything is made.

    Raises
    ------
    InputError
        If something is.
    """
    check_workers(workers)
    check_device(torch.device(device))
    for place in places(study):
        place.spec().make_system()
    for cell in cells(study):
        if cell.seed != study.seeds[0]:
            continue  # the seed is all that differs
        recipe = recipe_of(study, cell, Path(), cell.model.steps or study.steps or 1)
        cls = surrogate_class(cell.model.surrogate)
        model = cls(cls.Config(**recipe.model))
        check_fit(recipe, model, cell.place.spec(), f"data {cell.place.data.name!r}")
        if workers > 1 and is_local("surrogates", cell.model.surrogate):
            raise InputError(
                f"`workers` must be 1: {cell.model.surrogate!r} is registered in this process only"
            )


def _claim(study: StudySpec, folder: Path) -> None:
    path, mine = folder / "study.json", study.model_dump(mode="json", exclude=JUDGED_BY)
    if path.is_file() and read_json(path) != mine:
        raise InputError(f"`output` {str(folder)!r} holds another study; choose another")
    write_json(path, mine)


def _made_folder(folder: Path, place: Place) -> Path:
    """Make the folder of a data set."""
    path = data_folder(folder, place)
    try:
        return make_subfolder(folder, *path.relative_to(folder).parts)
    except OSError as error:
        raise RunError(f"`output` {str(path)!r}: {one_line(error)}") from None


def _steps(study: StudySpec, folder: Path, cell: Cell) -> int:
    given = cell.model.steps or study.steps
    if given is not None:
        return given
    steps: int = read_json(folder / "timing" / f"{cell.group}.json")["steps"]
    return steps


def _run(work: Work, jobs: list[StudyJob], workers: int, tick: Callable[[int, int], None]) -> None:
    """Do the jobs that have no result yet."""
    missing = [job for job in jobs if not is_done(job)]
    done = len(jobs) - len(missing)
    tick(done, len(jobs))
    if workers == 1:
        finished = run_here(work, missing)
    else:
        # A training may take an hour, and goes on from its checkpoint: none is waited for.
        finished = run_on_workers(work, missing, workers, died=DIED, finish=False)
    with closing(finished):
        for _ in finished:
            done += 1
            tick(done, len(jobs))
