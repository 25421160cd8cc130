"""Pairnet keeps its contract, trains, and learns something."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nbody_surrogate.cli import main
from nbody_surrogate.testing import checks

RECIPE = (Path(__file__).parents[1] / "recipe.toml").read_text()


@pytest.mark.parametrize("check", checks("pairnet"), ids=str)
def test_conformance(check):
    check()


def nbody_sim(*arguments):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def position_error(*method):
    run = nbody_sim("run", "-n", 5, "--duration", 0.5, "--json", "--integrator", *method)
    return json.loads(run)["comparison"]["position_rmse"][0]


def test_a_little_training_beats_uniform_motion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = RECIPE.replace("steps = 2000", "steps = 300").replace("= 500\n", "= 100\n")
    Path("recipe.toml").write_text(short)
    nbody_sim("train", "recipe.toml", "--output", "trained", "--quiet", "--workers", 1)
    learned = position_error("pairnet", "--weights", "trained/weights", "--device", "cpu")
    assert learned < 0.5 * position_error("ballistic")
