"""The command group: every failure is one line, with exit code 2 for misuse and 1 for failure."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, NoReturn

import rich_click as click

from nbody_surrogate.errors import (
    InterruptionError,
    NBodyError,
    NBodyWarning,
    PluginError,
    is_out_of_memory,
)

__all__ = ["OneLineErrors"]


class OneLineErrors(click.RichGroup):
    """A group that reports errors in one line on stderr and never shows a traceback.

    Set ``NBODY_SURROGATE_DEBUG`` to see the traceback of an unexpected error, or of a plugin's.
    """

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command and exit with its code."""
        # or click would print errors in its own way, in several lines
        extra["standalone_mode"] = False
        warnings.showwarning = _OneLineWarnings()
        # a surrogate may warn of the same thing in every segment
        warnings.simplefilter("once", NBodyWarning)
        try:
            code = super().main(*args, **extra)
        except click.ClickException as error:
            _stop(error.format_message(), error.exit_code)
        except NBodyError as error:
            if isinstance(error, PluginError) and os.environ.get("NBODY_SURROGATE_DEBUG"):
                raise
            _stop(str(error), error.exit_code)
        # click turns Ctrl-C into an Abort
        except (KeyboardInterrupt, click.Abort):
            _stop("interrupted", InterruptionError.exit_code)
        except Exception as error:
            if os.environ.get("NBODY_SURROGATE_DEBUG"):
                raise
            if is_out_of_memory(error):
                _stop("out of memory; use fewer `particles`, `trajectories` or frames", 1)
            _stop(f"unexpected {type(error).__name__}: {error}", 1)
        # click hands on whatever a command returned
        sys.exit(code if isinstance(code, int) else 0)


def _stop(message: str, code: int) -> NoReturn:
    click.echo("Error: " + " ".join(message.split()), err=True)
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
            click.echo(text, err=True)
