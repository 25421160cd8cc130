"""What the writer of H5MD files refuses, and what becomes of a name that is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from h5md_files import DT, T0, T, make_frames, make_info, make_particles, write_file
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.formats.h5md import H5MDWriter, check_output_path, read_h5md


def make_info_with_a_wrong_type():
    info = make_info()
    info.counters["nfev"] = 1.5
    return info


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
            writer.finish(replace(make_info(), method={"integrator": "a" * 10**6}))
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
        ("run.npz", "ending in one of .h5"),
        ("run", "ending in one of .h5"),
        (".h5", "ending in one of .h5"),
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
