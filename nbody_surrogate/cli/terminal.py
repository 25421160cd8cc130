"""The one door to the terminal: text of others is shown, and commands nothing.

A sequence of control characters in a name could clear the screen, write over a line, or type for
the user.
"""

from __future__ import annotations

import click

from nbody_surrogate.printable import printable

__all__ = ["echo"]


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print text to stdout or stderr as `printable` makes it."""
    click.echo(printable(str(text)), err=err, nl=nl)
