"""Files of other programs: each gives the motion that it holds, or one line says what it lacks."""

from __future__ import annotations

import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest

import foreign_files as made
from foreign_files import CHARGES, DT, MASSES, TIMES, N, T, V, X
from nbody_surrogate.errors import FileFormatError, InputError, NBodyWarning
from nbody_surrogate.formats.foreign.supplements import Supplements
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.formats.opening import read_run

BOTH = Supplements(charges="1,-1,1,-1", masses="1,2,1,2")
WITHOUT_CHARGES = Supplements(charges="A=1,B=-1")
WITHOUT_MASSES = Supplements(masses="1,2,1,2")
NONE = Supplements()


def as_h5md(write):
    return lambda path: made.h5md(path, write)


FILES = {
    "pyh5md": ("run.h5", as_h5md(made.pyh5md_series), NONE),
    "pyh5md, fixed step": ("run.h5", as_h5md(made.pyh5md_fixed_step), NONE),
    "ZnH5MD": ("run.h5", as_h5md(made.znh5md), NONE),
    "MDAnalysis": ("run.h5md", as_h5md(made.mdanalysis), BOTH),
    "LAMMPS, H5MD": ("dump.h5", as_h5md(made.lammps), WITHOUT_MASSES),
    "LAMMPS, extended XYZ": ("dump.xyz", made.lammps_xyz, WITHOUT_CHARGES),
    "OVITO": ("run.extxyz", made.ovito_xyz, NONE),
    "CSV": ("run.csv", made.table, NONE),
    "GSD": ("run.gsd", made.gsd_file, NONE),
}
LIBRARY = {"GSD": "gsd.hoomd", "LAMMPS data": "ase"}


def written(kind, folder):
    name, write, supplements = FILES[kind]
    if kind in LIBRARY:
        pytest.importorskip(LIBRARY[kind], reason="pip install '.[io]'")
    return write(folder / name), supplements


def refusal(call, *arguments, **options):
    with pytest.raises((InputError, FileFormatError)) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def only_our_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBodyWarning)
        yield


@pytest.mark.parametrize("kind", FILES)
def test_a_trajectory_is_what_the_file_holds(tmp_path, kind):
    path, supplements = written(kind, tmp_path)
    dt = DT if kind == "GSD" else None  # it has steps and no times
    run = read_run(path, supplements=supplements, frame_dt=dt)
    np.testing.assert_array_equal(run.t, TIMES)
    np.testing.assert_array_equal(run.x[0], X)
    np.testing.assert_array_equal(run.v[0], V)
    np.testing.assert_array_equal(run.particles.charges[0], CHARGES)
    np.testing.assert_array_equal(run.particles.masses[0], MASSES)
    assert run.info.method == {"integrator": path.name}
    assert run.info.good == (T,)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("frame", [0, 1, -1])
def test_a_frame_is_a_start(tmp_path, kind, frame):
    path, supplements = written(kind, tmp_path)
    state, particles = read_initial(path, frame=frame, supplements=supplements)
    np.testing.assert_array_equal(state.x[0], X[frame])
    np.testing.assert_array_equal(state.v[0], V[frame])
    assert state.t == (0.0 if kind == "GSD" else TIMES[frame])
    np.testing.assert_array_equal(particles.charges[0], CHARGES)
    np.testing.assert_array_equal(particles.masses[0], MASSES)
    assert particles.couplings is None


@pytest.mark.parametrize("kind", FILES)
def test_a_frame_that_is_not_there_names_the_range(tmp_path, kind):
    path, supplements = written(kind, tmp_path)
    line = refusal(read_initial, path, frame=T, supplements=supplements)
    assert f"`frame` must be from {-T} to {T - 1}, got {T}" in line


def test_a_lammps_data_file_is_a_start(tmp_path):
    pytest.importorskip("ase", reason="pip install '.[io]'")
    for name in ("start.data", "start.lmp", "data.start"):
        state, particles = read_initial(made.lammps_data(tmp_path / name))
        np.testing.assert_array_equal(state.x[0], X[0])
        np.testing.assert_allclose(state.v[0], V[0], rtol=1e-15)
        np.testing.assert_array_equal(particles.charges[0], CHARGES)
        np.testing.assert_allclose(particles.masses[0], MASSES, rtol=1e-15)
        assert state.t == 0.0


def test_the_reader_that_is_missing_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("nbody_surrogate.formats.foreign.extra.find_spec", lambda name: None)
    for path in (made.lammps_data(tmp_path / "a.data"), tmp_path / "b.gsd"):
        path.touch()
        assert "pip install 'nbody-surrogate[io]'" in refusal(read_initial, path)


# What is missing is asked for


@pytest.mark.parametrize(
    ("kind", "given", "needed"),
    [
        ("MDAnalysis", NONE, "charges"),
        ("MDAnalysis", Supplements(charges="1"), "masses"),
        ("LAMMPS, H5MD", NONE, "masses"),
        ("LAMMPS, extended XYZ", NONE, "charges"),
    ],
)
def test_what_a_file_lacks_is_asked_for(tmp_path, kind, given, needed):
    path, _ = written(kind, tmp_path)
    for call in (read_run, read_initial):
        line = refusal(call, path, supplements=given)
        assert f"`{needed}` is needed: {str(path)!r} holds no {needed}" in line


def test_times_are_asked_for_of_several_frames_only(tmp_path):
    pytest.importorskip("gsd.hoomd", reason="pip install '.[io]'")
    path = made.gsd_file(tmp_path / "run.gsd")
    assert "`frame_dt` is needed" in refusal(read_run, path)
    assert "not needed" in refusal(read_run, made.ovito_xyz(tmp_path / "run.xyz"), frame_dt=DT)


def test_velocities_that_a_simulation_did_not_store_are_asked_for(tmp_path):
    """GSD has those of the first frame stand for all, or 0 where there are none at all."""
    pytest.importorskip("gsd.hoomd", reason="pip install '.[io]'")
    for options, frame in (({"velocities": False}, 0), ({"later": False}, -1)):
        path = made.gsd_file(tmp_path / "run.gsd", **options)
        assert "`velocities` is needed" in refusal(read_initial, path, frame=frame)
        assert "`velocities` is needed" in refusal(read_run, path, frame_dt=DT)
    path = made.gsd_file(tmp_path / "run.gsd", charges=False)
    assert "`charges` is needed" in refusal(read_initial, path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("-2", [-2.0] * N),
        ("1, -1,1,-1e0", CHARGES),
        ("A=1,B=-1", CHARGES),
        ("other.csv", CHARGES),
    ],
)
def test_charges_are_given_in_four_ways(tmp_path, monkeypatch, values, expected):
    monkeypatch.chdir(tmp_path)
    made.table(tmp_path / "other.csv")
    path = made.lammps_xyz(tmp_path / "dump.xyz")
    _, particles = read_initial(path, supplements=Supplements(charges=values))
    np.testing.assert_array_equal(particles.charges[0], expected)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"charges": "1,2"}, ["`charges`", "1 or 4 numbers", "got 2"]),
        ({"charges": "A=1"}, ["`charges`", "'B' is missing"]),
        ({"charges": "A=1,B=2,C=3"}, ["`charges`", "'C'", "no species"]),
        ({"charges": "A=1,B=2, A=3"}, ["`charges`", "'A' is there twice", "once"]),
        ({"charges": "one"}, ["`charges`", "SPECIES=NUMBER", "'one'"]),
        ({"charges": "inf"}, ["`charges`"]),
        ({"charges": "plain.xyz"}, ["`charges`", "holds no charges"]),
        ({"charges": "1", "masses": "1"}, ["`masses`", "the file holds masses"]),
        ({"charges": "1", "velocities": "zero"}, ["`velocities`", "the file holds velocities"]),
        ({"charges": "1", "couplings": "many"}, ["`couplings`", "'many'"]),
        ({"charges": "1", "group": "atoms"}, ["`group`", "H5MD"]),
    ],
)
def test_supplements_that_do_not_fit_are_named(tmp_path, monkeypatch, given, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.xyz").write_text("1\n\nX 0 0 0\n")
    path = made.lammps_xyz(tmp_path / "dump.xyz")
    line = refusal(read_initial, path, supplements=Supplements(**given))
    assert all(word in line for word in words), line


def test_velocities_are_zero_differences_or_those_of_another_file(tmp_path):
    """Second differences are exact for a motion that is quadratic in time."""
    run = made.motion()
    t = TIMES[:, None, None]
    quadratic, slope = X[0] + V[0] * t + X[1] * t**2, V[0] + 2 * X[1] * t
    path = made.h5md(
        tmp_path / "run.h5", lambda group: made.element(group, "position", quadratic, 1, DT)
    )
    by = replace(BOTH, velocities="differences")
    np.testing.assert_allclose(read_run(path, supplements=by).v[0], slope, atol=1e-12)
    state, _ = read_initial(path, frame=2, supplements=by)
    np.testing.assert_allclose(state.v[0], slope[2], atol=1e-12)
    assert not read_run(path, supplements=replace(BOTH, velocities="zero")).v.any()
    other = replace(BOTH, velocities=str(made.table(tmp_path / "other.csv")))
    np.testing.assert_array_equal(read_run(path, supplements=other).v[0], run.v)
    assert "three frames" in refusal(
        read_initial, made.xyz_of_one(tmp_path / "one.xyz"), supplements=by
    )


def test_momenta_and_masses_make_velocities(tmp_path):
    """As in the files that ASE writes."""
    path = made.xyz(
        tmp_path / "ase.extxyz",
        "species:S:1:pos:R:3:momenta:R:3:initial_charges:R:1:masses:R:1",
        lambda k, i: [*X[k, i], *(MASSES[i] * V[k, i]), CHARGES[i], MASSES[i]],
    )
    np.testing.assert_array_equal(read_run(path).v[0], V)


def test_ase_s_own_files_are_read(tmp_path):
    ase = pytest.importorskip("ase", reason="pip install '.[io]'")
    io = pytest.importorskip("ase.io")
    atoms = ase.Atoms("NaClNaCl", positions=X[0], masses=MASSES)
    atoms.set_velocities(V[0])
    atoms.set_initial_charges(CHARGES)
    io.write(tmp_path / "ase.extxyz", atoms)
    state, particles = read_initial(tmp_path / "ase.extxyz")
    np.testing.assert_allclose(state.x[0], X[0], atol=1e-8)  # it writes eight decimals
    np.testing.assert_allclose(state.v[0], V[0], atol=1e-8)
    np.testing.assert_array_equal(particles.charges[0], CHARGES)


def test_one_of_several_groups_must_be_named(tmp_path):
    path = made.h5md(tmp_path / "run.h5", made.pyh5md_series, "ions")
    with h5py.File(path, "r+") as file:
        file.create_group("particles/walls")
    line = refusal(read_initial, path)
    assert "`group` must name one of the particles groups 'ions', 'walls'" in line
    assert "got 'atoms'" in refusal(read_initial, path, supplements=Supplements(group="atoms"))
    state, _ = read_initial(path, supplements=Supplements(group="ions"))
    np.testing.assert_array_equal(state.x[0], X[0])


def test_a_fixed_step_counts_from_its_offset(tmp_path):
    path = made.h5md(tmp_path / "run.h5", made.pyh5md_fixed_step)
    with h5py.File(path, "r+") as file:
        for name in ("position", "velocity"):
            file[f"particles/atoms/{name}/time"].attrs["offset"] = 8.0
    np.testing.assert_array_equal(read_run(path).t, 8.0 + TIMES)


def test_units_and_boxes_that_are_not_read_are_told(tmp_path):
    with pytest.warns(NBodyWarning) as told:
        read_run(made.h5md(tmp_path / "run.h5", made.znh5md))
    (line,) = {str(each.message) for each in told}
    assert all(word in line for word in ("position in Angstrom", "time in fs", "periodic box"))
    pytest.importorskip("ase", reason="pip install '.[io]'")
    with pytest.warns(NBodyWarning, match="periodic box"):
        read_initial(made.lammps_data(tmp_path / "a.data", image="1 0 0"))


# Damage


def change_charges(group):
    made.lammps(group)
    group["charge/value"][1, 0] = 7.0


def other_times(group):
    made.pyh5md_series(group)
    group["velocity/time"][...] = TIMES + 1


def a_link(group):
    made.pyh5md_series(group)
    del group["position/value"]
    group["position/value"] = h5py.SoftLink("/particles/atoms/velocity/value")


def no_positions(group):
    group["mass"] = MASSES


def much_from_little(group):
    """Chunks that were never written take no room, and would take any in memory."""
    element = group.create_group("position")
    element.create_dataset("value", (10**9, N, 3), "f8", chunks=(1, N, 3))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (change_charges, "'charge' changes with time"),
        (other_times, "'velocity' is not at the times of the positions"),
        (a_link, "link"),
        (no_positions, "no positions"),
        (much_from_little, "would take"),
    ],
)
def test_h5md_that_is_no_run_is_refused(tmp_path, write, words):
    path = made.h5md(tmp_path / "run.h5", write)
    assert words in refusal(read_run, path, supplements=WITHOUT_MASSES)


HEAD = "Properties=species:S:1:pos:R:3:q:R:1:charge:R:1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no frame"),
        ("two\n\n", "number of its particles"),
        ("1000000000\n\nX 0 0 0\n", "must start with the number"),
        ("3\n\nX 0 0 0\n", "ends within frame 0"),
        ("1\n\nX 0 0\n", "must hold 4 values"),
        ("1\n\nX 0 0 a\n", "could not convert"),
        (f"1\n{HEAD}\nX 0 0 0 1 2\n", "charges twice, and they differ"),
        ("1\nProperties=pos:R\n0 0 0\n", "triples"),
        ("1\nProperties=pos:R:999999999\n0 0 0\n", "triples"),
        ("1\nProperties=q:R:1\n0\n", "no positions"),
        ("1\n\nX 0 0 0\n2\n\nX 0 0 0\nX 1 0 0\n", "differ in their particles"),
    ],
)
def test_text_that_is_no_xyz_is_refused(tmp_path, text, words):
    (tmp_path / "run.xyz").write_text(text)
    assert words in refusal(read_run, tmp_path / "run.xyz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no particles"),
        ("x,y\n", "no particles"),
        ("1,2,3\n", "must name the columns"),
        ("x,z\n1,2\n", "first two or all"),
        ("x,x\n1,2\n", "the same name"),
        ("x,y\n1\n", "must hold 2 values"),
        ("id,x,y\n1,0,0\n1,1,1\n", "same id"),
    ],
)
def test_text_that_is_no_table_is_refused(tmp_path, text, words):
    (tmp_path / "run.csv").write_text(text)
    assert words in refusal(read_run, tmp_path / "run.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "number of atoms"),
        ("\n1000000000000 atoms\n", "number of atoms"),
        ("\n4 atoms\n\n\n\nAtom Type Labels\n\n1 A\n", "labels"),
        ("\n1 atoms\n\nAtoms # exotic\n\n1 1 0 0 0\n", "exotic"),
    ],
)
def test_text_that_is_no_data_file_is_refused(tmp_path, text, words):
    pytest.importorskip("ase", reason="pip install '.[io]'")
    (tmp_path / "run.data").write_text(text)
    assert words in refusal(read_initial, tmp_path / "run.data")


def test_a_file_of_no_known_kind_is_refused_with_those_that_are(tmp_path):
    (tmp_path / "run.pdb").write_text("ATOM\n")
    line = refusal(read_run, tmp_path / "run.pdb")
    assert all(kind in line for kind in (".h5", ".npz", ".extxyz", ".gsd", ".csv", ".data"))
