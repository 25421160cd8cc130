"""Commands that are killed at any moment: what has its final name is whole, and they go on."""

from __future__ import annotations

import json
import shutil
import time
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from commands import FAILURE, MISUSE
from nbody_surrogate import read_h5md
from nbody_surrogate.datasets.shard import ShardReader
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.tracks.reading import read_tracks
from racing import LOCKS_AND_PARTS, left_over, racers
from writing_commands import COMMANDS, INPUTS, RUN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = 20
KILLED = -9


@pytest.fixture(scope="module")
def server():
    with racers() as made:
        yield made


@pytest.fixture(scope="module")
def inputs(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for name, text in INPUTS.items():
        (folder / name).write_text(text)
    server.run(folder, *RUN, "-q", "-o", "run.h5")
    server.run(folder, "dataset", "generate", "spec.toml", "-o", "set", "-q")
    return folder


def read_archive(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def read_image(path):
    with Image.open(path) as image:
        image.load()


def read_page(path):
    assert path.read_text().endswith("</html>\n")


def read_hdf5(path):
    if path.name.startswith("shard-"):
        with ShardReader(path):
            return
    assert read_h5md(path).info.success


def read_paraview(path):
    with h5py.File(path) as file:
        assert np.isfinite(file["VTKHDF/Points"]).all()


def read_log(path):
    for line in path.read_text().splitlines()[:-1]:  # the last one may be cut, and is left out
        json.loads(line)


READERS = {
    ".h5": read_hdf5,
    ".restart": read_restart,
    ".npz": read_archive,
    ".csv": lambda path: read_tracks([path]),
    ".vtkhdf": read_paraview,
    ".html": read_page,
    ".json": lambda path: json.loads(path.read_bytes()),
    ".jsonl": read_log,
    ".png": read_image,
    ".safetensors": load_file,
    ".npy": np.load,
    ".md": lambda path: path.read_text(),
}


def assert_whole(folder):
    for path in folder.rglob("*"):
        if path.is_file() and not any(end in path.name for end in LOCKS_AND_PARTS):
            READERS[path.suffix](path)


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_has_its_name_is_whole_and_the_command_goes_on(server, inputs, tmp_path, kind):
    command, folder = COMMANDS[kind], tmp_path / "here"
    shutil.copytree(inputs, folder)
    (folder / "out").mkdir()
    began = time.perf_counter()
    server.run(folder, *command)
    takes, killed = time.perf_counter() - began, 0
    rng = np.random.default_rng(0)
    for number in range(KILLS):
        if number % 4 == 0:  # four times on top of what the killed ones left, then anew
            shutil.rmtree(folder / "out")
            (folder / "out").mkdir()
        (outcome,) = server.race(folder, [command], kill_after=rng.uniform(0, takes))
        assert outcome.code in (0, KILLED), outcome
        killed += outcome.code == KILLED
        assert_whole(folder / "out")
        if number % 4 == 3:
            server.run(folder, *command)
            assert_whole(folder / "out")
            assert not left_over(folder / "out")
    assert killed > KILLS // 4  # or the times are no times within the command


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(server, tmp_path):
    """Each time it goes on from its restart file, or begins again where there is none yet."""
    begin = ("run", "-n", 3, "--integrator", "leapfrog", "--duration", 100, "--no-reference", "-q")
    files = ("-o", "x.h5", "--checkpoint", "x.restart")
    server.run(tmp_path, *begin, "-o", "whole.h5")
    began = time.perf_counter()
    server.run(tmp_path, *begin, *files, "--overwrite")
    takes = time.perf_counter() - began
    for name in ("x.h5", "x.restart"):
        (tmp_path / name).unlink()
    rng, ends = np.random.default_rng(1), []
    for _ in range(KILLS):
        there = (tmp_path / "x.restart").exists()
        command = ("resume", "x.restart", "-q") if there else (*begin, *files, "--overwrite")
        (outcome,) = server.race(tmp_path, [command], kill_after=rng.uniform(0, takes))
        ends.append(outcome.code)
        assert outcome.code in (0, KILLED), outcome
        assert_whole(tmp_path)
        if outcome.code == 0:
            np.testing.assert_array_equal(
                read_h5md(tmp_path / "x.h5").x, read_h5md(tmp_path / "whole.h5").x
            )
            for name in ("x.h5", "x.restart"):
                (tmp_path / name).unlink()
    assert ends.count(KILLED) > KILLS // 4


def test_a_killed_run_is_not_replaced_unless_asked(server, tmp_path):
    long = ("run", "-n", 3, "--duration", 10_000, "--no-reference", "-q", "-o", "x.h5")
    for seconds in range(1, 100):
        if (tmp_path / "x.h5.part").exists():
            break
        (outcome,) = server.race(tmp_path, [long], kill_after=seconds)
        assert outcome.code == KILLED
    before = (tmp_path / "x.h5.part").read_bytes()
    (outcome,) = server.race(tmp_path, [long])
    assert outcome.code in (FAILURE, MISUSE)
    assert "an unfinished run left it" in outcome.stderr
    assert (tmp_path / "x.h5.part").read_bytes() == before
