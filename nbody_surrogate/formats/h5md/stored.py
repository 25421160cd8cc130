"""How trajectories lie in a file: a group for each, or arrays of all. No file is trusted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.files.hdf5 import check_size, floats_at, group_at, has_groups, open_floats
from nbody_surrogate.formats.h5md.layout import (
    ENSEMBLE,
    LABEL_ERROR,
    OBSERVABLES,
    OURS,
    RADIUS,
    trajectory_name,
)

__all__ = ["AbstractStored", "StoredArrays", "StoredGroups"]


# eq=False: two are the same only where they are one
@dataclass(frozen=True, eq=False)
class AbstractStored(ABC):
    """Reads what a file of shape (B, T, N, D) holds of some trajectories.

    A subclass says where times, vectors, particles and label errors lie. What it returns has its
    trajectories in the order of `numbers`, a range in steps of 1 that was checked.

    Attributes
    ----------
    file : h5py.File
    shape : tuple of int
        (B, T, N, D), T counting the frames that were announced.
    """

    file: Any
    shape: tuple[int, int, int, int]

    @abstractmethod
    def times(self) -> np.ndarray:
        """Return the times of all frames, shape (T,)."""

    @abstractmethod
    def frames(self, name: str, numbers: range, start: int, stop: int) -> np.ndarray:
        """Return frames from `start` up to `stop` of `name`, shape (B, F, N, D)."""

    @abstractmethod
    def particles(self, numbers: range) -> Particles:
        """Return the particles."""

    @abstractmethod
    def label_error(self, numbers: range) -> np.ndarray | None:
        """Return the label errors of all frames, shape (B, T), of a verified run."""


@final
@dataclass(frozen=True, eq=False)
class StoredGroups(AbstractStored):
    """The particles groups: of a single trajectory, and in files of earlier versions of all.

    Attributes
    ----------
    exported : bool
        Whether the file is laid out for other programs, as `layout.EXPORTED` says.
    """

    exported: bool

    def _group(self, b: int) -> Any:
        return group_at(self.file, f"particles/{trajectory_name(b)}")

    def times(self) -> np.ndarray:
        """Return those of the first trajectory, which all share."""
        return floats_at(self._group(0), "position/time", (self.shape[1],))

    def frames(self, name: str, numbers: range, start: int, stop: int) -> np.ndarray:
        """Read one data set for each trajectory."""
        _, announced, n, dimensions = self.shape
        path, stored = f"{name}/value", (announced, n, 3 if self.exported else dimensions)
        # all are looked at before memory is taken for any
        datasets = [open_floats(self._group(b), path, stored) for b in numbers]
        values = np.empty((len(numbers), stop - start, n, dimensions))
        for dataset, target in zip(datasets, values, strict=True):
            target[...] = dataset[start:stop][..., :dimensions]
        return values

    def particles(self, numbers: range) -> Particles:
        """Read charges and masses of each, and couplings and radii where the first has some."""
        n, groups = self.shape[2], [self._group(b) for b in numbers]
        charges = np.stack([self._constant(group, "charge") for group in groups])
        masses = np.stack([self._constant(group, "mass") for group in groups])
        radii = None
        if RADIUS in groups[0]:
            radii = np.stack([self._constant(group, RADIUS) for group in groups])
        places = [group_at(self.file, OURS)] if self.exported else groups
        if "couplings" not in places[0]:
            return Particles(charges, masses, radii=radii)
        check_size(self.file, 8 * len(groups) * n * n)
        couplings = [floats_at(place, "couplings", (n, n)) for place in places]
        return Particles(charges, masses, np.stack(couplings), radii)

    def _constant(self, group: Any, name: str) -> np.ndarray:
        _, announced, n, _ = self.shape
        if not self.exported:
            return floats_at(group, name, (n,))
        # the same in each frame
        return np.asarray(open_floats(group, f"{name}/value", (announced, n))[0])

    def label_error(self, numbers: range) -> np.ndarray | None:
        """Read an observable of each trajectory."""
        # other programs may have put observables of their own beside it
        if not has_groups(self.file, f"{OBSERVABLES}/{trajectory_name(0)}/{LABEL_ERROR}"):
            return None
        announced = self.shape[1]
        check_size(self.file, 8 * len(numbers) * announced)
        paths = [f"{OBSERVABLES}/{trajectory_name(b)}/{LABEL_ERROR}/value" for b in numbers]
        return np.stack([floats_at(self.file, path, (announced,)) for path in paths])


@final
@dataclass(frozen=True, eq=False)
class StoredArrays(AbstractStored):
    """The arrays of all trajectories; the groups that show their rows are not looked at."""

    def times(self) -> np.ndarray:
        """Return the times of all trajectories."""
        return floats_at(self.file, f"{ENSEMBLE}/time", (self.shape[1],))

    def frames(self, name: str, numbers: range, start: int, stop: int) -> np.ndarray:
        """Read rows of one data set."""
        dataset = open_floats(self.file, f"{ENSEMBLE}/{name}", self.shape)
        return np.asarray(dataset[_rows(numbers), start:stop])

    def particles(self, numbers: range) -> Particles:
        """Read rows of charges and masses, and of couplings and radii where there are some."""
        batch, _, n, _ = self.shape
        group = group_at(self.file, ENSEMBLE)
        charges, masses = (self._constant(name, numbers, (n,)) for name in ("charge", "mass"))
        couplings = radii = None
        if "couplings" in group:
            check_size(self.file, 8 * batch * n * n)
            couplings = self._constant("couplings", numbers, (n, n))
        if RADIUS in group:
            radii = self._constant(RADIUS, numbers, (n,))
        return Particles(charges, masses, couplings, radii)

    def _constant(self, name: str, numbers: range, shape: tuple[int, ...]) -> np.ndarray:
        dataset = open_floats(self.file, f"{ENSEMBLE}/{name}", (self.shape[0], *shape))
        return np.asarray(dataset[_rows(numbers)])

    def label_error(self, numbers: range) -> np.ndarray | None:
        """Read rows of the label errors."""
        if LABEL_ERROR not in group_at(self.file, ENSEMBLE):
            return None
        dataset = open_floats(self.file, f"{ENSEMBLE}/{LABEL_ERROR}", self.shape[:2])
        return np.asarray(dataset[_rows(numbers)])


def _rows(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop)
