"""Errors of the machine are no results of a study: they end it, and it is tried again."""

from __future__ import annotations

import json
import resource

import pytest
from jaxtyping import config

from commands import FAILURE, nbody_sim
from nbody_surrogate.errors import RunError
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.study import jobs
from nbody_surrogate.training.trainer import Trainer
from writing_commands import STUDY

pytestmark = pytest.mark.usefixtures("one_thread", "undrawn")


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)


@pytest.fixture
def study(tmp_path):
    """Run the study in a folder, in this process."""
    toml, folder = tmp_path / "small.toml", tmp_path / "run"
    toml.write_text(STUDY)
    return lambda: nbody_sim("study", toml, "-o", folder, "--workers", 1, "-q"), folder


def results(folder):
    return [json.loads(path.read_text()) for path in folder.glob("cells/*/result.json")]


def full_disk():
    raise OSError(28, "No space left on device")


def no_memory():
    raise MemoryError


def told():
    raise RunError("out of memory at step 1")


def small_files():
    """A file that may not grow stands for a disk that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        pytest.param(full_disk, "No space left", marks=pytest.mark.slow),
        pytest.param(no_memory, "out of memory", marks=pytest.mark.slow),
        pytest.param(told, "out of memory at step 1", marks=pytest.mark.slow),
        (small_files, "File too large"),
    ],
)
def test_what_the_machine_fails_is_one_line_and_is_tried_again(study, monkeypatch, failure, words):
    run, folder = study
    train, limits = Trainer.run, resource.getrlimit(resource.RLIMIT_FSIZE)

    def failing(trainer, tick=None):
        failure()
        return train(trainer, tick)

    monkeypatch.setattr(jobs.Trainer, "run", failing)
    try:
        result = run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == FAILURE, result.output
    (line,) = result.stderr.splitlines()
    assert words in line
    assert "unexpected" not in line
    assert results(folder) == []
    monkeypatch.setattr(jobs.Trainer, "run", train)
    assert run().exit_code == 0
    assert [each["status"] for each in results(folder)] == ["done"]
    assert not [path for path in folder.rglob("*") if path.suffix in (".part", ".lock")]


@pytest.mark.slow
def test_a_result_that_an_earlier_version_noted_is_made_again(study):
    run, folder = study
    assert run().exit_code == 0
    (path,) = folder.glob("cells/*/result.json")
    path.write_text(json.dumps({"status": "failed", "message": "no space"}))
    assert run().exit_code == 0
    assert [each["status"] for each in results(folder)] == ["done"]


def test_a_second_study_in_the_folder_is_one_line_and_marks_nothing(study):
    run, folder = study
    with sole_writer(folder):
        result = run()
        assert result.exit_code == FAILURE
        assert "is being written by another process" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert [path.name for path in folder.iterdir()] == [".lock"]
