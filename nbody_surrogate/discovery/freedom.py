"""Which unknowns are sought: those that are left out, those that are the same for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.discovery.unknowns import FIELDS, Layout

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["DRAGS", "Freedom"]

DRAGS = ("each", "shared", "none")


@dataclass(frozen=True)
class Freedom:
    """Which parts of the unknowns may change.

    Attributes
    ----------
    drag : str
        ``each``, ``shared`` or ``none``.
    fields : tuple of str
        Of `FIELDS`, those that are there.
    directed : bool
    """

    drag: str = "each"
    fields: tuple[str, ...] = FIELDS
    directed: bool = True

    def without(self, term: str) -> Freedom:
        """Return this freedom with one term less."""
        if term == "drag":
            return replace(self, drag="none")
        return replace(self, fields=tuple(field for field in self.fields if field != term))

    def directions(self, layout: Layout) -> Float64[np.ndarray, "P F"]:
        """Return the directions in which the vector of unknowns may move, as columns."""
        free = ["curve", "strengths", "responses", *self.fields]
        if self.directed:
            free += ["across", "along"]
        if self.drag == "each":
            free += ["drag"]
        columns = [
            np.eye(layout.size)[:, layout.part(name)] for name in layout.sizes if name in free
        ]
        if self.drag == "shared":
            together = np.zeros((layout.size, 1))
            together[layout.part("drag")] = 1.0
            columns.append(together)
        return np.concatenate(columns, 1)
