"""The files of one split in either layout of the literature, opened and held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.exchange.edges import charges_from, refuse_other_products
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.npy import NpyFile

__all__ = ["SplitFiles", "SplitShape", "open_split"]

KINDS = ("loc", "vel", "edges", "charges", "mass", "force")
DIMENSIONS = (2, 3)


class SplitShape(NamedTuple):
    """How much a split holds: trajectories, rows, particles, dimensions."""

    size: int
    rows: int
    particles: int
    dimensions: int


@final
class SplitFiles:
    """The files of one split.

    Attributes
    ----------
    by_kind : dict of str to NpyFile
        Those that are there.
    has_masses : bool
        Whether particles have masses in the place of charges, and arrays are (S, T, N, D) for it.
    shape : SplitShape

    Raises
    ------
    InputError
        If their shapes disagree.
    """

    def __init__(self, by_kind: dict[str, NpyFile]) -> None:
        self.by_kind = by_kind
        loc, edges = by_kind["loc"], by_kind.get("edges")
        # the program of SEGNN writes forces under the name of edges, and masses under charges
        forces = edges is not None and edges.shape == loc.shape and len(loc.shape) == 4
        self.has_masses = forces or "mass" in by_kind
        # nothing is read of forces: they follow from the rest
        self._edges = None if self.has_masses else edges
        self._charges = None if self.has_masses else by_kind.get("charges")
        self._masses = by_kind.get("mass", by_kind.get("charges")) if self.has_masses else None
        if self.has_masses and self._masses is None:
            name = loc.path.name.replace("loc", "mass", 1)
            raise InputError(f"`files` must hold {name!r} beside {loc.path.name!r}")
        self._axis = self._axis_of_particles()
        size, rows, *rest = loc.shape
        self.shape = SplitShape(size, rows, rest[self._axis - 2], rest[3 - self._axis])
        self._demand_shapes()

    @property
    def has_charges(self) -> bool:
        """Whether charges are given and need not be recovered from edges."""
        return self._charges is not None

    @property
    def files(self) -> list[NpyFile]:
        """All that are read."""
        parts = (self.by_kind["loc"], self.by_kind["vel"], self._edges, self._charges, self._masses)
        return [each for each in parts if each is not None]

    def _axis_of_particles(self) -> int:
        """Say which axis of positions counts particles: 3 as in NRI's files, 2 as in SEGNN's."""
        loc = self.by_kind["loc"]
        fits = len(loc.shape) == 4 and min(loc.shape) >= 1
        axes = [a for a in (3, 2) if fits and loc.shape[5 - a] in DIMENSIONS]
        if not axes:
            raise InputError(
                f"{loc.path.name!r} must have shape (S, T, D, N) or (S, T, N, D) with D of 2 or 3, "
                f"got {loc.shape}"
            )
        if len(axes) == 1:
            return axes[0]
        # as many particles as dimensions, or nearly so: the others tell
        of_particles = self._masses or self._charges or self._edges
        assert of_particles is not None
        n = of_particles.shape[1] if len(of_particles.shape) > 1 else 0
        fitting = [a for a in axes if loc.shape[a] == n] or axes
        return fitting[-1] if self.has_masses else fitting[0]

    def _demand_shapes(self) -> None:
        size, _, n, _ = self.shape
        loc = self.by_kind["loc"]
        each = [(size, n, 1), (size, n)]
        wanted: list[tuple[NpyFile | None, list[tuple[int, ...]]]] = [
            (self.by_kind["vel"], [loc.shape]),
            (self._edges, [(size, n, n)]),
            (self._charges, each),
            (self._masses, each),
        ]
        for file, fitting in wanted:
            if file is not None and file.shape not in fitting:
                raise InputError(
                    f"{file.path.name!r} must have shape {fitting[0]} to fit {loc.path.name!r}, "
                    f"got {file.shape}"
                )

    def read(self, start: int, stop: int, rows: int, *, bonds: bool) -> TrajectoryBlock:
        """Read the first rows of some trajectories; `bonds` says whether edges are couplings.

        Raises
        ------
        FileFormatError
            If a file is damaged, or edges are not what they must be.
        """
        x, v = (
            np.moveaxis(self.by_kind[kind].read(start, stop)[:, :rows], self._axis, 2)
            for kind in ("loc", "vel")
        )
        source = self._edges or self._masses
        assert source is not None
        try:
            return TrajectoryBlock(x, v, self._particles(start, stop, bonds))
        except InputError as error:
            where = f"{source.path.name!r}, trajectories {start} to {stop - 1}"
            raise FileFormatError(f"{where}: {error}") from None

    def _particles(self, start: int, stop: int, bonds: bool) -> Particles:
        n = self.shape.particles
        if self._masses is not None:
            masses = self._masses.read(start, stop).reshape(-1, n)
            return Particles(np.zeros_like(masses), masses)
        assert self._edges is not None
        edges = self._edges.read(start, stop)
        if self._charges is not None:
            charges = self._charges.read(start, stop).reshape(-1, n)
            refuse_other_products(edges, charges, "the charges", start)
            return Particles(charges, np.ones_like(charges))
        if bonds:
            apart = ~np.eye(n, dtype=bool)  # nothing is said of the diagonal
            nothing = np.zeros(edges.shape[:2])
            return Particles(nothing, nothing + 1, np.where(apart, edges, 0.0))
        try:
            charges = charges_from(edges, start)
        except InputError as error:
            hint = "where they are strengths of springs, name their `system`, such as springs"
            raise InputError(f"{error}; {hint}") from None
        return Particles(charges, np.ones_like(charges))


def open_split(folder: Path, split: str, suffix: str) -> SplitFiles | None:
    """Open the files of a split, or return None where there is none of them.

    Raises
    ------
    InputError
        If some are missing or their shapes disagree.
    FileFormatError
        If one is damaged.
    """
    paths = {kind: folder / f"{kind}_{split}{suffix}.npy" for kind in KINDS}
    there = [kind for kind in KINDS if paths[kind].exists()]
    if not there:
        return None
    needed = ["loc", "vel"] if "mass" in there else ["loc", "vel", "edges"]
    for kind in needed:
        if kind not in there:
            raise InputError(f"`files` must hold {paths[kind].name!r} beside {there[0]!r} of it")
    return SplitFiles({kind: NpyFile(paths[kind]) for kind in there})
