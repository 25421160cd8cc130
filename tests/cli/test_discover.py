"""`nbody-sim discover` around the inference: what it is handed, what it writes and says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, contents, good, nbody_sim
from found_laws import N, found_discovery, found_law, tracks_and_forecast
from json_schemas import documented
from nbody_surrogate import InputError
from nbody_surrogate.discovery.files import FOUND, LAW, REPORT, read_folder

CALL = ("discover", "tracks.npz", "--frame-dt", 0.05)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What the inference is called with, beside a file of tracks; it finds a fixed law."""
    monkeypatch.chdir(tmp_path)
    tracks, forecast = tracks_and_forecast()
    np.savez("tracks.npz", x=tracks)
    calls = []

    def discover(runs, *, progress=None, **options):
        calls.append((runs, options))
        for done in range(3):
            progress("start", done + 1, 3)
        return SimpleNamespace(
            law=found_law(),
            discovery=found_discovery() | {"command": options["command"]},
            forecasts=SimpleNamespace(run=0, first=20, frames=forecast[20:]),
            tracks=runs,
        )

    module = SimpleNamespace(discover=discover)
    monkeypatch.setitem(sys.modules, "nbody_surrogate.discovery.discover", module)
    return calls


def test_the_folder_is_whole_and_the_next_commands_are_told(asked):
    text = good(*CALL, "-o", "a/grains")
    folder = Path("a/grains")
    assert {each.name for each in folder.iterdir()} == {LAW, FOUND, REPORT}
    assert "The law of 12 particles in 3 dimensions, 8000 frames" in text
    assert "Newton's third law, isotropy, translation and boost, of 7 tested" in text
    assert "nbody-sim run --system discovered:a/grains" in text
    assert "Files: a/grains/law.json" in text
    assert [each.name for each in Path("a").iterdir()] == ["grains"]


def test_the_inference_is_handed_what_was_asked(asked):
    good(*CALL, "-o", "a", "-q")
    ((runs, options),) = asked
    assert runs[0].x.shape[1:] == (N, 3)
    options.pop("command")
    assert options == {
        **{"axis": "z", "drag": "each", "couplings": False, "same_particles": False},
        **{"hold_out": 0.2, "bootstrap": 200, "seed": 0, "knots": 24},
        "search": None,
    }
    good(
        *(*CALL, "-o", "b", "--axis", "none", "--drag", "shared", "--couplings"),
        *("--hold-out", 0.3, "--bootstrap", 30, "--seed", 4, "--knots", 12),
        *("--same-particles", "-q"),
    )
    asked[1][1].pop("command")
    assert asked[1][1] == {
        **{"axis": None, "drag": "shared", "couplings": True, "same_particles": True},
        **{"hold_out": 0.3, "bootstrap": 30, "seed": 4, "knots": 12},
        "search": None,
    }


def test_the_command_is_kept_that_makes_it_again(asked):
    good(*CALL, "--output", "a", "--seed", 3, "--length-unit", "mm", "-q", "--no-report")
    command = read_folder("a").discovery.command
    assert command.startswith("nbody-sim discover tracks.npz")
    for part in ("--output a", "--seed 3", "--length-unit mm", "--frame-dt 0.05"):
        assert part in command
    assert "--quiet" not in command
    assert "--no-report" not in command
    assert not Path("a", REPORT).exists()


def test_json_holds_the_law_and_all_that_was_found(asked):
    found = documented("discover", good(*CALL, "-o", "a", "--json"))
    assert found["law"]["charges"] == found_law()["charges"]
    assert found["discovery"]["symmetries"] == found_discovery()["symmetries"]
    assert found["files"] == [f"a/{name}" for name in (LAW, FOUND, REPORT)]


def test_a_discovery_is_replaced_only_when_told(asked):
    good(*CALL, "-o", "a", "-q")
    line = bad(MISUSE, *CALL, "-o", "a", "-q")
    assert "`output` 'a' holds a discovery" in line
    good(*CALL, "-o", "a", "-q", "--overwrite", "--no-report")
    assert {each.name for each in Path("a").iterdir()} == {LAW, FOUND}
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--axis", "x"), "`axis` must be one of z, none, got 'x'"),
        (("--drag", "much"), "`drag` must be one of each, shared, none, got 'much'"),
        (("--hold-out", 0.6), "`hold_out` must be from 0 to 0.5, got 0.6"),
        (("--hold-out", "nan"), "`hold_out` must be from 0 to 0.5"),
        (("--bootstrap", 5), "`bootstrap` must be at least 20, got 5"),
        (("--knots", 7), "`knots` must be at least 8, got 7"),
        (("--seed", -1), "`seed` must be at least 0, got -1"),
        (("--frame-dt", -1), "`frame_dt` must be finite and > 0"),
    ],
)
def test_a_wrong_option_is_one_line_before_anything_is_read(asked, options, part):
    line = bad(MISUSE, *CALL, "-o", "a", *options)
    assert part in line
    assert asked == []


def test_an_output_that_cannot_be_is_told_before_anything_is_read(asked):
    Path("b").mkdir()
    Path("b/thesis.tex").write_text("years of work")
    assert "thesis.tex" in bad(MISUSE, *CALL, "-o", "b", "--overwrite")
    assert "no folder" in bad(MISUSE, *CALL, "-o", "tracks.npz")
    assert asked == []


def test_tracks_that_tell_nothing_leave_nothing(asked, monkeypatch):
    def refuse(runs, **options):
        raise InputError("`tracks` are of a crystal at rest: measure at a higher temperature")

    module = SimpleNamespace(discover=refuse)
    monkeypatch.setitem(sys.modules, "nbody_surrogate.discovery.discover", module)
    assert "crystal" in bad(MISUSE, *CALL, "-o", "a")
    assert set(contents()) == {Path("tracks.npz")}
    assert not Path("a").exists()


def test_a_missing_file_is_one_line(asked):
    assert "'none.csv'" in bad(MISUSE, "discover", "none.csv", "-o", "a")


def test_without_a_forecast_the_tracks_are_drawn_alone(asked, monkeypatch):
    def without(runs, **options):
        return SimpleNamespace(
            law=found_law(), discovery=found_discovery(), forecasts=None, tracks=runs
        )

    module = SimpleNamespace(discover=without)
    monkeypatch.setitem(sys.modules, "nbody_surrogate.discovery.discover", module)
    good(*CALL, "-o", "a", "-q")
    page = Path("a", REPORT).read_text()
    assert 'id="scene"' in page
    assert "ring: forecast" not in page


@pytest.fixture
def learned(monkeypatch):
    """What the training behind it is called with; it trains nothing."""
    calls = []

    def train_from_discovery(*given, **options):
        options.pop("report")
        calls.append((given, options))

    module = SimpleNamespace(train_from_discovery=train_from_discovery)
    monkeypatch.setitem(sys.modules, "nbody_surrogate.training.from_discovery", module)
    return calls


@pytest.mark.usefixtures("asked")
def test_a_stepper_is_trained_beside_the_folder(learned):
    text = good(*CALL, "-o", "grains", "--set", 2.5, "--set-frame-dt", 0.1, "--seed", 3)
    ((given, options),) = learned
    assert given == (Path("grains"), 2.5, 3, Path("grains-set"))
    assert options["frame_dt"] == 0.1
    assert (
        "train_from_discovery('grains', 2.5, 3, 'grains-set', frame_dt=0.1)" in options["command"]
    )
    told = "nbody-sim run --system discovered:grains --frame-dt 0.1 --integrator set --weights"
    assert f"{told} grains-set" in " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", 0), "`set` must be above 0, got 0"),
        (("--set", "nan"), "`set` must be above 0"),
        (("--set", 1, "--set-frame-dt", -1), "`set_frame_dt` must be above 0, got -1"),
        (("--set-frame-dt", 1), "give --set MINUTES as well"),
    ],
)
def test_a_stepper_that_cannot_be_is_refused_before_tracks_are_read(asked, learned, options, said):
    assert said in bad(MISUSE, *CALL, "-o", "grains", *options)
    assert not asked and not learned


def test_a_model_that_is_there_is_not_trained_over(asked, learned):
    Path("grains-set").mkdir()
    assert "'grains-set', which is there" in bad(MISUSE, *CALL, "-o", "grains", "--set", 1)
    assert not asked and not learned


@pytest.mark.usefixtures("asked")
def test_a_law_that_cannot_be_learned_loses_nothing(monkeypatch):
    def refuse(*given, **options):
        raise InputError("`law` has a drag of 0.2, and surrogate 'set' learns motion without")

    module = SimpleNamespace(train_from_discovery=refuse)
    monkeypatch.setitem(sys.modules, "nbody_surrogate.training.from_discovery", module)
    result = nbody_sim(*CALL, "-o", "grains", "--set", 1)
    said = "no stepper was trained, the discovery in 'grains' is whole: `law` has a drag"
    assert result.exit_code == FAILURE and said in result.stderr
    assert "nbody-sim run --system discovered:grains" in result.stdout
    assert Path("grains", LAW).is_file()
