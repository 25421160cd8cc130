"""A periodic box in files of runs, for other programs, and what is measured in it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nbody_surrogate import make_integrator, make_system, read_h5md, simulate
from nbody_surrogate.comparison.distributions import pair_distances
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.results.metrics import closest_pair
from nbody_surrogate.simulation.resume import resume
from small_methods import SmallRK4

BOXED = "from nbody_surrogate.testing.probes import SoftSpheres\n"


@pytest.fixture(autouse=True)
def spheres(install):
    install("spheres-dist", {"soft-spheres": "SoftSpheres"}, BOXED, kind="systems")


def run(path=None, frames=12, **options):
    system = make_system("soft-spheres", **options)
    return simulate(system, *system.sample(3, 5, 2), frames, SmallRK4(), output=path)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_file_names_the_box_as_h5md_does(tmp_path, axes):
    made = run(tmp_path / "run.h5", axes=axes)
    with h5py.File(tmp_path / "run.h5") as file:
        box = file["particles/trajectory_0001/box"]
        assert box.attrs["boundary"].tolist() == [b"periodic"] * axes
        assert box["edges/value"][()].tolist() == [[2.5] * axes] * 13
        assert box["edges/time"] == file["particles/trajectory_0001/position/time"]
    read = read_h5md(tmp_path / "run.h5")
    assert read.system().box == Box((2.5,) * axes)
    np.testing.assert_array_equal(read.x, made.x)  # unwrapped


def test_mdanalysis_reads_the_box(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    run(tmp_path / "run.h5")
    universe = mda.Universe.empty(5, trajectory=True)
    universe.load_new(str(tmp_path / "run.h5"), format="H5MD", convert_units=False)
    assert universe.dimensions.tolist() == [2.5, 2.5, 2.5, 90, 90, 90]
    universe.trajectory.close()  # while it is open, HDF5 refuses readers with other locks


def test_a_box_that_is_open_along_an_axis(tmp_path):
    made = run()
    box = Box((2.5, None, 4.0))
    with H5MDWriter(tmp_path / "run.h5", made.particles, 3, 13, 0.0, 0.1, box=box) as writer:
        writer.write(made.x, made.v)
        writer.finish(made.info)
    with h5py.File(tmp_path / "run.h5") as file:
        group = file["particles/trajectory_0000/box"]
        assert group.attrs["boundary"].tolist() == [b"periodic", b"none", b"periodic"]
        assert group["edges/value"][-1].tolist() == [2.5, 0.0, 4.0]


def test_a_file_of_open_space_has_no_edges(tmp_path):
    run(tmp_path / "run.h5", period=None)
    with h5py.File(tmp_path / "run.h5") as file:
        assert list(file["particles/trajectory_0000/box"]) == []


@pytest.mark.parametrize(
    ("options", "cell"),
    [
        ({}, 'Lattice="2.5 0.0 0.0 0.0 2.5 0.0 0.0 0.0 2.5" pbc="T T T"'),
        ({"axes": 2}, 'Lattice="2.5 0.0 0.0 0.0 2.5 0.0 0.0 0.0 0.0" pbc="T T F"'),
        ({"period": None}, 'pbc="F F F"'),
    ],
)
def test_extended_xyz_has_the_cell(tmp_path, options, cell):
    export(run(**options)[0], tmp_path / "run.extxyz")
    head = Path(tmp_path / "run.extxyz").read_text().splitlines()[1]
    assert head.endswith(f"time=0.0 {cell}")


def test_a_run_in_a_box_is_resumed_with_the_same_bits(tmp_path):
    system = make_system("soft-spheres")
    start = system.sample(3, 5, 2)
    whole = simulate(system, *start, 9, make_integrator("rk45", segment=3))

    def interrupt(done, total):
        if done > 4:
            raise KeyboardInterrupt

    files = {"output": tmp_path / "run.h5", "checkpoint": tmp_path / "run.restart"}
    with pytest.raises(KeyboardInterrupt):
        method = make_integrator("rk45", segment=3)
        simulate(system, *start, 9, method, progress=interrupt, **files)
    np.testing.assert_array_equal(resume(tmp_path / "run.restart").x, whole.x)


def test_distances_are_those_of_the_nearest_images():
    made = run()
    box = made.system().box
    frames = np.arange(len(made.t))
    inside = np.sqrt(3) * 2.5 / 2
    assert np.linalg.norm(made.x[:, :, 0] - made.x[:, :, 1], axis=2).max() > inside
    assert pair_distances(made, frames).max() <= inside
    near = pair_distances(made, frames).reshape(2, len(frames), -1).min(2)
    np.testing.assert_allclose(closest_pair(made.x, box), near)
    assert (closest_pair(made.x) >= near - 1e-12).all()


def test_a_card_holds_a_box_that_is_partly_open():
    spec = {"box": [2.5, None, 4.0], "skin": None}
    card = CardSystem(system="spheres", spec=spec, time_range=(0.0, 1.0))
    assert CardSystem.model_validate_json(card.model_dump_json()).spec == spec
