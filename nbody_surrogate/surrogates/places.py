"""Where weights lie, told without importing the surrogates that they are of.

A model is named in one way everywhere: by the name of weights that ship, by the folder of its
weights, or by the folder of the training that made it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.limits import EVALUATION
from nbody_surrogate.files.untrusted import read_bounded
from nbody_surrogate.registry.entry_points import installed, is_hidden, package_folders
from nbody_surrogate.registry.lookup import entries, short_name
from nbody_surrogate.spelling import nearest

__all__ = [
    "CONFIG_FILE",
    "Place",
    "find_place",
    "json_value",
    "places_of",
    "refuse_unknown_model",
    "shipped_places",
    "unknown_model",
    "weights_folder",
]

CONFIG_FILE, OF_TRAINING = "config.json", "weights"


class Place(NamedTuple):
    """A set of weights: what it is called, the surrogate it is of, and its folder."""

    name: str
    surrogate: str
    folder: Path


def shipped_places() -> list[Place]:
    """Return the weights that packages keep where the built-in ones do, in ``weights/NAME``.

    A package may keep its weights elsewhere: `shipped_models` asks its classes, and imports them.
    """
    found = []
    for point in installed("surrogates"):
        if not is_hidden(point):
            found += [each for each in _of_package(point.value) if each.surrogate == point.name]
    return found


def find_place(name: str) -> Place | None:
    """Find weights by their name, by their folder, or by a training run's folder.

    Returns
    -------
    Place or None
        None where there are none, or where only their class knows them.

    Raises
    ------
    FileFormatError
        If the folder's `config.json` does not say which surrogate it is of.
    """
    for place in shipped_places():
        if place.name == name:
            return place
    folder = weights_folder(name)
    try:
        there = (folder / CONFIG_FILE).is_file()
    except (OSError, ValueError):  # a name too long, or with a zero in it
        there = False
    return Place(name, _surrogate_of(folder), folder) if there else None


def refuse_unknown_model(name: str, parameter: str = "model") -> None:
    """Refuse what can be no model, without importing a surrogate.

    Raises
    ------
    InputError
        If there is none of that name, and no package that may keep one elsewhere.
    FileFormatError
        As of `find_place`.
    """
    if find_place(name) is None and not _may_be_elsewhere():
        raise unknown_model(name, parameter, [each.name for each in shipped_places()])


def unknown_model(name: str, parameter: str, known: list[str]) -> InputError:
    """Make the error of a model that there is not."""
    close = nearest(name, known)
    hint = "" if close is None else f"; did you mean {close!r}?"
    return InputError(
        f"`{parameter}` {name!r} is neither a model nor a folder of one; there are: "
        f"{', '.join(known) or 'none'}{hint}"
    )


def places_of(surrogate: str, weights: str | None) -> list[Place] | None:
    """Return the weights that a surrogate may run with, without importing it.

    Parameters
    ----------
    surrogate : str
    weights : str or None
        As `SurrogateOptions.weights`; None for the default, which may be any that ships.

    Returns
    -------
    list of Place or None
        None where only its class knows; empty where it has none.
    """
    name = short_name(surrogate)
    shipped = [each for each in shipped_places() if each.surrogate == name]
    if weights is None:
        return shipped or (None if _may_be_elsewhere(name) else [])
    named = [each for each in shipped if each.name == weights]
    if named:
        return named
    folder = weights_folder(weights)
    if Path(weights).is_dir():
        return [Place(weights, name, folder)]
    return None if _may_be_elsewhere(name) else []


def _may_be_elsewhere(name: str | None = None) -> bool:
    """Whether a surrogate, or the one called `name`, is no built-in one, and may have its way."""
    return any(
        each.status not in ("built-in", "hidden")
        for each in entries()
        if each.kind == "surrogate" and name in (None, each.name)
    )


def weights_folder(folder: str | Path) -> Path:
    """Return the folder of weights: of a training run's folder the one that it keeps them in."""
    folder = Path(folder)
    within = folder / OF_TRAINING
    try:
        holds = (within / CONFIG_FILE).is_file() and not (folder / CONFIG_FILE).exists()
    except (OSError, ValueError):
        return folder
    return within if holds else folder


def json_value(path: Path, key: str, wrong: str) -> Any:
    """Read one value of a file of JSON, or say what is wrong with it.

    Raises
    ------
    FileFormatError
    """
    try:
        return json.loads(read_bounded(path, EVALUATION.largest, links=False))[key]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise FileFormatError(f"{str(path)!r} is damaged: {wrong}") from None


def _of_package(target: str) -> list[Place]:
    """Look for weights in the package of an entry point's ``module:attribute``."""
    places = package_folders(target.partition(":")[0])
    folders = sorted(each.parent for place in places for each in _configs(place))
    found = []
    for folder in folders:
        try:
            found.append(Place(folder.name, _surrogate_of(folder), folder))
        except FileFormatError:  # nothing is known of it, then
            continue
    return found


def _configs(package: Path) -> list[Path]:
    return list((package / OF_TRAINING).glob(f"*/{CONFIG_FILE}"))


def _surrogate_of(folder: Path) -> str:
    path, wrong = folder / CONFIG_FILE, "it does not say which surrogate it is of"
    surrogate = json_value(path, "surrogate", wrong)
    if not isinstance(surrogate, str):
        raise FileFormatError(f"{str(path)!r} is damaged: {wrong}")
    return surrogate
