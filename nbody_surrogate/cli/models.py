"""`nbody-sim models`: the trained models that ship, and the card of any."""

from __future__ import annotations

import rich_click as click

__all__ = ["models"]


@click.group()
def models() -> None:
    """List trained models, and show what they are for and how good they are."""


@models.command("list")
def list_() -> None:
    """List the models that ship, by name."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from nbody_surrogate.surrogates.trained_models import shipped_models

    heads = ("name", "surrogate", "systems", "particles", "frame dt", "parameters", "kB")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for model in shipped_models():
        network, card = model.load()
        table.add_row(
            model.name,
            model.surrogate,
            ", ".join(dict.fromkeys(each.system for each in card.systems)),
            "" if card.particles is None else f"{card.particles[0]} to {card.particles[1]}",
            "" if card.frame_dt is None else f"{card.frame_dt:g}",
            str(sum(p.numel() for p in network.parameters())),
            f"{(model.folder / 'model.safetensors').stat().st_size / 1e3:.0f}",
        )
    Console(highlight=False).print(table)


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the card of a model: its NAME, the folder of its weights, or a run folder."""
    from nbody_surrogate.evaluation.model_card_text import card_text
    from nbody_surrogate.surrogates.trained_models import find_model

    click.echo(card_text(find_model(name)), nl=False)
