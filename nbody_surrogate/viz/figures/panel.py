"""What panels of figures have in common: words that fit, times that can be read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from nbody_surrogate.contracts.time_text import number_text

__all__ = ["label_times", "legend_above", "say", "shortened", "wrapped"]

LETTERS = 11  # of ten points, at most, to an inch
HANDLE = 0.8  # inches of a legend's column that are not letters
PLAIN = (1e-3, 1e6)  # latest times that matplotlib writes well by itself
WORDS = 30  # letters of a line within a panel


def label_times(ax: Any, latest: float) -> None:
    """Label the x axis as time; of SI times in engineering notation, as tables have them."""
    ax.set_xlabel("time")
    if latest > 0 and not PLAIN[0] <= latest < PLAIN[1]:
        ax.locator_params(axis="x", nbins=4)  # such numbers are long
        ax.xaxis.set_major_formatter(lambda value, _: number_text(float(f"{value:.9g}")))


def say(ax: Any, why: str) -> None:
    """Write in the place of a panel why nothing is drawn in it."""
    ax.set_axis_off()
    words = textwrap.fill(why, WORDS)
    place = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    # three-dimensional axes take a depth too
    (ax.text2D if ax.name == "3d" else ax.text)(0.5, 0.5, words, **place)


def shortened(name: str, letters: int) -> str:
    """Leave out the middle of a long name: runs of one method differ at their ends."""
    if len(name) <= letters:
        return name
    head = letters // 2
    return f"{name[:head]}…{name[head + 1 - letters :]}"


def wrapped(text: str, inches: float) -> str:
    """Break a line of ten points that is to be so wide."""
    return textwrap.fill(text, max(int(LETTERS * inches), 1))


def legend_above(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put a legend above all panels, in as many columns as the width has room for."""
    if not labels:
        return
    width = figure.get_figwidth()
    labels = [wrapped(label, width - 2 * HANDLE) for label in labels]
    longest = max(len(line) for label in labels for line in label.splitlines())
    columns = int((width - HANDLE) / (longest / LETTERS + HANDLE))
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=min(max(columns, 1), len(labels), 4),
        frameon=False,
    )
