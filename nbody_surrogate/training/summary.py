"""The end of a training: what the weights that were kept are worth, and what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.files.json_file import write_json
from nbody_surrogate.results.bootstrap import plain
from nbody_surrogate.surrogates.weights import load_weights
from nbody_surrogate.training.diagnosis import diagnose
from nbody_surrogate.training.figure import draw_log
from nbody_surrogate.training.log import read_log
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.sources import Source
from nbody_surrogate.training.validation import Score, score_source, symmetry_error

__all__ = ["WEIGHTS", "summarise"]

WEIGHTS = "weights"
"""Folder within a run's."""


def summarise(
    folder: Path,
    recipe: Recipe,
    cls: type[AbstractSurrogate],
    sources: list[Source],
    step: int,
    seconds: float,
    device: torch.device,
) -> list[str]:
    """Score the weights that a run kept, write ``summary.json`` and draw the loss.

    Parameters
    ----------
    folder : Path
        Of the run.
    recipe : Recipe
    cls : type
        The surrogate's class.
    sources : list of Source
    step : int
        The last one.
    seconds : float
        Of training.
    device : torch.device

    Returns
    -------
    list of str
        What the run shows of known failures.
    """
    best = load_weights(folder / WEIGHTS, recipe.surrogate, cls)[0].to(device)
    train = [score_source(best, source.train, recipe.task) for source in sources]
    new = [score_source(best, source.validation, recipe.task) for source in sources]
    errors = [symmetry_error(best, source) for source in sources]
    known = [error for error in errors if error is not None]
    worst = max(known) if known else None
    log = read_log(folder)
    found = diagnose(train, new, log, worst)
    if step < recipe.steps:
        found.insert(0, f"stopped early at step {step}: validation stopped to gain")
    summary = {
        "step": step,
        "minutes": seconds / 60,
        "train": _plain(train),
        "validation": _plain(new),
        "symmetry_error": worst,
        "diagnosis": found,
    }
    write_json(folder / "summary.json", plain(summary))
    draw_log(log, folder / "training.png")
    return found


def _plain(scores: list[Score | None]) -> list[dict[str, Any] | None]:
    return [None if each is None else each._asdict() for each in scores]
