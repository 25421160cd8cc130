"""What a study shows: one table for each data set, gathered from the results that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.files.json_file import read_json
from nbody_surrogate.files.npy import NpyFile
from nbody_surrogate.results.bootstrap import Interval, bootstrap_mean
from nbody_surrogate.study.grid import Cell, Place, places
from nbody_surrogate.study.jobs import ERRORS, StudyJob, result_path
from nbody_surrogate.study.significance import over_seeds, p_of_pairs, verdict
from nbody_surrogate.study.spec import ModelEntry, StudySpec

__all__ = ["ModelSummary", "Table", "summarise"]


@dataclass(frozen=True)
class ModelSummary:
    """A model on one data set.

    Attributes
    ----------
    mean : Interval or None
        Test x-MSE: mean over seeds and its 95 % interval by Student's t; of one seed, over
        trajectories by bootstrap. None where no seed was trained to the end.
    by_seed : dict of int to float
    verdict : str
        Against the model of the lowest mean: "best", "worse", or "no difference" where the
        intervals overlap or the paired test does not tell them apart.
    p : float or None
        Of the paired t-test, of logarithms over seeds, or of errors over trajectories of one seed.
    rotated : Interval or None
        The same as `mean` on the rotated test set.
    train, validation, median, velocity, milliseconds, minutes : float or None
        Means over seeds.
    parameters, steps : int or None
    device : str or None
        Where it was trained and timed.
    not_done : dict of int to str
        Seeds that diverged or are missing, with what is known of them.
    """

    name: str
    mean: Interval | None
    by_seed: dict[int, float]
    verdict: str
    p: float | None
    rotated: Interval | None
    median: float | None
    velocity: float | None
    train: float | None
    validation: float | None
    parameters: int | None
    steps: int | None
    device: str | None
    minutes: float | None
    milliseconds: float | None
    not_done: dict[int, str]


@dataclass(frozen=True)
class Table:
    """All models on one data set, and what they are held against."""

    place: str
    data: str
    particles: int
    horizon: int
    models: list[ModelSummary]
    references: list[dict[str, Any]]


class _Found:
    """The results of a model's seeds on one data set."""

    def __init__(self, study: StudySpec, folder: Path, place: Place, model: ModelEntry) -> None:
        self.results: dict[int, Mapping[str, Any]] = {}
        self.errors: dict[int, np.ndarray] = {}
        self.not_done: dict[int, str] = {}
        for seed in study.seeds:
            path = result_path(StudyJob(study, folder, place, Cell(model, place, seed), 1))
            result = read_json(path) if path.is_file() else {"status": "missing"}
            if result["status"] == "done":
                for key in ("row", "rotated"):
                    result[key] = _with_infinity(result[key])
                self.results[seed] = result
                self.errors[seed] = NpyFile(path.with_name(ERRORS)).read()
            else:
                self.not_done[seed] = result["status"]

    def values(self, *keys: str) -> dict[int, Any]:
        """Return what stands under some keys, one below the other, of each seed."""
        found: dict[int, Any] = self.results
        for key in keys:
            found = {seed: value[key] for seed, value in found.items()}
        return found

    def mean_of(self, *keys: str) -> float | None:
        values = [value for value in self.values(*keys).values() if value is not None]
        return float(np.mean(values)) if values else None

    def interval(self) -> Interval | None:
        if len(self.results) == 1:
            (errors,) = self.errors.values()
            return Interval(float(errors.mean()), *bootstrap_mean(errors))
        return over_seeds([row["value"] for row in self.values("row", "mean").values()])

    def log_means(self, seeds: list[int]) -> np.ndarray:
        """Logarithms of the mean errors of some seeds, whose scatter is more alike than theirs."""
        means = self.values("row", "mean")
        return np.log([means[seed]["value"] for seed in seeds])

    def rotated(self) -> Interval | None:
        rows = [row for row in self.values("rotated").values() if row is not None]
        if len(rows) == 1:
            return Interval(**rows[0]["mean"])
        return over_seeds([row["mean"]["value"] for row in rows])


def _with_infinity(row: Any) -> Any:
    """Return a score with the infinite errors of what failed, for which JSON has no number."""
    if row is None:
        return None
    errors = {key: row[key] for key in ("mean", "median", "p95", "velocity") if key in row}
    return row | {key: _infinite(value) for key, value in errors.items()}


def _infinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _infinite(part) for key, part in value.items()}
    return np.inf if value is None else value


def _paired(one: _Found, other: _Found) -> float | None:
    """Return p of the paired test, by seeds, or by trajectories where there is one seed."""
    common = sorted(one.results.keys() & other.results.keys())
    if not common:
        return None
    if len(common) == 1:
        return p_of_pairs(one.errors[common[0]], other.errors[common[0]])
    return p_of_pairs(one.log_means(common), other.log_means(common))


def summarise(study: StudySpec, folder: Path) -> list[Table]:
    """Gather what is there of a study."""
    return [_table(study, folder, place) for place in places(study)]


def _table(study: StudySpec, folder: Path, place: Place) -> Table:
    found = {model.name: _Found(study, folder, place, model) for model in study.models}
    intervals = {name: each.interval() for name, each in found.items()}
    there = {name: each for name, each in intervals.items() if each is not None}
    best = min(there, key=lambda name: there[name].value) if there else None
    path = result_path(StudyJob(study, folder, place, None, None))
    spec = place.spec()
    assert spec.task is not None
    references = [_with_infinity(row) for row in (read_json(path) if path.is_file() else [])]
    ahead = int(spec.numbers[spec.task.target] - spec.numbers[spec.task.input])
    return Table(
        place.name,
        place.data.name,
        place.particles,
        ahead,
        [_model(name, found, intervals, best) for name in found],
        [row for row in references if row["method"] not in found],
    )


def _model(
    name: str,
    found: Mapping[str, _Found],
    intervals: Mapping[str, Interval | None],
    best: str | None,
) -> ModelSummary:
    mine = found[name]
    lowest = None if best is None else intervals[best]
    p = None if best is None or name == best else _paired(mine, found[best])
    return ModelSummary(
        name,
        intervals[name],
        {seed: row["value"] for seed, row in mine.values("row", "mean").items()},
        "best" if name == best else verdict(intervals[name], lowest, p),
        p,
        mine.rotated(),
        mine.mean_of("row", "median", "value"),
        mine.mean_of("row", "velocity"),
        mine.mean_of("train"),
        mine.mean_of("validation"),
        next(iter(mine.values("row", "parameters").values()), None),
        next(iter(mine.values("steps").values()), None),
        next(iter(mine.values("device").values()), None),
        mine.mean_of("minutes"),
        mine.mean_of("row", "milliseconds"),
        mine.not_done,
    )
