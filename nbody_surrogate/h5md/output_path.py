"""Checks that a result can be written, before a long run."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from nbody_surrogate.errors import InputError
from nbody_surrogate.h5md.layout import one_line, part_path

__all__ = ["check_output_path", "check_space"]


def check_output_path(path: str | os.PathLike[str], overwrite: bool, goes_on: bool = False) -> Path:
    """Check, before a long run, that its result can be written to `path`.

    Where a run goes on, what it left beside the file is to be there.

    Raises
    ------
    InputError
        If the name does not end in ``.h5``, its folder is missing or not writable, or the file
        or what an unfinished run left beside it is there and `overwrite` is not given.
    """
    given = f"got {os.fspath(path)!r}"
    target = Path(path)
    try:
        if target.suffix != ".h5":
            raise InputError(f"`output` must end in '.h5', {given}")
        if not target.parent.is_dir():
            raise InputError(f"`output` must lie in an existing folder; create it first, {given}")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise InputError(f"`output` must lie in a folder that you may write to, {given}")
        _check_replaceable(target, overwrite, given)
        _check_replaceable(part_path(target), overwrite or goes_on, given)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"`output` must be a file name: {one_line(error)}, {given}") from None
    return target


def _check_replaceable(file: Path, overwrite: bool, given: str) -> None:
    """Raise `InputError` where `file` is there and must not be replaced."""
    with suppress(FileNotFoundError):
        file.lstat()  # raises where the name is none at all
    if file.is_dir() or (file.exists() and not file.is_file()):
        raise InputError(f"`output` must be a regular file, {str(file)!r} is not; {given}")
    if (file.exists() or file.is_symlink()) and not overwrite:
        left = ", left by an unfinished run," if file.suffix == ".part" else ""
        raise InputError(
            f"`output` must not exist yet, but {str(file)!r}{left} is there: choose another name "
            f"or pass --overwrite; {given}"
        )


def check_space(path: Path, needed: int) -> None:
    """Raise `InputError` where `needed` bytes do not fit on the disk."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"`output` {str(path)!r} needs {needed / 2**30:.3g} GiB, its disk has "
            f"{free / 2**30:.3g} GiB left: choose fewer frames or another disk"
        )
