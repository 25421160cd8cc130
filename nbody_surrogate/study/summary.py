"""What a study shows: one table for each data set, gathered from the results that are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.files.json_file import read_json
from nbody_surrogate.files.npy import NpyFile
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.results.paired import holm
from nbody_surrogate.study.grid import Cell, Place, places
from nbody_surrogate.study.jobs import ERRORS, ROTATED_ERRORS, StudyJob, result_path
from nbody_surrogate.study.power import Power, measured_spread
from nbody_surrogate.study.significance import (
    Ratio,
    mean_error,
    mean_over_seeds,
    ratio_of_means,
    verdict,
)
from nbody_surrogate.study.spec import ModelEntry, StudySpec

__all__ = ["ModelSummary", "Table", "power", "summarise"]


@dataclass(frozen=True)
class ModelSummary:
    """A model on one data set.

    Attributes
    ----------
    mean : Interval or None
        Test x-MSE: mean over seeds and trajectories, with a 95 % interval over both; of one seed,
        over trajectories. None where no seed was trained to the end.
    by_seed : dict of int to float
    verdict : str
        Against the model of the lowest mean: "best", "worse", "equivalent", "not told apart", or
        "not done".
    ratio : Interval or None
        Its mean error over that of the best model, on the same seeds and trajectories.
    p : float or None
        Of that ratio being 1, corrected by Holm over all pairs of models of the table, since the
        best one is chosen by the same errors.
    rotated : Interval or None
        The same as `mean` on the rotated test set; of a study of before its errors were kept, over
        seeds alone.
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
    ratio: Interval | None
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

    @property
    def by_seeds(self) -> list[list[float]]:
        """Mean errors of each model's seeds."""
        return [list(each.by_seed.values()) for each in self.models]


class _Found:
    """The results of a model's seeds on one data set."""

    def __init__(self, study: StudySpec, folder: Path, place: Place, model: ModelEntry) -> None:
        self.results: dict[int, Mapping[str, Any]] = {}
        self.errors: dict[int, np.ndarray] = {}
        self.rotated_errors: dict[int, np.ndarray] = {}
        self.not_done: dict[int, str] = {}
        for seed in study.seeds:
            path = result_path(StudyJob(study, folder, place, Cell(model, place, seed), 1))
            result: dict[str, Any]
            result = read_json(path) if path.is_file() else {"status": "missing"}
            if result["status"] == "done":
                for key in ("row", "rotated"):
                    result[key] = _with_infinity(result[key])
                self.results[seed] = result
                self.errors[seed] = NpyFile(path.with_name(ERRORS)).read()
                turned = path.with_name(ROTATED_ERRORS)
                if turned.is_file():
                    self.rotated_errors[seed] = NpyFile(turned).read()
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
        return mean_error(_table_of(self.errors)) if self.errors else None

    def rotated(self) -> Interval | None:
        rows = [row for row in self.values("rotated").values() if row is not None]
        if rows and len(self.rotated_errors) == len(rows):
            return mean_error(_table_of(self.rotated_errors))
        if len(rows) == 1:
            return Interval(**rows[0]["mean"])
        return mean_over_seeds([row["mean"]["value"] for row in rows])


def _table_of(errors: Mapping[int, np.ndarray], seeds: Iterable[int] | None = None) -> np.ndarray:
    """Return errors of seeds and trajectories, (S, B)."""
    return np.array([errors[seed] for seed in (errors if seeds is None else seeds)])


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


def _ratios(found: Mapping[str, _Found]) -> dict[tuple[str, str], Ratio]:
    """Hold each model against each other one, both ways, p corrected for all pairs."""
    made = {}
    for one, other in combinations(found, 2):
        common = sorted(found[one].errors.keys() & found[other].errors.keys())
        if not common:
            continue
        ratio = ratio_of_means(*(_table_of(found[name].errors, common) for name in (one, other)))
        if ratio is not None:
            made[one, other] = ratio
    ps = holm([each.p for each in made.values()])
    there = {pair: Ratio(each.value, p) for (pair, each), p in zip(made.items(), ps, strict=True)}
    back = {(other, one): _inverse(each) for (one, other), each in there.items()}
    return there | back


def _inverse(ratio: Ratio) -> Ratio:
    value, low, high = ratio.value.value, ratio.value.low, ratio.value.high
    with np.errstate(divide="ignore"):
        ends = (float(1 / np.float64(each)) for each in (value, high, low))
    return Ratio(Interval(*ends), ratio.p)


def summarise(study: StudySpec, folder: Path) -> list[Table]:
    """Gather what is there of a study."""
    return [_table(study, folder, place) for place in places(study)]


def power(study: StudySpec, tables: list[Table]) -> Power:
    """Say what a study can find, by how seeds scatter: as measured, where some are done.

    A folder of a first few seeds, or of fewer steps, is a pilot: its tables may be given.
    """
    pairs = len(study.models) * (len(study.models) - 1) // 2
    measured = measured_spread([means for table in tables for means in table.by_seeds])
    spread = study.spread if measured is None else measured
    return Power(len(study.seeds), pairs, spread, measured is not None)


def _table(study: StudySpec, folder: Path, place: Place) -> Table:
    found = {model.name: _Found(study, folder, place, model) for model in study.models}
    intervals = {name: each.interval() for name, each in found.items()}
    there = {name: each for name, each in intervals.items() if each is not None}
    best = min(there, key=lambda name: there[name].value) if there else None
    ratios = _ratios(found)
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
        [_model(name, found, intervals, best, ratios, study.bound) for name in found],
        [row for row in references if row["method"] not in found],
    )


def _model(
    name: str,
    found: Mapping[str, _Found],
    intervals: Mapping[str, Interval | None],
    best: str | None,
    ratios: Mapping[tuple[str, str], Ratio],
    bound: float,
) -> ModelSummary:
    mine = found[name]
    lowest = None if best is None else intervals[best]
    ratio = None if best is None else ratios.get((name, best))
    return ModelSummary(
        name,
        intervals[name],
        {seed: row["value"] for seed, row in mine.values("row", "mean").items()},
        "best" if name == best else verdict(intervals[name], lowest, ratio, bound),
        None if ratio is None else ratio.value,
        None if ratio is None else ratio.p,
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
