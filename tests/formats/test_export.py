"""Runs in files of other programs, each read back by the other program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, good
from nbody_surrogate import InputError, Particles, Trajectory, make_system, read_h5md, simulate
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.results.trajectory import RunInfo

SINGLE = 1e-6  # MDAnalysis keeps positions in single precision


def needed(module):
    return pytest.importorskip(
        module, reason=f"{module} is not installed: pip install '.[interop]'"
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of four particles of unequal mass, and its file."""
    path = tmp_path_factory.mktemp("made") / "run.h5"
    system = make_system("charged", mass_range=(0.5, 2.0))
    state, particles = system.sample(0, 4)
    return path, simulate(system, state, particles, 12, "leapfrog", output=path)[0]


@pytest.fixture
def flat():
    """Three bonded particles in a plane."""
    t = 0.5 * np.arange(4)
    x, v = np.random.default_rng(0).normal(size=(2, 4, 3, 2))
    particles = Particles([[1.0, 0.0, -1.0]], [[1.0, 2.0, 3.0]], np.ones((1, 3, 3)))
    return Trajectory(t, x, v, particles, RunInfo(system={}, method={"integrator": "none"}))


def test_mdanalysis_reads_positions_velocities_and_times(made):
    mda = needed("MDAnalysis")
    path, run = made
    universe = mda.Universe.empty(4, trajectory=False)
    universe.load_new(str(path), format="H5MD", convert_units=False)
    assert len(universe.trajectory) == 13
    for frame in (0, 5, 12):
        step = universe.trajectory[frame]
        assert step.time == run.t[frame]
        np.testing.assert_allclose(step.positions, run.x[frame], rtol=SINGLE, atol=SINGLE)
        np.testing.assert_allclose(step.velocities, run.v[frame], rtol=SINGLE, atol=SINGLE)
    universe.trajectory.close()  # while it is open, HDF5 refuses readers with other locks
    with h5py.File(path) as file:
        charges = file["particles/trajectory_0000/charge"][()]
    np.testing.assert_array_equal(charges, run.particles.charges[0])


def test_mdanalysis_reads_the_first_of_an_ensemble(tmp_path):
    mda = needed("MDAnalysis")
    system, path = make_system("charged"), tmp_path / "run.h5"
    run = simulate(system, *system.sample(0, 4, 3), 12, "leapfrog", output=path)
    universe = mda.Universe.empty(4, trajectory=False)
    universe.load_new(str(path), format="H5MD", convert_units=False)
    assert len(universe.trajectory) == 13
    for step, x, v in zip(universe.trajectory, run.x[0], run.v[0], strict=True):
        np.testing.assert_allclose(step.positions, x, rtol=SINGLE, atol=SINGLE)
        np.testing.assert_allclose(step.velocities, v, rtol=SINGLE, atol=SINGLE)
    universe.trajectory.close()


def test_ase_reads_extended_xyz(made, tmp_path):
    reader = needed("ase.io")
    _, run = made
    frames = reader.read(export(run, tmp_path / "run.extxyz"), index=":")
    assert len(frames) == 13
    for atoms, t, x, v in zip(frames, run.t, run.x, run.v, strict=True):
        assert atoms.info["time"] == t
        np.testing.assert_array_equal(atoms.positions, x)
        np.testing.assert_allclose(atoms.get_velocities(), v, rtol=1e-14)
        np.testing.assert_array_equal(atoms.get_initial_charges(), run.particles.charges[0])
        np.testing.assert_array_equal(atoms.get_masses(), run.particles.masses[0])


@pytest.mark.slow  # OVITO is 300 MB, and no part of any extra
def test_ovito_reads_extended_xyz(made, flat, tmp_path):
    """Its own names for charges, masses and velocities are there too."""
    reader = pytest.importorskip("ovito.io", reason="pip install 'ovito>=3.17'")
    for run in (made[1], flat):
        found = reader.import_file(str(export(run, tmp_path / f"{run.x.shape[2]}.extxyz")))
        assert found.num_frames == len(run.t)
        for frame, t in enumerate(run.t):
            data = found.compute(frame)
            assert data.attributes["time"] == t
            pad = ((0, 0), (0, 3 - run.x.shape[2]))
            for name, values in (
                ("Position", np.pad(run.x[frame], pad)),
                ("Velocity", np.pad(run.v[frame], pad)),
                ("Charge", run.particles.charges[0]),
                ("Mass", run.particles.masses[0]),
            ):
                # it reads some numbers into the double beside theirs
                np.testing.assert_allclose(data.particles[name][...], values, rtol=1e-15)


@pytest.mark.parametrize("dimensions", [3, 2])
def test_h5md_of_one_trajectory_is_read_by_others_and_by_us(made, flat, tmp_path, dimensions):
    mda = needed("MDAnalysis")
    run = made[1] if dimensions == 3 else flat
    path = export(run, tmp_path / "one.h5")
    ours = read_h5md(path)[0]
    for name in ("t", "x", "v"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(run, name))
    assert ours.info == replace(run.info, identifier="", good=(len(run.t),))
    np.testing.assert_array_equal(ours.particles.charges, run.particles.charges)
    if run.particles.couplings is not None:
        np.testing.assert_array_equal(ours.particles.couplings, run.particles.couplings)
    universe = mda.Universe.empty(run.particles.n, trajectory=False)
    universe.load_new(str(path), format="H5MD", convert_units=False, dt=float(run.t[1] - run.t[0]))
    pad = ((0, 0), (0, 3 - dimensions))
    for frame, step in enumerate(universe.trajectory):
        assert step.time == run.t[frame]
        np.testing.assert_allclose(step.positions, np.pad(run.x[frame], pad), atol=SINGLE)
        np.testing.assert_allclose(step.velocities, np.pad(run.v[frame], pad), atol=SINGLE)
    universe.trajectory.close()


def test_h5md_of_one_trajectory_has_what_znh5md_asks_for(made, tmp_path):
    """Each element of the particles has a time axis, the box has edges, and its text any length.

    As tried with ZnH5MD 0.4.8.
    """
    with h5py.File(export(made[1], tmp_path / "one.h5")) as file:
        (group,) = file["particles"].values()
        elements = [each for name, each in group.items() if name != "box"]
        assert set(group) >= {"species", "position", "velocity", "charge", "mass"}
        for element in (*elements, group["box/edges"]):
            assert len(element["value"]) == len(element["time"]) == 13
        assert not np.any(group["species/value"])
        assert list(group["box"].attrs["boundary"]) == ["none"] * 3
        assert all(isinstance(each, str) for each in group["box"].attrs["boundary"])


@pytest.mark.slow  # ZnH5MD is no part of any extra
@pytest.mark.parametrize("dimensions", [3, 2])
def test_znh5md_reads_h5md_of_one_trajectory(made, flat, tmp_path, dimensions):
    znh5md = pytest.importorskip("znh5md", reason="pip install 'znh5md>=0.4.8'")
    run = made[1] if dimensions == 3 else flat
    frames = znh5md.IO(str(export(run, tmp_path / "one.h5")))
    pad = ((0, 0), (0, 3 - dimensions))
    for atoms, x, v in zip(frames, run.x, run.v, strict=True):
        np.testing.assert_array_equal(atoms.positions, np.pad(x, pad))
        np.testing.assert_allclose(atoms.get_velocities(), np.pad(v, pad), rtol=1e-12)
        np.testing.assert_array_equal(atoms.get_masses(), run.particles.masses[0])
        assert not atoms.pbc.any()


@pytest.mark.parametrize("suffix", [".npz", ".extxyz", ".vtkhdf", ".h5"])
@pytest.mark.parametrize("frame", [0, 2, -1])
def test_every_export_is_a_start_with_its_couplings(flat, tmp_path, suffix, frame):
    state, particles = read_initial(export(flat, tmp_path / f"run{suffix}"), frame=frame)
    assert state.t == flat.t[frame]
    np.testing.assert_array_equal(state.x[0], flat.x[frame])
    np.testing.assert_array_equal(state.v[0], flat.v[frame])
    for name in ("charges", "masses", "couplings"):
        np.testing.assert_array_equal(getattr(particles, name), getattr(flat.particles, name))


def vtk_steps(path):
    """Times and a function that reads the points and their data at one of them."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonExecutionModel import vtkStreamingDemandDrivenPipeline
    from vtkmodules.vtkIOHDF import vtkHDFReader

    reader = vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    times = reader.GetOutputInformation(0).Get(vtkStreamingDemandDrivenPipeline.TIME_STEPS())

    def at(t):
        reader.UpdateTimeStep(t)
        points = reader.GetOutput()
        data = points.GetPointData()
        arrays = {
            data.GetArrayName(k): vtk_to_numpy(data.GetArray(k))
            for k in range(data.GetNumberOfArrays())
        }
        assert points.GetNumberOfVerts() == points.GetNumberOfPoints()
        return vtk_to_numpy(points.GetPoints().GetData()), arrays

    return times, at


def test_vtk_reads_vtkhdf(made, tmp_path):
    _, run = made
    times, at = vtk_steps(export(run, tmp_path / "run.vtkhdf"))
    assert list(times) == run.t.tolist()
    for frame in (0, 7, 12):
        x, data = at(run.t[frame])
        np.testing.assert_array_equal(x, run.x[frame])
        np.testing.assert_array_equal(data["velocity"], run.v[frame])
        np.testing.assert_array_equal(data["charge"], run.particles.charges[0])
        np.testing.assert_array_equal(data["mass"], run.particles.masses[0])
        np.testing.assert_allclose(data["speed"], np.linalg.norm(run.v[frame], axis=1))


def test_vtkhdf_holds_errors_and_flat_runs(flat, tmp_path):
    other = Trajectory(flat.t, flat.x + 0.25, flat.v, flat.particles, flat.info)
    _, at = vtk_steps(export(other, tmp_path / "run.vtkhdf", reference=flat))
    x, data = at(flat.t[2])
    np.testing.assert_array_equal(x, np.pad(other.x[2], ((0, 0), (0, 1))))
    np.testing.assert_allclose(data["error"], [[0.25, 0.25, 0.0]] * 3)
    np.testing.assert_allclose(data["error_size"], 0.25 * np.sqrt(2))


def test_numpy_reads_an_archive_without_pickle(flat, tmp_path):
    with np.load(export(flat, tmp_path / "run.npz"), allow_pickle=False) as archive:
        arrays = dict(archive)
    assert json.loads(arrays.pop("info").item())["method"] == {"integrator": "none"}
    assert arrays.keys() == {"t", "x", "v", "charges", "masses", "couplings"}
    np.testing.assert_array_equal(arrays["x"], flat.x)
    np.testing.assert_array_equal(arrays["charges"], flat.particles.charges[0])
    np.testing.assert_array_equal(arrays["couplings"], flat.particles.couplings[0])


def test_an_archive_is_a_start(made, tmp_path, monkeypatch):
    """Its last frame starts another run."""
    monkeypatch.chdir(tmp_path)
    path, run = made
    good("export", path, "run.npz")
    on = ["--initial", "run.npz", "--initial-frame", -1, "--no-reference", "-q", "-o", "on.h5"]
    good("run", *on, "--duration", 0.1)
    going = read_h5md("on.h5")
    np.testing.assert_array_equal(going.x[0, 0], run.x[-1])
    assert going.t[0] == run.t[-1]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (MISUSE, ["run.h5", "run.xyzzy"], ["xyzzy", ".extxyz", ".npz", ".vtkhdf"]),
        (MISUSE, ["run.h5", "none/run.npz"], ["none"]),
        (MISUSE, ["run.h5", "there.npz"], ["overwrite"]),
        (MISUSE, ["run.h5", "out.npz", "--trajectory", 1], ["`trajectory`", "0 to 0"]),
        (MISUSE, ["none.h5", "out.npz"], ["none.h5"]),
        (MISUSE, ["run.h5"], ["`output`", "`format`"]),
        (MISUSE, ["run.h5", "out.npz", "--format", "h5md"], ["`output`", ".h5", "out.npz"]),
        (MISUSE, ["run.h5", "out.npz", "--charges", "1"], ["`charges`", "run.h5"]),
        (FAILURE, ["there.npz", "out.h5"], ["there.npz"]),
    ],
)
def test_misuse_of_export_is_one_line(made, tmp_path, monkeypatch, code, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("run.h5").write_bytes(made[0].read_bytes())
    Path("there.npz").write_bytes(b"precious")
    line = bad(code, "export", *arguments)
    assert all(word in line for word in words), line


def test_a_reference_of_other_shape_is_refused(made, flat, tmp_path):
    with pytest.raises(InputError, match="`reference`"):
        export(made[1], tmp_path / "run.vtkhdf", reference=flat)
    assert list(tmp_path.iterdir()) == []
