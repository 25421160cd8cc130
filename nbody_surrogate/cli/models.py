"""`nbody-sim models`: the trained models that ship, and the card of any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.add_domain import domain
from nbody_surrogate.cli.terminal import echo, wide_option
from nbody_surrogate.errors import NBodyError, warn

if TYPE_CHECKING:
    from nbody_surrogate.surrogates.trained_models import Model

__all__ = ["models"]


@click.group()
def models() -> None:
    """List trained models, and show what they are for and how good they are."""


@models.command("list")
@wide_option
def list_(wide: bool) -> None:
    """List the models that ship, by name; one that cannot be loaded is warned about."""
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.surrogates.trained_models import shipped_models

    heads = ("name", "surrogate", "systems", "particles", "frame dt", "parameters", "kB")
    rows = []
    for model in shipped_models():
        try:
            rows.append(tuple(_cells(model)))
        except NBodyError as error:
            words = f"model {model.name!r} cannot be loaded: {error}"
            warn(words)
    print_table(TextTable("Models that ship", heads, tuple(rows), words=True), wide=wide)


def _cells(model: Model) -> list[str]:
    from nbody_surrogate.contracts.wording import range_text

    network, card = model.load()
    return [
        model.name,
        model.surrogate,
        ", ".join(dict.fromkeys(each.system for each in card.systems)),
        "" if card.particles is None else range_text(*card.particles),
        "" if card.frame_dt is None else f"{card.frame_dt:g}",
        str(sum(p.numel() for p in network.parameters())),
        f"{(model.folder / 'model.safetensors').stat().st_size / 1e3:.0f}",
    ]


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the card of a model: its NAME, the folder of its weights, or a run folder."""
    from nbody_surrogate.surrogates.places import refuse_unknown_model

    refuse_unknown_model(name)  # before torch is imported for it
    from nbody_surrogate.evaluation.model_card_text import card_text
    from nbody_surrogate.surrogates.trained_models import find_model

    echo(card_text(find_model(name)), nl=False)


models.add_command(domain)
