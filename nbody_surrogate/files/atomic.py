"""Files and folders that have their names only when they are complete.

What is being written stands beside them under a name that nobody else has, and is renamed at the
end: a rename within a folder is one step, so whoever looks sees the old content or the new, never
half of it, and of two writers of one name the last one wins, whole. Such a part is made
exclusively, and so never through a link; it is locked while it is written, so that the next writer
of the name can tell, and removes, what a killed one left.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO

from nbody_surrogate.errors import RunError, one_line
from nbody_surrogate.files.name_lock import lock, shortened
from nbody_surrogate.files.new_file import create_file, open_without_link

__all__ = [
    "PART",
    "atomic_file",
    "atomic_folder",
    "atomic_path",
    "is_part_of",
    "part_path",
    "remove_left_parts",
    "rename_part",
    "renamed_at_end",
]

PART = ".part"

TOKEN = 8  # bytes that tell the parts of one name apart

NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def part_path(path: Path) -> Path:
    """Where a file grows that others may watch, of a writer that holds its name: ``NAME.part``."""
    return path.with_name(path.name + PART)


def rename_part(path: Path, *, overwrite: bool = True) -> None:
    """Give what stands at `part_path` its final name, in one step.

    Raises
    ------
    OSError
        If it is not there, or cannot have it: a `FileExistsError` where there is a file and
        `overwrite` is False.
    """
    _rename(part_path(path), path, overwrite)


@contextmanager
def renamed_at_end(
    path: Path, *, keep_suffix: bool = False, overwrite: bool = True
) -> Iterator[Path]:
    """Give the path of a new, empty file; it becomes `path` when the block has ended well.

    For a caller that words its errors itself; others use `atomic_path`.

    Parameters
    ----------
    path : Path
    keep_suffix : bool
        Whether the path to write to ends as `path` does, for writers that go by it.
    overwrite : bool
        Whether a file that is there at the end may be replaced.

    Raises
    ------
    OSError
        If it cannot be made or renamed: a `FileExistsError` where `overwrite` is False and there
        is a file by then. Whatever ends the block, nothing is left of it.
    """
    with _part(path, keep_suffix, overwrite) as (part, _):
        yield part


@contextmanager
def atomic_path(
    path: Path, parameter: str = "output", *, keep_suffix: bool = False, overwrite: bool = True
) -> Iterator[Path]:
    """Give the path of a new, empty file; it becomes `path` when the block has ended well.

    Parameters
    ----------
    path : Path
    parameter : str
        What messages call it.
    keep_suffix, overwrite : bool
        As for `renamed_at_end`.

    Raises
    ------
    RunError
        If the file cannot be written, or may not be replaced; nothing is left of it.
    """
    remove_left_parts(path)
    with _told(path, parameter), _part(path, keep_suffix, overwrite) as (part, _):
        yield part


@contextmanager
def atomic_file(
    path: Path, parameter: str = "output", *, synced: bool = False, overwrite: bool = True
) -> Iterator[IO[bytes]]:
    """Open a new file to write to, as `atomic_path` does.

    Parameters
    ----------
    path : Path
    parameter : str
        What messages call it.
    synced : bool
        Whether the content is on the disk before the file has its name, so that it is whole even
        after the power fails.
    overwrite : bool
        Whether a file that is there at the end may be replaced.

    Raises
    ------
    RunError
        If it cannot be written, or may not be replaced; nothing is left of it.
    """
    remove_left_parts(path)
    with (
        _told(path, parameter),
        _part(path, False, overwrite) as (_, raw),
        # a descriptor of its own, since some disks say only when one is closed that they are full;
        # the other one keeps the lock until after the rename
        os.fdopen(os.dup(raw.fileno()), "wb") as stream,
    ):
        yield stream
        if synced:
            stream.flush()
            os.fsync(stream.fileno())


@contextmanager
def _told(path: Path, parameter: str) -> Iterator[None]:
    """Turn a failure into one line."""
    try:
        yield
    except FileExistsError:
        said = f"`{parameter}` {str(path)!r} cannot be written: the file is there by now"
        raise RunError(said) from None
    except OSError as error:
        said = f"`{parameter}` {str(path)!r} cannot be written: {one_line(error)}"
        raise RunError(said) from None


@contextmanager
def _part(path: Path, keep_suffix: bool, overwrite: bool) -> Iterator[tuple[Path, FileIO]]:
    """Make a part of `path`, locked, and rename it at the end."""
    part, file = _locked_part(path, keep_suffix)
    try:
        with file:
            yield part, file
            if os.name == "nt":  # there no open file can be renamed
                file.close()
            _rename(part, path, overwrite)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _locked_part(path: Path, keep_suffix: bool) -> tuple[Path, FileIO]:
    """Make a part, and lock it before another writer of the name takes it for a killed one's."""
    while True:
        part = _new_part(path, keep_suffix)
        file = create_file(part)
        with suppress(BlockingIOError, FileNotFoundError):
            lock(file.fileno())
            if os.path.samestat(os.fstat(file.fileno()), part.lstat()):
                return part, file
        file.close()


def _new_part(path: Path, keep_suffix: bool) -> Path:
    """Return a name that nobody can have guessed, and so nothing can stand under."""
    token = os.urandom(TOKEN).hex()
    if keep_suffix:
        # hidden, or it would be taken for a finished one
        return path.with_name(f".{shortened(path.stem)}.{token}{PART}{path.suffix}")
    return path.with_name(f"{shortened(path.name)}.{token}{PART}")


def is_part_of(path: Path, name: str) -> bool:
    """Whether `name` is that of a part of `path`."""
    digits = f"[0-9a-f]{{{2 * TOKEN}}}"
    stem, suffix = re.escape(shortened(path.stem)), re.escape(path.suffix)
    plain = re.escape(shortened(path.name))
    pattern = rf"{plain}\.{digits}{re.escape(PART)}|\.{stem}\.{digits}{re.escape(PART)}{suffix}"
    return re.fullmatch(pattern, name) is not None


_looked_for: set[Path] = set()


def remove_left_parts(path: Path) -> None:
    """Remove what killed writers of `path` left beside it; once in the life of a process.

    A part that can be locked has no writer. Where files cannot be locked, all is left alone.
    """
    path = path.absolute()
    if path in _looked_for:  # a restart file is written at every segment
        return
    _looked_for.add(path)
    with suppress(OSError):
        for each in path.parent.iterdir():
            if PART in each.name and is_part_of(path, each.name):
                _remove_left(each)


def _remove_left(part: Path) -> None:
    with suppress(OSError):
        descriptor = open_without_link(part, os.O_RDWR)
        try:
            if lock(descriptor):
                part.unlink()
        finally:
            os.close(descriptor)


def _rename(part: Path, path: Path, overwrite: bool) -> None:
    """Rename in one step; without `overwrite` a file that is there stays."""
    if overwrite:
        part.replace(path)
        return
    if os.name == "nt":
        part.rename(path)  # which replaces nothing there
        return
    try:
        # a second name, since a rename would replace what has come since the name was checked
        os.link(part, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        # a disk that knows one name for each file: the name is taken, empty, and then replaced
        create_file(path).close()
        part.replace(path)
    else:
        part.unlink()


@contextmanager
def atomic_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a new folder to fill; it becomes `folder` when the block has ended well.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Whether a folder that is there is replaced, all of it: no file of it stays. Between two
        renames there is none of the name.

    Raises
    ------
    OSError
        If it cannot be made or renamed, as where `folder` is there by now and may not be replaced.
        Whatever ends the block, nothing is left of it, and what was there is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, old = _beside(folder), _beside(folder)
    part.mkdir()  # by the umask, as every folder that the user makes
    try:
        yield part
        if overwrite and folder.is_dir():
            folder.rename(old)
        try:
            part.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path) -> Path:
    """Return a hidden name beside a folder that nobody can have guessed."""
    return folder.parent / f".{shortened(folder.name)}-{os.urandom(TOKEN).hex()}"
