"""A progress bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nbody_surrogate.printable import printable

__all__ = ["progress_bar", "training_bar"]


@contextmanager
def progress_bar(
    label: str, total: int, *, hidden: bool = False
) -> Iterator[Callable[[float, int], None]]:
    """Yield a callable that takes what is done so far and the total."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from nbody_surrogate.cli.console import PlainConsole

    words = TextColumn("{task.description:>12}", markup=False)  # the name of a method is anyone's
    columns = (words, BarColumn(), MofNCompleteColumn(), Remaining())
    console = PlainConsole(fold=True, stderr=True)
    # a bar redraws itself, which a file or a pipe would keep line by line
    silent = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task(printable(label), total=total)
        # a method may report parts of a frame
        yield lambda done, whole: bar.update(task, completed=int(done), total=whole)


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
