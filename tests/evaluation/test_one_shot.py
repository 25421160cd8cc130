"""Tasks of data sets: rows, training in one shot, scores and what stands beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import config

from commands import MISUSE, bad, good
from json_schemas import documented
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, SurrogateConfig
from nbody_surrogate.datasets import Dataset, DatasetSpec, DatasetWindows, generate_dataset
from nbody_surrogate.datasets.task_rows import task_rows
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.model_card_text import card_text
from nbody_surrogate.evaluation.one_shot import score_model, score_references
from nbody_surrogate.evaluation.one_shot_task import clean_subset, read_task
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.training.losses import Loss
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.schedule import Passes
from nbody_surrogate.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread", "undrawn")

WINDOW = {"inputs": 3, "every": 2, "horizon": 4}  # frames 1, 3, 5 and 10
AHEAD = 0.5

TRAINED = {
    "egnn": {"layers": 2, "width": 8},
    "linear": {},
    "lstm": {"particles": 3, "width": 8, "history": 3},
    "mlp": {"particles": 3, "width": 8, "history": 2},
    "set-paper": {"blocks": 1, "layers": 1, "width": 8, "history": 3},
    "training-mean": {},
}


def spec(**changes):
    usual = {"particles": 3, "trajectories": 40, "window": WINDOW}
    return DatasetSpec(**(usual | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data") / "task"
    return generate_dataset(spec(), place).folder


@pytest.fixture
def recipe(folder):
    def make(name, **changes):
        usual = {"surrogate": name, "model": TRAINED.get(name, {}), "task": True, "loss": "mse"}
        usual |= {"steps": 4, "validate_every": 2, "data": [{"folder": str(folder), "batch": 8}]}
        return Recipe(**(usual | changes))

    return make


def silent(line):
    return


# Rows


def test_rows_of_a_task():
    assert task_rows(spec(), 3) == ((0, 1, 2, 3), 2, 5)
    assert task_rows(spec(), 2) == ((1, 2, 3), 2, 5)
    assert task_rows(spec(), 1) == ((2, 3), 5, 5)
    frames = spec(window=None, frames=20, task={"input": 10, "target": 18})
    assert task_rows(frames, 2) == ((9, 10, 18), 1, 8)


def test_what_is_no_task_is_one_line():
    with pytest.raises(InputError, match="`history` must be at most the 3 input rows of x, got 4"):
        task_rows(spec(), 4, "x")
    with pytest.raises(InputError, match="`task` must be one that x has"):
        task_rows(spec(window=None, frames=9), 1, "x")


def test_windows_of_picked_rows_are_those_rows(folder):
    dataset = Dataset(folder)
    block = dataset.read(0, 32)
    windows = DatasetWindows(dataset, picked=(1, 3), batch=5, shuffle=False)
    x = torch.cat([batch.x for batch in windows])
    assert np.array_equal(x.numpy(), block.x[:, [1, 3]])
    with pytest.raises(InputError, match="`picked` must be some of the rows 0 to 3"):
        DatasetWindows(dataset, picked=(4,))


# Training


@pytest.mark.parametrize("name", list(TRAINED))
def test_each_model_is_trained_on_a_task_and_scored(recipe, folder, tmp_path, monkeypatch, name):
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    run = tmp_path / "run"
    Trainer(recipe(name), run, 1, silent).run()
    model, card = find_model(str(run)).load()
    assert card.horizon == pytest.approx(AHEAD)
    assert card.frame_dt == pytest.approx(AHEAD if model.config.history == 1 else 0.2)
    row = score_model(name, model, read_task(Dataset(folder), "test", model.config.history))
    assert row.mean.value > 0
    assert row.errors.shape == (4,)
    assert row.parameters == sum(p.numel() for p in model.parameters())


class Still(AbstractSurrogate):
    """Answers that nothing moves."""

    Config = SurrogateConfig

    def __init__(self, config):
        super().__init__(config)
        self.zero = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, v, particles):
        return (self.zero * x).to(self.dtype), (self.zero * v).to(self.dtype)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_errors_of_a_task_count_as_they_are_and_of_the_last_frame_only(recipe, weight):
    loss = Loss(recipe("linear", velocity_weight=weight), 1)
    x = torch.zeros(1, 4, 2, 3, dtype=torch.float64)
    x[:, 3], x[:, 2] = 0.5, 0.1
    model, pair = Still(SurrogateConfig()), ParticleTensors(torch.ones(1, 2), torch.ones(1, 2))
    value = loss(model, 0, 0.1, (x, 2 * x), pair, Passes(1, True))
    assert value.item() == pytest.approx(0.4**2 + weight * 0.8**2)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("mlp", {"model": {"particles": 5}}, "`particles` is 5 in `model` .* but 3 in `data.0`"),
        ("set-paper", {"model": {"history": 4}}, "`history` must be at most the 3 input rows"),
        ("set-paper", {"task": False}, "`data.0` must have rows one frame apart.*task = true"),
    ],
)
def test_what_does_not_fit_is_one_line(recipe, tmp_path, name, changes, words):
    with pytest.raises(InputError, match=words) as caught:
        Trainer(recipe(name, **changes), tmp_path / "run", 1, silent)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_one_shot_model_s_chunk_is_within_its_history(tmp_path):
    data = {"batch": 4, "spec": {"particles": 2, "trajectories": 10, "frames": 8}}
    recipe = Recipe(surrogate="egnn", steps=1, chunk=2, data=[data])
    with pytest.raises(InputError, match="`chunk` must be at most the `history` 1"):
        Trainer(recipe, tmp_path / "run", 1, silent)


# Scores


def test_scores_in_closed_form(folder):
    """Of who stays at rest: the mean squared displacement, and the change of velocity."""
    task = read_task(Dataset(folder), "test", 1)
    wanted = ((task.end_x - task.x[:, -1]) ** 2).mean((1, 2))
    row = score_model("still", Still(SurrogateConfig()), task)
    assert np.allclose(row.errors, wanted, rtol=1e-12)
    assert row.mean.value == pytest.approx(wanted.mean())
    assert row.median.value == pytest.approx(np.median(wanted))
    assert row.p95 == pytest.approx(np.quantile(wanted, 0.95))
    assert row.velocity == pytest.approx(((task.end_v - task.v[:, -1]) ** 2).mean())


def test_references_stand_beside(folder):
    dataset = Dataset(folder)
    task = read_task(dataset, "test", 1)
    rows = {row.method: row for row in score_references(task, read_task(dataset, "train", 1))}
    moved, speed = task.end_x - task.x[:, -1], task.v[:, -1]
    assert np.allclose(rows["copy-last"].errors, (moved**2).mean((1, 2)), rtol=1e-12)
    ballistic = ((moved - AHEAD * speed) ** 2).mean((1, 2))
    assert np.allclose(rows["ballistic"].errors, ballistic, rtol=1e-9)
    assert {"training-mean", "linear"} < rows.keys()
    physics = next(row for name, row in rows.items() if name.startswith("physics"))
    assert physics.mean.value < 1e-12  # the labels are of the same solver
    assert rows["linear"].mean.value < rows["copy-last"].mean.value


def test_some_trajectories_of_a_task_keep_their_couplings(tmp_path):
    made = generate_dataset(spec(system="springs", dimensions=2, trajectories=10), tmp_path / "s")
    task = read_task(made, None, 2)
    assert task.particles.couplings is not None
    for index, numbers in ((3, [3]), (slice(2, 4), [2, 3]), (np.array([5, 0]), [5, 0])):
        some = task.subset(index)
        np.testing.assert_array_equal(some.particles.couplings, task.particles.couplings[numbers])
        for key in ("x", "v", "end_x", "end_v"):
            np.testing.assert_array_equal(getattr(some, key), getattr(task, key)[numbers])


def test_the_clean_subset_is_whose_labels_keep_their_energy(folder):
    task = read_task(Dataset(folder), None, 1)
    assert clean_subset(task).all()
    end_v = task.end_v.copy()
    end_v[3] += 1.0
    assert np.flatnonzero(~clean_subset(task._replace(end_v=end_v))).tolist() == [3]
    zero = task._replace(end_x=0 * task.end_x, end_v=0 * task.end_v)
    assert not clean_subset(zero).all()


def test_turning_a_task_turns_all_of_it(folder):
    task = read_task(Dataset(folder), None, 3)
    quarter = np.tile(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), (len(task.x), 1, 1))
    turned = task.turned(quarter)
    for before, after in zip((task.x, task.end_v), (turned.x, turned.end_v), strict=True):
        assert np.allclose(after[..., 0], -before[..., 1])
        assert np.allclose(after[..., 1], before[..., 0])


# The command


@pytest.fixture(scope="module")
def linear(folder, tmp_path_factory):
    """A run folder."""
    run = tmp_path_factory.mktemp("run") / "linear"
    data = [{"folder": str(folder), "batch": 8}]
    Trainer(Recipe(surrogate="linear", task=True, steps=1, data=data), run, 1, silent).run()
    return run


def test_the_command_scores_a_task(linear, folder, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    table = good("evaluate", linear, "--dataset", folder, "--card")
    assert "charged, 3 particles, 4 trajectories, 0.5 time units ahead" in table
    for method in ("copy-last", "ballistic", "training-mean", "physics"):
        assert method in table
    found = documented(
        "evaluate", good("evaluate", linear, "--dataset", folder, "--no-classical", "--json")
    )
    (row,) = found["rows"]
    assert row["pair"] is None
    assert row["mean"]["low"] <= row["mean"]["value"] <= row["mean"]["high"]
    text = card_text(find_model(str(linear)))
    assert "It answers in one shot, 0.5 time units after the last frame." in text
    assert "| copy-last |" in text
    assert " on the same trajectories: error over that" in " ".join(table.split())
    assert text.count(" of 4, p = ") >= 4  # against each of the references


def test_misuse_of_the_command(linear, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    monkeypatch.chdir(tmp_path)
    assert "`dataset` is needed" in bad(MISUSE, "evaluate", linear)
    line = bad(MISUSE, "evaluate", linear, "--dataset", folder, "--horizon", 3)
    assert "`horizon`" in line
    further = generate_dataset(
        spec(trajectories=10, window=WINDOW | {"horizon": 6}), tmp_path / "other"
    )
    line = bad(MISUSE, "evaluate", linear, "--dataset", further.folder)
    assert "`dataset` has a horizon of 0.7" in line
