"""What the card of a model refuses, seen from names and numbers alone: neither model nor torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbody_surrogate.contracts.spacing import same_spacing
from nbody_surrogate.contracts.wording import range_text
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.model_card import Card, CardSystem

__all__ = ["check_spacing", "check_stepper", "check_trained_on", "other_accuracy", "trained_on"]


def trained_on(card: Card, system: str, given: Mapping[str, Any]) -> CardSystem | None:
    """Return the card's entry for a system: the one with its parameters, if there is one.

    None where the card has no entry of that name.
    """
    named = [entry for entry in card.systems if entry.system == system]
    fitting = [entry for entry in named if not _others(entry, given, whole=True)]
    return next(iter(fitting or named), None)


def check_trained_on(
    card: Card, model: str, system: str, given: Mapping[str, Any], *, whole: bool = True
) -> None:
    """Demand a system that the model was trained on, with the same parameters.

    Those that say how well forces are computed may be others: the model has learned to what it was
    shown, see `other_accuracy`.

    Parameters
    ----------
    card : Card
    model : str
        Name of the surrogate, for messages.
    system : str
    given : mapping
        Parameters of the system, as JSON has them.
    whole : bool
        Whether they are all of them, as the system has read them. Where they are not, they are as
        the user gave them, of which numbers alone are compared.

    Raises
    ------
    InputError
    """
    named = [entry for entry in card.systems if entry.system == system]
    if card.systems and not named:
        known = " and ".join(map(repr, dict.fromkeys(entry.system for entry in card.systems)))
        which = (
            "that system" if len({entry.system for entry in card.systems}) == 1 else "one of these"
        )
        raise InputError(
            f"`integrator` {model} was trained on system {known}, "
            f"got {system!r}; use {which}, or --weights trained on this one"
        )
    others = [_others(entry, given, whole) for entry in named]
    if not (others and all(others)):  # there is none, or one of them fits
        return
    key, value = next(iter(others[0].items()))
    raise InputError(
        f"`{key}` is {_plain(value)} in what {model} was trained on, got "
        f"{_plain(given.get(key))}; use {_plain(value)}, other weights or a solver"
    )


def other_accuracy(card: Card, system: str, given: Mapping[str, Any]) -> str | None:
    """Return in words how forces were computed that a model was shown, where a system's are not.

    Parameters
    ----------
    card : Card
    system : str
    given : mapping
        All parameters of the system, as JSON has them.

    Returns
    -------
    str or None
        None where they are the same, or the training is not known.
    """
    entry = trained_on(card, system, given)
    if entry is None:
        return None
    shown = [key for key in entry.numerical if key in entry.spec]
    if all(given.get(key) == entry.spec[key] for key in shown):
        return None
    named = " and ".join(f"`{key}` {_plain(entry.spec[key])}" for key in shown)
    return f"{named}, not {' and '.join(_plain(given.get(key)) for key in shown)}"


def _plain(value: object) -> str:
    """Write a value as the command line takes it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def check_stepper(card: Card, model: str) -> None:
    """Demand a model that answers for the next frame.

    Raises
    ------
    InputError
    """
    spacing = card.frame_dt or math.inf  # open: any horizon is another
    if card.horizon is not None and not same_spacing(card.horizon, spacing):
        ahead = range_text(card.horizon, card.horizon, "time unit")
        raise InputError(
            f"`integrator` {model} answers {ahead} after "
            f"frames that are {spacing:g} apart, in one shot, so it is no stepper; score it by "
            "nbody-sim evaluate with a `dataset`"
        )


def check_spacing(card: Card, model: str, dt: float) -> None:
    """Demand frames as far apart as those of the training.

    Raises
    ------
    InputError
    """
    known = card.frame_dt
    if known is not None and not same_spacing(dt, known):
        raise InputError(
            f"`frame_dt` is {known} in what {model} was trained on, got "
            f"{dt}; use {known}, other weights or a solver"
        )


def _others(entry: CardSystem, given: Mapping[str, Any], whole: bool) -> dict[str, Any]:
    """Return what was trained on, where something else is given."""
    return {
        key: value
        for key, value in entry.spec.items()
        if key not in entry.numerical
        and (whole or _are_numbers(value, given.get(key)))
        and given.get(key) != value
    }


def _are_numbers(*values: object) -> bool:
    """Whether values need no reading: text may become a number, and a list one of other types."""
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
