"""Files that appear under their names only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nbody_surrogate.errors import RunError, one_line

__all__ = ["part_path", "whole_file", "whole_path"]


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Give the path to write to, which ends in ``.part`` until the block has ended well.

    Raises
    ------
    RunError
        If the file cannot be written; nothing is left of it.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise RunError(f"`output` {str(path)!r} cannot be written: {one_line(error)}") from None
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write to, as `whole_path` does.

    Raises
    ------
    RunError
        If it cannot be written; nothing is left of it.
    """
    with whole_path(path) as part, part.open("wb") as stream:
        yield stream


def part_path(path: Path) -> Path:
    """Where the frames stand until the run is finished: ``NAME.h5.part``."""
    return path.with_name(path.name + ".part")
