"""The one door to the terminal: text of others is shown, and commands nothing.

Names of plugins and files, messages, cards and descriptions come from anywhere. A sequence of
control characters in one could clear the screen, write over a line, or type for the user.
"""

from __future__ import annotations

import click

__all__ = ["echo", "printable"]


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print text to stdout or stderr as `printable` makes it."""
    click.echo(printable(str(text)), err=err, nl=nl)


def printable(text: str) -> str:
    r"""Return text in which what a terminal would obey is spelt out, as ``\x1b``.

    That is all which Python does not count as printable, but for line breaks and tabs: controls,
    marks that turn the direction of writing, halves of characters as in broken file names.
    """
    if text.isprintable():  # nearly always
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _spelt(c) for c in text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
