"""HDF5 never meets a disk or a limit that is too small: the size of a file is known before it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files import hdf5, output_path
from nbody_surrogate.files.hdf5 import require_room
from nbody_surrogate.files.output_path import check_file_size
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.h5md import structure
from nbody_surrogate.results.trajectory import RunInfo, Trajectory


def _particles(batch: int, n: int, bonds: bool = False) -> Particles:
    couplings = np.ones((batch, n, n)) - np.eye(n) if bonds else None
    return Particles(np.ones((batch, n)), np.ones((batch, n)), couplings)


def _run(frames: int = 40, n: int = 3, dimensions: int = 3, bonds: bool = False) -> Trajectory:
    x = np.random.default_rng(1).normal(size=(frames, n, dimensions))
    info = RunInfo(
        method={"integrator": "it"},
        system={"system": "free"},
        status=(0,),
        message=("",),
        good=(frames,),
    )
    return Trajectory(np.arange(frames) * 0.1, x, x, _particles(1, n, bonds), info)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 2), (3, 41, 3, 3), (60, 2, 4, 2), (700, 2, 1, 2), (1, 3000, 2, 3)]
)
def test_a_run_takes_no_more_than_it_is_said_to_take(
    shape: tuple[int, int, int, int], tmp_path: Path
) -> None:
    batch, frames, n, dimensions = shape
    path = tmp_path / "run.h5"
    path.touch()
    box, particles = Box((1.0,) * dimensions), _particles(batch, n, bonds=True)
    times = np.arange(frames) * 0.1
    tails: dict[str, tuple[int, ...]] = {"radius": (), "spin": (3, 3)}
    given = (path, particles, times, dimensions, b"", 99, True, box)
    structure.create_structure(*given, segments=4, observables=tails)
    most = structure.run_bytes(shape, True, 4, 99, tails) + 8 * batch * n * n
    slack = 3 * structure.STRUCTURE + (len(tails) << 14) + 2**13 * batch
    assert path.stat().st_size <= most <= path.stat().st_size + slack


@pytest.mark.parametrize("suffix", [".vtkhdf", ".h5"])
@pytest.mark.parametrize(("frames", "n"), [(1, 1), (400, 2), (3, 90)])
def test_an_export_takes_no_more_than_it_is_said_to_take(
    suffix: str, frames: int, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []

    def noted(path: Path, size: int) -> None:
        said.append(size)
        require_room(path, size)

    monkeypatch.setattr(hdf5, "require_room", noted)
    monkeypatch.setattr("nbody_surrogate.formats.h5md.whole.require_room", noted)
    file = export(_run(frames, n, 2, bonds=True), tmp_path / f"run{suffix}")
    assert file.stat().st_size <= said[-1]


def test_room_is_demanded_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.write_bytes(b"abc")
    require_room(path, 10**6)
    require_room(path, 1)
    assert path.read_bytes() == b"abc"


def test_a_limit_of_the_system_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_path, "_largest_file", lambda: 4096)
    check_file_size(tmp_path / "x.h5", 4096)
    with pytest.raises(InputError, match=r"`output` .* 4 KiB at most: .*`ulimit -f`"):
        export(_run(), tmp_path / "run.vtkhdf")
    with pytest.raises(InputError, match=r"`output` .* 4 KiB at most: .*`ulimit -f`"):
        export(_run(), tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".vtkhdf", ".h5"])
def test_a_disk_that_fills_meanwhile_is_one_line(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(RunError, match="No space left"):
        export(_run(), tmp_path / f"run{suffix}")
    assert not list(tmp_path.iterdir())
