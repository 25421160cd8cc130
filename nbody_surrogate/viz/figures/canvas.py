"""The figure that all drawings are on."""

from __future__ import annotations

from io import BytesIO
from typing import final

from matplotlib.figure import Figure

__all__ = ["Canvas"]


@final
class Canvas(Figure):
    """A matplotlib figure without global state, which notebooks show as a picture."""

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.savefig(stream, format="png", dpi=100)
        return stream.getvalue()
