"""A finished trajectory as an H5MD file of its own, for other programs and for ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.errors import RunError, one_line
from nbody_surrogate.files.hdf5 import FLOAT, INTEGER, STRUCTURE, allocate, require_room
from nbody_surrogate.files.output_path import check_space
from nbody_surrogate.formats.h5md.layout import EXPORTED, OURS, RADIUS, trajectory_name
from nbody_surrogate.formats.h5md.provenance import provenance_bytes
from nbody_surrogate.formats.h5md.series import Tails, all_tails
from nbody_surrogate.formats.h5md.structure import run_bytes
from nbody_surrogate.formats.h5md.writer import H5MDWriter
from nbody_surrogate.results.trajectory import Trajectory, as_ensemble

__all__ = ["whole_h5md"]

NO_SPECIES = 0
"""The atomic number of no element, as ASE has it for its element X."""


@contextmanager
def whole_h5md(path: Path, run: Trajectory, box: Box | None = None) -> Iterator[Path]:
    """Give a file that holds a trajectory, to be moved to `path`; it is gone after the block.

    It is laid out for other programs. ZnH5MD asks for a species and for edges of the box, and takes
    no element that is constant: species, charges, masses and radii are there for each frame.
    MDAnalysis asks for three dimensions: flat vectors have a third component, which is 0. Our own
    reader knows both.

    Parameters
    ----------
    path : Path
        Beside it the file is made.
    run : Trajectory
    box : Box, optional
        By default open space.

    Raises
    ------
    InputError
        If it does not fit on the disk.
    RunError
        If it cannot be written.
    """
    frames, n, _ = run.x.shape
    texts = provenance_bytes(1)
    most = run_bytes(
        (1, frames, n, 3), run.label_error is not None, 0, texts, all_tails(*_tails(run))
    )
    check_space(path, most + _added_bytes(run))
    with TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        file = Path(folder) / "run.h5"
        _write(file, run, box)
        try:
            require_room(file, file.stat().st_size + _added_bytes(run))
        except OSError as error:
            said = f"`output` {str(path)!r} cannot be written: {one_line(error)}"
            raise RunError(said) from None
        with h5py.File(file, "r+", libver="earliest", locking=False) as root:
            _complete(root, run, box)
        yield file


def _write(file: Path, run: Trajectory, box: Box | None) -> None:
    frames, _, dimensions = run.x.shape
    pad = ((0, 0), (0, 0), (0, 0), (0, 3 - dimensions))
    # a single frame has no spacing; what the times are is written afterwards
    dt = float(run.t[1] - run.t[0]) if frames > 1 else 0.0
    if box is not None and box.dimension == 2:
        box = Box((*box.lengths, None))
    verified = run.label_error is not None
    start = (run.particles, 3, frames, float(run.t[0]), dt)
    reported, hidden = _tails(run)
    # a restart file knows its output by the identifier, and a copy is not that
    info = replace(run.info, identifier="")
    with H5MDWriter(
        file,
        *start,
        info=info,
        label_error=verified,
        box=box,
        observables=reported,
        hidden=hidden,
    ) as writer:
        errors = None if run.label_error is None else run.label_error[None]
        batch = as_ensemble(run)
        x, v = np.pad(run.x[None], pad), np.pad(run.v[None], pad)
        writer.write(x, v, errors, observables=batch.observables, hidden=batch.hidden)
        writer.finish(info)


def _tails(run: Trajectory) -> tuple[Tails, Tails]:
    """Return the shapes of observables and of hidden variables at a frame."""
    reported = {name: y.shape[1:] for name, y in run.observables.items()}
    return reported, {name: y.shape[1:] for name, y in run.hidden.items()}


def _added_bytes(run: Trajectory) -> int:
    """Bytes that `_complete` adds at most, all numbers being of 8 bytes."""
    frames, n, _ = run.x.shape
    columns = 3 if run.particles.radii is None else 4
    return STRUCTURE + 8 * int(frames) * (columns * int(n) + 3)


def _complete(root: Any, run: Trajectory, box: Box | None) -> None:
    """Write what a run does not."""
    frames, n, dimensions = run.x.shape
    group = root[f"particles/{trajectory_name(0)}"]
    # to the bit, whatever they are made of
    group["position/time"][...] = run.t
    _add(group, "species", np.full((frames, n), NO_SPECIES), INTEGER)
    # text of variable length: ZnH5MD takes any other for periodic
    periodic = [*(box.periodic if box else ()), False, False, False][:3]
    words = ["periodic" if each else "none" for each in periodic]
    group["box"].attrs.create("boundary", words, dtype=h5py.string_dtype())
    if "edges" not in group["box"]:
        _add(group, "box/edges", np.zeros((frames, 3)), FLOAT)
    constant = {"charge": run.particles.charges, "mass": run.particles.masses}
    if run.particles.radii is not None:
        constant[RADIUS] = run.particles.radii
    for name, values in constant.items():
        del group[name]
        _add(group, name, np.tile(values, (frames, 1)), FLOAT)
    if "couplings" in group:
        root.move(f"{group.name}/couplings", f"/{OURS}/couplings")
    root[f"{OURS}/shape"][...] = (1, frames, n, dimensions)
    allocate(root, EXPORTED, 1, INTEGER)


def _add(group: Any, name: str, values: np.ndarray, dtype: np.dtype) -> None:
    element = group.create_group(name)
    for key in ("step", "time"):
        element[key] = group[f"position/{key}"]
    allocate(element, "value", values, dtype)
