"""Rich's console for tables, in which no text is markup."""

from __future__ import annotations

from typing import Any, final

from rich.console import Console
from rich.text import Text

from nbody_surrogate.printable import printable

__all__ = ["PlainConsole"]


@final
class PlainConsole(Console):
    """A console that shows any text as it is: brackets, colons, and whatever a terminal obeys.

    Parameters
    ----------
    least_width : int
        Columns that lines may take at least; where there is no terminal rich takes 80.
    fold : bool
        Whether lines are folded at the width of the terminal.
    stderr : bool
    """

    def __init__(self, *, least_width: int = 0, fold: bool = False, stderr: bool = False) -> None:
        super().__init__(
            markup=False, emoji=False, highlight=False, soft_wrap=not fold, stderr=stderr
        )
        if least_width > self.width:  # else it follows the window
            self.width = least_width

    def render_str(self, text: str, **options: Any) -> Text:
        """Make all text through here: cells, heads, titles, lines."""
        # also where a table asks for markup
        return super().render_str(printable(text), **options | {"markup": False, "emoji": False})
