"""Yukawa keeps its contract, and whatever takes a system takes it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nbody_surrogate import make_system, read_h5md
from nbody_surrogate.cli import main
from nbody_surrogate.testing import checks

RECIPE = (Path(__file__).parents[1] / "recipe.toml").read_text()


@pytest.mark.parametrize("check", checks("yukawa"), ids=str)
def test_conformance(check):
    check()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def nbody_sim(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_it_is_run_recorded_and_drawn():
    start = ("--system", "yukawa", "-p", "screening=0.5", "-n", 4, "--duration", 1)
    options = ("--no-reference", "-o", "run.h5", "--render", "run.png", "--json")
    said = json.loads(nbody_sim("run", *start, *options))
    assert said["drift"]["energy"] < 1e-6
    run = read_h5md("run.h5")
    assert run.system().spec == make_system("yukawa", screening=0.5).spec
    assert Path("run.png").stat().st_size > 1000


def test_what_needs_laws_says_so():
    said = nbody_sim("run", "--system", "yukawa", "--integrator", "hermite4", code=2)
    assert "needs forces that are written as laws" in said and "leapfrog" in said


def test_set_learns_it_without_being_told_the_law():
    short = RECIPE.replace("steps = 3000", "steps = 20").replace("= 400\n", "= 20\n")
    Path("recipe.toml").write_text(short)
    nbody_sim("train", "recipe.toml", "--output", "trained", "--quiet", "--workers", 1)
    rows = [json.loads(line) for line in Path("trained/log.jsonl").read_text().splitlines()]
    assert any("validation" in row for row in rows)
    options = ("--weights", "trained/weights", "--device", "cpu", "-n", 5, "--duration", 0.5)
    nbody_sim("run", "--system", "yukawa", "--integrator", "set", *options, "--json")
