"""`evaluate` and `train` in one call give what the commands give."""

from __future__ import annotations

import json

import pytest

from commands import good
from nbody_surrogate import (
    evaluate,
    load_model,
    make_integrator,
    make_system,
    simulate,
    train,
)
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.costs import FRAMES, STARTS
from nbody_surrogate.evaluation.rollouts import Truth
from nbody_surrogate.evaluation.scorecard import score_methods
from refusals import refused
from trainings import MODEL

FEW = {"particles": 5, "trajectories": 2, "horizons": [2], "classical": False}


def without_times(rows):
    times = ("milliseconds", "time_ratio")
    return [{key: value for key, value in row.items() if key not in times} for row in rows]


def test_the_numbers_are_those_of_the_command(one_thread):
    options = ["--system", "charged", "-n", "5", "--trajectories", "2", "--horizon", "2"]
    printed = json.loads(good("evaluate", "set", *options, "--no-classical", "--json"))
    found = evaluate("set", system="charged", **FEW)
    rows = json.loads(json.dumps(found.to_dict()["rows"]))
    assert without_times(rows) == without_times(printed["rows"])
    (table,) = found.tables
    assert "charged, 5 particles, 2 trajectories" in str(table)
    assert "set" in found._repr_html_()


def test_a_model_in_memory_scores_as_by_its_name(one_thread):
    named = evaluate("set-small", system="charged", **FEW).rows
    for given in (load_model("set-small"), make_integrator("set", weights="set-small")):
        rows = evaluate(given, system="charged", **FEW).rows
        assert rows[0]["one_step_mean"] == named[0]["one_step_mean"]
        assert rows[0]["roll_outs"] == named[0]["roll_outs"]


def test_evaluations_are_the_mean_of_the_timed_starts(one_thread):
    system = make_system("charged")
    state, particles = system.sample(0, 5, 7)
    solver = make_integrator("dop853-compiled")
    truth = simulate(system, state, particles, 20, solver)
    truth = Truth(system, truth.x, truth.v, truth.particles)
    (row,) = score_methods({"solver": solver}, truth, (2,))
    state, particles = state[:STARTS], particles[:STARTS]
    alone = simulate(system, state, particles, FRAMES, solver)
    wanted = alone.info.counters["nfev"] / (STARTS * FRAMES)
    assert row.evaluations == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "test"}, ["`split`", "`dataset`"]),
        ({"particles": 0}, ["`particles`", "at least 1"]),
        ({"particles": [3, -1]}, ["`particles`", "at least 1"]),
        ({"trajectories": 0}, ["`trajectories`", "at least 1"]),
        ({"horizons": [0]}, ["`horizons`", "at least 1"]),
        ({"bound": 1.0}, ["`bound`", "> 1"]),
        ({"dataset": "nowhere"}, ["nowhere"]),
        ({"system": "chargd"}, ["charged"]),
    ],
)
def test_misuse_is_one_line(options, words):
    with refused(InputError, *words):
        evaluate("set", **options)


def test_without_a_card_somebody_must_say_what_it_is_for():
    with refused(InputError, "`system` or `dataset`"):
        evaluate(make_integrator("leapfrog"))


@pytest.mark.filterwarnings("ignore::nbody_surrogate.errors.NBodyWarning")  # of longer times
def test_a_training_goes_on_and_stands_for_its_folder(tmp_path, one_thread, undrawn):
    spec = {"preset": "charged", "trajectories": 10, "frames": 16}
    data = [{"batch": 2, "spec": spec}]
    recipe = {"surrogate": "set", "steps": 2, "model": MODEL, "data": data, "validation": 2}
    folder, told = tmp_path / "run", []
    done = train(recipe, folder, workers=1, report=told.append)
    assert done.history[-1]["step"] == 2
    assert done.card.systems[0].system == "charged"
    assert {"train", "validation", "diagnosis"} <= done.summary.keys()
    train(recipe, folder, workers=1, report=told.append)
    assert any("finished at step 2; nothing to do" in line for line in told)
    data = Dataset(next(path.parent for path in folder.rglob("manifest.json")))
    rows = evaluate(done, dataset=data, split="validation", horizons=[2], classical=False).rows
    assert rows[0]["method"] == str(folder)
    with refused(InputError, "another recipe"):
        train({**recipe, "steps": 3}, folder, workers=1)
