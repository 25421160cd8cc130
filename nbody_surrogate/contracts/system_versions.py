"""Other versions of a system: the physics that it stands for, and a finer model of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["SystemVersions"]


class SystemVersions:
    """The duties of a system that alters or truncates what it stands for; by default none does."""

    def ideal(self) -> AbstractSystem:
        """Return the physics this system stands for: itself, unless forces are altered."""
        return self  # type: ignore[return-value]  # AbstractSystem alone inherits from this

    def finer(self) -> AbstractSystem | None:
        """Return a finer version of a model that is truncated, or None where nothing is.

        Such as an expansion of a higher order. Starts, names and conserved quantities are the
        same, so that a run of the finer system from the same start differs from one of this by the
        error of the truncation. The label error of data sets and of ``verify`` is measured by it.

        Returns
        -------
        AbstractSystem or None
        """
        return None
