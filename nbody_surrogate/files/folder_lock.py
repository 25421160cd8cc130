"""A folder that one process at a time writes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nbody_surrogate.errors import InputError
from nbody_surrogate.files.name_lock import NameLock

__all__ = ["LOCK", "sole_writer"]

LOCK = ".lock"
"""The file that is locked; the system unlocks it however its process ends."""


@contextmanager
def sole_writer(folder: Path, parameter: str = "output") -> Iterator[None]:
    """Create a folder where there is none, and hold it against other writers.

    A folder that was created and got nothing goes again.

    Parameters
    ----------
    folder : Path
    parameter : str
        What messages call it.

    Raises
    ------
    InputError
        If it cannot be created or written to, or its lock is a link.
    RunError
        If another process writes to it.
    """
    new = not folder.exists()
    lock = _made_and_locked(folder, parameter)
    try:
        yield
    finally:
        lock.release()
        if new:
            with suppress(OSError):  # it is not empty, or another has begun to write to it
                folder.rmdir()


def _made_and_locked(folder: Path, parameter: str) -> NameLock:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"`{parameter}` {str(folder)!r}: {reason}") from None
        try:
            return NameLock(folder, parameter, folder / LOCK)
        except InputError as error:
            if folder.is_dir():
                raise InputError(f"{error} (its name is {str(folder / LOCK)!r})") from None
            # another one, which had made it and wrote nothing, has just removed it
