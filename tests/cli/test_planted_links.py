"""Folders in which somebody has put links where files of ours are to be: none is followed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import FAILURE, MISUSE
from racing import left_over, racers
from writing_commands import COMMANDS, INPUTS, RUN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


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
