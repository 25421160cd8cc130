"""Libraries that only some files need, in the extra `io`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nbody_surrogate.errors import InputError

__all__ = ["needed"]


def needed(library: str, path: Path) -> None:
    """Demand a library of the extra.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if find_spec(library) is None:
        raise InputError(
            f"{str(path)!r} is read by {library}, which is not installed: "
            "pip install 'nbody-surrogate[io]'"
        )
