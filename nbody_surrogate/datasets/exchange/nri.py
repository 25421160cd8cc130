"""The files that the literature keeps its data sets in: loc, vel, edges and charges.

The layout is that of Kipf et al., "Neural Relational Inference", ICML 2018, and its followers:

====================  ===============  ===================================================
file                  shape            what
====================  ===============  ===================================================
loc_train.npy         (S, T, D, N)     positions; also ``valid`` and ``test``, each with a
                                       suffix that is the same for all, such as
                                       ``_charged5_initvel1small``
vel_train.npy         (S, T, D, N)     velocities
edges_train.npy       (S, N, N)        products of charges; strengths of springs where there are
                                       no charges
charges_train.npy     (S, N, 1)
====================  ===============  ===================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories
from nbody_surrogate.datasets.spec import DatasetSpec, TaskSpec
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.npy import NpyFile

__all__ = ["SPLITS", "NriFiles", "check_suffix", "has_nri_files"]

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
"""Our names of the splits, and those of the files."""

KINDS = ("loc", "vel", "edges", "charges")
LONGEST_SUFFIX = 100  # bytes
SAME = 1e-6  # relative, of edges and products of charges, which may be float32


class _Quadruple(NamedTuple):
    """The files of one split."""

    loc: NpyFile
    vel: NpyFile
    edges: NpyFile
    charges: NpyFile | None

    @property
    def files(self) -> list[NpyFile]:
        return [each for each in self if each is not None]


@final
class NriFiles(AbstractTrajectories):
    """A data set in the files of the literature.

    What the files do not say must be given; the defaults are those of EGNN's charged sets.

    Parameters
    ----------
    folder : path_like
    suffix : str, optional
        What follows the split in the files' names; needed where there are several.
    system : str
    parameters : mapping, optional
        Of the system, the time between rows among them: ``frame_dt``.
    first : int
        The number of the first row's frame: its time is ``first * frame_dt``.
    velocity_lag : float
        How far in time velocities are behind positions.
    task : TaskSpec, optional

    Raises
    ------
    InputError
        If files are missing or their shapes disagree.
    FileFormatError
        If a file is damaged.
    """

    def __init__(
        self,
        folder: str | Path,
        suffix: str | None = None,
        *,
        system: str = "charged-clipped",
        parameters: Mapping[str, Any] | None = None,
        first: int = 1,
        velocity_lag: float = 0.0,
        task: TaskSpec | None = None,
    ) -> None:
        self.folder = Path(folder)
        if suffix is None:
            suffix = _only_suffix(self.folder)
        else:
            check_suffix(suffix)
        found = {ours: _open(self.folder, theirs, suffix) for ours, theirs in SPLITS.items()}
        self._splits = {name: files for name, files in found.items() if files is not None}
        if not self._splits:
            raise InputError(f"`files` {str(folder)!r} holds no loc_train{suffix}.npy")
        self._check_charges()
        rows, dimensions, n = self._common_shape()
        self.spec = validated(
            DatasetSpec,
            {
                "system": system,
                "parameters": dict(parameters or {}),
                "particles": n,
                "dimensions": dimensions,
                "trajectories": sum(files.loc.shape[0] for files in self._splits.values()),
                "splits": {name: files.loc.shape[0] for name, files in self._splits.items()},
                "first": first,
                "frames": first + rows - 1,
                "task": task,
                "integrator": None,
                "velocity_lag": velocity_lag,
            },
            f"files {str(folder)!r}",
        )
        self.spec.make_system()

    def _check_charges(self) -> None:
        """Demand charges of all splits or of none, where edges are springs."""
        without = [files for files in self._splits.values() if files.charges is None]
        if 0 < len(without) < len(self._splits):
            name = without[0].edges.path.name.replace("edges", "charges", 1)
            raise InputError(
                f"`files` {str(self.folder)!r} must hold charges of all splits or of none, "
                f"{name!r} is missing"
            )

    def _common_shape(self) -> tuple[int, int, int]:
        """Check that all shapes agree; return (T, D, N)."""
        shapes = [_checked(files) for files in self._splits.values()]
        if len(set(shapes)) > 1:
            raise InputError(
                f"`files` {str(self.folder)!r} must have one (T, D, N) in all splits, "
                f"got {', '.join(map(str, shapes))}"
            )
        return shapes[0]

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [file.path for files in self._splits.values() for file in files.files]

    def _read(self, start: int, stop: int) -> TrajectoryBlock:
        pieces = []
        for name, part in self.spec.ranges.items():
            begin, end = max(start, part.start), min(stop, part.stop)
            if begin < end:
                pieces.append(_block(self._splits[name], begin - part.start, end - part.start))
        return TrajectoryBlock.joined(pieces)


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


def _open(folder: Path, split: str, suffix: str) -> _Quadruple | None:
    """Open the files of a split, or return None where there is none of them."""
    paths = {kind: folder / f"{kind}_{split}{suffix}.npy" for kind in KINDS}
    there = [kind for kind in KINDS if paths[kind].exists()]
    if not there:
        return None
    for kind in ("loc", "vel", "edges"):
        if kind not in there:
            raise InputError(f"`files` must hold {paths[kind].name!r} beside {there[0]!r} of it")
    return _Quadruple(
        NpyFile(paths["loc"]),
        NpyFile(paths["vel"]),
        NpyFile(paths["edges"]),
        NpyFile(paths["charges"]) if "charges" in there else None,
    )


def _checked(files: _Quadruple) -> tuple[int, int, int]:
    """Check the shapes of a split; return (T, D, N)."""
    shape = files.loc.shape
    if len(shape) != 4 or shape[2] not in (2, 3) or min(shape) < 1:
        raise InputError(
            f"{files.loc.path.name!r} must have shape (S, T, D, N) with D of 2 or 3, got {shape}"
        )
    size, rows, dimensions, n = shape
    wanted: list[tuple[NpyFile | None, list[tuple[int, ...]]]] = [
        (files.vel, [shape]),
        (files.edges, [(size, n, n)]),
        (files.charges, [(size, n, 1), (size, n)]),
    ]
    for file, fitting in wanted:
        if file is not None and file.shape not in fitting:
            raise InputError(
                f"{file.path.name!r} must have shape {fitting[0]} to fit {files.loc.path.name!r}, "
                f"got {file.shape}"
            )
    return rows, dimensions, n


def _block(files: _Quadruple, start: int, stop: int) -> TrajectoryBlock:
    x = files.loc.read(start, stop).swapaxes(2, 3)  # (S, T, D, N) to (S, T, N, D)
    v = files.vel.read(start, stop).swapaxes(2, 3)
    edges = files.edges.read(start, stop)
    count, n = edges.shape[:2]
    apart = ~np.eye(n, dtype=bool)  # nothing is said of the diagonal
    where = f"{files.edges.path.name!r}, trajectories {start} to {stop - 1}"
    try:
        if files.charges is None:
            bonds = np.where(apart, edges, 0.0)
            return TrajectoryBlock(
                x, v, Particles(np.zeros((count, n)), np.ones((count, n)), bonds)
            )
        charges = files.charges.read(start, stop).reshape(count, n)
        products = charges[:, :, None] * charges[:, None, :]
        if not np.allclose(edges[:, apart], products[:, apart], rtol=SAME, atol=SAME):
            raise InputError("they must be the products of the charges")
        return TrajectoryBlock(x, v, Particles(charges, np.ones((count, n))))
    except InputError as error:
        raise FileFormatError(f"{where}: {error}") from None
