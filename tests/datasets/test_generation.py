"""Data sets are made the same whoever makes them, however often they are stopped."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from nbody_simulators.systems.legacy import legacy_starts
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.datasets import Dataset, generate_dataset
from nbody_surrogate.datasets.generation.measure_label_error import label_error_sample
from nbody_surrogate.datasets.manifest import read_manifest
from nbody_surrogate.datasets.spec import read_spec, resolve
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system, register_integrator
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.simulation.simulate import simulate

SMALL = {"particles": 3, "trajectories": 7, "frames": 4, "shard": 3}
"""Shards of 3, 3 and 1 trajectories, by the default system and solver."""

PLACES = {"rows": 49, "offsets": {"validation": 9, "test": 20}}
STARTS = {"first": 0, "frames": 1, "task": None}
LEGACY = {"preset": "nbody-small", "trajectories": 14, "shard": 3, "legacy": PLACES, **STARTS}
"""Six trajectories for training, from the beginning of the stream, then gaps of 3 and of 7."""

PAPER = {"trajectories": 4, "horizon": 900, "shard": 3}
"""Trajectories of 1000 steps."""

CASES = {
    "dop853-compiled": {},
    "leapfrog": {"integrator": "leapfrog"},
    "a seed and an option": {"system": "trap", "seed": 7, "options": {"rtol": 1e-6}},
    "masses": {"system": "gravity", "parameters": {"mass_range": [0.5, 2.0]}},
    "couplings": {"system": "springs", "dimensions": 2, "integrator": "dop853"},
    "a magnetic field": {"system": "penning", "integrator": "boris"},
    "one particle": {"system": "oscillator", "particles": 1},
}

SAME_STEPS = 1e-9
"""Steps of 0.001 whose size is rounded differently, grown over 1000 of them; 1e-13 is measured."""

ABOUT = 3.0
"""Between two estimates of an error: each is a difference to a run that has errors itself."""

CONVERGED = 1e-6
"""Far above what the solvers' tolerance of 1e-9 grows to in 3 time units; 1e-9 is measured."""

PATIENCE = 60.0
"""Seconds for processes to come or go, on a machine that does much else."""


class StopError(Exception):
    """Stands for whatever ends a run."""


def contents(folder):
    """All files of a folder, and what is in them."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def written(folder):
    """When each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.h5")}


def shards(folder):
    return {name: data for name, data in contents(folder).items() if name.startswith("shard-")}


def edit(folder, **changes):
    """Change the manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def listed(folder):
    return [record.name for record in read_manifest(folder).shards]


def arrays(data):
    """Positions, velocities, charges, masses, and couplings where there are any."""
    block = data.read(0, len(data))
    found = [block.x, block.v, block.particles.charges, block.particles.masses]
    return found if block.particles.couplings is None else [*found, block.particles.couplings]


def assert_same(some, others):
    """All bits are the same."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


def stopped(spec, folder, trajectories, error=StopError, **options):
    """Make a part of a data set."""

    def progress(done, total):
        if done >= trajectories:
            raise error

    with pytest.raises(error):
        generate_dataset(spec, folder, progress=progress, **options)


def refused(kind, *arguments, **options):
    """The one line with which `generate` refuses."""
    with pytest.raises(kind) as caught:
        generate_dataset(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def no_leftovers(folder):
    return not [path for path in folder.iterdir() if path.suffix in (".part", ".lock")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make data sets, each once; they are not to be changed."""
    kept = {}

    def make(**values):
        key = json.dumps(values, sort_keys=True)
        if key not in kept:
            kept[key] = generate_dataset(resolve(values), tmp_path_factory.mktemp("made") / "set")
        return kept[key]

    return make


@pytest.fixture
def folder(tmp_path):
    """Where a data set is to be made."""
    return tmp_path / "set"


@pytest.fixture
def finished(made, folder):
    """A finished folder, to be damaged."""
    shutil.copytree(made(**SMALL).folder, folder)
    return folder


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(lookup, "registered", {})


# Trajectory i depends on the spec and i alone


@pytest.mark.parametrize("case", CASES)
def test_trajectory_i_is_what_sample_and_simulate_give(made, case):
    data = made(**(SMALL | CASES[case]))
    spec = data.spec
    integrator = make_integrator(spec.integrator, **spec.options)
    for i in range(7):
        state, particles = data.system().sample(
            spec.seed, spec.particles, dimensions=spec.dimensions, first=i
        )
        run = simulate(data.system(), state, particles, spec.frames, integrator)
        wanted = [run.x[0], run.v[0], particles.charges[0], particles.masses[0]]
        if particles.couplings is not None:
            wanted.append(particles.couplings[0])
        assert_same([each[i] for each in arrays(data)], wanted)
        np.testing.assert_array_equal(data.t, run.t)


@pytest.mark.parametrize(
    ("case", "shard", "workers"),
    [
        ("dop853-compiled", 1, 2),
        ("dop853-compiled", 7, 2),
        ("leapfrog", 1, 2),
        ("couplings", 1, 1),
    ],
)
def test_neither_shards_nor_threads_change_a_bit(made, folder, case, shard, workers):
    spec = resolve(SMALL | CASES[case] | {"shard": shard})
    data = generate_dataset(spec, folder, workers=workers)
    assert [record.count for record in data.manifest.shards] == [len(p) for p in spec.shards]
    assert_same(arrays(data), arrays(made(**(SMALL | CASES[case]))))


def test_worker_processes_write_the_same_files(made, folder):
    case = SMALL | CASES["couplings"]
    whole, told = made(**case), []
    generate_dataset(resolve(case), folder, workers=2, progress=lambda *now: told.append(now))
    assert contents(folder) == contents(whole.folder)
    assert told == sorted(told)
    assert told[-1] == (7, 7)


def test_more_trajectories_than_run_at_a_time_are_the_same_ones(made, folder):
    many = {"particles": 2, "trajectories": 150, "frames": 1, "integrator": "leapfrog"}
    data = made(**many)
    generate_dataset(resolve(many), folder, workers=2)
    assert contents(folder) == contents(data.folder)
    system = make_system("charged")
    run = simulate(system, *system.sample(0, 2, 150), 1, "leapfrog")
    assert_same(arrays(data)[:2], [run.x, run.v])


@pytest.mark.parametrize("integrator", ["dop853-compiled", "leapfrog", "rk4"])
def test_rows_that_are_kept_are_those_of_a_run_that_keeps_all(made, integrator):
    """Frames that are left out take as many steps as others."""
    values = {"particles": 3, "trajectories": 2, "frames": 30, "integrator": integrator}
    every = arrays(made(**values))
    late = arrays(made(**(values | {"first": 20})))
    window = {"inputs": 2, "every": 3, "horizon": 24}
    spread = arrays(made(**(values | {"frames": None, "window": window})))
    for k in (0, 1):
        np.testing.assert_allclose(late[k], every[k][:, 20:], rtol=0, atol=CONVERGED)
        np.testing.assert_allclose(spread[k], every[k][:, [1, 4, 30]], rtol=0, atol=CONVERGED)


# Published streams


def test_splits_take_their_places_in_the_legacy_stream(made):
    data = made(**LEGACY)
    state, particles = legacy_starts(43, 5, 24, spread=1.0, rows=49)
    places = {"train": range(0, 6), "validation": range(9, 13), "test": range(20, 24)}
    assert list(data.spec.ranges) == list(places)
    for split, place in places.items():
        (block,) = data.blocks(split)
        assert_same([block.x[:, 0], block.v[:, 0], block.particles.charges],
                    [state.x[place], state.v[place], particles.charges[place]])  # fmt: skip


def test_rows_of_nbody_small_are_its_programs(made):
    """Row r is 100 (r + 1) steps after the start."""
    data = made(preset="nbody-small", trajectories=3, splits={"train": 3}, legacy={"rows": 49})
    starts = legacy_starts(43, 5, 3, spread=1.0, rows=49)
    solver = make_integrator("symplectic-euler", step=0.001)
    run = simulate(make_system("charged-clipped"), *starts, 49, solver)
    assert_same(arrays(data)[:2], [run.x[:, 1:].copy(), run.v[:, 1:].copy()])


def test_rows_of_set_paper_are_states_after_so_many_steps(made):
    data = made(preset="set-paper", **PAPER)
    starts = legacy_starts(3, 5, 4, spread=2.0, rows=1000)
    system = make_system("charged-clipped", frame_dt=0.001, spread=2.0)
    run = simulate(system, *starts, 1000, make_integrator("symplectic-euler", substeps=1))
    x, v, charges, _ = arrays(data)
    steps = [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 1000]
    np.testing.assert_allclose(x, run.x[:, steps], rtol=0, atol=SAME_STEPS)
    np.testing.assert_allclose(v, run.v[:, steps], rtol=0, atol=SAME_STEPS)
    np.testing.assert_array_equal(charges, starts[1].charges)
    np.testing.assert_allclose(data.t, np.array(steps) * 0.001)


def test_as_released_differs_in_the_target_row_only(made):
    ours, theirs = (made(preset=f"set-paper{end}", **PAPER) for end in ("", "-as-released"))
    for right, zero in zip(arrays(ours)[:2], arrays(theirs)[:2], strict=True):
        assert right[:, -1].all()
        assert not zero[:, -1].any()
        assert_same([zero[:, :-1].copy()], [right[:, :-1].copy()])
    assert_same(arrays(theirs)[2:], arrays(ours)[2:])
    assert ours.manifest.label_error.rows == tuple(range(11))
    assert theirs.manifest.label_error.rows == tuple(range(10))  # not of the target


# One trajectory at a time, or many


class Counting(AbstractIntegrator):
    """Leaves everything where it is, and notes the sizes of batches."""

    name: ClassVar[str] = "counting"
    invariant: ClassVar[bool] = False
    sizes: ClassVar[list[int]] = []

    @property
    def batch_invariant(self):
        return self.invariant

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, axis=1) for key in ("x", "v"))
        self.sizes.append(len(x))
        return Frames(x, v)


@pytest.mark.parametrize(("invariant", "sizes"), [(False, [1] * 7), (True, [3, 3, 1])])
def test_what_is_not_batch_invariant_runs_by_itself(
    registered, monkeypatch, folder, invariant, sizes
):
    register_integrator("counting")(Counting)
    monkeypatch.setattr(Counting, "sizes", [])
    monkeypatch.setattr(Counting, "invariant", invariant)
    generate_dataset(resolve(SMALL | {"integrator": "counting"}), folder)
    assert Counting.sizes == sizes


# The label error


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"options": {"rtol": 1e-5, "atol": 1e-5}}, "dop853-compiled, rtol 1e-07"),
        ({"integrator": "leapfrog"}, "leapfrog, substeps 64"),
    ],
)
def test_the_label_error_is_about_the_difference_to_a_far_sharper_run(made, changes, method):
    data = made(**({"particles": 3, "trajectories": 7, "frames": 30, "shard": 3} | changes))
    error, system = data.manifest.label_error, data.system()
    x = arrays(data)[0]
    sharp = make_integrator("dop853", rtol=1e-12, atol=1e-12)
    truth = simulate(system, *system.sample(0, 3, 7), 30, sharp).x
    measured = rmse(truth, x)[label_error_sample(data.spec)]
    assert error.method == method
    assert error.sample == 4
    assert (error.rows[0], error.rows[-1], len(error.rows)) == (0, 30, 12)
    assert error.median[0] == error.largest[0] == 0
    for row, median, largest in list(zip(error.rows, error.median, error.largest, strict=True))[1:]:
        assert np.median(measured[:, row]) / ABOUT < median < ABOUT * np.median(measured[:, row])
        assert measured[:, row].max() / ABOUT < largest < ABOUT * measured[:, row].max()


@pytest.mark.parametrize(
    ("integrator", "options"),
    [("ballistic", {}), ("dop853", {"rtol": 3e-14}), ("dop853-compiled", {"rtol": 2.9e-13})],
)
def test_there_is_a_note_where_nothing_sharper_exists(made, integrator, options):
    data = made(**(SMALL | {"frames": 1, "integrator": integrator, "options": options}))
    assert data.manifest.label_error is None
    assert data.manifest.label_error_note == f"{integrator} cannot be made sharper"


# The folder


def test_the_manifest_says_what_was_made_and_by_what(made):
    data = made(**SMALL)
    manifest = json.loads((data.folder / "manifest.json").read_text())
    assert resolve(manifest["spec"]) == resolve(SMALL)
    assert manifest["versions"].keys() == {"nbody-surrogate", "numpy", "scipy", "numba", "CyRK"}
    names = ["shard-00000.h5", "shard-00001.h5", "shard-00002.h5"]
    found = [(shard["name"], shard["first"], shard["count"]) for shard in manifest["shards"]]
    assert found == list(zip(names, (0, 3, 6), (3, 3, 1), strict=True))
    assert sorted(contents(data.folder)) == ["manifest.json", *names]


def test_a_finished_folder_stays_as_it_is(finished):
    """Also where other versions of the libraries made it."""
    edit(finished, versions={"numpy": "1.0"})
    before, at = contents(finished), written(finished)
    generate_dataset(resolve(SMALL), finished, workers=2)
    assert contents(finished) == before
    assert written(finished) == at


# It goes on where it stopped


@pytest.mark.parametrize(
    ("values", "at", "finished", "error"),
    [
        (SMALL, 3, 0, StopError),
        (SMALL, 4, 1, KeyboardInterrupt),
        (LEGACY, 7, 2, StopError),
        (LEGACY, 13, 4, KeyboardInterrupt),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_files(made, folder, values, at, finished, error):
    spec, whole = resolve(values), made(**values)
    stopped(spec, folder, at, error)
    kept = written(folder)
    assert listed(folder) == sorted(kept)
    assert len(kept) == finished
    assert no_leftovers(folder)
    with pytest.raises(InputError, match="not finished"):
        Dataset(folder)
    told = []
    generate_dataset(spec, folder, progress=lambda done, total: told.append(done))
    assert told[0] > sum(map(len, spec.shards[:finished]))
    assert told[-1] == spec.trajectories
    assert contents(folder) == contents(whole.folder)
    assert kept.items() <= written(folder).items()


def test_a_run_on_processes_that_is_stopped_goes_on_to_the_same_files(made, folder):
    case = SMALL | CASES["couplings"]
    spec = resolve(case)
    stopped(spec, folder, 1, workers=2)
    assert multiprocessing.active_children() == []
    kept = written(folder)
    assert no_leftovers(folder)
    generate_dataset(spec, folder)
    assert contents(folder) == contents(made(**case).folder)
    assert kept.items() <= written(folder).items()


def forget(folder, name):
    """Take a shard, and what follows from all of them, out of a manifest."""
    records = json.loads((folder / "manifest.json").read_text())["shards"]
    edit(folder, shards=[each for each in records if each["name"] != name], label_error=None)


@pytest.mark.parametrize("values", [SMALL, LEGACY], ids=["seeds", "stream"])
def test_a_shard_that_was_finished_in_the_moment_of_a_kill_is_taken_over(made, folder, values):
    whole, name = made(**values), "shard-00001.h5"
    shutil.copytree(whole.folder, folder)
    forget(folder, name)
    at = written(folder)[name]
    generate_dataset(resolve(values), folder)
    assert written(folder)[name] == at
    assert contents(folder) == contents(whole.folder)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("forgotten", "harm"),
    [(None, Path.unlink), ("shard-00000.h5", truncate), ("shard-00001.h5", truncate)],
)
@pytest.mark.parametrize("values", [SMALL, LEGACY], ids=["seeds", "stream"])
def test_a_shard_that_is_not_whole_is_made_again(made, folder, values, forgotten, harm):
    whole = made(**values)
    shutil.copytree(whole.folder, folder)
    if forgotten is not None:
        forget(folder, forgotten)
    at = written(folder)
    harm(folder / "shard-00001.h5")
    generate_dataset(resolve(values), folder)
    assert contents(folder) == contents(whole.folder)
    at.pop("shard-00001.h5")
    assert at.items() <= written(folder).items()


@pytest.mark.parametrize(("seed", "name"), [(1, "shard-00001.h5"), (0, "shard-00000.h5")])
def test_an_unlisted_shard_of_other_trajectories_is_made_again(made, finished, seed, name):
    forget(finished, "shard-00001.h5")
    shutil.copy(made(**(SMALL | {"seed": seed})).folder / name, finished / "shard-00001.h5")
    generate_dataset(resolve(SMALL), finished)
    assert contents(finished) == contents(made(**SMALL).folder)


def test_what_killed_writers_left_is_removed(made, folder):
    stopped(resolve(SMALL), folder, 4)
    for name in ("shard-00001.h5.part", "shard-00002.h5.part", "manifest.json.part", ".lock"):
        (folder / name).write_bytes(b"half")
    generate_dataset(resolve(SMALL), folder)
    assert contents(folder) == contents(made(**SMALL).folder)


def test_a_shard_gets_its_name_only_when_it_is_whole(made, folder, monkeypatch):
    named, replace = {}, Path.replace

    def noted(part, path):
        named[path.name] = path.exists(), part.read_bytes()
        return replace(part, path)

    monkeypatch.setattr(Path, "replace", noted)
    generate_dataset(resolve(SMALL), folder)
    for name, data in shards(made(**SMALL).folder).items():
        assert named[name] == (False, data)


# It is killed


SLOW = 'particles = 3\ntrajectories = 54\nframes = 15\nintegrator = "dop853"\nshard = 3'
"""Eighteen shards of about a tenth of a second."""


def alive(session):
    """Whether a process of a session is alive."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = stat.read_text().rpartition(") ")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(sid) == session and state not in "ZX":
            return True
    return False


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_run_leaves_no_worker_and_goes_on_to_the_same_files(folder, tmp_path):
    (tmp_path / "slow.toml").write_text(SLOW)
    spec = read_spec(tmp_path / "slow.toml")
    program = Path(sys.executable).with_name("nbody-sim")
    run = subprocess.Popen(
        [program, "dataset", "generate", "slow.toml", "--workers", "2", "-o", folder, "-q"],
        cwd=tmp_path,
        start_new_session=True,
    )

    def two_are_finished():
        assert run.poll() is None, "it ended before it could be killed"
        return len(written(folder)) >= 2

    try:
        wait_for(two_are_finished)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    wait_for(lambda: not alive(run.pid))
    kept = written(folder)
    assert 2 <= len(kept) < len(spec.shards)
    generate_dataset(spec, folder)
    assert kept.items() <= written(folder).items()
    whole = contents(folder)
    for name in kept:  # and once more, by this process
        (folder / name).unlink()
    generate_dataset(spec, folder)
    assert contents(folder) == whole


def test_a_worker_that_dies_is_one_line_and_finished_shards_are_kept(made, folder):
    case = SMALL | CASES["couplings"]
    spec = resolve(case)
    stopped(spec, folder, 4)

    def kill_workers(done, total):
        for worker in multiprocessing.active_children():
            worker.kill()

    message = refused(RunError, resolve(case), folder, workers=2, progress=kill_workers)
    words = ("`workers`", "`shard`", "of 3 shards are finished and kept")
    assert all(word in message for word in words), message
    assert no_leftovers(folder)
    generate_dataset(spec, folder)
    assert contents(folder) == contents(made(**case).folder)


# Whose folder it is


@pytest.mark.parametrize(
    ("change", "key", "theirs", "ours"),
    [
        ({"seed": 1}, "seed", "0", "1"),
        ({"splits": {"b": 3, "a": 4}}, "splits", "{'a': 4, 'b': 3}", "{'b': 3, 'a': 4}"),
        ({"trajectories": 8, "splits": {"a": 8}}, "trajectories", "7", "8"),
        ({"options": {"rtol": 1e-6}}, "options", "{}", "1e-06"),
    ],
)
def test_a_folder_of_another_spec_is_refused_and_the_parameter_named(
    folder, change, key, theirs, ours
):
    values = SMALL | {"splits": {"a": 4, "b": 3}}
    stopped(resolve(values), folder, 4)
    before = contents(folder)
    message = refused(InputError, resolve(values | change), folder)
    assert message.startswith("`output`")
    found, wanted = message.split(f"its `{key}` is ")[1].split(", not ")
    assert theirs in found
    assert ours in wanted
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["notes.txt", "shard-00000.h5", "film.mp4.part"])
def test_a_folder_with_other_files_is_refused_and_left_alone(folder, name):
    folder.mkdir()
    (folder / name).write_text("mine")
    message = refused(InputError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert repr(name) in message
    assert "empty folder" in message
    assert contents(folder) == {name: b"mine"}


def test_other_versions_of_a_library_do_not_go_on(folder):
    stopped(resolve(SMALL), folder, 4)
    edit(folder, versions=read_manifest(folder).versions | {"numpy": "1.0"})
    before = contents(folder)
    message = refused(InputError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert f"begun with numpy 1.0, here is numpy {np.__version__}" in message
    assert contents(folder) == before


def test_two_writers_at_once_are_refused(folder):
    with sole_writer(folder):
        message = refused(InputError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert "another process" in message


def test_a_lock_that_another_writer_has_just_removed_is_not_held(tmp_path, monkeypatch):
    """It was opened before the other one ended, and would be taken after."""
    before, lock = sole_writer(tmp_path), fcntl.flock
    before.__enter__()

    def late(*arguments):
        monkeypatch.setattr(fcntl, "flock", lock)
        before.__exit__(None, None, None)
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(InputError, match="another process"), sole_writer(tmp_path):
        pytest.fail("a third writer could begin now")
    with sole_writer(tmp_path):
        pass


# The disk is full


def test_only_what_is_missing_must_fit(made, folder, monkeypatch):
    stopped(resolve(SMALL), folder, 7)
    rest = 2 * 8 * 5 * 3 * 3 + 2 * 8 * 3  # positions and velocities, charges and masses
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=rest - 1))
    message = refused(InputError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert "fewer trajectories or another disk" in message
    assert len(shards(folder)) == 2
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=rest))
    generate_dataset(resolve(SMALL), folder)
    assert contents(folder) == contents(made(**SMALL).folder)


BULKY = {"particles": 20, "trajectories": 12, "frames": 100, "shard": 3, "integrator": "ballistic"}
"""Shards of 0.3 MB."""


@pytest.mark.parametrize("largest", [0, 100_000])
def test_a_disk_that_fills_up_is_one_line_and_finished_shards_are_kept(made, folder, largest):
    """A file that may not grow stands for it, early in a shard or late."""
    spec, whole = resolve(BULKY), contents(made(**BULKY).folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done, total):  # the first shard is made and not yet written at 3
        if done == 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))

    try:
        message = refused(RunError, spec, folder, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert message.startswith("`output`")
    assert "shard-00001.h5" in message
    assert "file too large" in message.lower()
    assert "1 of 4 shards are finished and kept" in message
    assert shards(folder) == {"shard-00000.h5": whole["shard-00000.h5"]}
    assert no_leftovers(folder)
    generate_dataset(spec, folder)
    assert contents(folder) == whole


# A trajectory fails


class FragileOptions(IntegratorOptions):
    step: float = 0.1


class Fragile(AbstractIntegrator):
    """Leaves everything where it is, but breaks one trajectory."""

    name: ClassVar[str] = "fragile"
    Options = FragileOptions
    bad: ClassVar[float] = np.nan  # the first coordinate of the trajectory that fails
    largest: ClassVar[float] = np.inf  # step at which it fails

    @property
    def batch_invariant(self):
        return True

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, axis=1) for key in ("x", "v"))
        failing = np.flatnonzero(x[:, 0, 0, 0] == self.bad)
        if self.options.step > self.largest:
            failing = failing[:0]
        return Frames(x, v, failures={int(b): (2, "it broke") for b in failing})


@pytest.fixture
def fragile(registered, monkeypatch, charged):
    """Make a trajectory of the default system fail."""
    register_integrator("fragile")(Fragile)

    def make(trajectory, largest=np.inf):
        start, _ = charged.sample(0, 3, first=trajectory)
        monkeypatch.setattr(Fragile, "bad", start.x[0, 0, 0])
        monkeypatch.setattr(Fragile, "largest", largest)
        return resolve(SMALL | {"integrator": "fragile"})

    return make


@pytest.mark.parametrize(("trajectory", "finished"), [(0, 0), (4, 1), (6, 2)])
def test_a_failing_trajectory_is_named_and_finished_shards_are_kept(
    fragile, folder, trajectory, finished
):
    message = refused(RunError, fragile(trajectory), folder)
    assert message.startswith(f"trajectory {trajectory} failed: it broke after t = ")
    assert f"{finished} of 3 shards are finished and kept" in message
    assert len(listed(folder)) == len(shards(folder)) == finished
    assert no_leftovers(folder)
    kept = written(folder)
    generate_dataset(fragile(99), folder)
    assert kept.items() <= written(folder).items()
    assert len(Dataset(folder)) == 7


def test_a_trajectory_that_only_a_sharper_run_fails_is_named_too(fragile, folder):
    spec = fragile(4, largest=0.05)
    assert 4 in label_error_sample(spec)
    message = refused(RunError, spec, folder)
    assert message.startswith("trajectory 4 failed: it broke")


def test_a_trajectory_that_fails_in_a_worker_process_is_named(folder):
    """Forces beyond what a float holds."""
    values = SMALL | {"integrator": "dop853", "parameters": {"coupling": 1e308}}
    message = refused(RunError, resolve(values), folder, workers=2)
    number = int(message.removeprefix("trajectory ").split()[0])
    assert number in (0, 3, 6)  # the first of a shard
    assert "0 of 3 shards" in message
    assert list(contents(folder)) == ["manifest.json"]


# What is refused before anything is made


def test_worker_processes_do_not_know_what_is_registered_here(registered, folder):
    register_integrator("counting")(Counting)
    spec = resolve(SMALL | {"integrator": "counting"})
    message = refused(InputError, spec, folder, workers=2)
    assert message.startswith("`workers` must be 1: 'counting' is registered in this process only")
    assert not folder.exists()
