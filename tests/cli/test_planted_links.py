"""Folders in which somebody has put links where files of ours are to be: none is followed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import FAILURE, MISUSE
from racing import left_over, racers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SPEC = 'particles = 3\ntrajectories = 6\nframes = 5\nintegrator = "leapfrog"\nshard = 3\n'
RECIPE = """
surrogate = "set"
steps = 2
chunk = 4
[model]
width = 4
substeps = 2
[[data]]
batch = 2
spec = { particles = 2, trajectories = 10, frames = 6 }
"""
STUDY = """
title = "Small"
seeds = [0]
steps = 2
test = 10
training = { batch = 8 }
[[models]]
name = "straight"
surrogate = "linear"
[[data]]
name = "pairs"
particles = [2]
horizons = [4]
spec = { trajectories = 40, window = { inputs = 2, every = 1, horizon = 9 } }
"""
INPUTS = {"spec.toml": SPEC, "recipe.toml": RECIPE, "study.toml": STUDY}

RUN = ("run", "-n", 3, "--integrator", "leapfrog", "--duration", 0.3)
COMMANDS = {
    "run": (*RUN, "--overwrite", "-q", "-o", "out/x.h5", "--checkpoint", "out/x.restart"),
    "export": ("export", "run.h5", "out/x.npz", "--overwrite", "-q"),
    "paraview": ("export", "run.h5", "out/x.vtkhdf", "--overwrite", "-q"),
    "page": ("render", "run.h5", "-o", "out/x.html", "--overwrite", "-q"),
    "report": ("report", "run.h5", "-o", "out/x.html", "--no-floor", "--overwrite", "-q"),
    "compare": ("compare", "run.reference.h5", "run.h5", "--no-floor", "-o", "out/x",
                "--overwrite", "-q"),
    "data": ("dataset", "generate", "spec.toml", "-o", "out", "-q"),
    "data export": ("dataset", "export", "set", "-o", "out", "--overwrite", "-q"),
    "train": ("train", "recipe.toml", "-o", "out", "--workers", 1, "-q"),
    "study": ("study", "study.toml", "-o", "out", "--workers", 1, "-q"),
}  # fmt: skip


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


def prepared(folder, inputs):
    """Make a folder with the inputs, a victim, and an empty folder for what is written."""
    shutil.copytree(inputs, folder)
    (folder / "out").mkdir()
    (folder / "victims").mkdir()
    (folder / "victims" / "file").write_bytes(b"precious")
    return folder


def places(out):
    """Where files of ours come, with those that may be there meanwhile, and folders of ours."""
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        yield name
        if path.is_file():
            yield from (name.with_name(f"{name.name}.part"), name.with_name(f".{name.name}.lock"))
    yield from (Path(".lock"), Path(".x.lock"))


@pytest.mark.parametrize("kind", COMMANDS)
def test_no_link_is_followed(server, inputs, tmp_path, kind):
    command = COMMANDS[kind]
    clean = prepared(tmp_path / "clean", inputs)
    server.run(clean, *command)
    assert not left_over(clean)
    assert any((clean / "out").iterdir())
    for number, name in enumerate(places(clean / "out")):
        folder = prepared(tmp_path / str(number), inputs)
        link = folder / "out" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        is_folder = (clean / "out" / name).is_dir()
        link.symlink_to(folder / "victims" / ("" if is_folder else "file"))
        (outcome,) = server.race(folder, [command])
        assert outcome.code in (0, FAILURE, MISUSE), (name, outcome)
        outcome.assert_one_line()
        kept = [(path.name, path.read_bytes()) for path in (folder / "victims").iterdir()]
        assert kept == [("file", b"precious")], name
        shutil.rmtree(folder)
