"""Studies: what they train, what they go on with, and when they call a difference one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import config
from scipy import stats

from commands import MISUSE, bad, nbody_sim
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.one_shot_task import OneShotTask
from nbody_surrogate.files.json_file import write_json
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.study import jobs
from nbody_surrogate.study.grid import cells
from nbody_surrogate.study.jobs import StudyJob, result_path
from nbody_surrogate.study.power import Power, factor_found, measured_spread, power_of
from nbody_surrogate.study.rotated_task import turned_task
from nbody_surrogate.study.run_study import check_study
from nbody_surrogate.study.significance import mean_error, mean_over_seeds, ratio_of_means
from nbody_surrogate.study.spec import read_study
from nbody_surrogate.study.summary import summarise

pytestmark = pytest.mark.usefixtures("one_thread", "undrawn")

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
    assert "2 seeds, whose mean errors scatter by a factor of 1.28 (assumed)" in result.stderr
    assert "Power: 2 seeds" in (folder / "table.md").read_text()
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


def verdicts(tmp_path, text=THREE, **values):
    """Put test errors of three seeds into a study's folder."""
    study = read_study(written(tmp_path / "three.toml", text))
    for cell in cells(study):
        value = values[cell.model.name][cell.seed]
        path = result_path(StudyJob(study, tmp_path, cell.place, cell, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
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
        ([1.0, 1.1, 0.9], [1.2, 1.0, 1.1], "not told apart"),
        ([1.0, 2.0, 0.2], [3.0, 6.1, 0.6], "worse"),  # the pairs are clear, whatever the intervals
        ([1.0, 2.0, 0.2], [1.01, 2.02, 0.2], "equivalent"),
    ],
)
def test_verdicts(tmp_path, straight, wild, verdict):
    found = verdicts(tmp_path, straight=straight, wild=wild)
    assert found["straight"].verdict == "best"
    assert found["wild"].verdict == verdict
    assert found["straight"].mean.value == pytest.approx(np.mean(straight))


def test_p_is_corrected_for_all_pairs_of_models(tmp_path):
    """Of two models and of three: two more pairs, of a model that is nearly as good as the best."""
    study = THREE + '[[models]]\nname = "third"\nsurrogate = "linear"\n'
    means = {"straight": [1.0, 1.1, 0.9], "wild": [3.0, 3.4, 2.6]}
    alone = verdicts(tmp_path, **means)["wild"]
    more = verdicts(tmp_path, study, **means, third=[1.01, 1.1, 0.91])["wild"]
    assert more.p == pytest.approx(3 * alone.p)  # the smallest of three
    assert more.ratio == alone.ratio
    assert alone.ratio.value == pytest.approx(np.exp(np.log([3.0, 3.4 / 1.1, 2.6 / 0.9]).mean()))


def test_intervals_over_seeds_are_student_s():
    """t = 4.303 of two degrees of freedom; the spread of 1, 2 and 3 is 1."""
    alike = np.repeat([[1.0], [2.0], [3.0]], 50, axis=1)  # a test set without scatter
    half = 4.30265 / np.sqrt(3)
    for interval, close in ((mean_over_seeds([1.0, 2.0, 3.0]), 1e-5), (mean_error(alike), 0.2)):
        assert interval.value == pytest.approx(2.0)
        assert interval.high == pytest.approx(2.0 + half, rel=close)
        assert interval.low == 0.0
    assert mean_over_seeds([]) is None


def test_intervals_hold_the_scatter_of_the_test_set():
    """Seeds that are alike: what is left is the test set's."""
    one = np.exp(np.random.default_rng(0).normal(size=(1, 400)))
    found = mean_error(np.repeat(one, 3, axis=0))
    alone = mean_error(one)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=0.02)


def table_of(rng, seeds=3, trajectories=60, by_seed=0.2, common=None):
    """Errors of seeds and trajectories, of mean 1 but for the trajectories in common."""
    common = rng.normal(size=trajectories) if common is None else common
    logs = rng.normal(0, by_seed, (seeds, 1)) + 0.6 * common
    return np.exp(logs + rng.normal(0, 0.3, (seeds, trajectories)))


def test_intervals_hold_the_mean_and_p_is_as_small_as_it_says():
    rng = np.random.default_rng(1)
    true = np.exp((0.2**2 + 0.6**2 + 0.3**2) / 2)
    held, alarms, trials = 0, 0, 200
    for _ in range(trials):
        common = rng.normal(size=60)
        one, other = (table_of(rng, common=common) for _ in range(2))
        interval = mean_error(one)
        held += interval.low <= true <= interval.high
        alarms += ratio_of_means(one, other).p < 0.05
    assert held / trials > 0.95 - 0.05  # three standard deviations
    assert alarms / trials < 0.05 + 0.05


def test_the_power_of_three_seeds():
    """A factor of 2 at a scatter of 0.5 is found in one of six studies, by simulation too."""
    assert power_of(2.0, 3, 0.5) == pytest.approx(0.17, abs=0.01)
    rng = np.random.default_rng(0)
    logs = rng.normal(0, 0.5, (2, 3, 20_000))
    found = stats.ttest_rel(logs[0] + np.log(2), logs[1]).pvalue < 0.05
    assert power_of(2.0, 3, 0.5) == pytest.approx(found.mean(), abs=0.01)
    assert power_of(1.0, 4, 0.3) == pytest.approx(0.05, abs=1e-3)  # of a false alarm
    for seeds, pairs in ((3, 1), (5, 6)):
        factor = factor_found(seeds, 0.3, pairs)
        assert power_of(factor, seeds, 0.3, pairs) == pytest.approx(0.8, abs=1e-3)


def test_the_scatter_of_a_pilot_is_pooled():
    means = [[np.exp(0.3), np.exp(-0.3)], [5.0], [np.inf, 1.0], [2.0, 2.0]]
    assert measured_spread(means) == pytest.approx(0.3)  # 2 x 0.3^2 over two degrees of freedom
    assert measured_spread([[1.0], []]) is None


@pytest.mark.parametrize(
    ("power", "words"),
    [
        (Power(3, 1, 0.5, False), ["3 seeds", "(assumed)", "2 with probability 0.17", "1 pair"]),
        (Power(5, 6, 0.2, True), ["5 seeds", "(measured here)", "6 pairs"]),
        (Power(1, 3, 0.2, False), ["one seed"]),
        (Power(3, 0, 0.2, False), ["one model"]),
    ],
)
def test_the_power_is_said(power, words):
    assert all(word in str(power) for word in words), str(power)


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
    assert wild.ratio.value == pytest.approx(100)
    assert wild.verdict == "worse"


def test_what_a_process_cannot_find_is_refused(tmp_path, monkeypatch):
    from nbody_surrogate.study import run_study as running

    monkeypatch.setattr(running, "is_local", lambda kind, name: name == "mlp")
    study = read_study(written(tmp_path / "small.toml"))
    with pytest.raises(InputError, match="`workers` must be 1: 'mlp'"):
        check_study(study, 2)
