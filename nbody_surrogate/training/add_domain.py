"""The domain of weights that have none on their card: measured on the data of their recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.json_file import DAMAGE, write_json
from nbody_surrogate.files.limits import CONFIG
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.surrogates.places import CONFIG_FILE, weights_folder
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.sources import open_sources
from nbody_surrogate.training.write_model_card import measured_domain

__all__ = ["add_domain"]


def add_domain(
    weights: Path,
    recipe: Recipe,
    data: Path,
    *,
    workers: int = 1,
    report: Callable[[str], None] = print,
) -> Domain:
    """Measure the domain of some weights and write it to their card.

    Parameters
    ----------
    weights : Path
        Their folder, or that of their training.
    recipe : Recipe
        What they were trained by, or, of a training that began with other weights, what names the
        data.
    data : Path
        A folder for the data sets that the recipe has made; those that are there are taken.
    workers : int
        Processes that make them.
    report : callable
        Told what is under way.

    Returns
    -------
    Domain

    Raises
    ------
    InputError
        If the recipe is of a task, or its data are of other systems than the card's.
    FileFormatError
        If the card cannot be read.
    RunError
        If something cannot be written.
    """
    if recipe.task:
        raise InputError("`config` must be the recipe of a stepper, this one is of a task")
    path = weights_folder(weights) / CONFIG_FILE
    content, card = _read(path)
    sources = open_sources(recipe, data, workers, report)
    given = {source.system.name for source in sources}
    if (known := {entry.system for entry in card.systems}) and not given <= known:
        raise InputError(
            f"`config` must be the recipe of these weights: its data are of "
            f"{', '.join(sorted(given))}, the card says {', '.join(sorted(known))}"
        )
    for number, source in enumerate(sources):
        report(f"measuring data {number}: {source.system.name}, N = {source.spec.particles}")
        source.ranges()
    domain = measured_domain(sources)
    assert domain is not None  # of steppers there is one
    content["card"]["domain"] = domain.model_dump(mode="json", exclude_defaults=True)
    write_json(path, content, indent=2, limit=CONFIG)
    return domain


def _read(path: Path) -> tuple[dict[str, Any], Card]:
    try:
        content = json.loads(read_bounded(path, CONFIG.largest, links=False))
        content["card"].pop("domain", None)  # whatever it is, there will be another one
        return content, Card(**content["card"])
    except FileNotFoundError:
        raise InputError(f"`weights` {str(path.parent)!r} is no folder of a model") from None
    except (*DAMAGE, LookupError, AttributeError):
        raise FileFormatError(f"`weights`: {str(path)!r} is damaged: it holds no card") from None
