"""What became of the output of an interrupted run, and where its restart file is kept."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import nbody_surrogate.simulation.checkpoint as restart_files
from interrupted_runs import RESTART, interrupted, refused, run_of
from nbody_surrogate import (
    FileFormatError,
    InputError,
    RunError,
    read_h5md,
    resume,
)
from nbody_surrogate.formats.h5md import part_path

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]


# What became of the output


def test_an_output_of_another_run_is_refused(folder):
    interrupted()
    part = part_path(Path("run.h5"))
    content = part.read_bytes()
    part.unlink()
    refused(FileFormatError, "run.h5.part", "does not exist")
    part.symlink_to("elsewhere")
    Path("elsewhere").write_bytes(content)
    refused(FileFormatError, "symbolic link")
    part.unlink()
    with h5py.File("elsewhere", "r+") as file:
        file["particles/trajectory_0001/velocity/value"][10, 0, 0] += 1e-9
    Path("elsewhere").rename(part)
    refused(FileFormatError, "another run")


def test_a_shorter_output_is_refused(folder):
    """As a failing disk may leave it."""
    interrupted()
    with h5py.File("run.h5.part", "r+") as file:
        file["parameters/frames_written"][()] = 6
    refused(FileFormatError, "holds 6 frames", "at 10")


def test_an_existing_output_is_replaced_only_when_asked(folder):
    interrupted()
    Path("run.h5").write_text("mine")
    refused(InputError, "run.h5", "--overwrite")
    resume(RESTART, overwrite=True)
    assert read_h5md("run.h5").info.success


# Where it is kept


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verify": True}, "`verify`"),
        ({"checkpoint": "missing/a"}, "existing folder"),
        ({"checkpoint": "a.h5"}, "'.h5'"),
        ({"checkpoint": "run.h5.part"}, "'.part'"),
        ({"checkpoint": "."}, "regular file"),
        ({"checkpoint": "taken"}, "resume"),
        ({"checkpoint": "\0"}, "file name"),
    ],
)
def test_misuse_is_found_before_anything_is_computed(folder, options, words):
    Path("taken").write_text("mine")
    with pytest.raises(InputError, match=words) as caught:
        run_of("leapfrog", **({"checkpoint": RESTART} | options))
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["taken"]
    assert Path("taken").read_text() == "mine"


def test_a_checkpoint_in_the_place_of_a_run_is_not_told_to_resume_it(folder):
    Path("run.h5").write_text("mine")
    with pytest.raises(InputError, match=r"'\.h5'"):
        restart_files.check_restart_path("run.h5", False)


def test_a_restart_file_that_cannot_be_written_is_one_line(folder, monkeypatch):
    """The output keeps what it has."""
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError) as caught:
        run_of("leapfrog", checkpoint=RESTART)
    assert "cannot be written: " in str(caught.value)
    assert "No space left" in str(caught.value)
    monkeypatch.undo()
    os.chdir(folder)
    run = resume(RESTART)
    np.testing.assert_array_equal(run.x, run_of("leapfrog", output="whole.h5").x)
