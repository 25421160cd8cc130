"""DOC."""

from __future__ import annotations

from typing import Any

from nbody_surrogate.contracts.card import Card
from nbody_surrogate.surrogates.library import Model

__all__ = ["card_text"]


def card_text(model: Model) -> str:
    """Write the model card, in Markdown.

    Raises
    ------
    FileFormatError
        If the model cannot be read.
    """
    network, card = model.load()
    training = dict(card.training)
    command = training.pop("command", None)
    size = (model.folder / "model.safetensors").stat().st_size
    parameters = sum(p.numel() for p in network.parameters())
    lines = [
        f"# {model.name}",
        "",
        f"Weights of surrogate `{model.surrogate}`: {parameters} parameters, {size / 1e3:.0f} kB, "
        f"{card.dtype}.",
        "",
        "## What it is for",
        "",
        *(_system_line(each.system, each.spec, each.time_range) for each in card.systems),
        f"- frames {card.frame_dt:g} apart; {card.particles[0]} to {card.particles[1]} particles; "
        f"charges of {_span(card.charges)} (absolute), masses of {_span(card.masses)}.",
        "",
        *_one_shot_lines(card),
        "Other systems, parameters and frame spacings are refused; other numbers of particles and "
        "times are warned about.",
        "",
        f"Exact symmetries, whatever the weights: {', '.join(card.symmetries) or 'none'}.",
        "",
        "## Training",
        "",
        *([f"    {command}", ""] if command else []),
        ", ".join(f"{key} {value}" for key, value in training.items()) + ".",
        "",
        "Architecture: " + ", ".join(f"{k} {v}" for k, v in network.config.model_dump().items()),
        "",
        "SHA-256 of the data's recipes, one for each source:",
        "",
        *(f"    {digest}" for digest in card.training_data_hash.split()),
    ]
    return "\n".join([*lines, *_table(model)]) + "\n"


def _one_shot_lines(card: Card) -> list[str]:
    if card.horizon is None:
        return []
    return [f"It answers in one shot, {card.horizon:g} time units after the last frame.", ""]


def _system_line(name: str, spec: dict[str, Any], times: tuple[float, float]) -> str:
    values = ", ".join(f"{key} {value}" for key, value in spec.items())
    return f"- system `{name}` ({values}), times {times[0]:g} to {times[1]:g}"


def _span(values: tuple[float, float]) -> str:
    return f"{values[0]:g}" if values[0] == values[1] else f"{values[0]:g} to {values[1]:g}"


def _table(model: Model) -> list[str]:
    """Lay out the evaluation, each sample with its methods."""
    evaluation = model.evaluation()
    if evaluation is None:
        return []
    command, rows = evaluation
    if rows and "p95" in rows[0]:
        return _task_table(command, rows)
    horizons = sorted({int(k) for row in rows for k in row["roll_outs"]})
    head = ["method", "system", "N", "one step, mean", "one step, median"]
    head += [f"{k} frames, median" for k in horizons] + ["ms per frame", "evaluations"]
    lines = [
        "",
        "## Accuracy and cost",
        "",
        f"Made by `{command}`: mean squared error of positions per "
        "coordinate with bootstrap 95 % intervals, against the reference at 1e-11; all rows of a "
        "system and N on the same starts. `ms per frame` is for one trajectory on one thread, in "
        "one run; `evaluations` is how often a frame evaluates each pair. Where intervals overlap "
        "there is no difference.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        cells = [row["method"], row["system"], str(row["particles"])]
        cells += [_cell(row[key]) for key in ("one_step_mean", "one_step_median")]
        cells += [_cell(row["roll_outs"].get(str(k))) for k in horizons]
        spent = row["evaluations"]
        cells += [f"{row['milliseconds']:.3g}", "" if spent is None else f"{spent:.3g}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _task_table(command: str, rows: list[dict[str, Any]]) -> list[str]:
    """Lay out the evaluation of a task."""
    from nbody_surrogate.evaluation.one_shot import HEADS, table_cells

    first = rows[0]
    return [
        "",
        "## Accuracy and cost",
        "",
        f"Made by `{command}` on {first['trajectories']} trajectories of system "
        f"`{first['system']}`, {first['particles']} particles, {first['horizon']:g} time units "
        "ahead: mean squared error of positions per coordinate with bootstrap 95 % intervals. "
        "`clean` is the mean over trajectories whose labels keep their energy; `ms` is for one "
        "trajectory on one thread.",
        "",
        "| " + " | ".join(HEADS) + " |",
        "|" + "---|" * len(HEADS),
        *("| " + " | ".join(table_cells(row)) + " |" for row in rows),
    ]


def _cell(interval: dict[str, float] | None) -> str:
    if interval is None:
        return ""
    return "{value:.1e} ({low:.1e}..{high:.1e})".format(**interval)
