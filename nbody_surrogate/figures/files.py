"""Figures into files, which appear under their names only when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "check_figure_path", "save"]

FIGURES = (".png", ".svg", ".pdf")


def check_figure_path(path: Path) -> None:
    """Demand an extension that figures have.

    Raises
    ------
    InputError
        If it has another.
    """
    if path.suffix.lower() not in FIGURES:
        known = ", ".join(FIGURES)
        raise InputError(f"`figure` must name a file ending in one of {known}, got '{path}'")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its extension.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    from nbody_surrogate.whole import whole_file

    with whole_file(path) as stream:
        figure.savefig(stream, format=path.suffix.lower().removeprefix("."), dpi=150)
