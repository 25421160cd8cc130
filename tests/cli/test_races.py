"""Many processes that write to the same names at once: each that says so has its own whole file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from commands import FAILURE, MISUSE
from nbody_surrogate import read_h5md
from nbody_surrogate.datasets import Dataset
from racing import left_over, racers
from writing_commands import STUDY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PROCESSES, ROUNDS = 8, 20
RUN = ("run", "-n", 3, "--integrator", "leapfrog")


@pytest.fixture(scope="module")
def server():
    with racers() as made:
        yield made


def frames_of(path):
    run = read_h5md(path)
    assert run.info.success
    return len(run.t) - 1


def runs(*options):
    """Commands that are told apart by how long they run: k frames."""
    return [(*RUN, "--duration", k / 10, *options) for k in range(1, PROCESSES + 1)]


def test_default_names_never_collide(server, tmp_path):
    seen = Counter()
    for number in range(ROUNDS):
        more = ("--json",) if number % 2 else ("--json", "--no-reference")
        for frames, outcome in enumerate(server.race(tmp_path, runs(*more)), 1):
            assert outcome.code == 0, outcome.stderr
            names = json.loads(outcome.stdout)["files"]
            seen.update(names)
            assert [frames_of(tmp_path / name) for name in names] == [frames] * len(names)
    assert set(seen.values()) == {1}
    assert len(seen) == PROCESSES * ROUNDS * 3 // 2
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(
        Path(name).name for name in seen
    )


def test_of_runs_to_one_name_one_writes_at_a_time(server, tmp_path):
    """What is there in the end is of one that succeeded, and its reference is too."""
    for _ in range(ROUNDS):
        outcomes = server.race(tmp_path, runs("--overwrite", "-q", "-o", "x.h5"))
        good = [frames for frames, each in enumerate(outcomes, 1) if each.code == 0]
        for each in outcomes:
            each.assert_one_line()
            if each.code:
                assert each.code == FAILURE
                assert "is being written by another process" in each.stderr
        assert good
        assert frames_of(tmp_path / "x.h5") in good
        assert frames_of(tmp_path / "x.reference.h5") == frames_of(tmp_path / "x.h5")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "x.reference.h5"]


def test_without_leave_one_run_has_the_name(server, tmp_path):
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        restart = ("--checkpoint", "x.restart", "--no-reference", "-q", "-o", "x.h5")
        outcomes = server.race(folder, runs(*restart))
        assert all(each.code in (0, FAILURE, MISUSE) for each in outcomes)
        for each in outcomes:
            each.assert_one_line()
        (winner,) = (frames for frames, each in enumerate(outcomes, 1) if each.code == 0)
        assert frames_of(folder / "x.h5") == winner
        assert sorted(path.name for path in folder.iterdir()) == ["x.h5", "x.restart"]


@pytest.mark.parametrize("suffix", [".npz", ".extxyz", ".vtkhdf"])
def test_of_exports_to_one_name_the_last_one_wins_whole(server, tmp_path, suffix):
    server.run(tmp_path, *RUN, "--trajectories", 8, "--no-reference", "-q", "-o", "x.h5")
    output = f"x{suffix}"
    commands = [("export", "x.h5", output, "--trajectory", k, "-q") for k in range(PROCESSES)]
    whole = []
    for command in commands:
        server.run(tmp_path, *command)
        whole.append((tmp_path / output).read_bytes())
        (tmp_path / output).unlink()
    for _ in range(ROUNDS):
        outcomes = server.race(tmp_path, commands)
        for each in outcomes:
            each.assert_one_line()
        (winner,) = (k for k, each in enumerate(outcomes) if each.code == 0)
        assert (tmp_path / output).read_bytes() == whole[winner]
        outcomes = server.race(tmp_path, [(*each, "--overwrite") for each in commands])
        assert [each.code for each in outcomes] == [0] * PROCESSES
        assert (tmp_path / output).read_bytes() in whole
        (tmp_path / output).unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5"]


def test_pages_and_tables_of_one_name_are_whole(server, tmp_path):
    server.run(tmp_path, *RUN, "--duration", 0.5, "-q", "-o", "x.h5")
    commands = [("report", "x.h5", "-q", "--overwrite", "--no-floor")] * (PROCESSES // 2)
    compared = ("compare", "x.reference.h5", "x.h5", "--no-floor")
    commands += [(*compared, "-q", "--overwrite", "-o", "c")] * (PROCESSES // 2)
    for _ in range(ROUNDS // 4):
        outcomes = server.race(tmp_path, commands)
        half = PROCESSES // 2
        assert [each.code for each in outcomes[:half]] == [0] * half
        assert 0 in [each.code for each in outcomes[half:]]
        for each in outcomes:
            each.assert_one_line()
        assert (tmp_path / "x.html").read_text().endswith("</html>\n")
        json.loads((tmp_path / "c.json").read_text())
        assert not left_over(tmp_path)
    outcomes = server.race(tmp_path, [(*compared, "--json")] * PROCESSES)
    assert [each.code for each in outcomes] == [0] * PROCESSES
    assert len(list((tmp_path / "runs").glob("*.json"))) == PROCESSES


SPEC = 'particles = 3\ntrajectories = 12\nframes = 5\nintegrator = "leapfrog"\nshard = 3\n'
RECIPE = """
surrogate = "set"
steps = 4
chunk = 4
[model]
width = 4
substeps = 2
[[data]]
batch = 2
spec = { particles = 2, trajectories = 10, frames = 6 }
"""
STUDIES = STUDY.replace("seeds = [0]", "seeds = [0, 1]")


def one_writes(server, folder, command, ended):
    """Run a command in many processes; those that may not write say so, and it ends well."""
    for number in range(ROUNDS // 4):
        place = folder / str(number)
        outcomes = server.race(folder, [(*command, "-o", place)] * PROCESSES)
        assert 0 in [each.code for each in outcomes]
        for each in outcomes:
            if each.code:
                each.assert_one_line()
                assert each.code == FAILURE
                assert "is being written by another process" in each.stderr
        ended(place)
        assert not left_over(place)


def test_a_data_set_has_one_writer(server, tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC)

    def ended(folder):
        assert np.isfinite(Dataset(folder).read(0, 12).x).all()
        server.run(tmp_path, "dataset", "verify", folder, "-q")

    one_writes(server, tmp_path, ("dataset", "generate", "spec.toml", "-q"), ended)


def test_a_training_has_one_writer(server, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)

    def ended(folder):
        assert json.loads((folder / "summary.json").read_text())["step"] == 4
        server.run(tmp_path, "train", "--resume", folder, "--workers", 1, "-q")

    one_writes(server, tmp_path, ("train", "recipe.toml", "--workers", 1, "-q"), ended)


def test_a_study_has_one_writer_and_no_cell_fails(server, tmp_path):
    (tmp_path / "study.toml").write_text(STUDIES)

    def ended(folder):
        found = [json.loads(each.read_text()) for each in folder.glob("cells/*/result.json")]
        assert Counter(each["status"] for each in found) == {"done": 2}
        json.loads((folder / "results.json").read_text())

    one_writes(server, tmp_path, ("study", "study.toml", "--workers", 1, "-q"), ended)
