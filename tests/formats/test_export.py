"""Runs in files of other programs, each read back by the other program."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, good
from nbody_surrogate import InputError, Particles, Trajectory, make_system, read_h5md, simulate
from nbody_surrogate.formats.export import export
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
    assert arrays.keys() == {"t", "x", "v", "charges", "masses", "couplings"}
    np.testing.assert_array_equal(arrays["x"], flat.x)
    np.testing.assert_array_equal(arrays["charges"], flat.particles.charges[0])
    np.testing.assert_array_equal(arrays["couplings"], flat.particles.couplings[0])


def test_an_archive_is_a_start(made, tmp_path, monkeypatch):
    """Its last frame starts another run: x, v, charges and masses are named alike."""
    monkeypatch.chdir(tmp_path)
    path, run = made
    good("export", path, "run.npz")
    with np.load("run.npz") as archive:
        last = {key: archive[key][-1] for key in ("x", "v")}
        np.savez("start.npz", **last, charges=archive["charges"], masses=archive["masses"])
    good("run", "--initial", "start.npz", "--duration", 0.1, "-q", "-o", "on.h5")
    np.testing.assert_array_equal(read_h5md("on.h5").x[0, 0], run.x[-1])


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (MISUSE, ["run.h5", "run.xyzzy"], ["xyzzy", ".extxyz", ".npz", ".vtkhdf"]),
        (MISUSE, ["run.h5", "none/run.npz"], ["none"]),
        (MISUSE, ["run.h5", "there.npz"], ["overwrite"]),
        (MISUSE, ["run.h5", "out.npz", "--trajectory", 1], ["`trajectory`", "0 to 0"]),
        (MISUSE, ["none.h5", "out.npz"], ["none.h5"]),
        (FAILURE, ["there.npz", "out.npz"], ["there.npz"]),
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
