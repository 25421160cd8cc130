"""One result of a check of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nbody_surrogate.contracts.brief import brief

__all__ = ["Finding", "Level"]

Level = Literal["ok", "doubtful", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    check : str
        Its name.
    level : str
        ``ok``; ``doubtful`` where a comparison must take it into account; ``wrong`` where the
        data are not what they claim.
    text : str
        One line.
    numbers : dict
        The same in numbers, fit for JSON.
    """

    check: str
    level: Level
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)

    __repr__ = brief
