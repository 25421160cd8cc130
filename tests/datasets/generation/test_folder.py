"""Whose folder it is, disks that fill up, trajectories that fail."""

from __future__ import annotations

import resource
import shutil
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from generated import (
    SMALL,
    Counting,
    contents,
    edit,
    listed,
    no_leftovers,
    refused,
    shards,
    stopped,
    written,
)
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.datasets import Dataset, generate_dataset
from nbody_surrogate.datasets.generation.measure_label_error import label_error_sample
from nbody_surrogate.datasets.manifest import read_manifest
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.registry.registry import register_integrator

# Whose folder it is


@pytest.mark.parametrize(
    ("change", "key", "theirs", "ours"),
    [
        ({"seed": 1}, "seed", "0", "1"),
        ({"splits": {"b": 3, "a": 4}}, "splits", "{'a': 4, 'b': 3}", "{'b': 3, 'a': 4}"),
        ({"trajectories": 8, "splits": {"a": 8}}, "trajectories", "7", "8"),
        ({"options": {"rtol": 1e-6}}, "options", "{'norm': 'particle'}", "1e-06"),
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
        message = refused(RunError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert "another process" in message


# The disk is full


def test_only_what_is_missing_must_fit(made, folder, monkeypatch):
    whole = contents(made(**SMALL).folder)
    stopped(resolve(SMALL), folder, 7)
    rest = 2 * 8 * 5 * 3 * 3 + 2 * 8 * 3  # positions and velocities, charges and masses
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=rest - 1))
    message = refused(InputError, resolve(SMALL), folder)
    assert message.startswith("`output`")
    assert "fewer trajectories or another disk" in message
    assert len(shards(folder)) == 2
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=rest))
    generate_dataset(resolve(SMALL), folder)
    assert contents(folder) == whole


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


@pytest.mark.slow
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
