"""DOC."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.files.atomic import whole_file
from nbody_surrogate.files.untrusted import MIB, read_bounded

__all__ = ["read_json", "write_json"]


LARGEST, LARGEST_JSON = 8 * 2**30, 64 * MIB  # bytes


DAMAGE = (OSError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    with whole_file(path) as stream:
        stream.write(f"{json.dumps(content)}\n".encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    FileFormatError
        If it is damaged.
    """
    try:
        return json.loads(read_bounded(path, LARGEST_JSON))
    except DAMAGE:
        raise FileFormatError(f"{str(path)!r} is damaged: it is no JSON") from None
