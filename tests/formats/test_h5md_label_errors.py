"""Label errors of a verified run, in its file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from h5md_files import (
    ARRAYS,
    DT,
    REPLACEMENTS,
    T0,
    T,
    external_link,
    in_groups,
    make_frames,
    make_particles,
    nothing,
    refusal,
    single_precision,
    soft_link,
    write_file,
)
from nbody_surrogate.errors import InputError
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md


def make_label_error(batch=3, seed=2):
    """Label errors of which the last two of the first trajectory are not numbers."""
    label_error = np.random.default_rng(seed).uniform(1e-12, 1e-6, size=(batch, T))
    label_error[0, T - 2 :] = np.nan
    return label_error


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
        names = list(file["particles"])
        assert set(file["observables"]) == {*names, "valid"}
        for b, name in enumerate(names):
            element = file[f"observables/{name}/label_error"]
            np.testing.assert_array_equal(element["value"][()], label_error[b])
            assert element["value"].dtype == np.float64
            for name in ("step", "time"):  # hard links to those of the frames
                assert element[name] == file[f"particles/trajectory_0000/position/{name}"]
                assert isinstance(element.get(name, getlink=True), h5py.HardLink)
    with h5py.File(tmp_path / "plain.h5") as file:
        assert list(file["observables"]) == ["valid"]


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


# Damaged or hostile


@pytest.fixture
def verified(tmp_path):
    path = tmp_path / "verified.h5"
    write_file(path, label_error=make_label_error())
    in_groups(path)
    return path


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_an_array_of_them_that_is_not_plainly_in_the_file_is_refused(tmp_path, replacement):
    path, name = tmp_path / "verified.h5", f"{ARRAYS}/label_error"
    write_file(path, label_error=make_label_error())
    with h5py.File(path, "r+") as file:
        del file[name]
        replacement(file, name, tmp_path / "other.h5")
    if replacement is nothing:
        assert read_h5md(path).label_error is None
    else:
        assert "label_error" in refusal(path)


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
