"""Studies: what they train, what they go on with, and when they call a difference one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import config

from commands import MISUSE, bad, nbody_sim
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.one_shot_task import OneShotTask
from nbody_surrogate.files.json_file import write_json
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.study import jobs
from nbody_surrogate.study.grid import cells
from nbody_surrogate.study.jobs import StudyJob, result_path
from nbody_surrogate.study.rotated_task import turned_task
from nbody_surrogate.study.run_study import check_study
from nbody_surrogate.study.significance import over_seeds
from nbody_surrogate.study.spec import read_study
from nbody_surrogate.study.summary import summarise

pytestmark = pytest.mark.usefixtures("one_thread")

STUDY = """
title = "Small"
seeds = [0, 1]
steps = 2
test = 10
training = { batch = 8 }
[[models]]
name = "straight"
surrogate = "linear"
[[models]]
name = "wild"
surrogate = "mlp"
config = { width = 4 }
training = { learning_rate = 1e25, rise = 1 }
[[data]]
name = "pairs"
particles = [2]
horizons = [4]
rotated = "all"
spec = { trajectories = 40, window = { inputs = 2, every = 1, horizon = 9 } }
"""


def written(path, text=STUDY):
    path.write_text(text)
    return path


def changed(old, new):
    assert old in STUDY
    return STUDY.replace(old, new)


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)


def test_a_study_from_end_to_end_and_again(tmp_path):
    """One model learns, one diverges; what is done is not done again, what is missing is."""
    toml, folder = written(tmp_path / "small.toml"), tmp_path / "run"
    result = nbody_sim("study", toml, "--output", folder, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "wild" in result.stdout
    tables = json.loads((folder / "results.json").read_text())["tables"]
    straight, wild = tables[0]["models"]
    assert straight["verdict"] == "best"
    assert straight["mean"]["low"] <= straight["mean"]["value"] <= straight["mean"]["high"]
    assert straight["rotated"]["value"] == pytest.approx(straight["mean"]["value"], rel=1e-4)
    assert straight["parameters"] == 2
    assert wild["mean"] is None
    assert wild["not_done"] == {"0": "diverged", "1": "diverged"}
    assert [row["method"] for row in tables[0]["references"]][:2] == ["copy-last", "ballistic"]
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")

    kept = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*/result.json")}
    assert len(kept) == 4
    missing = folder / "cells/straight-pairs-n2-h4-seed1/result.json"
    before = json.loads(missing.read_text())["row"]["mean"]
    missing.unlink()
    again = nbody_sim("study", toml, "--output", folder, "--workers", 1, "-q")
    assert again.exit_code == 0, again.output
    assert json.loads(missing.read_text())["row"]["mean"] == before
    del kept[missing]
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_another_budget_from_the_command_line(tmp_path, monkeypatch):
    """Of time, for which steps are counted; but a model that names its steps makes those."""
    text = changed("width = 4 }\ntraining = { learning_rate = 1e25, rise = 1 }", "width = 4 }")
    text = text.replace('"linear"', '"linear"\nsteps = 3').replace("[0, 1]", "[0]")
    monkeypatch.setattr(jobs, "SHORTEST", 0.05)
    monkeypatch.chdir(tmp_path)
    toml, folder = written(tmp_path / "small.toml", text), tmp_path / "run"
    budget = ("--minutes", 0.002, "--workers", 1)
    result = nbody_sim("study", toml, "--output", folder, *budget)
    assert result.exit_code == 0, result.output
    assert "0.002 min for each training" in result.stdout
    found = json.loads((folder / "results.json").read_text())
    assert "--minutes 0.002" in found["command"]
    straight, wild = found["tables"][0]["models"]
    timed = json.loads((folder / "timing/wild-pairs-n2-h4.json").read_text())["steps"]
    assert (straight["steps"], wild["steps"]) == (3, timed)
    assert not (folder / "timing/straight-pairs-n2-h4.json").exists()
    assert "another study" in bad(MISUSE, "study", toml, "--output", folder)
    assert "either `steps` or `minutes`" in bad(
        MISUSE, "study", toml, "--output", folder, "--steps", 3, *budget
    )
    assert "must be > 0" in bad(MISUSE, "study", toml, "--output", folder, "--steps", 0)


def test_a_reference_that_is_a_model_too_has_one_row(tmp_path):
    toml = written(tmp_path / "small.toml", changed('"wild"', '"ballistic"'))
    result = nbody_sim("study", toml, "--output", tmp_path / "run", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("| ballistic |") == 1


@pytest.mark.slow
def test_processes_give_what_one_gives(tmp_path):
    toml = written(tmp_path / "small.toml")
    for workers in (1, 2):
        result = nbody_sim("study", toml, "-o", tmp_path / f"run{workers}", "--workers", workers)
        assert result.exit_code == 0, result.output
    one, two = (json.loads((tmp_path / f"run{k}/results.json").read_text()) for k in (1, 2))
    means = [[m["by_seed"] for m in found["tables"][0]["models"]] for found in (one, two)]
    assert means[0] == means[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed('"mlp"', '"mpl"'), ["`surrogate` 'mpl'", "did you mean 'mlp'"]),
        (changed("width", "widht"), ["`widht`", "model 'wild'"]),
        (changed("batch", "bacth"), ["`bacth`"]),
        (changed("batch = 8", "task = false"), ["`task` is settled by the study"]),
        (changed("batch = 8", "steps = 8"), ["`steps` is settled by the study"]),
        (changed("steps = 2", ""), ["`steps` or `minutes`"]),
        (changed("steps = 2", "steps = 2\nminutes = 1.0"), ["`steps` or `minutes`"]),
        (changed('"wild"', '"straight"'), ["`models` must all be different"]),
        (changed("seeds = [0, 1]", "seeds = [0, 0]"), ["`seeds` must all be different"]),
        (changed("[2]", "[0]"), ["`data.0.particles.0`", "> 0"]),
        (changed("trajectories = 40", "system = 'oscillator'"), ["'oscillator' lacks: trans"]),
        (changed("window = {", "frames = 9 #"), ["TOML"]),
        (changed("inputs = 2", "input = 2"), ["`window.input`"]),
    ],
)
def test_a_wrong_study_is_one_line_and_makes_nothing(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "wrong.toml", text)
    line = bad(MISUSE, "study", "wrong.toml", "--output", "run", "--workers", 1)
    assert all(word in line for word in words), line


def test_another_study_in_the_same_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "small.toml")
    Path("run").mkdir()
    write_json(Path("run/study.json"), {"title": "other"})
    assert "another study" in bad(MISUSE, "study", "small.toml", "-o", "run", "--workers", 1)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("studies/*.toml")), ids=lambda p: p.name
)
def test_studies_that_ship_are_good(path):
    check_study(read_study(path), 2)


# When a difference is one

THREE = changed("[0, 1]", "[0, 1, 2]").replace('"mlp"\nconfig = { width = 4 }', '"linear"')


def verdicts(tmp_path, straight, wild):
    """Put test errors of three seeds into a study's folder."""
    study = read_study(written(tmp_path / "three.toml", THREE))
    values = {"straight": straight, "wild": wild}
    for cell in cells(study):
        value = values[cell.model.name][cell.seed]
        path = result_path(StudyJob(study, tmp_path, cell.place, cell, 1))
        path.parent.mkdir(parents=True)
        np.save(path.with_name("errors.npy"), np.full(4, value))
        interval = {"value": value, "low": value, "high": value}
        row = {"mean": interval, "median": interval, "velocity": 1.0, "parameters": 2,
               "milliseconds": 1.0}  # fmt: skip
        write_json(path, {"status": "done", "row": row, "rotated": None, "device": "cpu",
                          "steps": 2, "minutes": 0.1, "train": 1.0,
                          "validation": None})  # fmt: skip
    (table,) = summarise(study, tmp_path)
    return {each.name: each for each in table.models}


@pytest.mark.parametrize(
    ("straight", "wild", "verdict"),
    [
        ([1.0, 1.1, 0.9], [3.0, 3.4, 2.6], "worse"),
        ([1.0, 1.1, 0.9], [1.2, 1.0, 1.1], "no difference"),  # the intervals overlap
        ([1.0, 2.0, 0.2], [3.0, 6.1, 0.6], "no difference"),  # they do, though the pairs are clear
    ],
)
def test_verdicts(tmp_path, straight, wild, verdict):
    found = verdicts(tmp_path, straight, wild)
    assert found["straight"].verdict == "best"
    assert found["wild"].verdict == verdict
    assert found["straight"].mean.value == pytest.approx(np.mean(straight))


def test_intervals_over_seeds_are_student_s():
    """t = 4.303 of two degrees of freedom; the spread of 1, 2 and 3 is 1."""
    interval = over_seeds([1.0, 2.0, 3.0])
    assert interval.value == pytest.approx(2.0)
    assert interval.high == pytest.approx(2.0 + 4.30265 / np.sqrt(3), rel=1e-5)
    assert interval.low == 0.0
    assert over_seeds([]) is None


def test_random_turns_are_about_the_axes_that_are_named():
    x = np.random.default_rng(0).normal(size=(200, 1, 1, 3))
    task = OneShotTask(None, x, x, None, x[:, 0], x[:, 0], 1.0, 1.0, 0.0)
    assert turned_task(task, "none") is None
    for about, kept in (("y", 1), ("z", 2)):
        turned = turned_task(task, about)
        assert np.allclose(turned.x[..., kept], x[..., kept])
        assert np.allclose(np.linalg.norm(turned.x, axis=-1), np.linalg.norm(x, axis=-1))
        assert not np.allclose(turned.x, x)
    everywhere = turned_task(task._replace(x=np.ones_like(x)), "all").x / np.sqrt(3)
    assert np.allclose(np.linalg.norm(everywhere, axis=-1), 1)
    assert abs(everywhere.mean((0, 1, 2))).max() < 0.15  # of uniform directions: 0.04


def test_an_interval_of_one_seed_is_over_trajectories(tmp_path):
    text = THREE.replace("[0, 1, 2]", "[0]")
    study = read_study(written(tmp_path / "one.toml", text))
    for cell in cells(study):
        path = result_path(StudyJob(study, tmp_path, cell.place, cell, 1))
        path.parent.mkdir(parents=True)
        spread = np.arange(1.0, 5.0) * (1 if cell.model.name == "straight" else 100)
        np.save(path.with_name("errors.npy"), spread)
        mean = {"value": float(spread.mean()), "low": 0.0, "high": 0.0}
        row = {"mean": mean, "median": mean, "velocity": 1.0, "parameters": 2, "milliseconds": 1.0}
        write_json(path, {"status": "done", "row": row, "rotated": None, "device": "cpu",
                          "steps": 2, "minutes": 0.1, "train": 1.0, "validation": 1.0})  # fmt: skip
    (table,) = summarise(study, tmp_path)
    straight, wild = table.models
    assert isinstance(straight.mean, Interval)
    assert 1.0 <= straight.mean.low < 2.5 < straight.mean.high <= 4.0
    assert wild.p is not None
    assert wild.verdict == "worse"


def test_what_a_process_cannot_find_is_refused(tmp_path, monkeypatch):
    from nbody_surrogate.study import run_study as running

    monkeypatch.setattr(running, "is_local", lambda kind, name: name == "mlp")
    study = read_study(written(tmp_path / "small.toml"))
    with pytest.raises(InputError, match="`workers` must be 1: 'mlp'"):
        check_study(study, 2)
