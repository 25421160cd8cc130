"""What a study shows: one table for each data set, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from nbody_surrogate.files.json_file import read_json
from nbody_surrogate.results.statistics import Interval, bootstrap_mean
from nbody_surrogate.study.grid import Cell, Place, places
from nbody_surrogate.study.jobs import Job, result_path
from nbody_surrogate.study.spec import ModelEntry, StudySpec

__all__ = ["ModelSummary", "Table", "summarise", "to_markdown"]

LEVEL = 0.05  # of the paired test


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
        Seeds that diverged or failed, or are missing, with what is known of them.
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
            path = result_path(Job(study, folder, place, Cell(model, place, seed), 1))
            result = read_json(path) if path.is_file() else {"status": "missing"}
            if result["status"] == "done":
                self.results[seed] = result
                self.errors[seed] = np.load(path.with_name("errors.npy"), allow_pickle=False)
            else:
                self.not_done[seed] = result["status"]

    def values(self, *keys: str) -> dict[int, Any]:
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

    def rotated(self) -> Interval | None:
        rows = [row for row in self.values("rotated").values() if row is not None]
        if len(rows) == 1:
            return Interval(**rows[0]["mean"])
        return over_seeds([row["mean"]["value"] for row in rows])


def over_seeds(values: list[float]) -> Interval | None:
    """Mean and 95 % interval by Student's t of at least two values, cut off at zero."""
    if not values:
        return None
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * spread / np.sqrt(len(values))
    return Interval(mean, max(mean - half, 0.0), mean + half)


def paired(one: _Found, other: _Found) -> float | None:
    """Return p of the paired t-test, by seeds, or by trajectories where there is one seed."""
    common = sorted(one.results.keys() & other.results.keys())
    if not common:
        return None
    if len(common) == 1:
        pair = [found.errors[common[0]] for found in (one, other)]
    else:
        pair = [np.log([found.values("row", "mean")[s]["value"] for s in common])
                for found in (one, other)]  # fmt: skip
    with np.errstate(all="ignore"):
        p = float(stats.ttest_rel(*pair).pvalue)
    return p if np.isfinite(p) else None


def summarise(study: StudySpec, folder: Path) -> list[Table]:
    """Gather what is there of a study."""
    return [_table(study, folder, place) for place in places(study)]


def _table(study: StudySpec, folder: Path, place: Place) -> Table:
    found = {model.name: _Found(study, folder, place, model) for model in study.models}
    intervals = {name: each.interval() for name, each in found.items()}
    there = {name: each for name, each in intervals.items() if each is not None}
    best = min(there, key=lambda name: there[name].value) if there else None
    path = result_path(Job(study, folder, place, None, None))
    spec = place.spec()
    assert spec.task is not None
    references = read_json(path) if path.is_file() else []
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
    p = None if best is None or name == best else paired(mine, found[best])
    return ModelSummary(
        name,
        intervals[name],
        {seed: row["value"] for seed, row in mine.values("row", "mean").items()},
        _verdict(name, intervals, best, p),
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


def _verdict(
    name: str, intervals: Mapping[str, Interval | None], best: str | None, p: float | None
) -> str:
    mine = intervals[name]
    if mine is None or best is None:
        return "not done"
    first = intervals[best]
    assert first is not None
    if name == best:
        return "best"
    return "worse" if mine.low > first.high and p is not None and p < LEVEL else "no difference"


COLUMNS = ("model", "test MSE", "against the best", "p", "median", "v-MSE", "train", "validation",
           "rotated", "parameters", "steps", "minutes", "ms")  # fmt: skip


def to_markdown(study: StudySpec, tables: list[Table]) -> str:
    """Lay out the tables."""
    seeds = f"{len(study.seeds)} seeds" if len(study.seeds) > 1 else "one seed"
    budget = f"{study.steps} steps" if study.steps else f"{study.minutes:g} min"
    over = "trajectories"
    if len(study.seeds) > 1:
        over = "seeds, those of methods that are not trained over trajectories"
    lines = [
        f"# {study.title}",
        "",
        f"{seeds}, {budget} for each training. Test errors are mean squared errors of positions "
        f"per coordinate, with 95 % intervals over {over}. Where intervals overlap, or the paired "
        f"test has p >= {LEVEL:g}, there is no difference. Times are of {_devices(tables)}, "
        "`ms` for one prediction.",
    ]
    for table in tables:
        lines += ["", f"## {table.data}, N = {table.particles}, {table.horizon} frames ahead", ""]
        lines += _rows(table)
    return "\n".join(lines) + "\n"


def _devices(tables: list[Table]) -> str:
    found = {each.device for table in tables for each in table.models} - {None, "cpu"}
    return " and ".join(sorted(map(str, found))) or "one thread"


def _rows(table: Table) -> list[str]:
    shown = [_cells(each) for each in table.models]
    shown += [
        [row["method"], _interval(Interval(**row["mean"])), "", "", f"{row['median']['value']:.2e}",
         f"{row['velocity']:.1e}", "", "", "", _text(row["parameters"]), "", "",
         f"{row['milliseconds']:.3g}"]
        for row in table.references
    ]  # fmt: skip
    used = [k for k in range(len(COLUMNS)) if any(row[k] for row in shown)]
    lines = [[COLUMNS[k] for k in used], ["---"] * len(used)]
    lines += [[row[k] for k in used] for row in shown]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cells(each: ModelSummary) -> list[str]:
    verdict = each.verdict
    if each.not_done:
        states = ", ".join(f"seed {seed} {state}" for seed, state in each.not_done.items())
        verdict = f"{verdict}; {states}"
    return [
        each.name,
        _interval(each.mean),
        verdict,
        "" if each.p is None else f"{each.p:.2g}",
        *(_number(value) for value in (each.median, each.velocity, each.train, each.validation)),
        _interval(each.rotated),
        _text(each.parameters),
        _text(each.steps),
        "" if each.minutes is None else f"{each.minutes:.2g}",
        "" if each.milliseconds is None else f"{each.milliseconds:.3g}",
    ]


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:.2e} ({interval.low:.1e}..{interval.high:.1e})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
