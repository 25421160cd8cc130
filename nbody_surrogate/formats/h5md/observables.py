"""What a run reports beside its frames, as H5MD observables.

``parameters/nbody_surrogate/observables/NAME`` says that NAME is one of ours, and the shape of its
values in a trajectory, (T, ...). They lie in ``observables/trajectory_0000/NAME``, or of an
ensemble in an array (B, T, ...) at ``parameters/nbody_surrogate/ensemble/observables/NAME``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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
from nbody_surrogate.formats.h5md.arrays import create_observable_views, rows_of
from nbody_surrogate.formats.h5md.layout import ENSEMBLE, OBSERVABLES, OURS, trajectory_name
from nbody_surrogate.results.observables import demand_observable_name

__all__ = [
    "ObservablePlaces",
    "Tails",
    "create_observables",
    "find_observables",
    "observable_bytes",
    "read_observables",
]

Tails = Mapping[str, tuple[int, ...]]
"""The shape of each observable of one trajectory at one frame, by its name."""

SAID = f"{OURS}/observables"
ARRAYS = f"{ENSEMBLE}/observables"
OBJECTS, MOST_AXES = 2**11, 8


@dataclass(frozen=True)
class ObservablePlaces:
    """Where the values of each observable stand, for each trajectory."""

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
            raise InputError(f"`observables` must be {names} in this file, got {sorted(values)}")
        for name, tail in self.tails.items():
            if values[name].shape != (*shape, *tail):
                raise InputError(
                    f"`observables` {name!r} must have shape {(*shape, *tail)}, "
                    f"got {values[name].shape}"
                )
            done = FLOAT.itemsize * first * math.prod(tail)
            for offset, row in zip(self.rows[name], values[name], strict=True):
                yield offset + done, np.asarray(row, FLOAT).tobytes()


def observable_bytes(batch: int, frames: int, tails: Tails) -> int:
    """Bytes that observables take at most."""
    numbers = sum(8 * batch * frames * math.prod(tail) for tail in tails.values())
    return numbers + (OBJECTS * batch + 2**14) * len(tails)


def create_observables(
    root: Any, clock: dict[str, Any], batch: int, tails: Tails
) -> ObservablePlaces:
    """Create them, without values."""
    rows, frames = {}, len(clock["step"])
    for name, tail in tails.items():
        allocate(root.require_group(SAID), name, np.array([frames, *tail]), INTEGER)
        shape = (batch, frames, *tail)
        if batch > 1:
            array = allocate(root.require_group(ARRAYS), name, None, FLOAT, shape)
            create_observable_views(root, clock, name, array)
        else:
            element = root.require_group(f"{OBSERVABLES}/{trajectory_name(0)}").create_group(name)
            for key, dataset in clock.items():
                element[key] = dataset
            array = allocate(element, "value", None, FLOAT, shape[1:])
        rows[name] = rows_of(offset_of(array), shape)
    return ObservablePlaces(dict(tails), rows)


def find_observables(root: Any, shape: tuple[int, ...], arrays: bool) -> ObservablePlaces:
    """Find those of a file of shape (B, T, ...), which is not trusted.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    found = _opened(root, shape, arrays)
    rows = {name: rows_of(offset_of(each), (*shape[:2], *tail)) for name, (each, tail) in found}
    return ObservablePlaces({name: tail for name, (_, tail) in found}, rows)


def read_observables(
    root: Any, shape: tuple[int, ...], arrays: bool, numbers: range, frames: int
) -> dict[str, np.ndarray]:
    """Read the first frames of some trajectories, shape (B, F, ...) each.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    found = _opened(root, shape, arrays)
    if not arrays:
        return {name: np.asarray(each[:frames])[None] for name, (each, _) in found}
    rows = slice(numbers.start, numbers.stop)
    return {name: np.asarray(each[rows, :frames]) for name, (each, _) in found}


def _opened(
    root: Any, shape: tuple[int, ...], arrays: bool
) -> list[tuple[str, tuple[Any, tuple[int, ...]]]]:
    """Open the data sets, everything about them checked."""
    if "observables" not in group_at(root, OURS):
        return []
    opened, said = [], group_at(root, SAID)
    # an earlier version wrote none of them, and that had other layouts
    if not arrays and shape[0] > 1:
        raise ValueError("it has observables, but not the arrays that go with them")
    for name in said:
        demand_observable_name(name)
        announced = integers_of(said, name, MOST_AXES)
        if not announced or announced[0] != shape[1] or min(announced) < 1:
            raise ValueError(f"its observable {name!r} has shape {tuple(announced)}")
        whole = (shape[0], *announced) if arrays else tuple(announced)
        check_size(root.file, 8 * math.prod(whole))
        place = f"{OBSERVABLES}/{trajectory_name(0)}/{name}/value"
        dataset = open_floats(root, f"{ARRAYS}/{name}" if arrays else place, whole)
        opened.append((name, (dataset, tuple(announced[1:]))))
    return opened
