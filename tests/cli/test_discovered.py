"""Laws of a folder wherever a system is named, and the files that need the folder no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from command_run import good_json
from commands import FAILURE, MISUSE, bad, good
from found_laws import N, found_discovery, found_law
from nbody_surrogate import InputError, load, make_system
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.discovery.files import LAW, write_folder
from nbody_surrogate.registry.law_folder import file_name, named_folder, plain_name

DRAGLESS = {"parameters": {"drag": 0.0}}
QUIET = ("--no-reference", "--integrator", "rk45", "--duration", 0.5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    law = found_law() | {"temperature": 0.0}
    return write_folder("grains", law, found_discovery())


def test_a_run_has_the_measured_particles_and_all_numbers_of_the_law(folder):
    run = ("run", "--system", "discovered:grains", *QUIET, "--integrator", "dop853", "-o", "a.h5")
    good(*run)
    shutil.rmtree(folder)
    read = load("a.h5")
    assert read.x.shape[2] == N
    system = read.system()
    assert system.spec == make_system("discovered", **found_law() | {"temperature": 0.0}).spec
    good("run", "--initial", "a.h5", "--system", "discovered", *QUIET, "-q")


def test_a_parameter_of_the_folder_may_be_changed(folder):
    found = good_json(
        *("--system", "discovered:grains", "-p", "drag=0", "--frame-dt", 0.1, "-n", 5),
        *("-p", "gradient=[0,0,1]", *QUIET),
    )
    assert found["particles"] == 5
    system = found["system"]
    assert system["system"] == "discovered"
    assert (system["drag"], system["frame_dt"]) == (0.0, 0.1)
    assert system["gradient"] == [0.0, 0.0, 1.0]
    assert system["charges"] == found_law()["charges"]


def test_the_file_of_a_run_is_named_after_the_folder(folder):
    good("run", "--system", f"discovered:{folder.resolve()}", "-p", "drag=0", *QUIET, "-q")
    names = [each.name for each in (folder.parent / "runs").iterdir()]
    assert names == [f"discovered-grains-rk45-n{N}-seed0.h5"]


def test_the_headline_has_no_thousand_numbers(folder):
    text = good("run", "--system", "discovered:grains", "-p", "drag=0", *QUIET, "-o", "a.h5")
    head = text.strip().splitlines()[0]
    assert len(head) < 500
    assert "charges [...]" in head


@pytest.mark.parametrize(
    ("name", "damage", "code", "parts"),
    [
        ("discovered:nowhere", None, MISUSE, ["`system`", "no folder 'nowhere'", "discover"]),
        ("discovered:", None, MISUSE, ["`system`", "discovered:FOLDER"]),
        ("discovered:empty", None, MISUSE, ["`system`", "'empty'", "law.json"]),
        ("discovered:grains", "{", FAILURE, ["law.json", "no JSON"]),
        ("discovered:grains", "[]", FAILURE, ["law.json", "damaged"]),
        ("discovered:grains", "{}", FAILURE, ["law.json", "damaged", "it lacks charges"]),
        ("discovered:grains", {"code": "os"}, FAILURE, ["law.json", "`code`", "known: "]),
        ("discovered:grains", {"drag": -1}, FAILURE, ["law.json", "`drag`", ">= 0"]),
        ("discoverd:grains", None, MISUSE, ["`system`", "unknown"]),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(folder, name, damage, code, parts):
    (folder.parent / "empty").mkdir()
    if isinstance(damage, dict):
        damage = json.dumps(json.loads((folder / LAW).read_text()) | damage)
    if damage is not None:
        (folder / LAW).write_text(damage)
    line = bad(code, "run", "--system", name, *QUIET)
    for part in parts:
        assert part in line
    assert not (folder.parent / "runs").exists()


def test_a_damaged_law_stays_damaged_whatever_replaces_the_wrong_number(folder):
    whole = json.loads((folder / LAW).read_text())
    (folder / LAW).write_text(json.dumps(whole | {"drag": -1}))
    line = bad(FAILURE, "run", "--system", "discovered:grains", "-p", "drag=0", *QUIET)
    assert "law.json" in line


def test_a_wrong_change_is_told_as_of_any_system(folder):
    line = bad(MISUSE, "run", "--system", "discovered:grains", "-p", "drag=-1", *QUIET)
    assert "`drag` of system 'discovered'" in line
    line = bad(MISUSE, "run", "--system", "discovered:grains", "-p", "dragg=1", *QUIET)
    assert "`dragg`" in line


def test_a_data_set_of_a_law_needs_the_folder_no_more(folder):
    spec = resolve({"system": "discovered:grains", "frames": 3, "trajectories": 3} | DRAGLESS)
    assert spec.system == "discovered"
    assert spec.particles == N
    shutil.rmtree(folder)
    law = make_system("discovered", **found_law() | {"temperature": 0.0, "drag": 0.0})
    assert spec.make_system().spec == law.spec
    assert resolve({"system": "discovered", "frames": 3}).particles == 5
    with pytest.raises(InputError):
        resolve({"system": "discovered:grains", "frames": 3})


def test_other_commands_take_the_name_too(folder):
    name = ("--system", "discovered:grains", "-p", "drag=0")
    compared = good(
        *("compare", *name, "--integrators", "rk45", "--seeds", 2, "--duration", 0.2),
        "--json",
    )
    assert json.loads(compared)["comparisons"][0]["trajectories"] == 2
    assert f"compare-discovered-grains-n{N}.json" in {each.name for each in Path("runs").iterdir()}
    bad(MISUSE, "bench", "--system", "discovered:nowhere")
    bad(MISUSE, "plan", "--system", "discovered:nowhere")


def test_the_library_takes_the_name_as_the_command_line_does(folder):
    system = make_system("discovered:grains", drag=0.5)
    assert system.name == "discovered"
    assert system.spec.drag == 0.5
    assert system.usual_particles == N
    state, particles = system.sample(0, N)
    assert np.array_equal(particles.charges[0], found_law()["charges"])
    assert any(np.array_equal(state.x[0], each) for each in found_law()["starts_x"])


def test_names_are_taken_apart():
    assert named_folder("discovered:a/b:c") is not None
    assert str(named_folder("discovered:a/b:c")) == "a/b:c"
    assert named_folder("discovered") is None
    assert named_folder("my-plugin:discovered") is None
    assert plain_name("discovered:a/b") == "discovered"
    assert plain_name("my-plugin:charged") == "my-plugin:charged"
    assert file_name("my-plugin:charged") == "my-plugin-charged"
    assert file_name("discovered:a/b") == "discovered-b"
