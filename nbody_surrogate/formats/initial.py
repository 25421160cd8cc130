"""Initial conditions from files: arrays in an ``.npz``, or a frame of a trajectory."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.formats.foreign.content import Content, checked_frame
from nbody_surrogate.formats.foreign.supplements import (
    DIFFERENCES,
    NONE,
    NUMBER,
    Supplements,
    radii_of,
)
from nbody_surrogate.formats.h5md import H5MDReader
from nbody_surrogate.formats.npz import is_trajectory, read_archive, start_of, trajectory_of
from nbody_surrogate.formats.opening import (
    SUFFIXES,
    is_foreign,
    missing,
    other_files,
    particles_of,
    read_content,
)
from nbody_surrogate.registry.registry import installed_system

__all__ = ["read_initial"]


def read_initial(
    path: str | os.PathLike[str], *, frame: int = 0, supplements: Supplements | None = None
) -> tuple[State, Particles]:
    """Read where a run starts from.

    Parameters
    ----------
    path : path_like
        One of:

        - an ``.npz`` with the arrays ``x`` and ``v`` (N, D), ``charges`` and ``masses`` (N,),
          optionally ``couplings`` (N, N) and ``radii`` (N,), or all of them with a leading axis
          B, and optionally the scalar ``t``, 0 if it is not there;
        - an H5MD file of ours, ``.h5`` or the ``.part`` of an unfinished run, of which all
          trajectories are taken;
        - what `export` writes (``.npz`` with ``t`` (T,), ``.extxyz``, ``.vtkhdf``);
        - a file of another program, as for `read_run`. One that tells no time starts at 0.
    frame : int
        Which of several; negative counts from the end.
    supplements : Supplements, optional
        What to take where the file lacks it.

    Returns
    -------
    state : State
        `x` and `v` (B, N, D), at the frame's time.
    particles : Particles
        `charges` and `masses` (B, N), and the couplings and radii where the file has some.

    Raises
    ------
    InputError
        If the file is missing or of another kind, the frame is not there or not valid, something
        is missing, unknown or too large, shapes disagree, or values are not finite.
    FileFormatError
        If the file is damaged.
    """
    demand_path("initial", path)
    name = f"`initial` {os.fspath(path)!r}"
    file, added = _existing(path, name), supplements or Supplements()
    try:
        if not is_foreign(file):
            return _coupled(_from_ours(file, frame), added)
        if file.suffix.lower() == ".npz":
            return _from_archive(file, frame, added)
        return _from_foreign(file, frame, added)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except FileFormatError as error:
        raise FileFormatError(f"`initial` {error}") from None


def _existing(path: str | os.PathLike[str], name: str) -> Path:
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES and not file.name.startswith("data."):
        raise InputError(f"{name} must be a file ending in {', '.join(SUFFIXES)}")
    try:
        found = file.is_file()
    except (OSError, ValueError):  # of a name too long, or with a zero in it
        found = False
    if not found:
        raise InputError(f"{name} must be a file that exists")
    return file


def _from_ours(file: Path, frame: int) -> tuple[State, Particles]:
    with H5MDReader(file) as trajectories:
        n = checked_frame(frame, trajectories.frames)
        # frames after a failure repeat the last good one, which is no motion to go on with
        for b, good in enumerate(trajectories.info.good):
            if n >= good:
                raise InputError(f"`frame` {n} of trajectory {b} is not valid, it failed at {good}")
        installed_system(trajectories.info.system)  # refuses one that is forged
        x, v = trajectories.read(n, n + 1)
        found = trajectories.read_hidden(n, n + 1)
        hidden = {name: values[:, 0] for name, values in found.items()}
        state = State(float(trajectories.t[n]), x[:, 0], v[:, 0], hidden=hidden)
        return state, trajectories.particles


def _from_archive(file: Path, frame: int, added: Supplements) -> tuple[State, Particles]:
    arrays = read_archive(file, frame)
    if is_trajectory({key: values.shape for key, values in arrays.items()}):
        return _coupled(_start(file, trajectory_of(arrays), Supplements()), added)
    return _coupled(start_of(arrays), added)


def _from_foreign(file: Path, frame: int, added: Supplements) -> tuple[State, Particles]:
    if added.velocities != DIFFERENCES:
        return _start(file, read_content(file, frame, added.group), added, frame)
    # those of a frame are the differences between its neighbours
    content = read_content(file, None, added.group)
    whole = added.completed(content, other_files(None))
    n = checked_frame(frame, len(content.x))
    one = replace(
        whole,
        **{
            name: values[n : n + 1]
            for name in ("x", "v", "momenta", "t")
            if (values := getattr(whole, name)) is not None
        },
    )
    return _start(file, one, Supplements())


def _start(
    file: Path, content: Content, added: Supplements, frame: int = 0
) -> tuple[State, Particles]:
    """Make a start of a single frame."""
    whole = added.completed(content, other_files(frame))
    particles = particles_of(file, whole)
    if whole.v is None:
        raise missing("velocities", file)
    t = 0.0 if whole.t is None else float(whole.t[0])
    return State(t, whole.x, whole.v), particles


def _coupled(start: tuple[State, Particles], added: Supplements) -> tuple[State, Particles]:
    """Add couplings and radii to a start that has all else."""
    state, particles = _sized(start, added)
    for name in ("charges", "masses", "velocities", "group"):
        if getattr(added, name) is not None:
            raise InputError(f"`{name}` is not needed: the file holds all but couplings")
    if added.couplings is None:
        return state, particles
    if particles.couplings is not None:
        raise InputError("`couplings` are not needed: the file holds them; leave it out")
    if not re.fullmatch(NUMBER, added.couplings.strip()):
        raise InputError(f"`couplings` must be a number here, got {added.couplings[:40]!r}")
    bonds = float(added.couplings) * (1.0 - np.eye(particles.n))
    return state, replace(particles, couplings=np.tile(bonds, (particles.batch, 1, 1)))


def _sized(start: tuple[State, Particles], added: Supplements) -> tuple[State, Particles]:
    """Add radii to a start, or leave out those that it has."""
    state, particles = start
    if added.radii is None:
        return start
    if added.radii.strip() == NONE:
        return state, replace(particles, radii=None)
    if particles.radii is not None:
        raise InputError("`radii` are not needed: the file holds them; leave it out")
    radii = radii_of(added.radii, Content(state.x), other_files(0))
    return state, replace(particles, radii=radii)
