"""A table of tracks: a row for each time that a particle was seen, whatever file it is in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from nbody_surrogate.errors import FileFormatError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = [
    "LONGEST_LABEL",
    "SHOWN",
    "AbstractTable",
    "Labels",
    "Read",
    "is_label",
    "plain_label",
    "sorted_labels",
]

LONGEST_LABEL = 64  # characters of a particle's name
SHOWN = 40  # of a cell, in a message


@dataclass(frozen=True)
class Labels:
    """A column of names: of particles, or of runs.

    Attributes
    ----------
    names : tuple of str
        Each once, numbers in their order, then words in theirs.
    codes : ndarray, shape (R,)
        Which of them each row has.
    """

    names: tuple[str, ...]
    codes: Int64[np.ndarray, " R"]


@dataclass(frozen=True)
class Read:
    """What was read of a table.

    Attributes
    ----------
    numbers : dict of int to ndarray, shape (R,)
        Finite, by the numbers of the columns.
    labels : dict of int to Labels
    """

    numbers: dict[int, Float64[np.ndarray, " R"]]
    labels: dict[int, Labels]


class AbstractTable(ABC):
    """A file with columns. To write one: set `path` and `names`, and implement what is abstract.

    Attributes
    ----------
    path : Path
    names : list of str
        Of its columns.
    """

    path: Path
    names: list[str]

    @abstractmethod
    def read(self, numbers: Sequence[int], labels: Sequence[int]) -> Read:
        """Read some columns, by their numbers.

        Raises
        ------
        FileFormatError
            If a cell is no finite number, or no name, or the file is damaged.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """Say where a row is, such as ``line 17``."""

    def wrong(self, row: int, what: str) -> NoReturn:
        """Raise what is wrong with a row.

        Raises
        ------
        FileFormatError
        """
        raise FileFormatError(f"{str(self.path)!r}, {self.place(row)}: {what}")

    def demand_finite(self, column: int, values: np.ndarray, rows: int = 0) -> None:
        """Demand finite numbers of the rows from `rows` on.

        Raises
        ------
        FileFormatError
        """
        finite = np.isfinite(values)
        if not finite.all():
            row = int(np.argmin(finite))
            self.wrong(
                rows + row,
                f"`{self.names[column][:SHOWN]}` must be a finite number, got {values[row]}; leave "
                "out rows in which a particle was not seen",
            )


def is_label(text: str) -> bool:
    """Whether a text, without spaces around it, is the name of a particle or a run."""
    none = text.lower() in ("nan", "none", "null")
    return 0 < len(text) <= LONGEST_LABEL and text.isprintable() and not none


def sorted_labels(names: Sequence[str], codes: np.ndarray) -> Labels:
    """Sort names, of which two may be one number: ``3`` and ``3.0`` are the same particle.

    Parameters
    ----------
    names : sequence of str
    codes : ndarray, shape (R,)
    """
    plain = [plain_label(name) for name in names]
    ordered = sorted(set(plain), key=_key)
    place = {name: k for k, name in enumerate(ordered)}
    renumbered = np.array([place[name] for name in plain], dtype=np.int64)
    return Labels(tuple(ordered), renumbered[codes])


def plain_label(name: str) -> str:
    """Write a whole number without a fraction; all else stays."""
    try:
        value = float(name)
    except ValueError:
        return name
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else name


def _key(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
