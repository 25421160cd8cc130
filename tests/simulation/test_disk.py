"""Disks that fill up, folders that vanish or may not be written to, clocks that go back."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from commands import FAILURE, MISUSE, nbody_sim
from nbody_surrogate import read_h5md, register_integrator, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system

AT = 100
"""The frame at which the world changes; segments are 50 frames."""

RUN = ["run", "-n", 20, "--duration", 20, "--no-reference", "--integrator", "disturbed", "-q"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def disturbed(monkeypatch):
    """Register uniform motion, during which something happens once."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    actions = []

    @register_integrator("disturbed")
    class Disturbed(AbstractIntegrator):
        name = "disturbed"

        def _start(self, problem, state):
            return {}

        def _advance(self, carry, frames, tick):
            if carry.frame == AT and actions:
                actions.pop()()
            t = 0.1 * np.arange(1, frames + 1)[:, None, None]
            x, v = (carry.arrays[key][:, None] for key in ("x", "v"))
            return Frames(x + t * v, np.repeat(v, frames, axis=1))

    return actions


def failed(*arguments):
    """Run a command that must fail with one line; return it."""
    result = nbody_sim(*arguments)
    assert result.exit_code == FAILURE, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "unexpected" not in line
    return line


def assert_whole(path):
    whole = simulate(
        make_system("charged"), *make_system("charged").sample(0, 20), 200, "disturbed"
    )
    np.testing.assert_array_equal(read_h5md(path).x, whole.x)


def mounted(folder, *options):
    """Mount a small file system of its own, or skip."""
    folder.mkdir(exist_ok=True)
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("needs root, and mount")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], check=False
    )
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    return folder


@pytest.fixture
def small(folder):
    """A disk of one megabyte."""
    yield mounted(folder / "small", "size=1m")
    subprocess.run(["umount", "-l", folder / "small"], check=True)


def test_a_disk_that_fills_up_and_is_freed_again(small, disturbed):
    """The run stops with one line; what it wrote is readable, and it goes on from there."""

    def fill():
        descriptor = os.open(small / "other", os.O_CREAT | os.O_WRONLY)
        with pytest.raises(OSError, match="No space"):
            while os.write(descriptor, bytes(4096)):
                pass
        os.close(descriptor)

    disturbed.append(fill)
    files = ["-o", small / "run.h5", "--checkpoint", small / "run.restart"]
    line = failed(*RUN, *files)
    assert "cannot be written: " in line
    assert "No space left on device" in line
    assert not (small / "run.h5").exists()
    assert len(read_h5md(small / "run.h5.part").t) >= 1 + AT
    (small / "other").unlink()
    assert nbody_sim("resume", small / "run.restart").exit_code == 0
    assert_whole(small / "run.h5")


def test_a_run_that_does_not_fit_is_not_begun(small, disturbed):
    result = nbody_sim(*RUN, "--trajectories", 20, "-o", small / "run.h5")
    assert result.exit_code == MISUSE
    assert "its disk has" in result.stderr
    assert not list(small.iterdir())


@pytest.fixture
def read_only(folder):
    subprocess.run(["umount", mounted(folder / "fixed", "size=1m")], check=True)
    yield mounted(folder / "fixed", "size=1m", "ro")
    subprocess.run(["umount", "-l", folder / "fixed"], check=True)


def test_a_read_only_disk_is_noticed_before_anything_is_computed(read_only, folder, disturbed):
    disturbed.append(pytest.fail)
    for name, files in (
        ("output", ["-o", read_only / "run.h5"]),
        ("checkpoint", ["-o", "run.h5", "--checkpoint", read_only / "run.restart"]),
    ):
        result = nbody_sim(*RUN, *files)
        assert result.exit_code == MISUSE
        assert f"`{name}`" in result.stderr
        assert not list(folder.glob("run.h5*"))


def test_a_folder_that_may_not_be_written_to_any_more(folder, disturbed):
    """As by the system's administrator, in the middle of a run."""
    place = folder / "place"
    place.mkdir()

    def forbid():
        if os.geteuid() == 0:
            done = subprocess.run(["chattr", "+i", place], check=False, capture_output=True)
            if done.returncode:
                pytest.skip("this file system knows no immutable folders")
        else:
            place.chmod(0o500)

    disturbed.append(forbid)
    try:
        line = failed(*RUN, "-o", place / "run.h5", "--checkpoint", place / "run.restart")
    finally:
        subprocess.run(["chattr", "-i", place], check=False, capture_output=True)
        place.chmod(0o700)
    assert "cannot be written: " in line
    assert len(read_h5md(place / "run.h5.part").t) >= 1 + AT
    assert nbody_sim("resume", place / "run.restart").exit_code == 0
    assert_whole(place / "run.h5")


def test_a_folder_that_vanishes_is_one_line(folder, disturbed):
    place = folder / "place"
    for more in ([], ["--checkpoint", place / "run.restart"]):
        place.mkdir()
        disturbed.append(lambda: shutil.rmtree(place))
        assert "cannot be written: " in failed(*RUN, "-o", place / "run.h5", *more)
        assert not place.exists()


def test_weights_that_vanish_during_a_run_are_not_missed(folder, one_thread):
    """They were read at its start."""
    weights = Path("mine")
    from nbody_set.model import SET

    shutil.copytree(SET.shipped_weights["set-small"], weights)
    system = make_system("charged")
    start = system.sample(0, 5)
    from nbody_surrogate import make_integrator

    method = make_integrator("set", weights="mine", device="cpu", segment=2)
    whole = simulate(system, *start, 4, method)
    method = make_integrator("set", weights="mine", device="cpu", segment=2)

    def vanish(done, total):
        shutil.rmtree(weights, ignore_errors=True)

    run = simulate(system, *start, 4, method, observers=vanish, output="run.h5")
    assert not weights.exists()
    np.testing.assert_array_equal(run.x, whole.x)


def test_a_clock_that_is_set_back_changes_nothing(folder, disturbed, monkeypatch):
    clock, now = [2e9], time.time

    def set_back():
        clock[0] -= 86_400.0
        return clock[0]

    monkeypatch.setattr(time, "time", set_back)
    disturbed.append(set_back)
    assert nbody_sim(*RUN, "-o", "run.h5", "--checkpoint", "run.restart").exit_code == 0
    monkeypatch.setattr(time, "time", now)
    assert_whole("run.h5")
    assert 0 < read_h5md("run.h5").info.wall_time < 100
