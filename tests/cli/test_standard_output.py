"""Standard output that is closed or full: one line or none, and the files of a run stay."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import PROGRAM
from nbody_surrogate.cli import main
from nbody_surrogate.formats.h5md import read_h5md

FULL_DEVICE = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL_DEVICE.exists(), reason="/dev/full is Linux's")

FULL = "Error: standard output cannot be written: No space left on device\n"


@contextmanager
def full():
    with FULL_DEVICE.open("w") as stream:
        yield stream


@contextmanager
def closed():
    reading, writing = os.pipe()
    os.close(reading)  # before a word is written, so that no chance is in it
    with os.fdopen(writing, "w") as stream:
        yield stream


PLACES = pytest.mark.parametrize(("place", "said"), [(closed, ""), (full, FULL)])


def ended(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(each) for each in arguments])
    return end.value.code


@PLACES
@pytest.mark.parametrize("arguments", [("plugins", "list"), ("--help",)], ids=" ".join)
def test_one_line_or_none(monkeypatch, capsys, arguments, place, said):
    with place() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert ended(*arguments) == 1
        assert sys.stdout is stream
        monkeypatch.undo()
    assert capsys.readouterr().err == said


@PLACES
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["table", "json"])
def test_the_files_of_a_run_stay(monkeypatch, capsys, tmp_path, place, said, as_json):
    path = tmp_path / "a.h5"
    with place() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        run = ("run", "-n", 3, "--duration", 0.4, "--no-reference", "-o", path)
        assert ended(*run, *as_json) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == said
    assert read_h5md(path).info.success


@PLACES
def test_the_interpreter_has_nothing_to_add(place, said):
    with place() as stream:
        done = subprocess.run(
            [*PROGRAM, "--help"], stdout=stream, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, said)


def test_a_pipe_of_something_else_is_an_error(monkeypatch, capsys):
    def broken(*_):
        raise BrokenPipeError(32, "a worker is gone")

    monkeypatch.setattr(main.commands["export"], "callback", broken)
    monkeypatch.setattr(main.commands["export"], "params", [])
    assert ended("export") == 1
    line = capsys.readouterr().err
    assert line == "Error: unexpected BrokenPipeError: [Errno 32] a worker is gone\n"
