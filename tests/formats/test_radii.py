"""Radii in files: kept to the bit, read where other programs have them, added and left out."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from commands import MISUSE, bad, good
from nbody_surrogate import (
    InputError,
    Particles,
    compare,
    make_integrator,
    read_h5md,
    register_system,
    resume,
    simulate,
)
from nbody_surrogate.contracts.state import State
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.formats.agreement import in_agreement
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.foreign.supplements import Supplements
from nbody_surrogate.formats.h5md import H5MDReader
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.formats.opening import read_run
from nbody_surrogate.simulation.checkpoint import Checkpoint, read_restart
from nbody_surrogate.simulation.file_writer import Output
from small_systems import Pebbles

N, FRAMES = 4, 6
SINGLE = 1e-6  # MDAnalysis keeps positions in single precision


@pytest.fixture(autouse=True)
def pebbles(registered):
    register_system("pebbles")(Pebbles)


def run_of(trajectories=1, dimensions=3, **options):
    system = Pebbles()
    start = system.sample(0, N, trajectories, dimensions)
    return simulate(system, *start, FRAMES, "dop853", **options)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_s_file_has_them_to_the_bit(tmp_path, batch):
    run = run_of(batch, output=tmp_path / "run.h5")
    found = read_h5md(tmp_path / "run.h5")
    np.testing.assert_array_equal(found.particles.radii, run.particles.radii)
    with h5py.File(tmp_path / "run.h5") as file:
        for b in range(batch):
            group = file[f"particles/trajectory_{b:04d}"]
            np.testing.assert_array_equal(group["radius"][()], run.particles.radii[b])
            assert "unit" not in group["radius"].attrs
            assert group["charge"].attrs["unit"] == b"1"
    last = read_h5md(tmp_path / "run.h5", trajectory=batch - 1).particles
    np.testing.assert_array_equal(last.radii, run.particles.radii[-1:])
    with H5MDReader(tmp_path / "run.h5") as file:
        np.testing.assert_array_equal(file.particles.radii, run.particles.radii)


def test_a_run_that_is_not_kept_has_them(tmp_path):
    run = run_of(2, output=tmp_path / "run.h5", keep=False)
    np.testing.assert_array_equal(run.particles.radii, Pebbles().sample(0, N, 2)[1].radii)


@pytest.mark.parametrize("dimensions", [3, 2])
@pytest.mark.parametrize("suffix", [".h5", ".npz", ".extxyz", ".vtkhdf"])
def test_every_export_has_them_and_is_a_start(tmp_path, suffix, dimensions):
    run = run_of(dimensions=dimensions)[0]
    path = export(run, tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(read_run(path).particles.radii, run.particles.radii)
    state, particles = read_initial(path, frame=2)
    np.testing.assert_array_equal(particles.radii, run.particles.radii)
    np.testing.assert_array_equal(state.x, run.x[None, 2])


def test_a_start_in_an_archive(tmp_path):
    state, particles = Pebbles().sample(0, N, 2)
    given = {"charges": particles.charges, "masses": particles.masses, "radii": particles.radii}
    np.savez(tmp_path / "start.npz", x=state.x, v=state.v, **given)
    np.testing.assert_array_equal(read_initial(tmp_path / "start.npz")[1].radii, particles.radii)
    one = {key: values[0] for key, values in given.items()}
    np.savez(tmp_path / "one.npz", x=state.x[0], v=state.v[0], **one)
    np.testing.assert_array_equal(read_initial(tmp_path / "one.npz")[1].radii, particles.radii[:1])
    np.savez(tmp_path / "wrong.npz", x=state.x, v=state.v, **{**given, "radii": np.ones(N)})
    with pytest.raises(InputError, match=r"`radii` must have shape \(2, 4\)"):
        read_initial(tmp_path / "wrong.npz")
    np.savez(
        tmp_path / "wrong.npz", x=state.x, v=state.v, **{**given, "radii": 0 * state.x[..., 0]}
    )
    with pytest.raises(InputError, match="`radii` must be > 0, got 0"):
        read_initial(tmp_path / "wrong.npz")


def test_a_run_goes_on_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system = Pebbles()
    start = system.sample(0, N, 2)
    solver = make_integrator("dop853", segment=2)
    whole = simulate(system, *start, FRAMES, solver)

    def stop(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    output = Output("run.h5", checkpoint=Checkpoint("run.restart"))
    with pytest.raises(KeyboardInterrupt):
        simulate(system, *start, FRAMES, solver, output=output, observers=stop)
    assert "radii" not in read_restart("run.restart").arrays  # which stand in the output
    found = resume("run.restart", solver)
    np.testing.assert_array_equal(found.x, whole.x)
    np.testing.assert_array_equal(found.particles.radii, start[1].radii)


def test_a_restart_file_of_the_start_holds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = Pebbles().sample(0, N)

    def stop(done, total):
        raise KeyboardInterrupt

    output = Output("run.h5", checkpoint=Checkpoint("run.restart"))
    with pytest.raises(KeyboardInterrupt):
        simulate(Pebbles(), *start, FRAMES, "dop853", output=output, observers=stop)
    np.testing.assert_array_equal(read_restart("run.restart").particles.radii, start[1].radii)


def test_an_output_of_other_radii_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver = make_integrator("dop853", segment=2)

    def stop(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    output = Output("run.h5", checkpoint=Checkpoint("run.restart"))
    start = Pebbles().sample(0, N)
    with pytest.raises(KeyboardInterrupt):
        simulate(Pebbles(), *start, FRAMES, solver, output=output, observers=stop)
    with h5py.File("run.h5.part", "r+") as file:
        file["particles/trajectory_0000/radius"][0] += 1e-9
    with pytest.raises(FileFormatError, match="is of another run"):
        resume("run.restart", solver)


def test_runs_of_other_radii_are_not_compared():
    run = run_of()
    other = replace(run, particles=replace(run.particles, radii=2 * run.particles.radii))
    with pytest.raises(InputError, match="must have the radii of `reference`, they differ"):
        compare(run, other)
    bare = replace(run, particles=replace(run.particles, radii=None))
    with pytest.raises(InputError, match="must have the radii of `reference`"):
        compare(run, bare)
    assert compare(run, run).position_rmse[-1] == 0.0


# Files of other programs


TABLE = "x,y,z,vx,vy,vz,charge,mass,{}\n0,0,0,0,0,0,1,1,0.25\n1,1,1,0,0,0,1,1,0.5\n"


@pytest.mark.parametrize("name", ["radius", "radii", "Radius"])
def test_a_column_of_a_table(tmp_path, name):
    (tmp_path / "start.csv").write_text(TABLE.format(name))
    np.testing.assert_array_equal(read_initial(tmp_path / "start.csv")[1].radii, [[0.25, 0.5]])


def test_diameters_of_gsd_are_twice_the_radii(tmp_path):
    hoomd = pytest.importorskip("gsd.hoomd", reason="pip install '.[io]'")
    frame = hoomd.Frame()
    frame.particles.N = 2
    frame.particles.position = [[0, 0, 0], [1, 1, 1]]
    frame.particles.charge, frame.particles.mass = [1, 1], [1, 2]
    frame.particles.diameter = [0.5, 2.0]
    with hoomd.open(tmp_path / "start.gsd", "w") as file:
        file.append(frame)
    still = Supplements(velocities="zero")
    particles = read_initial(tmp_path / "start.gsd", supplements=still)[1]
    np.testing.assert_array_equal(particles.radii, [[0.25, 1.0]])


def test_mdanalysis_reads_files_with_radii(tmp_path):
    mda = pytest.importorskip("MDAnalysis", reason="pip install '.[interop]'")
    run = run_of(output=tmp_path / "run.h5")[0]
    for path in (tmp_path / "run.h5", export(run, tmp_path / "out.h5")):
        universe = mda.Universe.empty(N, trajectory=False)
        universe.load_new(str(path), format="H5MD", convert_units=False)
        step = universe.trajectory[3]
        np.testing.assert_allclose(step.positions, run.x[3], rtol=SINGLE, atol=SINGLE)
        universe.trajectory.close()


def test_ase_reads_a_column_of_radii(tmp_path):
    io = pytest.importorskip("ase.io", reason="pip install '.[interop]'")
    run = run_of()[0]
    atoms = io.read(export(run, tmp_path / "out.extxyz"), index=2)
    np.testing.assert_array_equal(atoms.arrays["radius"], run.particles.radii[0])


def test_another_program_s_radii_are_ours_where_we_have_some():
    run = run_of()
    close = replace(run.particles, radii=run.particles.radii.astype("f4"))
    for theirs in (close, replace(run.particles, radii=None)):
        found = in_agreement(replace(run, particles=theirs), run.info.system, run)
        np.testing.assert_array_equal(found.particles.radii, run.particles.radii)
    far = replace(run, particles=replace(run.particles, radii=2 * run.particles.radii))
    kept = in_agreement(far, run.info.system, run).particles.radii
    np.testing.assert_array_equal(kept, far.particles.radii)
    bare = replace(run, particles=replace(run.particles, radii=None))
    assert in_agreement(run, run.info.system, bare).particles.radii is None


# Added and left out


@pytest.fixture
def start(tmp_path):
    """Starts without radii and with, in the two kinds of files that are read apart."""
    state, particles = Pebbles().sample(0, 2)
    arrays = {"x": state.x[0], "v": state.v[0]}
    arrays |= {"charges": particles.charges[0], "masses": particles.masses[0]}
    np.savez(tmp_path / "bare.npz", **arrays)
    np.savez(tmp_path / "sized.npz", **arrays, radii=[0.25, 0.5])
    (tmp_path / "sized.csv").write_text(TABLE.format("radius"))
    rows = [line.rsplit(",", 1)[0] for line in TABLE.splitlines()]
    (tmp_path / "bare.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@pytest.mark.parametrize(
    ("text", "wanted"), [("0.3", [0.3, 0.3]), ("0.1, 0.2", [0.1, 0.2]), ("{}", [0.25, 0.5])]
)
def test_radii_are_given_in_three_ways(start, suffix, text, wanted):
    text = text.format(start / "sized.csv")
    found = read_initial(start / f"bare{suffix}", supplements=Supplements(radii=text))
    np.testing.assert_array_equal(found[1].radii, [wanted])


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("bare", "0", "`radii` must be > 0, got 0"),
        ("bare", "1,2,3", "`radii` must hold 1 or 2 numbers, got 3"),
        ("bare", "large", "`radii` must be a number"),
        ("sized", "0.3", "leave it out"),
    ],
)
def test_radii_that_do_not_fit_are_named(start, suffix, file, text, words):
    with pytest.raises(InputError) as caught:
        read_initial(start / f"{file}{suffix}", supplements=Supplements(radii=text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_radii_are_left_out(start, suffix):
    added = Supplements(radii="none")
    assert read_initial(start / f"sized{suffix}", supplements=added)[1].radii is None


def test_the_command_asks_for_radii_or_to_leave_them_out(start, monkeypatch):
    monkeypatch.chdir(start)
    run = ("run", "--no-reference", "--duration", 0.2, "--initial")
    told = bad(MISUSE, *run, "bare.npz", "--system", "pebbles")
    assert "`radii` is needed: 'bare.npz' holds none, and pebbles has one for each" in told
    told = bad(MISUSE, *run, "sized.npz", "--system", "charged")
    assert "`radii` are in 'sized.npz'" in told
    assert "--radii none" in told
    told = bad(MISUSE, *run, "bare.npz", "--system", "charged", "--radii", 1)
    assert "`radii` are given" in told
    assert "leave the option out" in told
    good(*run, "sized.npz", "--radii", "none", "-o", "a.h5")
    assert read_h5md("a.h5").particles.radii is None
    good(*run, "bare.npz", "--system", "pebbles", "--radii", 0.5, "-o", "b.h5")
    np.testing.assert_array_equal(read_h5md("b.h5").particles.radii, [[0.5, 0.5]])
    assert "`radii` goes with `initial` only" in bad(MISUSE, "run", "--radii", 1)


def test_a_verified_run_states_both_errors(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = ("run", "--system", "pebbles", "-n", N, "--no-reference", "--verify", "--duration", 0.5)
    text = good(*run, "-o", "a.h5")
    assert "label error at t = 0.5" in text
    assert "error of the system at t = 0.5" in text
    assert "order 4 in place of 2" in text
    found = json.loads(good(*run, "-o", "b.h5", "--json"))
    assert found["system_error"]["horizons"] == found["label_error"]["horizons"]
    assert found["system_error"]["median"][-1] > 1e6 * found["label_error"]["median"][-1]


def test_older_files_have_none(tmp_path):
    state, particles = Pebbles().sample(0, N)
    bare = Particles(particles.charges, particles.masses)
    simulate("charged", State(0.0, state.x, state.v), bare, 2, "leapfrog", output=tmp_path / "a.h5")
    assert read_h5md(tmp_path / "a.h5").particles.radii is None
    with h5py.File(tmp_path / "a.h5") as file:
        assert "radius" not in file["particles/trajectory_0000"]
