"""A run is read back as it was saved, whatever became of it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate import NBodyWarning, load, make_system, save, simulate
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.initial import read_initial
from nbody_surrogate.formats.opening import read_runs, tells_system
from nbody_surrogate.results.domain_report import DomainFinding, DomainReport
from nbody_surrogate.results.error_estimate import EstimateReport, ToleranceReport
from nbody_surrogate.results.guard_report import GuardEvent, GuardReport
from refusals import refused


@pytest.fixture(scope="module")
def run():
    system = make_system("charged")
    made = simulate(system, *system.sample(0, 3, 2), 6, "leapfrog", verify=True)
    x = made.x.copy()
    x[1, 4:] = x[1, 3]
    info = replace(made.info, status=(0, -1), message=("", "it met another"), good=(7, 4))
    return replace(made, x=x, info=info)


@pytest.mark.parametrize("part", [lambda run: run, lambda run: run[1], lambda run: run[:, 1::2]])
def test_all_of_it_comes_back_to_the_bit(run, part, tmp_path):
    some = part(run)
    path = some.save(tmp_path / "a.h5")
    assert path == tmp_path / "a.h5"
    back = load(path)
    whole = back if some.x.ndim == 4 else back[0]
    for name in ("t", "x", "v", "label_error"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(some, name))
    assert (whole.info.good, whole.info.message) == (some.info.good, some.info.message)
    np.testing.assert_array_equal(whole.particles.masses, some.particles.masses)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".h5md", ".hdf5", ".H5"])
def test_the_other_names_of_the_format_are_written_too(run, suffix, tmp_path):
    for some in (run, run[0]):
        back = load(some.save(tmp_path / f"a{suffix}", overwrite=True))
        np.testing.assert_array_equal(back.x, some.x.reshape(back.x.shape))
    export(run[0], tmp_path / f"b{suffix}")
    assert load(tmp_path / f"b{suffix}").x.shape == (1, 7, 3, 3)
    system = make_system("charged")
    going = simulate(system, *system.sample(0, 3), 2, "leapfrog", output=tmp_path / f"c{suffix}")
    np.testing.assert_array_equal(load(tmp_path / f"c{suffix}").x, going.x)


@pytest.fixture
def forged(run, tmp_path):
    """A file whose system no `make_system` would make."""
    path = run[0].save(tmp_path / "forged.h5")
    content = path.read_bytes()
    assert b'"softening": 0.1' in content
    path.write_bytes(content.replace(b'"softening": 0.1', b'"softening": -1 '))
    return path


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".extxyz", ".vtkhdf"])
def test_a_forged_system_is_refused_by_whatever_reads_it(forged, suffix, tmp_path):
    words = ("`softening` of system 'charged': must be >= 0, got -1",)
    with refused(InputError, *words, "`initial`", "forged.h5"):
        read_initial(forged)
    for write in (export, save):
        with refused(InputError, *words):
            write(load(forged)[0], tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == [forged]


def test_a_system_that_is_not_installed_can_be_exported(run, tmp_path):
    strange = replace(run[0], info=replace(run[0].info, system={"system": "strange", "a": -1}))
    export(strange, tmp_path / "a.npz")
    assert read_initial(strange.save(tmp_path / "a.h5"))[0].x.shape == (1, 3, 3)


@pytest.fixture
def watched(run):
    """The second trajectory, which stopped, with all that a guard and others had to say."""
    events = (GuardEvent.beyond((0, 0, 2), "energy", 0.5, 0.1), GuardEvent(0, 1, 4, "energy", "?"))
    found = DomainFinding("nearest below", "0.01", 2, (0,))
    info = replace(
        run[1].info,
        guard=GuardReport("fallback", {"energy": 0.1}, {"integrator": "rk4"}, 6, (3,), events),
        domain=DomainReport("fallback", 6, (2,), (3,), (found,), {"integrator": "rk4"}),
        error_estimate=EstimateReport(0.95, True, "leapfrog", 32),
        tolerance=ToleranceReport(1e-3, {"integrator": "dop853"}, 6, 2, 1),
        identifier="abc",
    )
    return replace(run[1], info=info)


@pytest.mark.filterwarnings("ignore::nbody_surrogate.errors.NBodyWarning")
@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_the_account_of_a_run_is_read_back(watched, suffix, tmp_path):
    found = load(watched.valid_part().save(tmp_path / f"a{suffix}")).info
    assert found == replace(watched.info, identifier="", good=(4,))
    assert str(found.guard) == str(watched.info.guard)
    assert found.outside_note == watched.info.outside_note
    assert found.label == watched.info.label


def without_account(path):
    """Rewrite an archive as releases before the account wrote it."""
    with np.load(path) as arrays:
        kept = {name: values for name, values in arrays.items() if name != "info"}
    np.savez(path, **kept)
    return path


def test_archives_of_before_open_as_before(run, tmp_path):
    path = without_account(run[0].save(tmp_path / "a.npz"))
    found = load(path)
    np.testing.assert_array_equal(found.x[0], run.x[0])
    assert (found.info.system, found.info.method) == ({}, {"integrator": "a.npz"})
    assert not tells_system(path)


@pytest.mark.parametrize(
    "account",
    [
        np.array(b"{"),
        np.array(b"[]"),
        np.array(1.0),
        np.array([b"{}", b"{}"]),
        np.array("{}"),
        np.array(b'{"system": {}, "method": {"integrator": "a"}, "status": [0, 0]}'),
    ],
)
def test_a_damaged_account_is_one_line(run, account, tmp_path):
    path = run[0].save(tmp_path / "a.npz")
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **{**kept, "info": account})
    with refused(FileFormatError):
        load(path)
    assert read_initial(path)[0].x.shape == (1, 3, 3)  # which needs no account


def test_an_archive_with_its_account_needs_no_system_and_keeps_its_digits(run, tmp_path):
    """Its start is off by less than files of other programs keep, and is not taken for the same."""
    off = replace(run[0], x=run.x[0] * (1 + 1e-8))
    files = [run[0].save(tmp_path / "a.h5"), off.save(tmp_path / "b.npz")]
    assert tells_system(files[1])
    one, other = read_runs(files)
    assert other.info.system == one.info.system
    np.testing.assert_array_equal(other.x[0], off.x)


def test_a_copy_is_no_output_of_a_restart_file(run, tmp_path):
    named = replace(run, info=replace(run.info, identifier="abc"))
    assert load(named.save(tmp_path / "a.h5")).info.identifier == ""


@pytest.mark.parametrize("suffix", [".npz", ".extxyz", ".vtkhdf"])
def test_other_programs_get_the_valid_frames_of_one(run, suffix, tmp_path):
    with pytest.warns(NBodyWarning, match="4 of 7 frames"):
        path = save(run[1], tmp_path / f"a{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(load(path).x[0], run.x[1, :4], rtol=1e-15)


def test_misuse_is_one_line_and_leaves_nothing(run, tmp_path):
    path = run.save(tmp_path / "a.h5")
    before = path.read_bytes()
    with refused(InputError, "a.h5", "overwrite=True"):
        run.save(path)
    assert path.read_bytes() == before
    run[:1].save(path, overwrite=True)
    assert len(load(path)) == 1
    with refused(InputError, "2 trajectories", "run[0]"):
        run.save(tmp_path / "b.npz")
    with refused(InputError, ".extxyz"):
        run.save(tmp_path / "b.txt")
    with refused(InputError, "Dataset(folder)"):
        load(tmp_path)
    with refused(FileFormatError, "c.h5"):
        load(tmp_path / "c.h5")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder where nobody makes files")
def test_a_folder_that_takes_no_files_is_one_line(run):
    with refused(RunError, "`path` '/proc/a.h5' cannot be written"):
        save(run, "/proc/a.h5")
