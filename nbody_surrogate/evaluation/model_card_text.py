"""The card of a model as a page: what it is for, how it was trained, how good and dear it is."""

from __future__ import annotations

from typing import Any

from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.wording import counted, figure_text, range_text, rate_text
from nbody_surrogate.evaluation.domain_text import domain_lines
from nbody_surrogate.evaluation.one_shot import HEADS, table_cells
from nbody_surrogate.surrogates.trained_models import Model

__all__ = ["card_text", "interval_text"]

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
    lines += [
        f"- frames {_number(card.frame_dt)} apart; {_particles(card)}; "
        f"charges of {_span(card.charges)} (absolute), masses of {_span(card.masses)}.",
        "",
    ]
    if card.horizon is not None:
        lines += [f"It answers in one shot, {card.horizon:g} time units after the last frame.", ""]
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
    values = ", ".join(f"{key} {value}" for key, value in spec.items())
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
    """Lay out the scores of steppers, each sample with its methods."""
    horizons = sorted({int(k) for row in rows for k in row["roll_outs"]})
    heads = ["method", "system", "N", "one step, mean", "one step, median"]
    heads += [f"{counted(k, 'frame')}, median" for k in horizons] + ["ms per frame", "evaluations"]
    return [
        f"Made by `{command}`: mean squared error of positions per "
        "coordinate with bootstrap 95 % intervals, against the reference at 1e-11; all rows of a "
        "system and N on the same starts. `ms per frame` is for one trajectory on one thread, in "
        "one run; `evaluations` is how often a frame evaluates each pair. Where intervals overlap "
        "there is no difference.",
        "",
        *_markdown(heads, [_stepper_cells(row, horizons) for row in rows]),
    ]


def _stepper_cells(row: dict[str, Any], horizons: list[int]) -> list[str]:
    spent = row["evaluations"]
    return [
        row["method"],
        row["system"],
        str(row["particles"]),
        interval_text(row["one_step_mean"]),
        interval_text(row["one_step_median"]),
        *(interval_text(row["roll_outs"].get(str(k))) for k in horizons),
        "" if row["milliseconds"] is None else figure_text(row["milliseconds"]),
        "" if spent is None else rate_text(spent),
    ]


def _task_table(command: str, rows: Rows) -> list[str]:
    """Lay out the scores of one-shot models on a task."""
    first = rows[0]
    return [
        f"Made by `{command}` on {counted(first['trajectories'], 'trajectory')} of system "
        f"`{first['system']}`, {counted(first['particles'], 'particle')}, "
        f"{first['horizon']:g} time units "
        "ahead: mean squared error of positions per coordinate with bootstrap 95 % intervals. "
        "`clean` is the mean over trajectories whose labels keep their energy; `ms` is for one "
        "trajectory on one thread.",
        "",
        *_markdown(list(HEADS), [table_cells(row) for row in rows]),
    ]


def _markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(cells) + " |" for cells in rows),
    ]


def interval_text(values: dict[str, float | None] | None) -> str:
    """Write a figure of a score card with its interval; nothing where there is none."""
    if values is None:
        return ""
    # JSON has no infinity, the error of what failed
    known = {key: float("inf") if value is None else value for key, value in values.items()}
    return "{value:.1e} ({low:.1e}..{high:.1e})".format(**known)
