"""The card of a model as a page: what it is for, how it was trained, how good and dear it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.wording import counted, range_text, setting_text
from nbody_surrogate.evaluation.domain_text import domain_lines
from nbody_surrogate.evaluation.one_shot import HEADS, table_cells
from nbody_surrogate.evaluation.score_table import (
    PAIRED,
    frames_of,
    pair_cells,
    pair_heads,
    score_cells,
    score_heads,
)
from nbody_surrogate.evaluation.task_rows import task_pair_cells
from nbody_surrogate.results.paired import LEVEL
from nbody_surrogate.surrogates.trained_models import Model

__all__ = ["card_text"]

SAMPLE = ("method", "system", "N")

OPEN = "not known"
"""Stands for what a card leaves open."""

Rows = list[dict[str, Any]]
"""Scores as plain types, as an evaluation's file holds them."""


def card_text(model: Model) -> str:
    """Write the model card, in Markdown.

    Raises
    ------
    FileFormatError
        If the model cannot be read.
    """
    network, card = model.load()
    lines = [
        f"# {model.name}",
        "",
        _weights_line(model, network, card),
        "",
        "## What it is for",
        "",
        *_purpose(card),
        "",
        "## Training",
        "",
        *_training(network, card),
    ]
    evaluation = model.evaluation()
    if evaluation is not None:
        command, rows = evaluation
        one_shot = bool(rows) and "p95" in rows[0]
        lines += ["", "## Accuracy and cost", ""]
        lines += _task_table(command, rows) if one_shot else _stepper_table(command, rows)
    return "\n".join(lines) + "\n"


def _weights_line(model: Model, network: AbstractSurrogate, card: Card) -> str:
    size = (model.folder / "model.safetensors").stat().st_size
    parameters = sum(p.numel() for p in network.parameters())
    return (
        f"Weights of surrogate `{model.surrogate}`: {parameters} parameters, {size / 1e3:.0f} kB, "
        f"{card.dtype}."
    )


def _purpose(card: Card) -> list[str]:
    """Say what the model is for, and what it is not."""
    lines = [_system_line(each.system, each.spec, each.time_range) for each in card.systems]
    sized = "" if card.radii is None else f", radii of {_span(card.radii)}"
    lines += [
        f"- frames {_number(card.frame_dt)} apart; {_particles(card)}; "
        f"charges of {_span(card.charges)} (absolute), masses of {_span(card.masses)}{sized}.",
        "",
    ]
    if card.horizon is not None:
        ahead = range_text(card.horizon, card.horizon, "time unit")
        lines += [f"It answers in one shot, {ahead} after the last frame.", ""]
    return [
        *lines,
        "Other systems, parameters and frame spacings are refused; other numbers of particles and "
        "times are warned about.",
        "",
        *domain_lines(card.domain),
        f"Exact symmetries, whatever the weights: {', '.join(card.symmetries) or 'none'}.",
    ]


def _training(network: AbstractSurrogate, card: Card) -> list[str]:
    facts = dict(card.training)
    command = facts.pop("command", None)
    config = network.config.model_dump()
    return [
        *([f"    {command}", ""] if command else []),
        ", ".join(f"{key} {value}" for key, value in facts.items()) + ".",
        "",
        "Architecture: " + ", ".join(f"{key} {value}" for key, value in config.items()),
        "",
        "SHA-256 of the training data, one for each source:",
        "",
        *(f"    {digest}" for digest in card.training_data_hash.split()),
    ]


def _system_line(name: str, spec: dict[str, Any], times: tuple[float, float] | None) -> str:
    values = ", ".join(setting_text(key, value) for key, value in spec.items())
    until = OPEN if times is None else range_text(*times)
    return f"- system `{name}` ({values}), times {until}"


def _number(value: float | None) -> str:
    return OPEN if value is None else f"{value:g}"


def _span(values: tuple[float, float] | None) -> str:
    if values is None:
        return OPEN
    return range_text(*values)


def _particles(card: Card) -> str:
    if card.particles is None:
        return f"number of particles {OPEN}"
    return range_text(*card.particles, "particle")


def _stepper_table(command: str, rows: Rows) -> list[str]:
    """Lay out the scores of steppers, each sample with its methods, and the pairs below."""
    frames = frames_of(rows)
    lines = [
        f"Made by `{command}`: mean squared error of positions per "
        "coordinate, medians with bootstrap 95 % intervals, against the reference at 1e-11; all "
        "rows of a system and N on the same starts. `ms per frame` is for one trajectory on one "
        "thread, in one run; `evaluations` is how often a frame evaluates each pair.",
        "",
        *_filled([*SAMPLE, *score_heads(frames)], _with_samples(rows, score_cells, frames)),
    ]
    paired = [row for row in rows if row.get("pairs")]  # none in cards of before
    if not paired:
        return lines
    first = rows[0]["method"]
    return [
        *lines,
        "",
        f"`{first}` on the same trajectories: {PAIRED} over the pairs of a system and N. "
        f"`better` is who has p < {LEVEL:g}; `equivalent` are errors whose interval lies within a "
        f"factor of {_bound(paired):g}; `time` is that of `{first}` over the row's.",
        "",
        *_filled([*SAMPLE, *pair_heads(frames)], _with_samples(paired, pair_cells, frames, first)),
    ]


def _with_samples(rows: Rows, cells: Callable[..., list[str]], *given: Any) -> list[list[str]]:
    """Put method, system and N before the cells of each row."""
    return [
        [row["method"], row["system"], str(row["particles"]), *cells(row, *given)] for row in rows
    ]


def _bound(rows: Rows) -> float:
    """Return the bound of equivalence that the pairs were judged by."""
    return float(next(iter(rows[0]["pairs"].values()))["bound"])


def _task_table(command: str, rows: Rows) -> list[str]:
    """Lay out the scores of one-shot models on a task."""
    first = rows[0]
    return [
        f"Made by `{command}` on {counted(first['trajectories'], 'trajectory')} of system "
        f"`{first['system']}`, {counted(first['particles'], 'particle')}, "
        f"{range_text(first['horizon'], first['horizon'], 'time unit')} "
        "ahead: mean squared error of positions per coordinate with bootstrap 95 % intervals. "
        "`clean` is the mean over trajectories whose labels keep their energy; `ms` is for one "
        "trajectory on one thread.",
        "",
        *_markdown(list(HEADS), [table_cells(row) for row in rows]),
        *_task_pairs(rows),
    ]


def _task_pairs(rows: Rows) -> list[str]:
    """Lay out how the model stands against the others, where there are some."""
    cells = task_pair_cells(rows)
    if not cells:
        return []
    said = f"`{rows[0]['method']}` on the same trajectories: {PAIRED} over all pairs."
    return ["", said, "", *_markdown(["method", "x-MSE"], list(map(list, cells)))]


def _filled(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Leave out the columns in which nothing stands, as of scores of before there were such."""
    table = TextTable("", tuple(heads), tuple(map(tuple, rows))).filled()
    return _markdown(list(table.heads), list(map(list, table.rows)))


def _markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(cells) + " |" for cells in rows),
    ]
