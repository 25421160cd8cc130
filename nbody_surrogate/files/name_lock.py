"""Names that one process at a time writes to, held by locks that end with their process.

The lock is on a file beside what is written, not on that itself: HDF5 takes locks of its own on
files that it opens, so a lock on a growing file would keep its readers out.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import final

from nbody_surrogate.errors import InputError, RunError, one_line
from nbody_surrogate.files.new_file import open_without_link

__all__ = ["NameLock", "lock", "lock_path", "shortened"]

LONGEST = 200
"""Bytes of a name that are part of the names of its lock and parts; a system takes 255."""

DIGITS = 16  # of a hash: enough that no two names of a folder share them


def shortened(name: str) -> str:
    """Return a name, or its beginning and a hash where one made of it would be too long.

    The hash is of the whole name, so that two that begin alike share neither lock nor parts. What
    is returned then is longer than `LONGEST` itself, as no name is that is returned as it is.
    """
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST:
        return name
    beginning = encoded[:LONGEST].decode(errors="ignore")
    return f"{beginning}-{hashlib.sha256(encoded).hexdigest()[:DIGITS]}"


def lock_path(path: Path) -> Path:
    """Where the lock of a file is: ``.NAME.lock``."""
    return path.with_name(f".{shortened(path.name)}.lock")


@final
class NameLock:
    """Holds a file's or folder's name against other processes, and threads, until released.

    Use it as a context manager, or call `release`. Where the system or the disk knows no locks,
    two writers are up to the user, and the last one's file is what is left.

    Parameters
    ----------
    path : Path
        What is to be written.
    parameter : str
        What messages call it.
    file : Path, optional
        The file that is locked; by default `lock_path`. It is removed at the end.

    Raises
    ------
    RunError
        If another process holds it.
    InputError
        If the file that is locked is a link, has content, or cannot be made.
    """

    def __init__(self, path: Path, parameter: str = "output", file: Path | None = None) -> None:
        label = f"`{parameter}` {str(path)!r}"
        try:
            self.file = lock_path(path) if file is None else file
            self._descriptor: int | None = _acquired(self.file)
        except BlockingIOError:
            raise RunError(f"{label} is being written by another process; wait for it") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise InputError(f"{label} cannot be locked by a file beside it: {reason}") from None

    def release(self) -> None:
        """Let others write; harmless when it is released already."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with suppress(OSError):
            # held until it is removed, and never the file of another
            if _is_lock(os.fstat(descriptor), self.file):
                self.file.unlink()
        os.close(descriptor)

    def __enter__(self) -> NameLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _acquired(file: Path) -> int:
    """Make a file, where there is none, and lock it; return its descriptor."""
    while True:
        descriptor = _opened(file)
        try:
            lock(descriptor)
            found = os.fstat(descriptor)
            # who held it may have removed it since it was opened: then the lock is on nothing
            if os.path.samestat(found, file.lstat()):
                if not _is_lock(found, file):
                    raise OSError(
                        errno.EEXIST, f"{file.name!r} has content, as no lock has; move it"
                    )
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_lock(found: os.stat_result, file: Path) -> bool:
    """Whether an open file is still the one of that name, and empty as we make them."""
    return found.st_size == 0 and os.path.samestat(found, file.lstat())


def _opened(file: Path) -> int:
    try:
        # to write to, though nothing is written: network disks lock no other ones
        return open_without_link(file, os.O_RDWR | os.O_CREAT)
    except PermissionError:  # a killed process of another user left it
        return open_without_link(file, os.O_RDONLY)


def lock(descriptor: int) -> bool:
    """Lock an open file for this process; return whether files can be locked here.

    Raises
    ------
    BlockingIOError
        If another holds it.
    """
    try:
        import fcntl
    except ImportError:  # on Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
            return False
        raise
    return True
