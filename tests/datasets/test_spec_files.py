"""The recipe of a data set in a file, and what replaces it."""

from __future__ import annotations

import pytest

from nbody_surrogate.datasets.spec import (
    read_spec,
    resolve,
)
from nbody_surrogate.errors import InputError


@pytest.fixture
def toml(tmp_path):
    """Write a spec file."""

    def write(text):
        path = tmp_path / "spec.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_is_read_with_all_its_sections(toml):
    path = toml(
        """
        system = "charged-clipped"
        parameters = { spread = 2.0 }
        trajectories = 30
        splits = { train = 10, validation = 10, test = 10 }
        seed = 7
        integrator = "symplectic-euler"
        options = { step = 0.001 }
        shard = 4
        [legacy]
        offsets = { test = 50 }
        [window]
        inputs = 3
        horizon = 40
        [task]
        input = 1
        target = 3
        """
    )
    spec = read_spec(path)
    assert spec.numbers.tolist() == [1, 11, 21, 70]
    assert spec.stream_places()["test"] == (50, 60)
    assert spec.legacy.rows == 70
    assert spec.task.input == 1
    assert spec == resolve(spec.model_dump())


def test_what_is_given_replaces_what_the_file_says(toml):
    path = toml("frames = 5\nparticles = 3\nparameters = { softening = 0.2, coupling = 2.0 }")
    spec = read_spec(path, particles=4, seed=9, parameters={"softening": 0.3})
    assert (spec.frames, spec.particles, spec.seed) == (5, 4, 9)
    assert spec.parameters == {"softening": 0.3, "coupling": 2.0}


def test_a_file_may_change_a_preset_and_be_changed_itself(toml):
    path = toml('preset = "set-paper"\ntrajectories = 100\nhorizon = 900')
    assert read_spec(path) == resolve({"preset": "set-paper", "trajectories": 100, "horizon": 900})
    changed = read_spec(path, horizon=400, trajectories=10)
    assert changed == resolve({"preset": "set-paper", "trajectories": 10, "horizon": 400})
    assert list(changed.splits.values()) == [8, 1, 1]


def test_a_preset_that_is_given_replaces_that_of_the_file(toml):
    path = toml('preset = "charged"\nseed = 5')
    assert read_spec(path, preset="trap") == resolve({"preset": "trap", "seed": 5})


@pytest.mark.parametrize("first", ["frames = 3", 'preset = "trap"', 'preset = "springs"'])
def test_naming_the_system_and_solver_that_a_file_has_anyway_changes_nothing(toml, first):
    """By default, or by its preset."""
    path = toml(f"{first}\nparameters = {{ frame_dt = 0.2 }}\noptions = {{ rtol = 1e-12 }}")
    spec = read_spec(path)
    assert read_spec(path, system=spec.system, integrator=spec.integrator) == spec
    assert spec.parameters["frame_dt"] == 0.2


def test_another_system_or_solver_takes_none_of_the_files_parameters_and_options(toml):
    path = toml(
        'frames = 3\nsystem = "charged"\nintegrator = "dop853"\n'
        "parameters = { softening = 0.2 }\noptions = { rtol = 1e-12 }"
    )
    other = read_spec(path, system="springs", integrator="leapfrog", parameters={"stiffness": 2.0})
    assert other.parameters == {"stiffness": 2.0}
    assert other.options == {"form": "dkd"}  # the default of today, which had been another


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frames =", ["`spec`", "TOML"]),
        ("a = " + "[" * 20_000, ["`spec`", "TOML"]),
        ("", ["either `frames` or a `window`"]),
        ("frames = 1979-05-27", ["`frames` of spec", "spec.toml"]),
        ("frames = 3\nparameters = { epoch = 1979-05-27 }", ["`parameters`", "numbers, text"]),
        ('preset = "charged"\nhorizon = 5', ["`horizon`", "`window`", "set-paper"]),
    ],
)
def test_a_wrong_file_is_one_line(toml, text, words):
    path = toml(text)
    with pytest.raises(InputError) as caught:
        read_spec(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\xfa")
    for name in ("none.toml", ".", "binary.toml"):
        with pytest.raises(InputError, match="`spec`") as caught:
            read_spec(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
