"""Scores of steppers, model cards, and the commands that print them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from commands import FAILURE, MISUSE, bad, good, no_constant
from json_schemas import documented
from nbody_set.model import SET
from nbody_surrogate import make_integrator, make_system
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.datasets import Dataset, DatasetSpec, generate_dataset
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.evaluation.model_card_text import card_text
from nbody_surrogate.evaluation.rollouts import FIRST, START, one_step, one_step_of_model, roll_out
from nbody_surrogate.evaluation.score_table import pair_tables, score_tables
from nbody_surrogate.evaluation.scorecard import (
    classical_methods,
    score_methods,
    truth_of_dataset,
    truth_of_system,
)
from nbody_surrogate.surrogates.trained_models import find_model, shipped_models

DT = 0.1
ROUNDING = 1e-20  # of squares
FEWER = ("--trajectories", 3, "-n", 5)
NAMES = ("set", "set-small", "set-kernel")


@pytest.fixture(scope="module")
def truth():
    return truth_of_system(make_system("charged"), 3, trajectories=4, frames=20)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Uniform(AbstractSurrogate):
    """Every particle goes on with its velocity."""

    Config = SurrogateConfig

    def __init__(self):
        super().__init__(SurrogateConfig())
        self.unused = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x, v, particles):
        return DT * v, torch.zeros_like(v)


# One step and roll-outs, in closed form


def test_one_step_of_copy_last_is_the_mean_squared_displacement(truth):
    wanted = (np.diff(truth.x[:, FIRST:], axis=1) ** 2).mean((2, 3))
    got = one_step(make_integrator("copy-last"), truth)
    assert got.shape == (4, 20 - FIRST)
    assert np.allclose(got, wanted, rtol=1e-12, atol=0)


def test_one_step_of_a_model_is_that_of_the_same_solver(truth):
    position, velocity = one_step_of_model(Uniform(), truth)
    wanted = one_step(make_integrator("ballistic"), truth)
    assert np.allclose(position, wanted, rtol=1e-9, atol=ROUNDING)
    change = (np.diff(truth.v[:, FIRST:], axis=1) ** 2).mean((2, 3))
    assert np.allclose(velocity, change, rtol=1e-9, atol=ROUNDING)


def test_roll_out_of_copy_last_is_the_squared_distance_from_the_start(truth):
    wanted = ((truth.x[:, START : START + 11] - truth.x[:, START, None]) ** 2).mean((2, 3))
    assert np.allclose(roll_out(make_integrator("copy-last"), truth, 10), wanted, rtol=1e-12)


def test_a_converged_solver_has_no_error(truth):
    assert one_step(make_integrator("dop853", rtol=1e-11, atol=1e-11), truth).max() < 1e-16
    assert roll_out(make_integrator("dop853"), truth, 10).max() < 1e-12


# Score cards


def test_rows(truth):
    methods = {"copy": make_integrator("copy-last"), "rk4": make_integrator("rk4", substeps=2)}
    methods["solver"] = make_integrator("dop853")
    done = []
    rows = score_methods(methods, truth, (40, 10, 5), lambda *counts: done.append(counts))
    assert done == [(0, 3), (1, 3), (2, 3)]
    assert [row.method for row in rows] == ["copy", "rk4", "solver"]
    rk4, solver = rows[1:]
    assert (rk4.system, rk4.particles, rk4.trajectories) == ("charged", 3, 4)
    assert sorted(rk4.roll_outs) == [5, 10]  # 40 frames are not there
    errors = one_step(make_integrator("rk4", substeps=2), truth)
    assert math.isclose(rk4.one_step_mean.value, errors.mean())
    assert math.isclose(rk4.one_step_median.value, np.median(errors))
    assert math.isclose(rk4.one_step_p95, np.quantile(errors, 0.95))
    later = roll_out(make_integrator("rk4", substeps=2), truth, 10)[:, [5, 10]].T
    for k, each in zip((5, 10), later, strict=True):
        assert math.isclose(rk4.roll_outs_mean[k].value, each.mean())
        assert math.isclose(rk4.roll_outs[k].value, np.median(each))
        assert math.isclose(rk4.roll_outs_p95[k], np.quantile(each, 0.95))
    intervals = *rk4.roll_outs.values(), *rk4.roll_outs_mean.values()
    for interval in (rk4.one_step_mean, rk4.one_step_median, *intervals):
        assert interval.low <= interval.value <= interval.high
        assert interval.low < interval.high
    assert rk4.evaluations == pytest.approx(8, abs=0.5)  # four stages of two steps
    assert rk4.milliseconds > 0
    assert solver.one_step_mean is solver.one_step_median is None
    json.loads(json.dumps(rk4.to_dict()), parse_constant=no_constant)


def test_the_first_method_is_held_against_each_other_one(truth):
    methods = {"coarse": 1, "rk4": 2, "again": 1}
    methods = {key: make_integrator("rk4", substeps=k) for key, k in methods.items()}
    methods["solver"] = make_integrator("dop853")
    first, rk4, again, solver = score_methods(methods, truth, (10, 5))
    assert (first.pairs, first.time_ratio) == ({}, None)
    assert list(rk4.pairs) == list(again.pairs) == ["one step", "5", "10"]
    assert list(solver.pairs) == ["5", "10"]  # it has no step of one frame
    for key, steps in (("5", 5), ("one step", None)):
        one, other = (
            one_step(method, truth).mean(1) if steps is None else roll_out(method, truth, 5)[:, 5]
            for method in (methods["coarse"], methods["rk4"])
        )
        found = rk4.pairs[key]
        assert found.ratio.value == pytest.approx(np.exp(np.log(one / other).mean()))
        assert (found.wins, found.starts) == ((one < other).sum(), 4)
    assert {each.outcome for each in again.pairs.values()} == {"equivalent"}
    # the smallest p that there is, 2 of 2^4 choices of signs, times 8 pairs
    assert rk4.pairs["5"].p == pytest.approx(1 / 8)
    assert rk4.pairs["5"].corrected_p == pytest.approx(8 / 8)
    assert solver.time_ratio.low < solver.time_ratio.value < solver.time_ratio.high


def test_scores_of_before_there_were_pairs_are_shown(truth, tmp_path):
    """As a model's folder holds them: fewer keys, and numbers of frames as text."""
    shutil.copytree(SET.shipped_weights["set-small"], tmp_path / "mine")
    model = find_model(str(tmp_path / "mine"))
    methods = {name: make_integrator("rk4", substeps=k) for name, k in (("coarse", 1), ("rk4", 2))}
    rows = json.loads(json.dumps([row.to_dict() for row in score_methods(methods, truth, (5,))]))
    (table,), (pairs,) = score_tables(rows), pair_tables(rows)
    assert [row[0] for row in pairs.rows] == ["rk4"]
    assert "of 4, p = " in pairs.rows[0][1]
    assert pairs.notes[0].startswith("4 starts cannot show that a method is better, in 2 tests")
    assert "one step, 95th %" in table.heads
    new = ("one_step_p95", "roll_outs_mean", "roll_outs_p95", "pairs", "time_ratio")
    old = [{key: value for key, value in row.items() if key not in new} for row in rows]
    (before,) = score_tables(old)
    assert pair_tables(old) == ()
    assert len(table.heads) - len(before.heads) == 3  # two 95th percentiles, and a mean
    assert "inf" not in str(before)
    assert before.rows[0][before.heads.index("5 frames, median")] in table.rows[0]
    for scores, paired in ((rows, 2), (old, 0)):
        text = json.dumps({"command": "it", "rows": scores})
        (tmp_path / "mine" / "evaluation.json").write_text(text)
        card = card_text(model)
        assert card.count(" of 4, p = ") == paired  # one step, and after 5 frames
        assert ("`coarse` on the same trajectories" in card) == bool(paired)


def test_the_sample_is_fixed_and_of_the_protocol():
    system = make_system("charged")
    one, other = (truth_of_system(system, 2, trajectories=2, frames=6) for _ in range(2))
    assert np.array_equal(one.x, other.x)
    assert one.x.shape == (2, 7, 2, 3)
    assert truth_of_system(system, 2).x.shape == (500, 81, 2, 3)


@pytest.mark.parametrize("name", ["charged", "trap", "penning"])
def test_classical_methods_fit_their_system(name):
    system = make_system(name)
    state, particles = system.sample(0, 2)
    found = classical_methods(system)
    for method in found.values():
        method.start(system, state, particles, system.spec.frame_dt)
    others = {"leapfrog", "srkn4", "srkn6", "hermite4"}  # not where forces depend on velocity
    wanted = {"rk4", "dop853", "dop853-compiled"} | (set() if name == "penning" else others)
    assert {method.name for method in found.values()} == wanted


def test_trajectories_of_a_data_set(tmp_path):
    spec = DatasetSpec(system="charged", particles=2, trajectories=10, frames=12)
    dataset = generate_dataset(spec, tmp_path / "made")
    test = dataset.part("test")
    truth = truth_of_dataset(dataset, "test")
    assert np.array_equal(truth.x, dataset.read(test.start, test.stop).x)
    assert len(truth_of_dataset(dataset, None, 4).x) == 4
    with pytest.raises(InputError, match="`split`"):
        truth_of_dataset(dataset, "tset")


def test_a_data_set_of_other_rows_is_refused(tmp_path):
    window = {"inputs": 8, "every": 2, "horizon": 5}
    spec = DatasetSpec(system="charged", particles=2, trajectories=2, window=window)
    dataset = generate_dataset(spec, tmp_path / "made")
    with pytest.raises(InputError, match="rows"):
        truth_of_dataset(Dataset(dataset.folder), None)


# Models and their cards


def test_all_that_ship_are_found_by_name():
    found = {model.name: model.surrogate for model in shipped_models()}
    own = {name: name for name in ("set-spheres", "set-symplectic")}
    assert found == dict.fromkeys(NAMES, "set") | own
    assert find_model("set-small").folder == SET.shipped_weights["set-small"]


def test_a_model_is_found_by_its_folder_and_by_that_of_its_run(tmp_path):
    shutil.copytree(SET.shipped_weights["set"], tmp_path / "run" / "weights")
    for place in ("run", "run/weights"):
        model = find_model(str(tmp_path / place))
        assert (model.surrogate, model.folder) == ("set", tmp_path / "run" / "weights")


def test_what_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"`model` 'sett'.*set-kernel"):
        find_model("sett")
    for text in ("{", "[]", '{"surrogate": 1}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(FileFormatError, match=r"config\.json"):
            find_model(str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_cards_that_ship_are_up_to_date(name):
    """The README of a weights folder is what `models show` prints."""
    model = find_model(name)
    text = card_text(model)
    assert (model.folder / "README.md").read_text() == text
    for words in (
        "charged",
        "trap",
        "nbody-sim train",
        "seed 0",
        "minutes",
        "rotation",
        "leapfrog",
    ):
        assert words in text
    assert len(model.evaluation().rows) >= 4 * (1 + len(classical_methods(make_system("charged"))))


def test_the_card_of_spheres_is_up_to_date():
    model = find_model("set-spheres")
    text = card_text(model)
    assert (model.folder / "README.md").read_text() == text
    for words in ("spheres", "nbody-sim train", "minutes 12.3", "rotation", "leapfrog"):
        assert words in text


def test_a_damaged_evaluation_is_named(tmp_path):
    shutil.copytree(SET.shipped_weights["set"], tmp_path / "mine")
    (tmp_path / "mine" / "evaluation.json").write_text('{"rows": ')
    with pytest.raises(FileFormatError, match=r"evaluation\.json"):
        card_text(find_model(str(tmp_path / "mine")))


# The command line


def test_models_are_listed_and_shown():
    printed = good("models", "list")
    assert all(name in printed for name in NAMES)
    assert good("models", "show", "set") == card_text(find_model("set"))


@pytest.mark.usefixtures("folder")
def test_evaluate_prints_a_table_and_writes_it():
    command = ("evaluate", "set-small", *FEWER, "--system", "charged", "--horizon", 5)
    printed = good(*command, "-o", "scores.json")
    for words in (
        "charged, 5 particles, 3 trajectories",
        "set-small",
        "leapfrog, 8",
        "5 frames",
        "95th %",
        "set-small on the same trajectories",
    ):
        assert words in printed
    found = json.loads(Path("scores.json").read_text(), parse_constant=no_constant)
    assert found["rows"][0]["method"] == "set-small"
    assert list(Path().iterdir()) == [Path("scores.json")]
    again = documented("evaluate", good(*command, "--json"))
    for row, other in zip(again["rows"], found["rows"], strict=True):
        for key in ("milliseconds", "time_ratio"):
            row.pop(key), other.pop(key)
    assert again["rows"] == found["rows"]


@pytest.mark.usefixtures("folder")
def test_evaluate_makes_a_card():
    shutil.copytree(SET.shipped_weights["set-small"], "mine")
    good("evaluate", "mine", *FEWER, "--no-classical", "--card", "--quiet")
    model = find_model("mine")
    assert [row["system"] for row in model.evaluation().rows] == ["charged", "trap"]
    text = Path("mine/README.md").read_text()
    assert text == card_text(model)
    assert "evaluate mine --particles 5 --trajectories 3 --no-classical --card`" in text
    assert "one step, mean | one step, median | one step, 95th %" in text
    assert "40 frames, mean | 40 frames, median | 40 frames, 95th %" in text
    assert "on the same trajectories" not in text


@pytest.mark.usefixtures("folder")
def test_evaluate_by_a_data_set():
    good("dataset", "generate", "--preset", "trap", "-n", 5, "--trajectories", 10,
         "--frames", 12, "-o", "made", "--quiet")  # fmt: skip
    command = ("evaluate", "set", "--dataset", "made", "--split", "test", "--no-classical")
    (row,) = json.loads(good(*command, "--json"))["rows"]
    assert (row["system"], row["particles"], row["trajectories"]) == ("trap", 5, 1)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sett"], ["`model`", "'sett'", "set-small"]),
        (["set", "--trajectories", 0], ["`trajectories`", "0"]),
        (["set", "-n", 0], ["`particles`", "0"]),
        (["set", "--horizon", -1], ["`horizon`", "-1"]),
        (["set", "--threads", 0], ["`threads`", "0"]),
        (["set", "--bound", 0.8], ["`bound`", "> 1", "0.8"]),
        (["set", "--split", "test"], ["`split`", "`dataset`"]),
        (["set", "--dataset", "none"], ["none"]),
        (["set", "--dataset", "none", "-n", 3], ["`particles`", "`dataset`"]),
        (["set", *FEWER, "--system", "gravity"], ["gravity", "trained"]),
        (["set", *FEWER, "--device", "gpu"], ["`device`", "gpu"]),
        (["set", "-o", "nowhere/scores.json"], ["`output`", "nowhere"]),
    ],
)
def test_misuse_of_evaluate_is_one_line(arguments, words):
    line = bad(MISUSE, "evaluate", *arguments)
    assert all(word in line for word in words), line


@pytest.mark.usefixtures("folder")
def test_a_file_in_the_way_is_kept():
    Path("scores.json").write_text("mine")
    assert "--overwrite" in bad(MISUSE, "evaluate", "set", *FEWER, "-o", "scores.json")


@pytest.mark.usefixtures("folder")
def test_damaged_weights_are_one_line():
    shutil.copytree(SET.shipped_weights["set"], "mine")
    file = Path("mine/model.safetensors")
    file.write_bytes(file.read_bytes()[:-50])
    for command in (["evaluate", "mine", *FEWER], ["models", "show", "mine"]):
        assert "mine" in bad(FAILURE, *command)
