"""H5MD files: what is written comes back bit for bit, in the structure the standard demands."""

from __future__ import annotations

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest

from h5md_files import (
    ARRAYS,
    DT,
    T0,
    VALUE,
    N,
    T,
    in_groups,
    make_frames,
    make_info,
    make_particles,
    write_file,
)
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.formats.h5md import H5MDReader, H5MDWriter, read_h5md

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
        # where a trajectory has stopped: frames that are valid are finite
        writer.write(x, v, None, np.arange(T)[None] < 3)
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
        make_info(),
        method={"integrator": "it", "n": np.int64(3), "tol": np.ones(2)},
        message=("ä" * 50000,) * 3,
    )
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(info)
    read = read_h5md(tmp_path / "run.h5").info
    assert read.method == {"integrator": "it", "n": 3, "tol": [1.0, 1.0]}
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


@pytest.mark.parametrize("name", [f"{ARRAYS}/position", VALUE])
def test_files_with_units_are_read_where_those_are_reduced(tmp_path, name):
    _, x, _ = write_file(tmp_path / "run.h5")
    if name == VALUE:
        in_groups(tmp_path / "run.h5")
    for unit in (b"1", "1"):
        with h5py.File(tmp_path / "run.h5", "r+") as file:
            file[name].attrs["unit"] = unit
        np.testing.assert_array_equal(read_h5md(tmp_path / "run.h5").x, x)
    for unit in (b"nm", "nm", 1, [1, 2]):
        with h5py.File(tmp_path / "run.h5", "r+") as file:
            file[name].attrs["unit"] = unit
        with pytest.raises(FileFormatError, match="unit"):
            read_h5md(tmp_path / "run.h5")


def test_groups_of_an_ensemble_are_windows_on_its_arrays(tmp_path):
    """What others change through a group is what is read; the file may be moved and renamed."""
    errors = np.arange(3.0 * T).reshape(3, T)
    particles, x, _ = write_file(tmp_path / "a.h5", couplings=True, label_error=errors)
    path = (tmp_path / "a.h5").rename(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        assert file[VALUE].is_virtual
        np.testing.assert_array_equal(file[VALUE], x[1])
        group = file["particles/trajectory_0002"]
        np.testing.assert_array_equal(group["couplings"], particles.couplings[2])
        np.testing.assert_array_equal(group["mass"], particles.masses[2])
        file[VALUE][2, 3] = 7.0
        file["observables/trajectory_0002/label_error/value"][0] = -1.0
    found = read_h5md(path)
    assert (found.x[1, 2, 3] == 7.0).all()
    assert found.label_error[2, 0] == -1.0


def test_a_single_trajectory_has_no_arrays(tmp_path):
    write_file(tmp_path / "run.h5", batch=1, label_error=np.zeros((1, T)))
    with h5py.File(tmp_path / "run.h5") as file:
        assert ARRAYS not in file
        assert not file["particles/trajectory_0000/position/value"].is_virtual
        assert file["parameters/nbody_surrogate/format"][()] == 1


def test_step_and_time_are_shared_by_hard_links(tmp_path):
    write_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        for name in ("step", "time"):
            first = file[f"particles/trajectory_0000/position/{name}"]
            for group in file["particles"].values():
                assert group[f"position/{name}"] == group[f"velocity/{name}"] == first
                assert isinstance(group["velocity"].get(name, getlink=True), h5py.HardLink)
