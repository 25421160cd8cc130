"""Reading a whole file that is not trusted: a regular one, and not larger than allowed."""

from __future__ import annotations

import stat
from pathlib import Path

from nbody_surrogate.errors import FileFormatError

__all__ = ["read_bounded", "require_regular"]


def read_bounded(path: Path, largest: int, *, links: bool = True) -> bytes:
    """Read a file of at most `largest` bytes.

    Parameters
    ----------
    path : Path
    largest : int
    links : bool
        Whether `path` may be a symbolic link.

    Raises
    ------
    FileFormatError
        If it is larger, no regular file, or a link where that is not allowed.
    OSError
        If it is missing or cannot be read.
    """
    status = path.stat() if links else path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise FileFormatError(f"{str(path)!r} is a symbolic link, refused")
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
        raise FileFormatError(f"{str(path)!r} is not a regular file")
    if status.st_size > largest:
        raise FileFormatError(f"{str(path)!r} is larger than {largest} bytes")
    with path.open("rb") as file:
        return file.read(largest)  # no more, though it may grow meanwhile


def require_regular(path: Path) -> None:
    """Demand a regular file, or a link to one; what is missing is left to whoever opens it.

    Raises
    ------
    FileFormatError
        If there is something else at `path`, such as a folder, a pipe or a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise FileFormatError(f"{str(path)!r} is not a regular file: it is {kind}")
