"""Text of others, made harmless to a terminal. Names, messages and paths come from anywhere."""

from __future__ import annotations

__all__ = ["printable"]


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
