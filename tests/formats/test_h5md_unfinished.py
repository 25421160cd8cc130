"""A file in the making: readable at any moment, finished only at the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from h5md_files import ARRAYS, DT, T0, T, make_frames, make_info, make_particles, refusal
from nbody_surrogate.errors import InputError
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md
from nbody_surrogate.results.trajectory import RunInfo

# A run in the making


def test_the_final_name_appears_only_at_the_end(tmp_path):
    path, part = tmp_path / "run.h5", tmp_path / "run.h5.part"
    x, v = make_frames()
    with H5MDWriter(path, make_particles(), 3, T, T0, DT) as writer:
        for n in range(T):
            writer.write(x[:, n : n + 1], v[:, n : n + 1])
            assert part.exists()
            assert not path.exists()
        writer.finish(make_info())
        assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]


def test_an_unfinished_file_holds_the_frames_so_far_and_says_so(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        refusal(writer.part)
        for n in range(1, T):
            writer.write(x[:, n - 1 : n], v[:, n - 1 : n])
            ensemble = read_h5md(writer.part)
            np.testing.assert_array_equal(ensemble.x, x[:, :n])
            np.testing.assert_array_equal(ensemble.v, v[:, :n])
            assert len(ensemble.t) == n
            assert not ensemble.info.success
            assert ensemble.info.message == (f"unfinished: {n} of {T} frames are written",) * 3


def test_an_unfinished_file_tells_what_was_known_at_the_start(tmp_path):
    x, v = make_frames()
    info = RunInfo(system={"system": "charged"}, method={"integrator": "rk45"}, seed=3)
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT, info=info) as writer:
        writer.write(x[:, :2], v[:, :2])
        read = read_h5md(writer.part).info
    assert (read.system, read.method, read.seed) == (info.system, info.method, 3)
    assert read.good == (2, 2, 2)


def test_nothing_but_data_changes_after_opening(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        before = np.frombuffer(writer.part.read_bytes(), np.uint8)
        writer.write(x, v)
        writer.finish(make_info())
    after = np.frombuffer((tmp_path / "run.h5").read_bytes(), np.uint8)
    assert before.size == after.size
    changed = before != after
    assert changed.sum() > x.nbytes
    with h5py.File(tmp_path / "run.h5") as file:
        parameters = file["parameters"]
        datasets = [file[f"{ARRAYS}/{name}"] for name in ("position", "velocity")]
        datasets += [parameters["frames_written"], file["observables/valid/value"]]
        datasets += [parameters[f"nbody_surrogate/{name}"] for name in ("complete", "provenance")]
        for dataset in datasets:
            offset = dataset.id.get_offset()
            changed[offset : offset + dataset.id.get_storage_size()] = False
    assert not changed.any()


def test_an_exception_keeps_the_part_once_a_frame_is_there(tmp_path):
    x, v = make_frames()
    with (
        pytest.raises(KeyboardInterrupt),
        H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer,
    ):
        writer.write(x[:, :3], v[:, :3])
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5.part"]
    np.testing.assert_array_equal(read_h5md(writer.part).x, x[:, :3])


def test_an_exception_before_the_first_frame_leaves_nothing(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT),
    ):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_finishing_early_is_refused_and_keeps_the_frames(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x[:, :3], v[:, :3])
        with pytest.raises(InputError, match="`frames` was given as 8, but 3 are written"):
            writer.finish(make_info())
    assert not writer.path.exists()
    assert read_h5md(writer.part).x.shape[1] == 3


# Killed in the middle

CHILD = """
import sys, time
import numpy as np
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.contracts.state import Particles

batch, n, segment, frames, paused = 2, 50, 100, 4000, len(sys.argv) > 2
ones = np.ones((batch, n))
with H5MDWriter(sys.argv[1], Particles(ones, ones), 3, frames, 0.0, 0.1) as writer:
    for first in range(0, frames, segment):
        x = np.broadcast_to(np.arange(first, first + segment)[None, :, None, None] + 1.0,
                            (batch, segment, n, 3))
        writer.write(x, -x)
        print(writer.written, flush=True)
        while paused:  # until it is killed
            time.sleep(1)
    while True:
        time.sleep(1)
"""


def start_child(path, *paused):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), *paused], stdout=subprocess.PIPE, text=True
    )


def kill(child):
    """Kill without a chance to clean up; return the last count that the child reported."""
    child.send_signal(signal.SIGKILL)
    lines = child.stdout.read().split()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    return int(lines[-1]) if lines else 0


def check_child_frames(ensemble):
    frames = ensemble.x.shape[1]
    expected = np.broadcast_to(np.arange(1.0, frames + 1)[:, None, None], ensemble.x.shape)
    np.testing.assert_array_equal(ensemble.x, expected)
    np.testing.assert_array_equal(ensemble.v, -expected)
    return frames


def test_a_killed_run_leaves_exactly_the_frames_it_reported(tmp_path):
    child = start_child(tmp_path / "run.h5", "paused")
    try:
        assert child.stdout.readline() == "100\n"
        # Another process reads while the writer has the file open.
        assert check_child_frames(read_h5md(tmp_path / "run.h5.part")) == 100
    finally:
        kill(child)
    assert not (tmp_path / "run.h5").exists()
    ensemble = read_h5md(tmp_path / "run.h5.part")
    assert check_child_frames(ensemble) == 100
    assert "unfinished" in ensemble.info.message[0]
    with h5py.File(tmp_path / "run.h5.part", locking=False) as file:  # any HDF5 program can
        assert file["particles/trajectory_0001/position/value"][99, 0, 0] == 100.0


@pytest.mark.parametrize("reported", [1, 3, 12])
def test_a_run_killed_at_any_moment_is_readable(tmp_path, reported):
    child = start_child(tmp_path / "run.h5")
    try:
        for _ in range(reported):
            seen = int(child.stdout.readline())
    finally:
        seen = max(seen, kill(child))
    frames = check_child_frames(read_h5md(tmp_path / "run.h5.part"))
    assert frames % 100 == 0
    assert seen <= frames <= seen + 100


FULL = """
import resource, sys
import numpy as np
from nbody_surrogate.errors import RunError
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.contracts.state import Particles

ones, x = np.ones((2, 5)), np.ones((2, 4, 5, 3))
try:
    with H5MDWriter(sys.argv[1], Particles(ones, ones), 3, 8, 0.0, 0.1) as writer:
        writer.write(x, x)
        nearly = writer._offsets.values[-1][1] + x.nbytes - 100  # all but the last few numbers
        resource.setrlimit(resource.RLIMIT_FSIZE, (nearly, resource.RLIM_INFINITY))
        writer.write(x, x)
except RunError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are POSIX")
def test_a_failing_disk_is_one_line_and_loses_no_frame(tmp_path):
    path = tmp_path / "run.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(rf"`output` '{path}' cannot be written: .*File too large\n", done.stdout)
    assert done.stderr == ""
    assert read_h5md(f"{path}.part").x.shape == (2, 4, 5, 3)
