"""JSON files: replaced in one step, and bounded where they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.limits import JSON, Limit
from nbody_surrogate.files.untrusted import read_bounded

__all__ = ["DAMAGE", "read_json", "write_json"]

DAMAGE = (OSError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError)
"""What reading a damaged file, or making something of what it holds, may raise."""


def write_json(
    path: Path,
    content: Any,
    *,
    indent: int | None = None,
    synced: bool = False,
    limit: Limit = JSON,
) -> None:
    """Replace a JSON file in one step.

    Parameters
    ----------
    path : Path
    content
        Of plain types.
    indent : int, optional
        Spaces for each level; by default all is one line.
    synced : bool
        Whether it is on the disk when it has its name, see `atomic_file`.
    limit : Limit
        That of whoever reads it.

    Raises
    ------
    RunError
        If it cannot be written, or could not be read; what was there stays.
    """
    text = f"{json.dumps(content, indent=indent)}\n"
    limit.require(len(text), f"{str(path)!r}", RunError)  # all that is not ASCII is escaped
    with atomic_file(path, synced=synced) as stream:
        stream.write(text.encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    FileFormatError
        If it is missing, too large or damaged, or has a key twice.
    """
    try:
        return json.loads(read_bounded(path, JSON.largest), object_pairs_hook=_each_once)
    except _TwiceError as error:
        raise FileFormatError(f"{str(path)!r} is damaged: it has {error} twice") from None
    except DAMAGE:
        raise FileFormatError(f"{str(path)!r} is damaged: it is no JSON") from None


class _TwiceError(Exception):
    """A key that an object has twice: which one counts is anybody's guess."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(repr(key[:60]))
        found[key] = value
    return found
