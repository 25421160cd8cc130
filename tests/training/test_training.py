"""Training by a recipe: it learns, goes on where it stopped, and says what is wrong."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch import nn

from commands import nbody_sim
from nbody_set.model import SET
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError, PluginError, RunError
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system, register_surrogate
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.surrogates.weights import load_weights
from nbody_surrogate.training.log import read_log
from nbody_surrogate.training.recipe import Recipe, read_recipe, recipe_of_run
from nbody_surrogate.training.trainer import Trainer
from nbody_surrogate.training.validation import score

LEARNED = 0.85
"""Of the loss, after 60 steps over before: 0.5 is measured, as its scale falls along."""

BETTER = 0.2
"""Of the median one-step error; 0.03 is measured. The mean is that of one close encounter."""

MODEL = {"width": 4, "substeps": 2, "basis": 4, "history": 2}

KILLED_AFTER = 100  # of 200 steps


class StopError(Exception):
    """Stands for a computer that is switched off."""


class ToyConfig(SurrogateConfig):
    dropout: float = 0.0
    one_shot: bool = False


class Toy(AbstractSurrogate):
    """dx = v / 10 + g v, with one number g to learn, and another one for three particles."""

    Config = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.gain, self.of_three = (nn.Parameter(torch.zeros(())) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        gain = self.gain + self.of_three if x.shape[2] == 3 else self.gain
        dx = self.dropout(0.1 * v + gain * v)
        last = slice(-1 if self.config.one_shot else None, None)
        return dx[:, last], torch.zeros_like(dx)[:, last]


def spec(n, **changes):
    some = {"trajectories": 6, "splits": {"train": 4, "validation": 2}, "frames": 14}
    return {"particles": n, "seed": n, "options": {"rtol": 1e-9, "atol": 1e-9}, **some} | changes


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two and three particles, made once; training of this module is on one thread, as the CLI's.

    The compiled law is loaded here, too.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("data")
    yield [str(generate_dataset(DatasetSpec(**spec(n)), place / f"n{n}").folder) for n in (2, 3)]
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(folders):
    """Make recipes."""
    usual = {"surrogate": "set", "model": MODEL, "steps": 20, "chunk": 6, "rise": 5}
    usual |= {"data": [{"folder": folder, "batch": 8} for folder in folders]}
    usual |= {"checkpoint_every": 10, "validate_every": 5}
    return lambda **changes: Recipe(**(usual | changes))


@pytest.fixture
def unchecked(monkeypatch):
    """Long runs go without the checks of shapes, which short ones go through."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)


@pytest.fixture
def toy(monkeypatch):
    """The name of a stranger's surrogate."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    register_surrogate("toy")(Toy)
    return {"surrogate": "toy", "model": {}}


def silent(line):
    return


def trainer_of(recipe, folder):
    return Trainer(recipe, folder, 1, silent, command="nbody-sim train me")


def train(recipe, folder, stop_at=None):
    """Train and return the losses; stop in the middle of step `stop_at`."""
    losses = []

    def tick(step, loss, validation):
        losses.append(loss)
        if step == stop_at:
            raise StopError

    trainer = trainer_of(recipe, folder)
    try:
        trainer.run(tick)
    except StopError:
        assert stop_at is not None
    return losses


def left(folder):
    """What a run leaves, but for the time that it took."""
    found = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    found["weights"] = (folder / "weights/model.safetensors").read_bytes()
    found["log"] = [entry | {"seconds": 0} for entry in read_log(folder)]
    for name in ("checkpoint.json", "summary.json"):
        content = json.loads((folder / name).read_text())
        found[name] = content | {"seconds": 0, "minutes": 0}
    return found


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# It learns


@pytest.mark.usefixtures("unchecked")
def test_the_loss_and_the_error_fall(tiny, tmp_path):
    recipe = tiny(steps=60, learning_rate=1e-2, quantiles={0.5: 1.0, 0.98: 8.0})
    before = trainer_of(recipe, tmp_path / "before")
    errors = [score(before.model, source.train).median for source in before.sources]
    losses = train(recipe, tmp_path / "run")
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < LEARNED * np.mean(losses[:10])
    after = load_weights(tmp_path / "run/weights", "set", SET)[0]
    for error, source in zip(errors, before.sources, strict=True):
        assert score(after, source.train).median < BETTER * error


def test_weights_card_log_summary_and_figure(tiny, tmp_path):
    found = trainer_of(tiny(), tmp_path).run()
    model, card, _ = load_weights(tmp_path / "weights", "set", SET)
    assert model.config.model_dump() | MODEL == model.config.model_dump()
    assert card.particles == (2, 3)
    assert card.charges == card.masses == (1.0, 1.0)
    assert card.frame_dt == 0.1
    (trained,) = card.systems
    assert trained.system == "charged"
    assert trained.spec == {"coupling": 1.0, "softening": 0.1}
    assert trained.time_range == (0.0, pytest.approx(1.4))
    assert card.symmetries == tuple(sorted(SET.symmetries))
    digests = [Dataset(data.folder).manifest.digest for data in tiny().data]
    assert card.training_data_hash == " ".join(digests)
    assert card.training["command"] == "nbody-sim train me"
    assert card.training["seed"] == 0

    log = read_log(tmp_path)
    assert [entry["step"] for entry in log if "loss" in entry] == [10, 20]
    scored = [entry for entry in log if "validation" in entry]
    assert [entry["step"] for entry in scored] == [5, 10, 15, 20]
    best = min(scored, key=lambda entry: sum(math.log(s["mean"]) for s in entry["validation"]))
    assert card.training["steps"] == best["step"]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["step"] == 20
    assert summary["validation"] == best["validation"]
    assert len(summary["train"]) == 2
    assert summary["symmetry_error"] < 1e-5
    assert summary["diagnosis"] == found
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.part"))

    system = make_system("charged")
    integrator = SurrogateIntegrator("set", weights=str(tmp_path / "weights"), device="cpu")
    assert simulate(system, *system.sample(0, 3), 5, integrator).info.success


@pytest.mark.usefixtures("unchecked")
def test_the_logged_loss_is_the_mean_of_the_steps(tiny, tmp_path):
    """Steps cycle through the sources, so that one step says little of the rest."""
    losses = train(tiny(steps=15), tmp_path)
    logged = [entry["loss"] for entry in read_log(tmp_path) if "loss" in entry]
    assert logged == pytest.approx([np.mean(losses[:10]), np.mean(losses[10:])], rel=1e-12)


@pytest.mark.usefixtures("unchecked")
def test_training_is_repeatable(tiny, tmp_path):
    losses = train(tiny(), tmp_path / "one")
    assert train(tiny(), tmp_path / "other") == losses
    assert left(tmp_path / "one") == left(tmp_path / "other")
    assert train(tiny(seed=1, steps=2), tmp_path / "third") != losses[:2]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("one_shot", [False, True])
def test_any_registered_surrogate_is_trained(toy, tiny, tmp_path, one_shot):
    toy["model"] = {"one_shot": one_shot}
    trainer_of(tiny(**toy, chunk=10, steps=40, loss="mse"), tmp_path).run()
    model, card, _ = load_weights(tmp_path / "weights", "toy", Toy)
    assert model.gain != 0
    assert card.symmetries == ()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert all(0 < each["mean"] < 1 for each in summary["validation"])
    assert summary["symmetry_error"] is None


def test_sources_are_made_in_the_run_folder_and_need_no_validation(toy, tiny, tmp_path):
    """Or are made as they are needed."""
    said, bare = [], spec(2, splits={"train": 6})
    data = [{"spec": bare, "batch": 4}, {"spec": spec(3), "batch": 4, "live": True}]
    recipe = tiny(**toy, data=data)
    Trainer(recipe, tmp_path, 1, said.append).run()
    assert said == ["making 6 of charged, 2 particles"]
    made = Dataset(tmp_path / "data-0")
    card = load_weights(tmp_path / "weights", "toy", Toy)[1]
    assert card.training_data_hash == f"{made.manifest.digest} {spec_hash(DatasetSpec(**spec(3)))}"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [each is None for each in summary["validation"]] == [True, False]
    alone = tiny(**toy, data=data[:1])
    assert len(train(alone, tmp_path / "alone")) == 20
    assert (tmp_path / "alone/weights").is_dir()


# It goes on where it stopped


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("stop_at", [4, 14])  # before and after the first checkpoint
def test_a_resumed_run_is_bitwise_the_one_that_was_not_stopped(tiny, tmp_path, stop_at):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    losses = train(tiny(), whole)
    assert train(tiny(), stopped, stop_at) == losses[:stop_at]
    with (stopped / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')  # a line that the end cut short
    assert train(tiny(), stopped) == losses[stop_at // 10 * 10 :]
    assert left(stopped) == left(whole)


@pytest.mark.usefixtures("unchecked")
def test_dropout_and_parameters_that_some_data_leave_out_go_on_too(toy, tiny, tmp_path):
    recipe = tiny(surrogate="toy", model={"dropout": 0.5})
    losses = train(recipe, tmp_path / "whole")
    assert train(recipe, tmp_path / "stopped", 13) + losses[13:] == losses
    assert train(recipe, tmp_path / "stopped") == losses[10:]
    assert left(tmp_path / "stopped") == left(tmp_path / "whole")


KILLED = """
surrogate = "set"
steps = 200
chunk = 6
rise = 5
checkpoint_every = 20
validate_every = 50
model = { width = 4, substeps = 2, basis = 4, history = 2 }
[[data]]
batch = 8
spec = { particles = 2, trajectories = 10, frames = 14 }
[[data]]
batch = 4
live = true
spec = { particles = 3, frames = 14, seed = 1 }
"""


def checkpointed(folder):
    path = folder / "checkpoint.json"
    return json.loads(path.read_text())["step"] if path.is_file() else 0


@pytest.mark.usefixtures("unchecked")
def test_a_run_killed_by_kill_9_ends_with_the_bits_of_the_one_that_was_not(folders, tmp_path):
    recipe, killed = tmp_path / "recipe.toml", tmp_path / "killed"
    recipe.write_text(KILLED)
    program = [str(Path(sys.executable).with_name("nbody-sim")), "train", str(recipe)]
    with subprocess.Popen([*program, "-q", "--device", "cpu", "-o", str(killed)]) as process:
        while process.poll() is None and checkpointed(killed) < KILLED_AFTER:
            time.sleep(1e-3)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    step, losses = checkpointed(killed), train(read_recipe(recipe), tmp_path / "whole")
    assert KILLED_AFTER <= step < len(losses) == 200
    result = nbody_sim("train", "--resume", killed, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert f"going on from step {step}" in result.stderr
    assert f"Weights: {killed / 'weights'}" in result.stderr
    assert left(killed) == left(tmp_path / "whole")
    card = load_weights(killed / "weights", "set", SET)[1]
    assert card.training["command"] == f"nbody-sim train --resume {killed}"


@pytest.mark.usefixtures("unchecked")
def test_a_run_that_is_over_stays_as_it_is(tiny, tmp_path):
    train(tiny(), tmp_path)
    kept = left(tmp_path)
    assert train(tiny(), tmp_path) == []
    assert left(tmp_path) == kept


@pytest.mark.parametrize("change", [{"steps": 21}, {"seed": 1}, {"ema": 0.9}])
def test_another_recipe_in_the_same_folder_is_refused(tiny, tmp_path, change):
    trainer_of(tiny(), tmp_path)
    with pytest.raises(InputError, match=r"`output`.*another recipe"):
        trainer_of(tiny(**change), tmp_path)
    trainer_of(tiny(), tmp_path)  # its own recipe still goes
    assert recipe_of_run(tmp_path) == tiny()


# It stops where it must


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    toy, tiny, tmp_path, monkeypatch, number, where
):
    trainer, forward = trainer_of(tiny(**toy), tmp_path), Toy.forward

    def broken(model, x, v, particles):
        dx, dv = forward(model, x, v, particles)
        if trainer.step == 13:
            dx = dx * number if where == "loss" else dx
            dx.register_hook(lambda gradient: gradient * number)
        return dx, dv

    monkeypatch.setattr(Toy, "forward", broken)
    with pytest.raises(RunError, match=rf"the {where} became (nan|inf) at step 13;") as caught:
        trainer.run()
    assert str(tmp_path) in one_line(caught)
    monkeypatch.setattr(Toy, "forward", forward)
    assert trainer_of(tiny(**toy), tmp_path).step == 10
    assert load_weights(tmp_path / "weights", "toy", Toy)[0].gain.isfinite()


@pytest.mark.parametrize(
    ("error", "batch", "advice"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 64 GB"), 8, "`batch` of 4"),
        (RuntimeError("CUDA out of memory."), 9, "`batch` of 4"),
        (MemoryError(), 8, "`batch` of 4"),
        (RuntimeError("CUDA out of memory."), 1, "`chunk` below 6"),
    ],
)
def test_out_of_memory_says_what_to_try(toy, tiny, tmp_path, monkeypatch, error, batch, advice):
    forward = Toy.forward

    def hungry(model, x, v, particles):
        if x.shape[2] == 3:
            raise error
        return forward(model, x, v, particles)

    monkeypatch.setattr(Toy, "forward", hungry)
    data = [tiny().data[0], tiny().data[1].model_copy(update={"batch": batch})]
    with pytest.raises(RunError) as caught:
        trainer_of(tiny(**toy, data=data), tmp_path).run()
    said = f"out of memory at step 1 with `batch` {batch} of source 1; try {advice}"
    assert one_line(caught) == said


def test_other_errors_of_a_model_are_not_hidden(toy, tiny, tmp_path, monkeypatch):
    def faulty(model, x, v, particles):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Toy, "forward", faulty)
    with pytest.raises(PluginError, match=r"`forward` raised RuntimeError: shapes do not match"):
        trainer_of(tiny(**toy), tmp_path).run()


def test_patience_ends_a_run_early(toy, tiny, tmp_path):
    """Steps as small as these change no score; the first of them is the best."""
    recipe = tiny(**toy, learning_rate=1e-30, final_learning_rate=0, patience=2, validate_every=2)
    found = trainer_of(recipe, tmp_path).run()
    assert found[0] == "stopped early at step 6: validation stopped to gain"
    assert load_weights(tmp_path / "weights", "toy", Toy)[1].training["steps"] == 2
    kept = left(tmp_path)
    assert trainer_of(recipe, tmp_path).run() == found  # for good
    assert left(tmp_path) == kept


def test_training_starts_from_weights(toy, tiny, tmp_path):
    """With steps this small, those of the model that was trained before are left as they are."""
    train(tiny(**toy), tmp_path / "first")
    still = {"learning_rate": 1e-30, "final_learning_rate": 0, "weight_decay": 0}
    recipe = tiny(**toy, **still, initial=str(tmp_path / "first"))
    train(recipe, tmp_path / "second")
    (first, its_card, _), (second, card, _) = (
        load_weights(tmp_path / k / "weights", "toy", Toy) for k in ("first", "second")
    )
    after = second.state_dict()
    assert all(torch.equal(after[key], value) for key, value in first.state_dict().items())
    assert card.training["minutes_before"] == its_card.training_minutes


@pytest.mark.parametrize(
    ("training", "minutes"),
    [
        ({}, None),
        ({"minutes": 2.5}, 2.5),
        ({"minutes": 2.5, "initial": "first"}, None),
        ({"minutes": 2.5, "initial": "first", "minutes_before": 4}, 6.5),
    ],
)
def test_a_card_counts_the_training_that_came_before(training, minutes):
    card = find_model("set").load()[1].model_copy(update={"training": training})
    assert card.training_minutes == minutes


@pytest.mark.parametrize(
    ("initial", "words"),
    [("set", "`initial` 'set' has `history` 4, the recipe 2"), ("sett", "`initial` 'sett'")],
)
def test_weights_that_training_cannot_start_from(tiny, tmp_path, initial, words):
    with pytest.raises(InputError, match=words):
        trainer_of(tiny(initial=initial), tmp_path)


# The last stage


def test_the_last_stage_unrolls(toy, tiny, tmp_path, monkeypatch):
    seen, forward = [], Toy.forward

    def watched(model, x, v, particles):
        if model.training:
            seen.append(x.shape[1])
        return forward(model, x, v, particles)

    monkeypatch.setattr(Toy, "forward", watched)
    train(tiny(**toy, steps=5, unroll=3, unroll_steps=2), tmp_path)
    assert seen == [6, 6, 6, *[6, 5, 4] * 2]


def test_the_weights_of_the_last_stage_are_those_of_its_end(toy, tiny, tmp_path):
    """Steps as small as these change no score, so that the first would be the best."""
    still = {"learning_rate": 1e-30, "final_learning_rate": 0, "validate_every": 2}
    train(tiny(**toy, **still, steps=8, unroll=2, unroll_steps=4), tmp_path)
    assert load_weights(tmp_path / "weights", "toy", Toy)[1].training["steps"] == 8


def test_a_one_shot_model_cannot_unroll(toy, tiny, tmp_path):
    toy["model"] = {"one_shot": True}
    with pytest.raises(InputError, match="`unroll` must be 1 for a one-shot model, got 2"):
        train(tiny(**toy, unroll=2, unroll_steps=1), tmp_path)
