"""The command group: every failure is one line, with exit code 2 for misuse and 1 for failure."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, NoReturn

import rich_click as click

import nbody_surrogate.interruption as interruption
from nbody_surrogate.cli.progress import hide_sign
from nbody_surrogate.cli.terminal import OutputError, echo, watched_output
from nbody_surrogate.contracts.origin import culprit
from nbody_surrogate.errors import (
    InterruptionError,
    NBodyError,
    NBodyWarning,
    PluginError,
    RunError,
    is_out_of_memory,
    said_by,
)

__all__ = ["OneLineErrors"]

LONGEST_NAME = 100  # characters of a file's name that a message shows


class OneLineErrors(click.RichGroup):
    """A group that reports errors in one line on stderr and never shows a traceback.

    Set ``NBODY_SURROGATE_DEBUG`` to see the traceback of an unexpected error, or of a plugin's.
    """

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command and exit with its code."""
        # or click would print errors in its own way, in several lines
        extra["standalone_mode"] = False
        extra["prog_name"] = "nbody-sim"  # also where Python runs it, for messages
        warnings.showwarning = _OneLineWarnings()
        # a surrogate may warn of the same thing in every segment
        warnings.simplefilter("once", NBodyWarning)
        try:
            with watched_output():
                code = super().main(*args, **extra)
        except BaseException as error:
            if interruption.interrupted():
                # whatever Ctrl-C became on its way out; `start` says what it was
                raise KeyboardInterrupt from None
            _explain(error)
        # click hands on whatever a command returned
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C is an error of ours before click makes another one of it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptionError(interruption.message()) from None
        # click would end without a word, for it can only be standard output to it
        except BrokenPipeError as error:
            raise RunError(_unexpected(error)) from error
        except Exception:
            raise
        # nothing of ours ends a program without a word, and code of others must not
        except BaseException as error:
            raise RunError(_unexpected(error)) from error


def _explain(error: BaseException) -> NoReturn:
    """Write what went wrong in one line, and exit."""
    debug = os.environ.get("NBODY_SURROGATE_DEBUG")
    if isinstance(error, click.ClickException):
        from nbody_surrogate.cli.hints import with_hint

        _stop(with_hint(error), error.exit_code)
    if isinstance(error, OutputError) and error.closed:
        sys.exit(error.exit_code)
    if isinstance(error, NBodyError):
        if isinstance(error, PluginError) and debug:
            raise error
        _stop(str(error), error.exit_code)
    # click turns Ctrl-C into an Abort
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _stop(interruption.message(), InterruptionError.exit_code)
    if debug or not isinstance(error, Exception):
        raise error
    if is_out_of_memory(error):
        _stop(
            "out of memory; use fewer `particles`, `trajectories` or frames, or a smaller model", 1
        )
    # of a name that no file can have, or a folder that may not be looked into
    if isinstance(error, OSError) and error.filename is not None:
        _stop(f"{_shortened(error.filename)!r} cannot be used: {error.strerror}", 1)
    _stop(_unexpected(error), 1)


def _unexpected(error: BaseException) -> str:
    """Describe an error that nobody has foreseen, with the plugin whose code it comes out of."""
    whose = culprit(error)
    before = "" if whose is None else f"{whose}: "
    return f"{before}unexpected {said_by(error)}"


def _shortened(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "..."


def _stop(message: str, code: int) -> NoReturn:
    echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(code)


class _OneLineWarnings:
    """Shows our own warnings, each once, in one line; those of libraries are no user's business.

    The filter "once" alone does not do it: Python forgets what it has shown whenever some library
    changes a filter.
    """

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def __call__(self, message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        text = f"Warning: {message}"
        if issubclass(category, NBodyWarning) and text not in self._shown:
            self._shown.add(text)
            hide_sign()
            echo(text, err=True)
