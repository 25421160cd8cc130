"""A table of text, which the terminal, a notebook and a page show each in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from nbody_surrogate.contracts.brief import brief

__all__ = ["TextTable"]

GAP = "  "  # between columns


@dataclass(frozen=True)
class TextTable:
    """A table of text: `print` aligns it, a notebook shows it as HTML.

    Attributes
    ----------
    title : str
        What it is about, in one line.
    heads : tuple of str, K of them
        Of the columns; that of the labels is empty. One may have several lines.
    rows : tuple of tuple of str, R of K
        A label, and a cell for each other column.
    notes : tuple of str
        What must be said below it, a line each.
    failures : tuple of str
        What stopped before its end, a line each.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    __repr__ = brief

    def __str__(self) -> str:
        heads = _stacked(self.heads)
        widths = [max(map(len, column)) for column in zip(*heads, *self.rows, strict=True)]
        rule = GAP.join("-" * width for width in widths)
        above = [_aligned(row, widths) for row in heads]
        below = [_aligned(row, widths) for row in self.rows]
        return "\n".join([self.title, "", *above, rule, *below, "", *self.notes, *self.failures])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(text)}</th>" for text in self.heads)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        words = "".join(f"<p>{escape(text)}</p>" for text in (*self.notes, *self.failures))
        return (
            f"<p>{escape(self.title)}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{words}"
        )


def _stacked(heads: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Lay heads of several lines out in rows, each ending in the last one."""
    columns = [head.split("\n") for head in heads]
    depth = max(map(len, columns))
    padded = [[""] * (depth - len(lines)) + lines for lines in columns]
    return list(zip(*padded, strict=True))


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Write a row: its label to the left, numbers to the right."""
    numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return GAP.join([row[0].ljust(widths[0]), *numbers]).rstrip()


def _cells(row: tuple[str, ...]) -> str:
    numbers = "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in row[1:])
    return f'<th style="text-align:left">{escape(row[0])}</th>{numbers}'
