"""Libraries that only some files need, in extras such as `io`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nbody_surrogate.errors import InputError

__all__ = ["needed"]


def needed(library: str, path: Path, extra: str = "io", verb: str = "read") -> None:
    """Demand a library of an extra, by which a file is read or written.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if find_spec(library) is None:
        raise InputError(
            f"{str(path)!r} is {verb} by {library}, which is not installed: "
            f"pip install 'nbody-surrogate[{extra}]'"
        )
