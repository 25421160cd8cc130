"""A table of text, which the terminal, a notebook and a page show each in its own way."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from html import escape

from nbody_surrogate.contracts.brief import brief

__all__ = ["TextTable", "folded_line"]

GAP = "  "  # between columns
INDENT = "  "  # of what belongs to the line above
LEAST_HEAD, LEAST_LABEL = 12, 20  # characters that heads and labels are given at least
LEAST_PROSE = 24  # characters of a column in which words are still readable


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
    words : bool
        Whether cells are words rather than numbers: they stand to the left, and the last column
        may be folded.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    words: bool = False

    __repr__ = brief

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *self.notes, *self.failures])

    def lines(self, width: int | None = None) -> list[str]:
        """Lay out title and rows in lines, with an empty line below.

        Parameters
        ----------
        width : int, optional
            Characters that a line may have: columns that do not fit go below, with the labels once
            more, and what fits in no way is listed. No word or number is broken. By default lines
            are as long as they are.

        Returns
        -------
        list of str
        """
        title = [part for line in self.title.split("\n") for part in folded_line(line, width)]
        return [*title, "", *self._body(width), ""]

    def filled(self) -> TextTable:
        """Return the table without the columns that have no cell with anything in it."""
        kept = [
            k for k in range(len(self.heads)) if not k or any(row[k].strip() for row in self.rows)
        ]
        heads = tuple(self.heads[k] for k in kept)
        rows = tuple(tuple(row[k] for k in kept) for row in self.rows)
        return replace(self, heads=heads, rows=rows)

    def _body(self, width: int | None) -> list[str]:
        whole = self._block(range(len(self.heads)))
        if width is None or _longest(whole) <= width:
            return whole
        if self.words:
            return self._with_folded_prose(width)
        narrow = self._with_narrow_heads()._with_narrow_labels(width)
        groups = narrow._groups(width)
        if groups is None:
            return self._listed(width)
        blocks = [narrow._block(group) for group in groups]
        return [line for block in blocks for line in (*block, "")][:-1]

    def _block(self, columns: range | list[int]) -> list[str]:
        """Lay out some columns; the first of them are the labels."""
        heads = _stacked(tuple(self.heads[k] for k in columns))
        rows = [tuple(row[k] for k in columns) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*heads, *rows, strict=True)]
        rule = GAP.join("-" * width for width in widths)
        return [
            *(_aligned(row, widths, self.words) for row in heads),
            rule,
            *(_aligned(row, widths, self.words) for row in rows),
        ]

    def _with_narrow_heads(self) -> TextTable:
        """Fold heads that are longer than all cells below them."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.heads)
        heads = []
        for head, cells in zip(self.heads, columns, strict=True):
            room = max([LEAST_HEAD, *map(len, cells)])
            parts = (part for line in head.split("\n") for part in folded_line(line, room, 0))
            heads.append("\n".join(parts))
        return TextTable(self.title, tuple(heads), self.rows)

    def _with_narrow_labels(self, width: int) -> TextTable:
        """Fold labels where two columns then stand side by side, which are to be compared."""
        columns = list(zip(*self.rows, strict=True))
        widest = sorted(max(map(len, cells)) + len(GAP) for cells in columns[1:])[-2:]
        room = width - sum(widest)
        if not LEAST_LABEL <= room < max(map(len, columns[0])):
            return self
        rows = []
        for label, *cells in self.rows:
            *above, last = folded_line(label, room)
            rows += [(part, *[""] * len(cells)) for part in above]
            rows.append((last, *cells))
        return TextTable(self.title, self.heads, tuple(rows))

    def _groups(self, width: int) -> list[list[int]] | None:
        """Share columns out to blocks that fit, or return None where some fit in none."""
        groups: list[list[int]] = []
        for column in range(1, len(self.heads)):
            if groups and _longest(self._block([*groups[-1], column])) <= width:
                groups[-1].append(column)
            elif _longest(self._block([0, column])) <= width:
                groups.append([0, column])
            else:
                return None
        return groups or None

    def _with_folded_prose(self, width: int) -> list[str]:
        """Fold the last column, or list the rows where there is no room for it."""
        before = list(range(len(self.heads) - 1))
        room = width - _longest(self._block(before)) - len(GAP)
        if room < max(LEAST_PROSE, len(self.heads[-1])):
            return self._listed(width)
        rows = []
        for row in self.rows:
            parts = folded_line(row[-1], room, 0)
            rows.append((*row[:-1], parts[0]))
            rows += [(*[""] * len(before), part) for part in parts[1:]]
        return TextTable("", self.heads, tuple(rows), words=True)._block(range(len(self.heads)))

    def _listed(self, width: int) -> list[str]:
        """Give each row its own lines: its label, and below it each cell with its head."""
        lines = []
        for row in self.rows:
            lines += folded_line(row[0], width)
            for head, cell in zip(self.heads[1:], row[1:], strict=True):
                name = " ".join(head.split())
                lines += folded_line(f"{INDENT}{name}: {cell}" if name else INDENT + cell, width)
        return lines

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(text)}</th>" for text in self.heads)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        words = "".join(f"<p>{escape(text)}</p>" for text in (*self.notes, *self.failures))
        return (
            f"<p>{escape(self.title)}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{words}"
        )


def folded_line(line: str, width: int | None, indent: int | None = None) -> list[str]:
    """Fold a line between words; the rest of it is indented, by default deeper than the line.

    A word that is longer than all is left whole, so that paths and numbers can be copied.
    """
    if width is None or len(line) <= width:
        return [line]
    lead = len(line) - len(line.lstrip())
    rest = " " * (lead + len(INDENT) if indent is None else indent)
    folded = textwrap.wrap(
        line, width, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return folded or [line]


def _longest(lines: list[str]) -> int:
    return max(map(len, lines))


def _stacked(heads: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Lay heads of several lines out in rows, each ending in the last one."""
    columns = [head.split("\n") for head in heads]
    depth = max(map(len, columns))
    padded = [[""] * (depth - len(lines)) + lines for lines in columns]
    return list(zip(*padded, strict=True))


def _aligned(row: tuple[str, ...], widths: list[int], words: bool) -> str:
    """Write a row: its label to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if words or not number else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return GAP.join(cells).rstrip()


def _cells(row: tuple[str, ...]) -> str:
    numbers = "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in row[1:])
    return f'<th style="text-align:left">{escape(row[0])}</th>{numbers}'
