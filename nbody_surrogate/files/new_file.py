"""Opening files to write to, in folders that are not trusted: never through a link.

Whoever can write to a folder can put a symbolic link where a file of ours is to be, and what is
written through it lands in any other file of the user's. So new files are made exclusively, and
those that are there are opened only where their name is that of a regular file.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

__all__ = [
    "append",
    "create_file",
    "make_subfolder",
    "open_existing",
    "open_without_link",
    "write_new",
]

# Windows has neither links that anybody can make nor these flags; without O_BINARY it would
# change line ends
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
ALWAYS = NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# of a pipe that somebody has put there, opening would wait for its other end
NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def create_file(path: Path) -> FileIO:
    """Make a file, which must not be there, and open it to write and read, unbuffered.

    Raises
    ------
    OSError
        If there is anything at `path`, be it a link that leads nowhere, or it cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | ALWAYS, 0o666)
    return FileIO(descriptor, "r+")


def write_new(path: Path, data: bytes) -> None:
    """Write a file, which must not be there; it is half-written meanwhile, see `atomic_file`.

    Raises
    ------
    OSError
        If there is anything at `path`, or it cannot be written.
    """
    with create_file(path) as file:
        _write_all(file, data)


def open_existing(path: Path) -> FileIO:
    """Open a regular file that is there, to write to places in it, unbuffered.

    Raises
    ------
    OSError
        If it is missing, a link, no regular file, or may not be written to.
    """
    return FileIO(open_without_link(path, os.O_RDWR), "r+")


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file, which is made where there is none.

    Raises
    ------
    OSError
        If it is a link, of either kind, or no regular file, or cannot be written to.
    """
    descriptor = open_without_link(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with FileIO(descriptor, "a") as file:
        # what is added to one of two names is found under the other, too
        if os.fstat(descriptor).st_nlink > 1:
            raise OSError(errno.EMLINK, "it is a hard link, which is not added to")
        _write_all(file, data)


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # without a buffer, a write may take a part only
        rest = rest[file.write(rest) :]


def open_without_link(path: Path, flags: int) -> int:
    """Open a regular file by `flags` and return its descriptor.

    Raises
    ------
    OSError
        If it cannot be opened, or is a link or no regular file.
    """
    try:
        descriptor = os.open(path, flags | ALWAYS | NO_WAIT, 0o666)
    except OSError as error:
        if NO_LINK and error.errno in (errno.ELOOP, errno.EMLINK):
            text = "it is a symbolic link, which is not written to"
            raise OSError(error.errno, text) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def make_subfolder(folder: Path, *names: str) -> Path:
    """Make a folder within one, and those between them, where they are not there.

    `folder` itself is as the user gave it, and may be a link; what is below it may not.

    Raises
    ------
    OSError
        If one cannot be made, or its name is that of a link or of no folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        folder = folder / name
        try:
            folder.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                text = f"{str(folder)!r} is a link or a file, no folder"
                raise OSError(errno.ENOTDIR, text) from None
    return folder
