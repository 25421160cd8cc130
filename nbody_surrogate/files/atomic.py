"""Files and folders that have their names only when they are complete.

What is being written stands beside them, as ``NAME.part``, and is renamed at the end: a rename
within a folder is one step, so whoever looks sees the old content or the new, never half of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nbody_surrogate.errors import RunError, one_line

__all__ = [
    "PART",
    "atomic_file",
    "atomic_folder",
    "atomic_path",
    "part_path",
    "rename_part",
    "renamed_at_end",
]

PART = ".part"


def part_path(path: Path) -> Path:
    """Where a file stands until it is complete: ``NAME.part``."""
    return path.with_name(path.name + PART)


def hidden_part_path(path: Path) -> Path:
    """Such a place for writers that go by the suffix: ``.STEM.PID.part.SUFFIX``."""
    return path.with_name(f".{path.stem}.{os.getpid()}{PART}{path.suffix}")


def rename_part(path: Path) -> None:
    """Give what stands at `part_path` its final name, in one step.

    Raises
    ------
    OSError
        If it is not there, or cannot have it.
    """
    part_path(path).replace(path)


@contextmanager
def renamed_at_end(path: Path, *, keep_suffix: bool = False) -> Iterator[Path]:
    """Give the path to write to; it becomes `path` when the block has ended well.

    For a caller that words its errors itself; others use `atomic_path`.

    Parameters
    ----------
    path : Path
    keep_suffix : bool
        Whether the path to write to ends as `path` does, for writers that go by it.

    Raises
    ------
    OSError
        If it cannot be renamed. Whatever ends the block, nothing is left of the file.
    """
    part = hidden_part_path(path) if keep_suffix else part_path(path)
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):  # it is there no more where all went well
            part.unlink()


@contextmanager
def atomic_path(path: Path, parameter: str = "output") -> Iterator[Path]:
    """Give the path to write to; it becomes `path` when the block has ended well.

    Parameters
    ----------
    path : Path
    parameter : str
        What messages call it.

    Raises
    ------
    RunError
        If the file cannot be written; nothing is left of it.
    """
    try:
        with renamed_at_end(path) as part:
            yield part
    except OSError as error:
        raise RunError(
            f"`{parameter}` {str(path)!r} cannot be written: {one_line(error)}"
        ) from None


@contextmanager
def atomic_file(
    path: Path, parameter: str = "output", *, synced: bool = False
) -> Iterator[IO[bytes]]:
    """Open a file to write to, as `atomic_path` does.

    Parameters
    ----------
    path : Path
    parameter : str
        What messages call it.
    synced : bool
        Whether the content is on the disk before the file has its name, so that it is whole even
        after the power fails.

    Raises
    ------
    RunError
        If it cannot be written; nothing is left of it.
    """
    with atomic_path(path, parameter) as part, part.open("wb") as stream:
        yield stream
        if synced:
            stream.flush()
            os.fsync(stream.fileno())


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to fill; it becomes `folder` when the block has ended well.

    Raises
    ------
    OSError
        If it cannot be made or renamed, as where `folder` is there by now. Whatever ends the
        block, nothing is left of it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)  # `mkdtemp` makes it private
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
