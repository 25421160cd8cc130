"""What goes on, on stderr: a sign while something is loaded or written, a bar for what is counted.

Both are for who looks: they are shown on a terminal alone, and are gone when they are done.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nbody_surrogate.cli.terminal import echo
from nbody_surrogate.printable import printable

__all__ = [
    "compiling_shown",
    "hide_sign",
    "progress_bar",
    "sign",
    "stages_bar",
    "training_bar",
    "with_frames_bar",
]

CLEARED = "\r\x1b[K"  # the line that the cursor is on, as VT100 and all after it know it
DUMB = ("", "dumb", "unknown")  # terminals that know no such thing

COMPILING = "nbody_surrogate.simulation.compiling"
"""The logger that knows when code is compiled."""

_shown = False


@contextmanager
def sign(words: str, *, hidden: bool = False) -> Iterator[None]:
    """Say what is being done until it is: a line that goes again.

    Parameters
    ----------
    words : str
        Such as "loading set".
    hidden : bool
        Whether the user wants none.
    """
    global _shown
    stream = sys.stderr
    if hidden or stream is None or not stream.isatty() or os.environ.get("TERM", "") in DUMB:
        yield
        return
    # a line that is folded could not be cleared
    text = f"{printable(words)} ..."[: shutil.get_terminal_size().columns - 1]
    hide_sign()
    # by hand: rich takes a tenth of a second to import, and this comes before all that is slow
    stream.write(text)
    stream.flush()
    _shown = True
    try:
        yield
    finally:
        hide_sign()


def hide_sign() -> None:
    """Clear the line for what is to stay on the terminal, such as a warning."""
    global _shown
    if _shown:
        _shown = False
        with suppress(OSError, ValueError):  # the terminal is gone
            sys.stderr.write(CLEARED)
            sys.stderr.flush()


@contextmanager
def compiling_shown(*, hidden: bool = False) -> Iterator[None]:
    """Print a line to stderr where code has to be compiled first, on a terminal or not."""
    if hidden:
        yield
        return
    import logging

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            hide_sign()
            echo(record.getMessage(), err=True)

    logger, handler = logging.getLogger(COMPILING), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


@contextmanager
def progress_bar(
    label: str, total: int | None, *, hidden: bool = False
) -> Iterator[Callable[[float, int], None]]:
    """Yield a callable that takes what is done so far and the total, which may not be known yet."""
    if hidden:  # without the tenth of a second that rich takes
        yield lambda done, whole: None
        return
    hide_sign()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from nbody_surrogate.cli.console import PlainConsole

    words = TextColumn("{task.description:>12}", markup=False)  # the name of a method is anyone's
    columns = (words, BarColumn(), MofNCompleteColumn(), Remaining())
    console = PlainConsole(fold=True, stderr=True)
    # a bar redraws itself, which a file or a pipe would keep line by line
    silent = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task(printable(label), total=total)
        # a method may report parts of a frame
        yield lambda done, whole: bar.update(task, completed=int(done), total=whole)


@contextmanager
def stages_bar(*, hidden: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callable that takes the name of a stage, and how many of all are done."""
    if hidden:
        yield lambda stage, done, whole: None
        return
    hide_sign()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from nbody_surrogate.cli.console import PlainConsole

    words = TextColumn("{task.description:>12}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = PlainConsole(fold=True, stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, whole: bar.update(
            task, description=printable(stage), completed=done, total=whole
        )


def with_frames_bar(*, hidden: bool = False) -> Callable[..., Any]:
    """Return `render`, which shows how many frames are drawn by now."""

    def drawn(*what: Any, **options: Any) -> Any:
        from nbody_surrogate.viz.render import render

        with progress_bar("drawing", None, hidden=hidden) as progress:
            return render(*what, **options, progress=progress)

    return drawn


@contextmanager
def training_bar(
    steps: int, *, hidden: bool = False
) -> Iterator[Callable[[int, float, float | None], None]]:
    """Yield a callable that takes the step, its residual and the latest validation error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from nbody_surrogate.cli.console import PlainConsole

    console = PlainConsole(fold=True, stderr=True)
    silent = hidden or not console.is_terminal
    words = TextColumn("residual {task.fields[residual]}  one step {task.fields[error]}")
    columns = ("training", BarColumn(), MofNCompleteColumn(), Remaining(), words)
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task("", total=steps, residual="", error="")

        def tick(step: int, residual: float, error: float | None) -> None:
            shown = "" if error is None else f"{error:.2e}"
            bar.update(task, completed=step, residual=f"{residual:.3g}", error=shown)

        yield tick
