"""A folder that one process at a time writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nbody_surrogate.errors import InputError

__all__ = ["LOCK", "sole_writer"]

LOCK = ".lock"
"""The file that is locked; the system unlocks it however its process ends."""


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Create a folder where there is none, and hold it against other writers.

    A folder that was created and got nothing goes again.

    Raises
    ------
    InputError
        If it cannot be created or written to, or another process writes to it.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError(f"`output` {str(folder)!r}: {error.strerror}") from None
    with file:
        _lock(file.fileno(), folder)
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / LOCK).unlink()
            if new and not any(folder.iterdir()):
                folder.rmdir()


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows: there two writers are up to the user
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), (folder / LOCK).stat()):
            raise FileNotFoundError  # the other process has just removed it
    except OSError:
        raise InputError(
            f"`output` {str(folder)!r} is being written by another process; wait for it"
        ) from None
