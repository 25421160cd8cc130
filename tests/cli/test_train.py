"""The command `train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_run import good_json, name_of
from commands import FAILURE, INTERRUPTED, MISUSE, bad, good, nbody_sim
from nbody_set.model import SET
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.training.trainer import Trainer

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


def test_train_writes_weights_that_run_takes():
    Path("recipe.toml").write_text(RECIPE)
    result = nbody_sim("train", "recipe.toml", "-o", "trained", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    making, score, diagnosis, weights = result.stderr.splitlines()
    assert making == "making 10 trajectories of charged, 2 particles"
    summary = json.loads(Path("trained/summary.json").read_text())
    mean = summary["validation"][0]["mean"]
    assert score.startswith(f"one step, validation of source 0: x-MSE {mean:.1e} (")
    assert diagnosis == "no sign of over-fitting, slow convergence or poor symmetry"
    assert weights == "Weights: trained/weights"
    card = json.loads(Path("trained/weights/config.json").read_text())["card"]
    assert card["training"]["command"] == "nbody-sim train recipe.toml --output trained"
    found = good_json(
        *("--integrator", "set", "--weights", "trained/weights", "-n", 2, "--duration", 0.2)
    )
    assert found["status"] == [[0], [0]]
    assert good("train", "recipe.toml", "-o", "trained", "--quiet") == ""
    assert good("train", "--resume", "trained", "--quiet") == ""
    again = nbody_sim("train", "--resume", "trained").stderr.splitlines()
    over = ["finished at step 4; nothing to do", "It had ended with:"]
    assert again == [*over, score, diagnosis, weights]
    Path("other.toml").write_text(RECIPE.replace("steps = 4", "steps = 5"))
    line = bad(MISUSE, "train", "other.toml", "-o", "trained")
    assert "another recipe (`steps` 4, not 5, which its learning rate follows: `initial`" in line
    with sole_writer(Path("trained")):
        assert "another process" in bad(FAILURE, "train", "--resume", "trained")


def test_an_interrupted_training_says_how_to_go_on(monkeypatch, undrawn):
    Path("recipe.toml").write_text(RECIPE)
    descend, left = Trainer._descend, iter([1, 1])

    def interrupted(trainer, which):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return descend(trainer, which)

    monkeypatch.setattr(Trainer, "_descend", interrupted)
    result = nbody_sim("train", "recipe.toml", "-o", "a run", "-q")
    assert result.exit_code == INTERRUPTED
    last = result.stderr.splitlines()[-1]
    assert last == "Error: interrupted; go on with nbody-sim train --resume 'a run'"
    monkeypatch.setattr(Trainer, "_descend", descend)
    assert good("train", "--resume", "a run", "-q") == ""
    assert Path("a run/weights").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.toml", "-o", "new"], ["`config`", "none.toml"]),
        (["wrong.toml", "-o", "new"], ["`config`", "TOML"]),
        (["typo.toml", "-o", "new"], ["`widht`"]),
        (["softer.toml", "-o", "new"], ["`softening` is 0.1", "0.2"]),
        (["recipe.toml"], ["`output`", "`resume`"]),
        (["-o", "new"], ["CONFIG", "`resume`"]),
        ([], ["CONFIG", "`output`", "`resume`"]),
        (["--resume", "new"], ["`resume` 'new'", "no training run"]),
        (["--resume", "recipe.toml"], ["`resume` 'recipe.toml'", "no training run"]),
        (["recipe.toml", "--resume", "new"], ["`resume`", "CONFIG"]),
        (["--resume", "new", "-o", "new"], ["`resume`", "`output`"]),
        (["recipe.toml", "-o", "new", "--workers", "0"], ["`workers`", "0"]),
        (["recipe.toml", "-o", "new", "--threads", "-1"], ["`threads`", "-1"]),
        (["recipe.toml", "-o", "new", "--device", "abacus"], ["`device` 'abacus'"]),
        (["recipe.toml", "-o", "recipe.toml"], ["`output`", "recipe.toml"]),
    ],
    ids=name_of,
)
def test_misuse_of_train(arguments, words):
    Path("recipe.toml").write_text(RECIPE)
    Path("wrong.toml").write_text("steps =")
    Path("typo.toml").write_text(RECIPE.replace("width", "widht"))
    soft = "spec = { parameters = { softening = 0.2 },"
    Path("softer.toml").write_text(RECIPE.replace("spec = {", soft))
    line = bad(MISUSE, "train", *arguments)
    assert all(word in line for word in words), line
    assert not Path("new").exists()


def test_training_failures_are_one_line(monkeypatch):
    Path("recipe.toml").write_text(RECIPE)

    def hungry(model, x, v, particles):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(SET, "forward", hungry)
        result = nbody_sim("train", "recipe.toml", "-o", "trained", "-q")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "out of memory at step 0" in line
    assert "try `batch` of 1" in line
    Path("trained/recipe.json").write_text("{")
    assert "damaged" in bad(FAILURE, "train", "--resume", "trained")
