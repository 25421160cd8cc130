"""A data set that was stopped or killed goes on to the same files."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest

from commands import alive, command, wait_until
from generated import (
    CASES,
    LEGACY,
    SMALL,
    StopError,
    contents,
    edit,
    listed,
    no_leftovers,
    refused,
    shards,
    stopped,
    written,
)
from nbody_surrogate.datasets import Dataset, generate_dataset
from nbody_surrogate.datasets.spec import read_spec, resolve
from nbody_surrogate.errors import InputError, RunError

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


@pytest.mark.slow
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
    token = "0123456789abcdef.part"
    names = [f"shard-00001.h5.{token}", f"shard-00002.h5.{token}", f"manifest.json.{token}"]
    for name in (*names, "shard-00001.h5.part", "manifest.json.part"):
        (folder / name).write_bytes(b"half")
    (folder / ".lock").touch()  # which is always empty
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

SLOW = 'particles = 3\ntrajectories = 36\nframes = 15\nintegrator = "dop853"\nshard = 3'
"""Twelve shards of about a tenth of a second."""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_run_leaves_no_worker_and_goes_on_to_the_same_files(folder, tmp_path):
    (tmp_path / "slow.toml").write_text(SLOW)
    spec = read_spec(tmp_path / "slow.toml")
    arguments = ["dataset", "generate", "slow.toml", "--workers", 2, "-o", folder, "-q"]
    run = command(*arguments, cwd=tmp_path, start_new_session=True)
    with run:
        try:
            wait_until(lambda: len(written(folder)) >= 2, run)
        finally:
            run.kill()
    assert run.returncode == -signal.SIGKILL
    wait_until(lambda: not alive(run.pid))
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
