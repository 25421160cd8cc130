"""Whether a path is a file that can be read to its end; a pipe or a device never ends."""

from __future__ import annotations

import stat
from pathlib import Path

from nbody_surrogate.errors import FileFormatError

__all__ = ["require_regular"]


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
