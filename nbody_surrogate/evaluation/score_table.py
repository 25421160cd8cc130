"""Scores of steppers as text: in a terminal, a notebook, and on a model's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.wording import counted, figure_text, rate_text
from nbody_surrogate.evaluation.scorecard import ONE_STEP
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.results.paired import PairedTest, too_few_starts

__all__ = [
    "PAIRED",
    "frames_of",
    "interval_text",
    "pair_cells",
    "pair_heads",
    "pair_tables",
    "score_cells",
    "score_heads",
    "score_tables",
]

PAIRED = (
    "error over that of the method in the row, geometric mean over trajectories (95 % interval), "
    "in how many it is the smaller one, p by Holm"
)

Scores = Sequence[Mapping[str, Any]]
"""Rows as plain types, as `evaluate` gives them and a file holds them."""


def score_tables(rows: Scores) -> tuple[TextTable, ...]:
    """Lay out the errors and costs of each sample."""
    return tuple(_score_table(sample) for sample in _samples(rows))


def pair_tables(rows: Scores) -> tuple[TextTable, ...]:
    """Lay out how the first method of each sample stands against the others, where there are some.

    Rows of before there were pairs have none.
    """
    return tuple(
        _pair_table(sample) for sample in _samples(rows) if any(row.get("pairs") for row in sample)
    )


def score_heads(frames: Sequence[int]) -> list[str]:
    """Name the columns of `score_cells`."""
    columns = (ONE_STEP, *(counted(k, "frame") for k in frames))
    heads = [f"{each}, {what}" for each in columns for what in ("mean", "median", "95th %")]
    return [*heads, "ms per frame", "evaluations"]


def score_cells(row: Mapping[str, Any], frames: Sequence[int]) -> list[str]:
    """Write mean, median with its interval, and 95th percentile, of one step and of roll-outs."""
    found = [(row["one_step_mean"], row["one_step_median"], row.get("one_step_p95", ""))]
    found += [
        (
            _of(row.get("roll_outs_mean"), k),
            _of(row["roll_outs"], k),
            _of(row.get("roll_outs_p95"), k, missing=""),
        )
        for k in frames
    ]
    cells = []
    for mean, median, p95 in found:
        cells += [
            "" if mean is None else _error(mean["value"]),
            interval_text(median),
            "" if median is None or p95 == "" else _error(p95),
        ]
    spent, rate = row["milliseconds"], row["evaluations"]
    return [
        *cells,
        "" if spent is None else figure_text(spent),
        "" if rate is None else rate_text(rate),
    ]


def pair_heads(frames: Sequence[int]) -> list[str]:
    """Name the columns of `pair_cells`."""
    return [ONE_STEP, *(counted(k, "frame") for k in frames), "time"]


def pair_cells(row: Mapping[str, Any], frames: Sequence[int], first: str) -> list[str]:
    """Write how the first method stands against that of a row."""
    pairs = row["pairs"]
    found = [pairs.get(key) for key in (ONE_STEP, *map(str, frames))]
    return [*(_pair(each, first, row["method"]) for each in found), _time(row.get("time_ratio"))]


def frames_of(rows: Scores) -> list[int]:
    """Return the horizons that some row has."""
    return sorted({int(k) for row in rows for k in row["roll_outs"]})


def interval_text(values: Mapping[str, float | None] | None) -> str:
    """Write a figure of a score card with its interval; nothing where there is none."""
    if values is None:
        return ""
    # JSON has no infinity, the error of what failed
    known = {key: float("inf") if value is None else value for key, value in values.items()}
    return "{value:.1e} ({low:.1e}..{high:.1e})".format(**known)


def _samples(rows: Scores) -> list[list[Mapping[str, Any]]]:
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["system"], row["particles"]), []).append(row)
    return list(found.values())


def _score_table(rows: list[Mapping[str, Any]]) -> TextTable:
    frames = frames_of(rows)
    cells = tuple((row["method"], *score_cells(row, frames)) for row in rows)
    title = f"{_title(rows)}; x-MSE per coordinate, medians with 95 % intervals"
    return TextTable(title, ("", *score_heads(frames)), cells).filled()


def _pair_table(rows: list[Mapping[str, Any]]) -> TextTable:
    frames, first = frames_of(rows), rows[0]["method"]
    cells = tuple((row["method"], *pair_cells(row, frames, first)) for row in rows if row["pairs"])
    title = f"{_title(rows)}; {first} on the same trajectories: {PAIRED}"
    tests = [PairedTest.from_dict(each) for row in rows for each in row["pairs"].values()]
    few = too_few_starts(max((each.starts for each in tests), default=0), len(tests))
    return TextTable(title, ("", *pair_heads(frames)), cells, tuple(few)).filled()


def _title(rows: list[Mapping[str, Any]]) -> str:
    first = rows[0]
    return (
        f"{first['system']}, {counted(first['particles'], 'particle')}, "
        f"{counted(first['trajectories'], 'trajectory')}"
    )


def _of(values: Mapping[Any, Any] | None, k: int, missing: Any = None) -> Any:
    """Return what stands under a number of frames, which JSON has as text."""
    if values is None:  # of an evaluation of before there was such a thing
        return missing
    return values[k] if k in values else values.get(str(k), missing)


def _error(value: float | None) -> str:
    return f"{float('inf') if value is None else value:.1e}"


def _pair(found: Mapping[str, Any] | None, first: str, second: str) -> str:
    if found is None:
        return ""
    test = PairedTest.from_dict(found)
    return f"{test.numbers}: {test.verdict(first, second)}"


def _time(ratio: Mapping[str, float | None] | None) -> str:
    if ratio is None or ratio["value"] is None:
        return ""
    return Interval.from_dict(ratio).as_factor()
