"""Where `nbody-sim run` writes; checked before anything is computed."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

from click import get_current_context

from nbody_surrogate.cli.physics import usual_particles
from nbody_surrogate.cli.request import Request
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.atomic import atomic_file, part_path
from nbody_surrogate.files.name_lock import NameLock
from nbody_surrogate.files.output_path import (
    CheckedPath,
    check_distinct,
    check_not_read,
    check_output_file,
)
from nbody_surrogate.registry.law_folder import file_name

__all__ = ["Files", "free_base", "write_text"]

Held = TypeVar("Held")


def _hold(name: AbstractContextManager[Held]) -> Held:
    """Hold a name against other processes until the command ends, however it ends."""
    return get_current_context().with_resource(name)


@dataclass(frozen=True)
class Files:
    """The files of a run; None where there is none."""

    output: os.PathLike[str]
    reference: os.PathLike[str] | None
    picture: os.PathLike[str] | None
    report: os.PathLike[str] | None = None
    checkpoint: os.PathLike[str] | None = None

    @classmethod
    def of(cls, request: Request) -> Files:
        """Name the files, check that they can be written, and hold those that grow.

        They are held against other processes until the command ends.

        Raises
        ------
        InputError
            If one cannot.
        RunError
            If another process writes to one.
        """
        from nbody_surrogate.formats.h5md.run_path import held_output

        overwrite = request.overwrite
        _check_distinct(request)
        picture = report = checkpoint = reference = None
        if request.render is not None:
            from nbody_surrogate.viz.scene.picture_path import check_picture_path

            checked = check_picture_path(request.render, overwrite)
            picture = CheckedPath(checked, parameter="render")
        if request.report is not None:
            from nbody_surrogate.viz.html.document import check_page_path

            checked = check_page_path(request.report, overwrite)
            report = CheckedPath(checked, parameter="report")
        # after what may be refused, since it may make the folder `runs`
        path = _free_name(request) if request.output is None else request.output
        output = _hold(held_output(path, overwrite))
        if not request.no_reference:
            beside = path.with_suffix(".reference.h5")
            reference = _hold(held_output(beside, overwrite))
        if request.checkpoint is not None:
            from nbody_surrogate.simulation.checkpoint import Checkpoint, held_restart

            kept = Checkpoint(request.checkpoint, overwrite=overwrite)
            checkpoint = _hold(held_restart(kept))
        return cls(output, reference, picture, report, checkpoint)

    @property
    def written(self) -> list[Path]:
        """Those that there are."""
        paths = (self.output, self.reference, self.picture, self.report)
        return [Path(path) for path in paths if path is not None]


def _check_distinct(request: Request) -> None:
    """Compare all places that were asked for; a name of our choice is nobody else's."""
    output, beside = request.output, None
    # a name that is none at all is refused by its own check
    if output is not None and output.name and not request.no_reference:
        beside = output.with_suffix(".reference.h5")
    named = [
        ("output", output),
        ("output", beside),
        ("checkpoint", request.checkpoint),
        ("render", request.render),
        ("report", request.report),
    ]
    # a run grows in its part, which an unfinished one before it may have left
    parts = [(name, part_path(path)) for name, path in named[:2] if path is not None and path.name]
    check_not_read([("initial", request.initial)], [*named, *parts])
    check_distinct(named)


def _free_name(request: Request) -> Path:
    """Name a run after what it is, in `runs/`, without touching an earlier one."""
    start = (
        f"n{request.particles or usual_particles(request.system)}-seed{request.seed or 0}"
        if request.initial is None
        else request.initial.stem[:40]
    )
    method = request.integrator.replace(":", "-").replace("/", "-")
    name = f"{file_name(request.system)}-{method}-{start}"
    base = _free_in_runs(name)
    return base.with_name(base.name + ".h5")


@contextmanager
def _runs_folder() -> Iterator[Path]:
    """Make the folder `runs`, which goes again where nothing was written to it."""
    folder = Path("runs").absolute()
    new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"`output` is needed: 'runs' cannot be made: {error.strerror}") from None
    try:
        yield Path("runs")
    finally:
        if new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _free_in_runs(name: str) -> Path:
    """Return `name` in `runs/`, numbered where there are files of that name already.

    It is held until the command ends, so that nobody else takes it before there are files.
    """
    folder = _hold(_runs_folder())
    for number in count(1):
        base = folder / (name if number == 1 else f"{name}-{number}")
        try:
            lock = NameLock(base)
        except RunError:  # another process has just chosen it
            continue
        if _is_free(base, lock):
            _hold(lock)
            return base
        lock.release()
    raise AssertionError("unreachable")


def _is_free(base: Path, lock: NameLock) -> bool:
    """Whether there is no file of any suffix, so that all files of a run share one number."""
    name = glob.escape(base.name)
    # hidden are locks of files that a run is about to write
    found = {*base.parent.glob(f"{name}.*"), *base.parent.glob(f".{name}.*")}
    return found <= {lock.file}


def free_base(output: Path | None, name: str, suffixes: tuple[str, ...], overwrite: bool) -> Path:
    """Return what several files of a result are called before their suffixes; it is held.

    Parameters
    ----------
    output : Path or None
        As it was asked for; None for `name` in `runs/`.
    name : str
    suffixes : tuple of str
    overwrite : bool

    Raises
    ------
    InputError
        If one of the files cannot be written.
    RunError
        If another process writes to them.
    """
    if output is None:
        return _free_in_runs(name)
    if output.name in ("", ".."):  # to which no suffix can be added
        raise InputError(f"`output` must be the files' name without extension, got '{output}'")
    for suffix in suffixes:
        check_output_file(output.with_name(output.name + suffix), "output", overwrite=overwrite)
    _hold(NameLock(output))
    return output


def write_text(path: Path, text: str, overwrite: bool = True, parameter: str = "output") -> None:
    """Write a file of text in one step.

    Raises
    ------
    RunError
        If it cannot be written, or is there and `overwrite` is False.
    """
    with atomic_file(path, parameter, overwrite=overwrite) as file:
        file.write(text.encode())
