"""Whether a file can be written: checked once, before a long run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nbody_surrogate.contracts.arguments import demand_flag, demand_path
from nbody_surrogate.errors import InputError, one_line
from nbody_surrogate.files.limits import in_words
from nbody_surrogate.files.name_lock import NameLock

__all__ = [
    "OTHERWISE",
    "CheckedPath",
    "check_distinct",
    "check_file_size",
    "check_not_read",
    "check_output_file",
    "check_space",
    "held",
    "parameter_of",
]

OTHERWISE = "choose another name or pass --overwrite (in Python overwrite=True)"


@dataclass(frozen=True)
class CheckedPath(os.PathLike[str]):
    """Where a result may be written, as a check has found; it is not checked again."""

    path: Path
    lock: NameLock | None = field(default=None, compare=False)
    """Of whoever holds the name, and releases it, against other processes."""
    parameter: str | None = field(default=None, compare=False)
    """What the user calls it, for whoever fails to write it later."""

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)


def parameter_of(path: str | os.PathLike[str] | None, otherwise: str) -> str:
    """Return what the user calls an output: as whoever checked it does, or else `otherwise`."""
    named = path.parameter if isinstance(path, CheckedPath) else None
    return otherwise if named is None else named


def check_distinct(outputs: Iterable[tuple[str, str | os.PathLike[str] | None]]) -> None:
    """Refuse outputs of one command that are one file: the last would replace the others.

    To be called before anything is held or computed.

    Parameters
    ----------
    outputs : iterable of tuple
        What the user calls each, and its path; None where it is not asked for. The same file may
        be named in several ways, as through a link to its folder.

    Raises
    ------
    InputError
        If two are the same file.
    """
    seen: dict[Path, str] = {}
    for parameter, path in outputs:
        if path is None:
            continue
        place = _place(Path(path))
        if place in seen:
            raise InputError(
                f"`{seen[place]}` and `{parameter}` must be two files, got {os.fspath(path)!r} "
                "for both"
            )
        seen[place] = parameter


def check_not_read(
    inputs: Iterable[tuple[str, str | os.PathLike[str] | None]],
    outputs: Iterable[tuple[str, str | os.PathLike[str] | None]],
) -> None:
    """Refuse an output of a command that is a file which it reads: that would be lost.

    To be called before anything is held or written.

    Parameters
    ----------
    inputs, outputs : iterable of tuple
        As of `check_distinct`.

    Raises
    ------
    InputError
        If an input and an output are the same file, by whatever names.
    """
    read = [(name, Path(path)) for name, path in inputs if path is not None]
    for parameter, written in outputs:
        for name, path in read:
            if written is not None and _is_one_file(path, Path(written)):
                raise InputError(
                    f"`{parameter}` must be another file than `{name}`, which is read, got "
                    f"{os.fspath(written)!r}"
                )


def _is_one_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there, or no name at all
        return _place(one) == _place(other)


def _place(path: Path) -> Path:
    """Return the one path of a file: a link in its own place is replaced, and not followed."""
    try:
        folder = os.path.realpath(path.parent)
    except (OSError, ValueError):  # it is none at all, which its own check says
        return path
    return Path(folder, os.path.normcase(path.name))


@contextmanager
def held(
    path: str | os.PathLike[str], parameter: str, check: Callable[[], Path]
) -> Iterator[CheckedPath]:
    """Check where a result may be written, and hold the name against other processes.

    Parameters
    ----------
    path : path_like
        One that comes with a lock is held by that, and left to whoever took it.
    parameter : str
        What the user calls it.
    check : callable
        Refuses a file that could not be written, else returns it.

    Raises
    ------
    InputError
        As `check` does.
    RunError
        If another process writes to it.
    """
    if isinstance(path, CheckedPath) and path.lock is not None:
        yield path
        return
    try:
        # first, since what a process still works at is nobody's to replace
        lock = NameLock(Path(path), parameter)
    except InputError:
        check()  # which says better what is wrong
        raise
    with lock:
        yield CheckedPath(check(), lock, parameter)


def check_output_file(
    path: str | os.PathLike[str],
    parameter: str,
    suffixes: tuple[str, ...] = (),
    overwrite: bool = False,
    otherwise: str = OTHERWISE,
) -> Path:
    """Refuse a file that could not be written.

    Parameters
    ----------
    path : path_like
        A `CheckedPath` is let pass.
    parameter : str
        What the user calls it.
    suffixes : tuple of str, optional
        Those that the name may have; by default any.
    overwrite : bool, optional
        Whether a file that is there already may be replaced.
    otherwise : str, optional
        What to do where it is there and may not.

    Raises
    ------
    InputError
        If the suffix is another, the name that of a lock, the folder missing or not writable, or
        `path` no file or there already, or `overwrite` no truth value.
    """
    if isinstance(path, CheckedPath):
        return path.path
    demand_path(parameter, path)
    demand_flag("overwrite", overwrite)
    _refuse(path, parameter, suffixes, overwrite, otherwise)
    return Path(path)


def _refuse(
    path: str | os.PathLike[str],
    parameter: str,
    suffixes: tuple[str, ...],
    overwrite: bool,
    otherwise: str,
) -> None:
    file, given = Path(path), f"got {os.fspath(path)!r}"
    try:
        if suffixes and file.suffix.lower() not in suffixes:
            known = ", ".join(suffixes)
            one = "one of " if len(suffixes) > 1 else ""
            raise InputError(f"`{parameter}` must name a file ending in {one}{known}, {given}")
        if file.name.startswith(".") and file.name.endswith(".lock"):
            raise InputError(f"`{parameter}` must not be named as a lock is, {given}")
        if not file.parent.is_dir():
            raise InputError(
                f"`{parameter}` must lie in an existing folder; create it first, {given}"
            )
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise InputError(f"`{parameter}` must lie in a folder that you may write to, {given}")
        with suppress(FileNotFoundError):
            file.lstat()  # raises where the name is none at all
        if file.is_dir() or (file.exists() and not file.is_file()):
            raise InputError(f"`{parameter}` must be a regular file, no folder, {given}")
        if (file.exists() or file.is_symlink()) and not overwrite:
            raise InputError(
                f"`{parameter}` must not exist yet, but {str(file)!r} is there: {otherwise}"
            )
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"`{parameter}` must be a file name: {one_line(error)}, {given}") from None


def check_space(path: Path, needed: int) -> None:
    """Raise `InputError` where a file of `needed` bytes does not fit on the disk, or may not be."""
    check_file_size(path, needed)
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"`output` {str(path)!r} needs {needed / 2**30:.3g} GiB, its disk has "
            f"{free / 2**30:.3g} GiB left: choose fewer frames or another disk"
        )


def check_file_size(path: Path, needed: int) -> None:
    """Raise `InputError` where this process may write no file of `needed` bytes."""
    largest = _largest_file()
    if largest is not None and needed > largest:
        raise InputError(
            f"`output` {str(path)!r} would take {in_words(needed)}, and this process may write "
            f"files of {in_words(largest)} at most: raise that limit, which `ulimit -f` shows, or "
            "choose less to write"
        )


def _largest_file() -> int | None:
    """Bytes that the system lets a file of this process have, or None where it sets no limit."""
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if soft == resource.RLIM_INFINITY else soft
