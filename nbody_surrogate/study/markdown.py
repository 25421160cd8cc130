"""The tables of a study, as Markdown and as text."""

from __future__ import annotations

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.results.paired import LEVEL
from nbody_surrogate.study.spec import StudySpec
from nbody_surrogate.study.summary import ModelSummary, Table, power

__all__ = ["text_tables", "to_markdown"]

COLUMNS = ("model", "test MSE", "against the best", "ratio", "p", "median", "v-MSE", "train",
           "validation", "rotated", "parameters", "steps", "minutes", "ms")  # fmt: skip


def to_markdown(study: StudySpec, tables: list[Table]) -> str:
    """Lay out the tables."""
    lines = [f"# {study.title}", "", _preface(study, tables)]
    for table in tables:
        heads, *rows = _laid_out(table)
        lines += ["", f"## {_headline(table)}", ""]
        lines += [_line(row) for row in (heads, ("---",) * len(heads), *rows)]
    return "\n".join(lines) + "\n"


def text_tables(study: StudySpec, tables: list[Table]) -> list[TextTable]:
    """Lay out the tables for a terminal; the last of them ends with what holds for all."""
    made = []
    for table in tables:
        heads, *rows = _laid_out(table)
        notes = (_preface(study, tables),) if table is tables[-1] else ()
        made.append(TextTable(_headline(table), ("", *heads[1:]), tuple(rows), notes))
    return made


def _preface(study: StudySpec, tables: list[Table]) -> str:
    seeds = counted(len(study.seeds), "seed")
    budget = counted(study.steps, "step") if study.steps else f"{study.minutes:g} min"
    over = "test trajectories"
    if len(study.seeds) > 1:
        over = (
            "seeds and test trajectories, those of methods that are not trained over trajectories"
        )
    return (
        f"{seeds}, {budget} for each training. Test errors are mean squared errors of positions "
        f"per coordinate, with 95 % intervals over {over}. Each model is held against the best on "
        "the same seeds and trajectories: `ratio` of the mean errors with its 95 % interval, p "
        f"after Holm over all pairs of models. Worse: p < {LEVEL:g}; equivalent: the interval is "
        f"within a factor of {study.bound:g}; else not told apart. {power(study, tables)} Times "
        f"are of {_devices(tables)}, `ms` for one prediction."
    )


def _headline(table: Table) -> str:
    return f"{table.data}, N = {table.particles}, {counted(table.horizon, 'frame')} ahead"


def _devices(tables: list[Table]) -> str:
    found = {each.device for table in tables for each in table.models} - {None, "cpu"}
    return " and ".join(sorted(map(str, found))) or "one thread"


def _laid_out(table: Table) -> list[tuple[str, ...]]:
    """Return heads and rows, without the columns in which nothing stands."""
    shown = [_cells(each) for each in table.models]
    shown += [
        [row["method"], _interval(Interval(**row["mean"])), "", "", "",
         f"{row['median']['value']:.2e}", f"{row['velocity']:.1e}", "", "", "",
         _text(row["parameters"]), "", "", figure_text(row["milliseconds"])]
        for row in table.references
    ]  # fmt: skip
    used = [k for k in range(len(COLUMNS)) if any(row[k] for row in shown)]
    return [tuple(row[k] for k in used) for row in (COLUMNS, *shown)]


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(each: ModelSummary) -> list[str]:
    verdict = each.verdict
    if each.not_done:
        states = ", ".join(f"seed {seed} {state}" for seed, state in each.not_done.items())
        verdict = f"{verdict}; {states}"
    return [
        each.name,
        _interval(each.mean),
        verdict,
        "" if each.ratio is None else each.ratio.as_factor(),
        "" if each.p is None else f"{each.p:.2g}",
        *(_number(value) for value in (each.median, each.velocity, each.train, each.validation)),
        _interval(each.rotated),
        _text(each.parameters),
        _text(each.steps),
        "" if each.minutes is None else figure_text(each.minutes, 2),
        "" if each.milliseconds is None else figure_text(each.milliseconds),
    ]


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:.2e} ({interval.low:.1e}..{interval.high:.1e})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
