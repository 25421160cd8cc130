"""The files that the literature keeps its data sets in.

The layout is that of Kipf et al., "Neural Relational Inference" (NRI), ICML 2018, and of others:

====================  ===============  ===================================================
file                  shape            what
====================  ===============  ===================================================
loc_train.npy         (S, T, D, N)     positions; also ``valid`` and ``test``, each with a
                                       suffix that is the same for all, such as
                                       ``_charged5_initvel1small``
vel_train.npy         (S, T, D, N)     velocities
edges_train.npy       (S, N, N)        products of charges; strengths of springs where the
                                       system has such
charges_train.npy     (S, N, 1)        NRI's own sets have none: they are recovered from edges
====================  ===============  ===================================================

That of masses which attract each other is of Brandstetter et al., "Geometric and Physical
Quantities Improve E(3) Equivariant Message Passing" (SEGNN), ICLR 2022:

====================  ===============  ===================================================
loc, vel              (S, T, N, D)     as above
mass                  (S, N, 1)        or, as the released program writes it, ``charges``
force                 (S, T, N, D)     or, likewise, ``edges``; nothing is read of it
====================  ===============  ===================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories
from nbody_surrogate.datasets.exchange.split_files import SplitFiles, open_split
from nbody_surrogate.datasets.spec import DatasetSpec, TaskSpec
from nbody_surrogate.errors import InputError, warn

__all__ = ["SPLITS", "NriFiles", "check_suffix", "has_nri_files"]

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
"""Our names of the splits, and those of the files."""

LONGEST_SUFFIX = 100  # bytes


@final
class NriFiles(AbstractTrajectories):
    """A data set in the files of the literature.

    What the files do not say must be given; the defaults are those of EGNN's charged sets, and of
    SEGNN's where particles have masses. Where splits differ in their rows, as NRI's do, the rows
    that all have are read, with a warning; `splits` with one name reads all rows of that one.

    Parameters
    ----------
    folder : path_like
    suffix : str, optional
        What follows the split in the files' names; needed where there are several.
    system : str, optional
        By default ``charged-clipped``, or ``gravity`` where there are masses.
    parameters : mapping, optional
        Of the system, the time between rows among them: ``frame_dt``.
    first : int, optional
        The number of the first row's frame: its time is ``first * frame_dt``. By default 1, as in
        the files of NRI and EGNN, or 0 where there are masses.
    velocity_lag : float
        How far in time velocities are behind positions.
    task : TaskSpec, optional
    splits : sequence of str, optional
        Which to read, of ``train``, ``validation`` and ``test``; by default all that are there.

    Attributes
    ----------
    left_out : dict of str to int
        Rows at the end of a split that are not read.
    recovers_charges : bool
        Whether charges come from edges. Of each trajectory, the first one is then positive.

    Raises
    ------
    InputError
        If files are missing or their shapes disagree, or charges that are missing cannot be
        recovered for the system.
    FileFormatError
        If a file is damaged.
    """

    def __init__(
        self,
        folder: str | Path,
        suffix: str | None = None,
        *,
        system: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        first: int | None = None,
        velocity_lag: float = 0.0,
        task: TaskSpec | None = None,
        splits: Sequence[str] | None = None,
    ) -> None:
        self.folder = Path(folder)
        if suffix is None:
            suffix = _only_suffix(self.folder)
        else:
            check_suffix(suffix)
        self._splits = _opened(self.folder, suffix, splits)
        masses = self._has_masses()
        self._check_charges()
        self._rows, dimensions, n = self._common_shape()
        first = (0 if masses else 1) if first is None else first
        self.spec = validated(
            DatasetSpec,
            {
                "system": system or ("gravity" if masses else "charged-clipped"),
                "parameters": dict(parameters or {}),
                "particles": n,
                "dimensions": dimensions,
                "trajectories": sum(files.shape.size for files in self._splits.values()),
                "splits": {name: files.shape.size for name, files in self._splits.items()},
                "first": first,
                "frames": first + self._rows - 1,
                "task": task,
                "integrator": None,
                "velocity_lag": velocity_lag,
            },
            f"files {str(folder)!r}",
        )
        self._bonds = False
        self.recovers_charges = False
        made = self.spec.make_system()
        if not (masses or next(iter(self._splits.values())).has_charges):
            self._bonds = _has_bonds(made, n, dimensions)
            self.recovers_charges = not self._bonds
        if self.recovers_charges:
            _refuse_one_sign(made, self.folder)
        for name, count in self.left_out.items():
            warn(
                f"split {name!r} of files {str(folder)!r} has {counted(count, 'row')} more than "
                f"the {self._rows} that all splits have: they are left out; by `splits` {name!r} "
                f"alone all its rows are read (--split {name})",
            )

    @property
    def left_out(self) -> dict[str, int]:
        """Rows at the end of each split that are not read, where there are some."""
        rows = {name: files.shape.rows - self._rows for name, files in self._splits.items()}
        return {name: count for name, count in rows.items() if count}

    def _has_masses(self) -> bool:
        kinds = {files.has_masses for files in self._splits.values()}
        if len(kinds) > 1:
            raise InputError(f"`files` {str(self.folder)!r} must have masses in all splits or none")
        return kinds == {True}

    def _check_charges(self) -> None:
        """Demand charges of all splits or of none."""
        without = [files for files in self._splits.values() if not files.has_charges]
        if 0 < len(without) < len(self._splits):
            name = without[0].by_kind["edges"].path.name.replace("edges", "charges", 1)
            raise InputError(
                f"`files` {str(self.folder)!r} must hold charges of all splits or of none, "
                f"{name!r} is missing"
            )

    def _common_shape(self) -> tuple[int, int, int]:
        """Check that shapes agree; return (T, D, N), with the rows that all have."""
        shapes = [files.shape for files in self._splits.values()]
        if len({(shape.dimensions, shape.particles) for shape in shapes}) > 1:
            listed = ", ".join(f"({s.rows}, {s.dimensions}, {s.particles})" for s in shapes)
            raise InputError(
                f"`files` {str(self.folder)!r} must have one D and N in all splits, got (T, D, N) "
                f"of {listed}"
            )
        return min(shape.rows for shape in shapes), shapes[0].dimensions, shapes[0].particles

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        return [file.path for files in self._splits.values() for file in files.files]

    def _read(self, start: int, stop: int) -> TrajectoryBlock:
        pieces = []
        for name, part in self.spec.ranges.items():
            begin, end = max(start, part.start), min(stop, part.stop)
            if begin < end:
                place = begin - part.start, end - part.start
                pieces.append(self._splits[name].read(*place, self._rows, bonds=self._bonds))
        return TrajectoryBlock.joined(pieces)


def _opened(folder: Path, suffix: str, splits: Sequence[str] | None) -> dict[str, SplitFiles]:
    for name in splits or ():
        if name not in SPLITS:
            raise InputError(f"`splits` must be of {', '.join(SPLITS)}, got {name!r}")
    chosen = {name: SPLITS[name] for name in SPLITS if splits is None or name in splits}
    found = {ours: open_split(folder, theirs, suffix) for ours, theirs in chosen.items()}
    there = {name: files for name, files in found.items() if files is not None}
    if not there:
        theirs = next(iter(chosen.values()), "train")
        raise InputError(f"`files` {str(folder)!r} holds no loc_{theirs}{suffix}.npy")
    return there


def _has_bonds(system: AbstractSystem, n: int, dimensions: int) -> bool:
    """Say whether a system's own particles have couplings, which edges then are."""
    return system.sample(0, n, dimensions=dimensions)[1].couplings is not None


def _refuse_one_sign(system: AbstractSystem, folder: Path) -> None:
    """Raise where the sign that products leave open would change the motion."""
    if "charge-conjugation" not in system.symmetries:
        raise InputError(
            f"`files` {str(folder)!r} must hold charges for system {system.name!r}, whose forces "
            "change with the sign of all charges: edges do not tell it"
        )


def check_suffix(suffix: str) -> None:
    """Raise `InputError` where files cannot have a suffix."""
    fits = suffix.isprintable() and len(suffix.encode()) <= LONGEST_SUFFIX
    if not fits or "/" in suffix or "\\" in suffix:
        raise InputError(
            f"`suffix` must be part of a file name, of at most {LONGEST_SUFFIX} characters, such "
            f"as '_charged5', got {suffix[:LONGEST_SUFFIX]!r}"
        )


def has_nri_files(folder: Path) -> bool:
    """Whether a folder looks like one."""
    return any(folder.glob("loc_*.npy"))


def _only_suffix(folder: Path) -> str:
    """Find the suffix of a folder's files."""
    pattern = re.compile(r"loc_(?:train|valid|test)(.*)\.npy")
    matches = (pattern.fullmatch(path.name) for path in folder.glob("loc_*.npy"))
    suffixes = sorted({match[1] for match in matches if match is not None})
    if not suffixes:
        raise InputError(f"`files` {str(folder)!r} holds no loc_train.npy, loc_valid.npy or "
                         "loc_test.npy, with or without a suffix")  # fmt: skip
    if len(suffixes) > 1:
        raise InputError(
            f"`suffix` is needed, {str(folder)!r} holds several: {', '.join(map(repr, suffixes))}"
        )
    return suffixes[0]
