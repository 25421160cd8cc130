"""`nbody-sim calibrate`: what the error estimate of a model needs, measured and put on its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.errors import InputError
from nbody_surrogate.parallel.limits import check_threads

if TYPE_CHECKING:
    from nbody_surrogate.contracts.error_model import ErrorModel
    from nbody_surrogate.contracts.model_card import Card
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["calibrate"]


@click.command()
@click.argument("model")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the held-out starts.")
@click.option(
    "--threads", type=int, default=1, show_default=True, help="Threads of the model, on the CPU."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def calibrate(model: str, seed: int, threads: int, quiet: bool) -> None:
    """Calibrate the error estimate of MODEL, and put what was found on its card.

    MODEL is a name of `nbody-sim models list`, a folder of weights or a run folder. It runs from
    seeded starts of its card's systems, and from closer and colder ones, which it was not trained
    for, beside a tight reference. The factors by which its error estimates cover 95 % of them go to
    `config.json`, beside its weights.
    """
    from nbody_surrogate.surrogates.places import refuse_unknown_model

    refuse_unknown_model(model)
    if seed < 0:
        raise InputError(f"`seed` must be at least 0, got {seed}")
    check_threads(threads)
    from nbody_surrogate.evaluation.calibration import calibrate as fitted
    from nbody_surrogate.integrators.build import make_integrator
    from nbody_surrogate.surrogates.trained_models import find_model
    from nbody_surrogate.surrogates.weights import put_error_model

    found = find_model(model)
    _, card = found.load()
    systems = _systems(model, card)
    method = make_integrator(
        found.surrogate, weights=str(found.folder), device="cpu", threads=threads
    )
    with progress_bar("calibrating", 1, hidden=quiet) as progress:
        made = fitted(method, systems, _numbers(card), seed=seed, progress=progress)
    put_error_model(found.folder, made)
    if not quiet:
        echo(_said(made))


def _systems(model: str, card: Card) -> list[AbstractSystem]:
    from nbody_surrogate.registry.registry import make_system

    if card.horizon is not None:
        raise InputError(
            f"`model` {model!r} answers in one shot: there are no frames whose errors add up"
        )
    if not card.systems:
        raise InputError(f"`model` {model!r} has a card that names no system to start from")
    return [make_system(each.system, **each.spec) for each in card.systems]


def _numbers(card: Card) -> list[int]:
    """Numbers of particles: the ends of the card's range, and one between."""
    if card.particles is None:
        return [5]
    least, most = card.particles
    return sorted({least, round((least * most) ** 0.5), most})


def _said(model: ErrorModel) -> str:
    from nbody_surrogate.contracts.wording import counted

    factors = zip(model.ages, model.factors, strict=True)
    told = ", ".join(f"{factor:.2g} at frame {age}" for age, factor in factors)
    return (
        f"{counted(model.starts, 'held-out start')}: of a frame {model.frame_factor:.2g}, "
        f"of a run {told}"
    )
