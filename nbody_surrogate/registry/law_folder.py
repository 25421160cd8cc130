"""Systems whose parameters stand in a folder: a law that was found in tracks.

``discovered:FOLDER`` names the system `discovered` with the parameters of ``FOLDER/law.json``. The
file holds numbers, which the system's own model checks; a run or a data set keeps all of them, so
that it needs the folder no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbody_surrogate.errors import FileFormatError, InputError, one_line

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = [
    "LAW",
    "MOST_KNOTS",
    "demand_law",
    "file_name",
    "law_parameters",
    "named_folder",
    "plain_name",
]

LAW = "law.json"
MOST_KNOTS = 64
"""Coefficients of a pair force that the system takes."""

SYSTEM = "discovered"
PREFIX = f"{SYSTEM}:"


def named_folder(name: str) -> Path | None:
    """Return the folder that a system's name leads to, or None where it leads to none."""
    return Path(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


def plain_name(name: str) -> str:
    """Return a system's name without the folder behind it."""
    return SYSTEM if name.startswith(PREFIX) else name


def file_name(name: str) -> str:
    """Return a system's name as a part of the name of a file; of a folder its last part."""
    folder = named_folder(name)
    text = name if folder is None else f"{SYSTEM}-{folder.resolve().name[:40]}"
    return text.replace(":", "-").replace("/", "-")


def demand_law(name: str) -> None:
    """Refuse the name of a folder that holds no law; what is in it is looked at later.

    Raises
    ------
    InputError
    """
    if (folder := named_folder(name)) is None:
        return
    if name == PREFIX:
        raise InputError(f"`system` {name!r} names no folder: write {PREFIX}FOLDER")
    try:
        found, whole = folder.is_dir(), os.path.lexists(folder / LAW)
    except (OSError, ValueError) as error:  # a name too long, or with a zero in it
        raise InputError(f"`system` {name!r}: {one_line(error)}") from None
    if not found:
        raise InputError(
            f"`system` {name!r}: there is no folder {str(folder)!r}; nbody-sim discover makes one "
            "of tracks"
        )
    if not whole:
        raise InputError(
            f"`system` {name!r}: the folder {str(folder)!r} holds no {LAW}; name the folder that "
            "nbody-sim discover wrote"
        )


def law_parameters(
    name: str, cls: type[AbstractSystem], changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the parameters of the folder that a name leads to, with changes; or these alone.

    Parameters
    ----------
    name : str
        Of a system, such as ``discovered:FOLDER``.
    cls : type
        The class that it stands for.
    changes : mapping, optional
        Parameters that replace those of the folder.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no such folder, or no law in it.
    FileFormatError
        If the law is damaged, or not of numbers that the system takes.
    """
    given = dict(changes or {})
    if (folder := named_folder(name)) is None:
        return given
    demand_law(name)
    return {**_read(folder / LAW, cls), **given}


def _read(path: Path, cls: type[AbstractSystem]) -> dict[str, Any]:
    """Read a law, and let the system say whether it is one, before anything of it is changed."""
    from nbody_surrogate.contracts.parameters import validated
    from nbody_surrogate.files.json_file import read_json

    values = read_json(path)
    if not isinstance(values, dict):
        raise FileFormatError(f"{str(path)!r} is damaged: it holds no parameters by name")
    # a default would be the law of an example
    if missing := sorted(set(cls.Spec.model_fields) - set(values)):
        raise FileFormatError(f"{str(path)!r} is damaged: it lacks {', '.join(missing)}")
    try:
        validated(cls.Spec, values, f"system {cls.name!r}")
    except InputError as error:
        raise FileFormatError(f"{str(path)!r}: {one_line(error)}") from None
    if text := _texts(values):
        raise FileFormatError(
            f"{str(path)!r} is damaged: {text[0]!r} must be of numbers, and holds other things"
        )
    return values


def _texts(values: Any, name: str = "") -> list[str]:
    """Return the names of what is no number: "1e3" and true would be read as one."""
    if isinstance(values, str | bool):
        return [name]
    if isinstance(values, list):
        return [text for each in values for text in _texts(each, name)]
    if not isinstance(values, dict):
        return []
    named = {f"{name}.{key}" if name else str(key): each for key, each in values.items()}
    return [text for key, each in named.items() for text in _texts(each, key)]
