"""Figures into files, which appear under their names only when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbody_surrogate.files.atomic import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save"]


def save(figure: Figure, path: Path, overwrite: bool = True) -> None:
    """Write a figure in the format of its extension.

    Raises
    ------
    RunError
        If it cannot be written, or is there and `overwrite` is False.
    """
    with atomic_file(path, overwrite=overwrite) as stream:
        figure.savefig(stream, format=path.suffix.lower().removeprefix("."), dpi=150)
