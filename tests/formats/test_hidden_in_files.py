"""Hidden variables in H5MD files: written with the frames, read to the bit, refused damaged."""

import warnings

import h5py
import numpy as np
import pytest

from nbody_surrogate import InputError, load, save, simulate
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.testing.probes import Relaxing
from tests.h5md_files import refusal
from tests.hidden_systems import Bonding


def made(system, trajectories, dimensions=3, **more):
    start = system.sample(3, 4, trajectories, dimensions)
    return simulate(system, *start, 12, "dop853", **more)


SYSTEMS = [(Relaxing(), "charge"), (Bonding(), "strength")]


@pytest.mark.parametrize("trajectories", [1, 3])
@pytest.mark.parametrize(("system", "name"), SYSTEMS)
def test_a_run_with_output_is_read_back_to_the_bit(system, name, trajectories, tmp_path):
    file = tmp_path / "run.h5"
    run = made(system, trajectories, output=file)
    back = load(file)
    assert list(back.hidden) == [name]
    np.testing.assert_array_equal(back.hidden[name], run.hidden[name])
    alone = load(file, trajectory=trajectories - 1)
    np.testing.assert_array_equal(alone.hidden[name], run.hidden[name][-1:])


@pytest.mark.parametrize("trajectories", [1, 3])
def test_each_trajectory_has_it_as_an_element_of_its_particles(trajectories, tmp_path):
    file = tmp_path / "run.h5"
    run = made(Bonding(), trajectories, output=file)
    with h5py.File(file) as root:
        for b in range(trajectories):
            element = root[f"particles/trajectory_{b:04d}/hidden_strength"]
            assert sorted(element) == ["step", "time", "value"]
            np.testing.assert_array_equal(element["value"], run.hidden["strength"][b])
            np.testing.assert_array_equal(element["time"], run.t)
            assert element["value"].dtype == "<f8"


@pytest.mark.parametrize("trajectories", [1, 2])
def test_a_run_that_is_not_kept_shows_its_file(trajectories, tmp_path):
    kept = made(Relaxing(), trajectories)
    shown = made(Relaxing(), trajectories, output=tmp_path / "run.h5", keep=False)
    np.testing.assert_array_equal(shown.hidden["charge"], kept.hidden["charge"])
    assert not shown.hidden["charge"].flags.writeable
    np.testing.assert_array_equal(shown.state(7).hidden["charge"], kept.hidden["charge"][:, 7])


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".extxyz", ".vtkhdf"])
def test_a_run_is_saved_where_it_can_be(suffix, tmp_path):
    run = made(Relaxing(), 1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        file = save(run, tmp_path / f"run{suffix}")
    back = load(file)
    np.testing.assert_array_equal(back.x, run.x)
    told = [str(each.message) for each in said]
    if suffix == ".h5":
        assert told == []
        np.testing.assert_array_equal(back.hidden["charge"], run.hidden["charge"])
    else:
        assert told == [f"a {suffix} does not hold hidden variables (charge); an .h5 does"]


def test_an_export_of_a_flat_run_holds_them(tmp_path):
    from nbody_surrogate.formats.h5md.whole import whole_h5md

    run = made(Bonding(), 1, 2)[0]
    with whole_h5md(tmp_path / "run.h5", run) as file:
        back = read_h5md(file)
    np.testing.assert_array_equal(back.hidden["strength"][0], run.hidden["strength"])


def test_a_run_starts_from_a_frame_of_a_file(tmp_path):
    run = made(Relaxing(), 2, output=tmp_path / "run.h5")
    state, particles = read_initial(tmp_path / "run.h5", frame=5)
    np.testing.assert_array_equal(state.hidden["charge"], run.hidden["charge"][:, 5])
    rest = simulate(Relaxing(), state, particles, 7, "dop853")
    np.testing.assert_allclose(rest.x, run.x[:, 5:], atol=1e-7)


def test_what_is_hidden_must_be_finite_to_be_saved(tmp_path):
    run = made(Relaxing(), 1)
    run.hidden["charge"][0, 4, 1] = np.nan
    with pytest.raises(InputError, match=r"^`hidden\['charge'\]` must be finite in valid frames, "):
        save(run, tmp_path / "run.h5")


# What is damaged


SAID = "parameters/nbody_surrogate/hidden/charge"
ARRAY = "parameters/nbody_surrogate/ensemble/hidden/charge"
ELEMENT = "particles/trajectory_0000/hidden_charge"


def missing(root, place):
    del root[place]


def of_another_shape(root, place):
    del root[place]
    root[place] = np.zeros(3)


def of_other_particles(root, place):
    root[SAID][...] = [13, 5]


def not_a_number(root, place):
    value = root[place]
    value[(0,) * (value.ndim - 2) + (3, 1)] = np.nan


def of_another_name(root, place):
    root.move(SAID, SAID.replace("charge", "x"))


@pytest.mark.parametrize("trajectories", [1, 2])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "charge"),
        (of_another_shape, "charge"),
        (of_other_particles, "its hidden variable 'charge' has shape"),
        (not_a_number, "its hidden variable 'charge' is not finite in trajectory 0 at frame 3"),
        (of_another_name, "neither x nor v, got 'x'"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, words, trajectories, tmp_path):
    file = tmp_path / "run.h5"
    made(Relaxing(), trajectories, output=file)
    with h5py.File(file, "r+") as root:
        damage(root, f"{ELEMENT}/value" if trajectories == 1 else ARRAY)
    assert words in refusal(file)


def test_a_writer_takes_what_was_announced(tmp_path):
    run = made(Relaxing(), 2)
    start = (tmp_path / "run.h5", run.particles, 3, 13, 0.0, 0.1)
    with H5MDWriter(*start, hidden={"charge": (4,)}) as writer:
        with pytest.raises(InputError, match=r"^`hidden` must be \['charge'\] in this file, got"):
            writer.write(run.x, run.v)
        with pytest.raises(InputError, match=r"^`hidden` 'charge' must have shape \(2, 13, 4\)"):
            writer.write(run.x, run.v, hidden={"charge": run.x})


def test_files_without_any_have_none(tmp_path):
    from nbody_surrogate import make_system

    system = make_system("charged")
    simulate(system, *system.sample(0, 3), 2, output=tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as root:
        assert "hidden" not in root["parameters/nbody_surrogate"]
    assert dict(load(tmp_path / "run.h5").hidden) == {}
