"""The one door to the terminal: text of others is shown, and commands nothing.

A sequence of control characters in a name could clear the screen, write over a line, or type for
the user.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast, final

import click

from nbody_surrogate.errors import RunError
from nbody_surrogate.printable import printable

__all__ = ["OutputError", "echo", "line_width", "watched_output", "wide_option"]

Result = TypeVar("Result")


class OutputError(RunError):
    """Standard output takes nothing more; `closed` where whoever read it has what he wanted."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.closed = isinstance(error, BrokenPipeError)


def echo(text: object, *, err: bool = False, nl: bool = True, alarm: bool = False) -> None:
    """Print text to stdout or stderr as `printable` makes it, an alarm in bold red."""
    shown = printable(str(text))
    click.echo(click.style(shown, fg="red", bold=True) if alarm else shown, err=err, nl=nl)


def line_width(wide: bool = False) -> int | None:
    """Return the characters that a line may have, or None where it may have any number.

    Those of the terminal, or as many as the variable ``COLUMNS`` says; in a file or a pipe, and
    where lines are asked to be `wide`, there is no end.
    """
    given = os.environ.get("COLUMNS", "")
    if wide:
        return None
    if given.isdecimal() and int(given) > 0:
        return int(given)
    # a program that was started without any output has none
    shown = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if shown else None


def wide_option(command: Any) -> Any:
    """Add the option of a command whose table may be wider than a terminal."""
    what = "Print whole lines, however narrow the terminal is."
    return click.option("--wide", is_flag=True, help=what)(command)


@contextmanager
def watched_output() -> Iterator[None]:
    """Tell what standard output fails with inside from the errors of files.

    All that is printed is written by the end, so that the interpreter has nothing to complain of.

    Raises
    ------
    OutputError
    """
    stdout = sys.stdout
    if stdout is None:  # the program was started without any
        yield
        return
    watched = _WatchedStream(stdout)
    sys.stdout = cast(Any, watched)
    try:
        try:
            yield
        except SystemExit:  # after a help text
            watched.flush()
            raise
        watched.flush()
    finally:
        sys.stdout = stdout


@final
class _WatchedStream:
    """A stream of text, whose errors are named; all else of it is as it was."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._done(lambda: int(self._stream.write(text)))

    def flush(self) -> None:
        self._done(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _done(self, what: Callable[[], Result]) -> Result:
        try:
            return what()
        except OSError as error:
            self._drop()
            raise OutputError(error) from None

    def _drop(self) -> None:
        """Let what is left in the buffer go nowhere, or the interpreter would fail by it again."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
