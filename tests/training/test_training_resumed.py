"""Training goes on where it stopped, to the same bits."""

from __future__ import annotations

import json
import signal

import pytest

from commands import command, nbody_sim, wait_until
from nbody_set.model import SET
from nbody_surrogate.errors import InputError
from nbody_surrogate.surrogates.weights import load_weights
from nbody_surrogate.training.recipe import read_recipe, recipe_of_run
from nbody_surrogate.training.trainer import Trainer
from trainings import left, train, trainer_of

KILLED_AFTER = 40  # of 100 steps


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
steps = 100
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


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_run_killed_by_kill_9_ends_with_the_bits_of_the_one_that_was_not(folders, tmp_path):
    recipe, killed = tmp_path / "recipe.toml", tmp_path / "killed"
    recipe.write_text(KILLED)
    with command("train", recipe, "-q", "--device", "cpu", "-o", killed) as process:
        wait_until(lambda: checkpointed(killed) >= KILLED_AFTER, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    step, losses = checkpointed(killed), train(read_recipe(recipe), tmp_path / "whole")
    assert KILLED_AFTER <= step < len(losses) == 100
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
    said = []
    Trainer(tiny(), tmp_path, 1, said.append)
    assert said[-1] == "finished at step 20; nothing to do"
    assert left(tmp_path) == kept


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_either_engine_goes_on_to_the_same_bits(toy, tiny, tmp_path, engine):
    recipe = tiny(**toy, engine=engine)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    losses = train(recipe, whole)
    train(recipe, stopped, 14)
    assert train(recipe, stopped) == losses[10:]
    assert left(stopped) == left(whole)


def test_a_run_of_a_version_without_engines_goes_on_by_torch(tiny, tmp_path):
    train(tiny(), tmp_path, 14)
    path = tmp_path / "recipe.json"
    before = json.loads(path.read_text())
    del before["engine"]
    before["steps"] = 2000  # so that a new one would be of the other engine
    path.write_text(json.dumps(before))
    assert recipe_of_run(tmp_path).engine_used == "torch"
    for recipe in (tiny(steps=2000), tiny(steps=2000, engine="torch"), recipe_of_run(tmp_path)):
        trainer = trainer_of(recipe, tmp_path)
        assert trainer.step == 10
        assert trainer.recipe.engine_used == trainer.model.training_engine == "torch"
    with pytest.raises(InputError, match="another `engine`"):
        trainer_of(tiny(steps=2000, engine="fused"), tmp_path)
    assert json.loads(path.read_text()) == before


@pytest.mark.parametrize("change", [{"steps": 21}, {"seed": 1}, {"engine": "fused"}])
def test_another_recipe_in_the_same_folder_is_refused(tiny, tmp_path, change):
    trainer_of(tiny(), tmp_path)
    with pytest.raises(InputError, match=r"`output`.*another recipe"):
        trainer_of(tiny(**change), tmp_path)
    trainer_of(tiny(), tmp_path)  # its own recipe still goes
    assert recipe_of_run(tmp_path) == tiny()
