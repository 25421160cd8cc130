"""Trajectory files: what is written comes back bit for bit, at any moment, or is refused."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.formats.h5md import H5MDReader, H5MDWriter, check_output_path, read_h5md
from nbody_surrogate.results.trajectory import RunInfo

T, N = 8, 5
T0, DT = 0.3, 0.1


def make_particles(batch=3, couplings=False, seed=0):
    rng = np.random.default_rng(seed)
    bonds = rng.normal(size=(batch, N, N))
    return Particles(
        rng.choice([-1.0, 1.0], size=(batch, N)),
        rng.uniform(0.5, 2.0, size=(batch, N)),
        bonds + bonds.swapaxes(1, 2) if couplings else None,
    )


def make_frames(batch=3, dimensions=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, batch, T, N, dimensions))


def make_info(batch=3):
    return RunInfo(
        system={"system": "charged", "k": 1.0, "eps": 0.1},
        method={"integrator": "dop853", "rtol": 1e-9},
        versions={"numpy": "2.0"},
        wall_time=1.25,
        counters={"nfev": 17},
        status=(0,) * batch,
        message=("",) * batch,
        good=(T,) * batch,
        seed=7,
    )


def make_info_with_a_wrong_type():
    info = make_info()
    info.counters["nfev"] = 1.5
    return info


def make_label_error(batch=3, seed=2):
    """Label errors of which the last two of the first trajectory are not numbers."""
    label_error = np.random.default_rng(seed).uniform(1e-12, 1e-6, size=(batch, T))
    label_error[0, T - 2 :] = np.nan
    return label_error


def write_file(path, batch=3, dimensions=3, couplings=False, label_error=None):
    """Write a finished file in three segments; return what went in."""
    particles, (x, v) = make_particles(batch, couplings), make_frames(batch, dimensions)
    verified = label_error is not None
    with H5MDWriter(path, particles, dimensions, T, T0, DT, label_error=verified) as writer:
        for frames in (slice(0, 1), slice(1, 5), slice(5, T)):
            errors = label_error[:, frames] if verified else None
            writer.write(x[:, frames], v[:, frames], errors)
        writer.finish(make_info(batch))
    return particles, x, v


def refusal(path):
    """The one line with which a file is refused."""
    with pytest.raises(FileFormatError) as caught:
        read_h5md(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


# Round trip


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_written_comes_back_bit_for_bit(tmp_path, batch, dimensions, couplings):
    path = tmp_path / "run.h5"
    particles, x, v = write_file(path, batch, dimensions, couplings)
    ensemble = read_h5md(path)
    np.testing.assert_array_equal(ensemble.x, x)
    np.testing.assert_array_equal(ensemble.v, v)
    np.testing.assert_array_equal(ensemble.particles.charges, particles.charges)
    np.testing.assert_array_equal(ensemble.particles.masses, particles.masses)
    if couplings:
        np.testing.assert_array_equal(ensemble.particles.couplings, particles.couplings)
    else:
        assert ensemble.particles.couplings is None
    assert ensemble.info == make_info(batch)
    assert ensemble.info.success


def test_special_values_keep_their_bits(tmp_path):
    x, v = make_frames(1)
    x[0, 3, 0] = [np.nan, -np.inf, -0.0]
    v[0, 3, 0] = [5e-324, np.finfo(float).max, np.inf]
    with H5MDWriter(tmp_path / "run.h5", make_particles(1), 3, T, 0.0, DT) as writer:
        writer.write(x, v)
        writer.finish(make_info(1))
    ensemble = read_h5md(tmp_path / "run.h5")
    assert ensemble.x.tobytes() == x.tobytes()
    assert ensemble.v.tobytes() == v.tobytes()


def test_frame_times_are_products_never_sums(tmp_path):
    write_file(tmp_path / "run.h5")
    assert read_h5md(tmp_path / "run.h5").t.tolist() == [T0 + n * DT for n in range(T)]


def test_strided_segments_are_written_in_the_order_of_their_axes(tmp_path):
    x, v = (np.asfortranarray(array) for array in make_frames())
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(make_info())
    np.testing.assert_array_equal(read_h5md(tmp_path / "run.h5").x, x)


def test_numpy_values_and_long_messages_fit_into_the_provenance(tmp_path):
    info = replace(
        make_info(), method={"n": np.int64(3), "tol": np.ones(2)}, message=("ä" * 50000,) * 3
    )
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(info)
    read = read_h5md(tmp_path / "run.h5").info
    assert read.method == {"n": 3, "tol": [1.0, 1.0]}
    assert all(len(m) >= 100 and info.message[0].startswith(m) for m in read.message)


def test_single_frames_are_read_without_the_others(tmp_path):
    _, x, v = write_file(tmp_path / "run.h5")
    frame_bytes = 2 * x[:, :1].nbytes
    with H5MDReader(tmp_path / "run.h5", limit=frame_bytes) as reader:
        np.testing.assert_array_equal(reader.read(4, 5)[0], x[:, 4:5])
        np.testing.assert_array_equal(reader.read(4, 5)[1], v[:, 4:5])
        with pytest.raises(FileFormatError, match="limit"):
            reader.read(4, 6)
    with pytest.raises(FileFormatError, match="limit"):
        read_h5md(tmp_path / "run.h5", limit=frame_bytes)


# The structure that H5MD 1.1 demands


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_structure_is_that_of_h5md(tmp_path, dimensions):
    write_file(tmp_path / "run.h5", 3, dimensions, couplings=True)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/author"].attrs["name"]
        assert file["h5md/creator"].attrs["name"] == b"nbody-surrogate"
        assert re.match(rb"\d+\.\d+", file["h5md/creator"].attrs["version"])
        assert sorted(file["particles"]) == [f"trajectory_{b:04d}" for b in range(3)]
        for group in file["particles"].values():
            assert group["box"].attrs["dimension"] == dimensions
            assert group["box"].attrs["boundary"].tolist() == [b"none"] * dimensions
            assert group["charge"].shape == group["mass"].shape == (N,)
            assert group["couplings"].shape == (N, N)
            for element in (group["position"], group["velocity"]):
                assert element["value"].shape == (T, N, dimensions)
                assert element["value"].dtype == element["time"].dtype == np.float64
                assert element["step"].shape == element["time"].shape == (T,)
                assert element["step"][()].tolist() == list(range(T))
        assert file["parameters/frames_written"][()] == T


def test_units_are_reduced(tmp_path):
    write_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["h5md/modules/units"].attrs["version"].tolist() == [1, 0]
        assert file["h5md/modules/units"].attrs["system"] == b"reduced"
        group = file["particles/trajectory_0001"]
        for name in ("charge", "mass"):
            assert group[name].attrs["unit"] == b"1"
        for name in ("position/value", "velocity/value", "position/time"):
            assert "unit" not in group[name].attrs  # or MDAnalysis would not read it


def test_files_with_units_are_read_where_those_are_reduced(tmp_path):
    _, x, _ = write_file(tmp_path / "run.h5")
    for unit in (b"1", "1"):
        with h5py.File(tmp_path / "run.h5", "r+") as file:
            file["particles/trajectory_0000/position/value"].attrs["unit"] = unit
        np.testing.assert_array_equal(read_h5md(tmp_path / "run.h5").x, x)
    for unit in (b"nm", "nm", 1, [1, 2]):
        with h5py.File(tmp_path / "run.h5", "r+") as file:
            file["particles/trajectory_0000/position/value"].attrs["unit"] = unit
        with pytest.raises(FileFormatError, match="unit"):
            read_h5md(tmp_path / "run.h5")


def test_step_and_time_are_shared_by_hard_links(tmp_path):
    write_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        for name in ("step", "time"):
            first = file[f"particles/trajectory_0000/position/{name}"]
            for group in file["particles"].values():
                assert group[f"position/{name}"] == group[f"velocity/{name}"] == first
                assert isinstance(group["velocity"].get(name, getlink=True), h5py.HardLink)


# Label errors of a verified run

ERROR = "observables/trajectory_0001/label_error"


@pytest.mark.parametrize("batch", [1, 3])
def test_label_errors_come_back_bit_for_bit(tmp_path, batch):
    label_error = make_label_error(batch)
    _, x, v = write_file(tmp_path / "run.h5", batch, label_error=label_error)
    ensemble = read_h5md(tmp_path / "run.h5")
    assert ensemble.label_error.tobytes() == label_error.tobytes()
    np.testing.assert_array_equal(ensemble.x, x)
    np.testing.assert_array_equal(ensemble.v, v)
    write_file(tmp_path / "plain.h5", batch)
    assert read_h5md(tmp_path / "plain.h5").label_error is None


def test_label_errors_are_observables_of_each_trajectory(tmp_path):
    label_error = make_label_error()
    write_file(tmp_path / "run.h5", label_error=label_error)
    write_file(tmp_path / "plain.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert set(file["observables"]) == set(file["particles"])
        for b, group in enumerate(file["observables"].values()):
            element = group["label_error"]
            np.testing.assert_array_equal(element["value"][()], label_error[b])
            assert element["value"].dtype == np.float64
            for name in ("step", "time"):  # hard links to those of the frames
                assert element[name] == file[f"particles/trajectory_0000/position/{name}"]
                assert isinstance(element.get(name, getlink=True), h5py.HardLink)
    with h5py.File(tmp_path / "plain.h5") as file:
        assert "observables" not in file


def test_label_errors_of_an_unfinished_file_are_those_of_its_frames(tmp_path):
    (x, v), label_error = make_frames(), make_label_error()
    arguments = (tmp_path / "run.h5", make_particles(), 3, T, T0, DT)
    with H5MDWriter(*arguments, label_error=True) as writer:
        before = writer.part.stat().st_size
        for n in range(1, T):
            writer.write(x[:, n - 1 : n], v[:, n - 1 : n], label_error[:, n - 1 : n])
            np.testing.assert_array_equal(read_h5md(writer.part).label_error, label_error[:, :n])
        assert writer.part.stat().st_size == before


@pytest.mark.parametrize(
    ("verified", "shape", "message"),
    [
        (True, None, r"`label_error` must have shape \(B, F\) = \(3, 2\) in this file, got None"),
        (True, (3, 3), r"`label_error` must have shape .* got \(3, 3\)"),
        (True, (2, 2), r"`label_error` must have shape .* got \(2, 2\)"),
        (False, (3, 2), r"`label_error` must be None in this file, got \(3, 2\)"),
    ],
)
def test_label_errors_are_written_where_they_were_announced(tmp_path, verified, shape, message):
    x, v = make_frames()
    label_error = None if shape is None else np.zeros(shape)
    arguments = (tmp_path / "run.h5", make_particles(), 3, T, T0, DT)
    with H5MDWriter(*arguments, label_error=verified) as writer:
        with pytest.raises(InputError, match=message):
            writer.write(x[:, :2], v[:, :2], label_error)
        assert writer.written == 0
    assert list(tmp_path.iterdir()) == []


def test_other_observables_are_nobodys_business(tmp_path):
    write_file(tmp_path / "run.h5")
    write_file(tmp_path / "verified.h5", label_error=make_label_error())
    for name in ("run.h5", "verified.h5"):
        with h5py.File(tmp_path / name, "r+") as file:
            file["observables/energy/value"] = np.zeros(T)
            file["observables/trajectory_0000/energy/value"] = np.zeros(T)
    assert read_h5md(tmp_path / "run.h5").label_error is None
    assert read_h5md(tmp_path / "verified.h5").label_error.shape == (3, T)


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
        datasets = [group[f"{name}/value"] for group in file["particles"].values()
                    for name in ("position", "velocity")]  # fmt: skip
        datasets += [parameters["frames_written"]]
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

batch, n, segment, frames, pause = 2, 50, 100, 4000, float(sys.argv[2])
ones = np.ones((batch, n))
with H5MDWriter(sys.argv[1], Particles(ones, ones), 3, frames, 0.0, 0.1) as writer:
    for first in range(0, frames, segment):
        x = np.broadcast_to(np.arange(first, first + segment)[None, :, None, None] + 1.0,
                            (batch, segment, n, 3))
        writer.write(x, -x)
        print(writer.written, flush=True)
        time.sleep(pause)
    time.sleep(60)
"""


def start_child(path, pause):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(pause)], stdout=subprocess.PIPE, text=True
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
    child = start_child(tmp_path / "run.h5", 60)
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
    child = start_child(tmp_path / "run.h5", 0)
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
from pathlib import Path
import numpy as np
from nbody_surrogate.errors import RunError
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.contracts.state import Particles

ones, x = np.ones((2, 5)), np.ones((2, 4, 5, 3))
try:
    with H5MDWriter(sys.argv[1], Particles(ones, ones), 3, 8, 0.0, 0.1) as writer:
        writer.write(x, x)
        nearly = Path(writer.part).stat().st_size - 100  # all but the last few numbers fit
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


# Misuse of the writer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": 4}, "`dimensions` must be 2 or 3, got 4"),
        ({"frames": 0}, "`frames` must be at least 1"),
        ({"t0": np.nan}, "`t0` must be finite"),
        ({"dt": np.inf}, "`dt` must be finite"),
        ({"frames": 10**13}, "needs .* GiB, its disk has .* GiB left"),
    ],
)
def test_wrong_arguments_are_named_and_leave_no_file(tmp_path, changes, message):
    arguments = {"dimensions": 3, "frames": T, "t0": T0, "dt": DT} | changes
    with pytest.raises(InputError, match=message):
        H5MDWriter(tmp_path / "run.h5", make_particles(), **arguments)
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit_are_refused(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T - 1, T0, DT) as writer:
        with pytest.raises(InputError, match="`x` must hold at most 7 more"):
            writer.write(x, v)
        with pytest.raises(InputError, match="`x` must have shape"):
            writer.write(x[:2], v[:2])
        with pytest.raises(InputError, match="`v` must have shape"):
            writer.write(x[:, :3], v[:, :2])
        assert writer.written == 0


def test_a_finished_writer_takes_no_more(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(make_info())
        with pytest.raises(InputError, match="is closed"):
            writer.write(x[:, :1], v[:, :1])
        with pytest.raises(InputError, match="is closed"):
            writer.finish(make_info())


def test_a_provenance_of_another_batch_or_of_objects_is_refused(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        with pytest.raises(InputError, match=r"`info.status` must hold one entry"):
            writer.finish(make_info(2))
        with pytest.raises(InputError, match="`info` must hold plain values"):
            writer.finish(replace(make_info(), method={"object": object()}))
        with pytest.raises(InputError, match=r"counters\.nfev"):
            writer.finish(make_info_with_a_wrong_type())
        with pytest.raises(InputError, match="`info` must fit into"):
            writer.finish(replace(make_info(), method={"text": "a" * 10**6}))
        writer.finish(make_info())  # none of them has done harm
    assert read_h5md(tmp_path / "run.h5").info == make_info()


# The name of the result


def test_a_good_output_path_is_accepted(tmp_path):
    assert check_output_path(str(tmp_path / "run.h5"), False) == tmp_path / "run.h5"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.npz", "ending in .h5"),
        ("run", "ending in .h5"),
        (".h5", "ending in .h5"),
        ("missing/run.h5", "existing folder"),
        ("folder.h5", "regular file"),
        ("a\0b.h5", "`output` must"),
        ("x" * 300 + ".h5", "`output` must be a file name"),
    ],
)
def test_a_bad_output_path_is_one_line(tmp_path, name, message, overwrite):
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        check_output_path(f"{tmp_path}/{name}", overwrite)
    assert "`output`" in str(caught.value)
    assert "got '" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_read_only_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match="folder that you may write to"):
        check_output_path(tmp_path / "run.h5", False)


@pytest.mark.parametrize("name", ["run.h5", "run.h5.part"])
def test_existing_files_are_replaced_only_when_asked(tmp_path, name):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        check_output_path(tmp_path / "run.h5", False)
    with pytest.raises(InputError, match="--overwrite"):
        H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT)
    assert (tmp_path / name).read_bytes() == b"precious"
    check_output_path(tmp_path / "run.h5", True)
    assert (tmp_path / name).read_bytes() == b"precious"


def test_the_old_result_stays_until_the_new_one_is_finished(tmp_path):
    path = tmp_path / "run.h5"
    write_file(path)
    old = path.read_bytes()
    x, v = make_frames(seed=9)
    with H5MDWriter(path, make_particles(), 3, T, T0, DT, overwrite=True) as writer:
        writer.write(x, v)
        assert path.read_bytes() == old
        writer.finish(make_info())
    np.testing.assert_array_equal(read_h5md(path).x, x)


def test_a_name_taken_during_the_run_is_not_overwritten(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.path.write_bytes(b"precious")
        with pytest.raises(RunError, match=r"run\.h5\.part"):
            writer.finish(make_info())
    assert writer.path.read_bytes() == b"precious"
    assert read_h5md(writer.part).info == make_info()


# Files that are missing, foreign, damaged or hostile


def test_missing_and_foreign_files_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "missing.h5")
    assert "not a regular file" in refusal(tmp_path)
    (tmp_path / "text.h5").write_text("x y z\n")
    refusal(tmp_path / "text.h5")
    (tmp_path / "empty.h5").touch()
    refusal(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    assert "nbody-surrogate" in refusal(tmp_path / "other.h5")


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "run.h5"
    write_file(path)
    return path


VALUE = "particles/trajectory_0001/position/value"
OURS = "parameters/nbody_surrogate"


def external_link(file, path, other):
    file[path] = h5py.ExternalLink(str(other), VALUE)


def soft_link(file, path, other):
    file[path] = h5py.SoftLink("/particles/trajectory_0000/position/value")


def virtual_dataset(file, path, other):
    layout = h5py.VirtualLayout(shape=(T, N, 3), dtype="<f8")
    layout[...] = h5py.VirtualSource(str(other), VALUE, shape=(T, N, 3))
    file.create_virtual_dataset(path, layout)


def external_storage(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8", external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def compressed(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8", compression="gzip")


def never_allocated(file, path, other):
    file.create_dataset(path, (T, N, 3), "<f8")


def objects(file, path, other):
    file.create_dataset(path, (T, N, 3), h5py.special_dtype(vlen=np.dtype("f8")))


def single_precision(file, path, other):
    file[path] = np.zeros((T, N, 3), np.float32)


def other_shape(file, path, other):
    file[path] = np.zeros((T, N, 2))


def a_group(file, path, other):
    file.create_group(path)


def nothing(file, path, other):
    pass


REPLACEMENTS = [
    external_link,
    soft_link,
    virtual_dataset,
    external_storage,
    compressed,
    never_allocated,
    objects,
    single_precision,
    other_shape,
    a_group,
    nothing,
]


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_data_that_are_not_plainly_in_the_file_are_refused(finished, tmp_path, replacement):
    other = tmp_path / "other.h5"
    write_file(other)
    with h5py.File(finished, "r+") as file:
        del file[VALUE]
        replacement(file, VALUE, other)
    assert "position/value" in refusal(finished)


@pytest.fixture
def verified(tmp_path):
    path = tmp_path / "verified.h5"
    write_file(path, label_error=make_label_error())
    return path


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_label_errors_that_are_not_plainly_in_the_file_are_refused(verified, tmp_path, replacement):
    write_file(tmp_path / "other.h5", label_error=make_label_error())
    with h5py.File(verified, "r+") as file:
        del file[f"{ERROR}/value"]
        replacement(file, f"{ERROR}/value", tmp_path / "other.h5")
    assert "label_error/value" in refusal(verified)


@pytest.mark.parametrize("replacement", [external_link, soft_link, single_precision])
@pytest.mark.parametrize("b", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_label_errors_are_below_true_groups_or_refused(verified, tmp_path, replacement, b, depth):
    parts = ["observables", f"trajectory_{b:04d}", "label_error"][:depth]
    write_file(tmp_path / "other.h5", label_error=make_label_error())
    with h5py.File(verified, "r+") as file:
        del file["/".join(parts)]
        replacement(file, "/".join(parts), tmp_path / "other.h5")
    assert parts[-1] in refusal(verified)


def test_label_errors_of_some_trajectories_only_are_refused(verified):
    with h5py.File(verified, "r+") as file:
        del file["observables/trajectory_0002"]
    assert "observables/trajectory_0002/label_error/value" in refusal(verified)


@pytest.mark.parametrize(
    "value", [np.zeros(T - 1), np.zeros((T, 1)), np.zeros(T, np.int64), np.zeros(10**5)]
)
def test_label_errors_of_another_length_or_type_are_refused(verified, value):
    with h5py.File(verified, "r+") as file:
        del file[f"{ERROR}/value"]
        file[f"{ERROR}/value"] = value
    assert "label_error/value" in refusal(verified)


def test_a_verified_file_is_refused_wherever_it_ends(verified):
    whole = verified.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        verified.write_bytes(whole[:length])
        refusal(verified)


def test_a_group_behind_an_external_link_is_refused(finished, tmp_path):
    write_file(tmp_path / "other.h5")
    with h5py.File(finished, "r+") as file:
        del file["particles"]
        file["particles"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "particles")
    assert "link" in refusal(finished)


def overwrite(path, name, value):
    with h5py.File(path, "r+") as file:
        file[name][...] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{OURS}/format", 2),
        (f"{OURS}/complete", 5),
        (f"{OURS}/shape", [3, T, N, 4]),
        (f"{OURS}/shape", [2, T, N, 3]),
        (f"{OURS}/shape", [3, T, 0, 3]),
        (f"{OURS}/shape", [3, T, -N, -3]),
        (f"{OURS}/shape", [3, 2**62, N, 3]),
        (f"{OURS}/shape", [2**40, T, N, 3]),
        (f"{OURS}/provenance", b""),
        (f"{OURS}/provenance", b"{}"),
        (f"{OURS}/provenance", b"[" * 60000),
        (f"{OURS}/provenance", b'{"system": 1, "method": {}}'),
        (f"{OURS}/provenance", b'{"system": {}, "method": {}, "status": [0, 0]}'),
        (f"{OURS}/provenance", b"\xff\xfe"),
        ("parameters/frames_written", T - 1),
        ("parameters/frames_written", -1),
        ("parameters/frames_written", 2**62),
        ("particles/trajectory_0000/mass", -1.0),
        ("particles/trajectory_0002/charge", np.nan),
        ("particles/trajectory_0000/position/time", np.inf),
    ],
)
def test_contradictions_in_a_file_are_refused(finished, name, value):
    overwrite(finished, name, value)
    refusal(finished)


def test_a_trajectory_that_is_not_announced_is_refused(finished):
    with h5py.File(finished, "r+") as file:
        file.create_group("particles/trajectory_0003")
    assert "should hold 3 trajectories, but holds 4" in refusal(finished)


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    """A small file that announces a terabyte, in its header and its data set alike."""
    frames = 10**10
    x, v = make_frames(1)
    with H5MDWriter(tmp_path / "run.h5", make_particles(1), 3, T, T0, DT) as writer:
        writer.write(x, v)
    with h5py.File(writer.part, "r+") as file:
        file[f"{OURS}/shape"][1] = frames
        for name in ("position", "velocity"):
            del file[f"particles/trajectory_0000/{name}/value"]
            file[f"particles/trajectory_0000/{name}"].create_dataset(
                "value", (frames, N, 3), "<f8", chunks=(1, N, 3), compression="gzip"
            )
    assert "would take" in refusal(writer.part)


def test_a_truncated_file_is_refused_wherever_it_ends(finished):
    whole = finished.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        finished.write_bytes(whole[:length])
        refusal(finished)


def test_flipped_bits_are_refused_or_change_numbers_only(finished):
    whole, rng = finished.read_bytes(), random.Random(5)
    padding = max(re.finditer(rb"\0+", whole), key=lambda match: len(match[0]))
    places = [*range(padding.start() + 1), *range(padding.end(), len(whole))]
    outcomes = {"read": 0, "refused": 0}
    for place in rng.sample(places, 100):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        finished.write_bytes(damaged)
        try:
            ensemble = read_h5md(finished)
        except FileFormatError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert ensemble.x.shape == ensemble.v.shape == (3, T, N, 3)
            assert ensemble.t.shape == (T,)
            outcomes["read"] += 1
    assert min(outcomes.values()) >= 5, "the damage must reach structure and data"


def test_a_file_name_with_a_line_break_stays_on_one_line(tmp_path):
    path = tmp_path / "a\nb.h5"
    Path(path).write_text("no")
    with pytest.raises(FileFormatError) as caught:
        read_h5md(path)
    assert "\n" not in str(caught.value)
