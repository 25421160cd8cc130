"""What a run holds of each frame beside positions and velocities: observables, hidden variables.

``parameters/nbody_surrogate/observables/NAME`` says that NAME is one of ours, and the shape of its
values in a trajectory, (T, ...). They lie in ``observables/trajectory_0000/NAME``, or of an
ensemble in an array (B, T, ...) at ``parameters/nbody_surrogate/ensemble/observables/NAME``. Hidden
variables have ``hidden`` in place of ``observables`` there, and lie with the particles that they
are of, in ``particles/trajectory_0000/hidden_NAME``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.files.hdf5 import (
    FLOAT,
    INTEGER,
    allocate,
    check_size,
    group_at,
    integers_of,
    offset_of,
    open_floats,
)
from nbody_surrogate.formats.h5md.arrays import create_element_views, rows_of
from nbody_surrogate.formats.h5md.layout import (
    ENSEMBLE,
    HIDDEN_PREFIX,
    OBSERVABLES,
    OURS,
    PARTICLES,
    trajectory_name,
)
from nbody_surrogate.results.hidden_frames import demand_hidden_name
from nbody_surrogate.results.observables import demand_observable_name

__all__ = ["HIDDEN", "OBSERVED", "SeriesKind", "SeriesPlaces", "Tails", "all_tails", "series_bytes"]

Tails = Mapping[str, tuple[int, ...]]
"""The shape of each of one trajectory at one frame, by its name."""

OBJECTS, MOST_AXES = 2**11, 8


@dataclass(frozen=True)
class SeriesPlaces:
    """Where the values of each stand, for each trajectory."""

    parameter: str
    """What who writes them calls them."""
    tails: Tails
    rows: dict[str, list[int]]

    def pieces(
        self, values: Mapping[str, np.ndarray], first: int, shape: tuple[int, int]
    ) -> Iterator[tuple[int, bytes]]:
        """Give where to write what, for frames from `first` on, of shape (B, F).

        Raises
        ------
        InputError
            If they are not those that were announced.
        """
        if values.keys() != self.tails.keys():
            names = sorted(self.tails)
            raise InputError(
                f"`{self.parameter}` must be {names} in this file, got {sorted(values)}"
            )
        for name, tail in self.tails.items():
            if values[name].shape != (*shape, *tail):
                raise InputError(
                    f"`{self.parameter}` {name!r} must have shape {(*shape, *tail)}, "
                    f"got {values[name].shape}"
                )
            done = FLOAT.itemsize * first * math.prod(tail)
            for offset, row in zip(self.rows[name], values[name], strict=True):
                yield offset + done, np.asarray(row, FLOAT).tobytes()


@final
@dataclass(frozen=True)
class SeriesKind:
    """One of the two kinds, and where a file has it.

    Attributes
    ----------
    word : str
        What one is called in messages.
    parameter : str
        What who writes them calls them, and the name of their groups.
    parent : str
        Group whose trajectories hold the elements.
    prefix : str
        Of an element's name.
    demand_name : callable
        Refuses a name that none may have.
    """

    word: str
    parameter: str
    parent: str
    prefix: str
    demand_name: Callable[[object], object]

    @property
    def _said(self) -> str:
        return f"{OURS}/{self.parameter}"

    @property
    def _arrays(self) -> str:
        return f"{ENSEMBLE}/{self.parameter}"

    def create(self, root: Any, clock: dict[str, Any], batch: int, tails: Tails) -> SeriesPlaces:
        """Create them, without values."""
        rows, frames = {}, len(clock["step"])
        for name, tail in tails.items():
            allocate(root.require_group(self._said), name, np.array([frames, *tail]), INTEGER)
            shape, element = (batch, frames, *tail), self.prefix + name
            if batch > 1:
                array = allocate(root.require_group(self._arrays), name, None, FLOAT, shape)
                create_element_views(root, clock, self.parent, element, array)
            else:
                group = root.require_group(f"{self.parent}/{trajectory_name(0)}")
                made = group.create_group(element)
                for key, dataset in clock.items():
                    made[key] = dataset
                array = allocate(made, "value", None, FLOAT, shape[1:])
            rows[name] = rows_of(offset_of(array), shape)
        return SeriesPlaces(self.parameter, dict(tails), rows)

    def find(self, root: Any, shape: tuple[int, ...], arrays: bool) -> SeriesPlaces:
        """Find those of a file of shape (B, T, N, D), which is not trusted.

        Raises
        ------
        ValueError
            If they are damaged.
        """
        found = self._opened(root, shape, arrays)
        rows = {name: rows_of(offset_of(each), (*shape[:2], *tail)) for name, (each, tail) in found}
        return SeriesPlaces(self.parameter, {name: tail for name, (_, tail) in found}, rows)

    def read(
        self, root: Any, shape: tuple[int, ...], arrays: bool, numbers: range, frames: slice
    ) -> dict[str, np.ndarray]:
        """Read some frames of some trajectories, shape (B, F, ...) each.

        Raises
        ------
        ValueError
            If they are damaged.
        """
        found = self._opened(root, shape, arrays)
        if not arrays:
            return {name: np.asarray(each[frames])[None] for name, (each, _) in found}
        rows = slice(numbers.start, numbers.stop)
        return {name: np.asarray(each[rows, frames]) for name, (each, _) in found}

    def _opened(
        self, root: Any, shape: tuple[int, ...], arrays: bool
    ) -> list[tuple[str, tuple[Any, tuple[int, ...]]]]:
        """Open the data sets, everything about them checked."""
        if self.parameter not in group_at(root, OURS):
            return []
        opened, said = [], group_at(root, self._said)
        # an earlier version wrote none of them, and that had other layouts
        if not arrays and shape[0] > 1:
            raise ValueError(f"it has {self.word}s, but not the arrays that go with them")
        for name in said:
            self.demand_name(name)
            announced = integers_of(said, name, MOST_AXES)
            fits = announced and announced[0] == shape[1] and min(announced) > 0
            # hidden variables are of particles
            if not fits or (self is HIDDEN and announced[1:2] != [shape[2]]):
                raise ValueError(f"its {self.word} {name!r} has shape {tuple(announced)}")
            whole = (shape[0], *announced) if arrays else tuple(announced)
            check_size(root.file, 8 * math.prod(whole))
            place = f"{self.parent}/{trajectory_name(0)}/{self.prefix}{name}/value"
            dataset = open_floats(root, f"{self._arrays}/{name}" if arrays else place, whole)
            opened.append((name, (dataset, tuple(announced[1:]))))
        return opened


OBSERVED = SeriesKind("observable", "observables", OBSERVABLES, "", demand_observable_name)
"""What reporters give."""

HIDDEN = SeriesKind("hidden variable", "hidden", PARTICLES, HIDDEN_PREFIX, demand_hidden_name)
"""Hidden variables, of shape (N, ...) at a frame."""


def all_tails(observables: Tails | None, hidden: Tails | None) -> Tails:
    """Return the shapes of both kinds, by names that are all different: what takes room."""
    # a dot is in no name of an observable
    of_hidden = {f"hidden.{name}": tail for name, tail in (hidden or {}).items()}
    return {**(observables or {}), **of_hidden}


def series_bytes(batch: int, frames: int, tails: Tails) -> int:
    """Bytes that they take at most."""
    numbers = sum(8 * batch * frames * math.prod(tail) for tail in tails.values())
    return numbers + (OBJECTS * batch + 2**14) * len(tails)
