"""What is wrong with a training recipe, its data or a run folder: one line that says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nbody_set.model import SET
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import register_surrogate, register_system
from nbody_surrogate.training.checks import check_data
from nbody_surrogate.training.recipe import Recipe, checked_recipe, read_recipe, recipe_of_run
from nbody_surrogate.training.trainer import Trainer

SPEC = {"particles": 2, "trajectories": 10, "frames": 14}

USUAL = {
    "surrogate": "set",
    "model": {"width": 4, "substeps": 2, "basis": 4},
    "steps": 2,
    "chunk": 6,
    "data": [{"batch": 4, "spec": SPEC}],
}


class Still(AbstractSurrogate):
    """Assumes nothing of a system."""

    Config = SurrogateConfig

    def forward(self, x, v, particles):
        return 0 * x, 0 * v


@pytest.fixture(autouse=True)
def strangers(monkeypatch):
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    register_surrogate("still")(Still)


def silent(line):
    return


def trainer_of(folder, **changes):
    return Trainer(Recipe(**(USUAL | changes)), folder, 1, silent)


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def source(**changes):
    return {"data": [{"batch": 4, "spec": SPEC | changes}]}


# What is wrong with a recipe

RECIPE = """
surrogate = "set"
steps = 20
chunk = 6
[model]
width = 4
[[data]]
batch = 4
spec = { particles = 2, trajectories = 10, frames = 14 }
"""


def changed(old, new):
    assert old in RECIPE
    return RECIPE.replace(old, new)


def also(line):
    return changed("steps = 20", f"steps = 20\n{line}")


def test_a_good_recipe(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert [data.dataset_spec().particles for data in recipe.data] == [2]
    assert recipe.quantiles == {0.5: 1.0, 0.98: 8.0}
    assert recipe.pushforward


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (also("step = 1"), ["`step`", "known"]),
        (changed("frames", "frame"), ["`frame`"]),
        (changed("batch = 4", "batch = 4\nlives = true"), ["`data.0.lives`"]),
        (changed("batch = 4", "batch = 0"), ["`data.0.batch`", "> 0", "0"]),
        (changed("batch = 4", ""), ["`data.0.batch`"]),
        (changed("batch = 4", "batch = 4\nfolder = 'here'"), ["`folder`", "`spec`"]),
        (changed("spec = {", "# {"), ["`folder`", "`spec`"]),
        (changed("spec = {", "live = true\nfolder = 'here' # {"), ["`live`", "`spec`"]),
        (changed("[[data]]", "[data]"), ["`data`"]),
        (changed("particles = 2", "particles = -2"), ["`particles`", "> 0", "-2"]),
        (changed("particles = 2", "preset = 'none'"), ["`preset`", "'none'"]),
        (changed("chunk = 6", "chunk = 0"), ["`chunk`", ">= 1"]),
        (also("unroll = 7"), ["`unroll`", "`chunk` 6", "7"]),
        (also("unroll_steps = 21"), ["`unroll_steps`", "20", "21"]),
        (changed("steps = 20", "steps = 0"), ["`steps`", ">= 1", "0"]),
        (changed("steps = 20", "steps = 'many'"), ["`steps`", "many"]),
        (also("seed = 4294967296"), ["`seed`", "< 4.29497e+09"]),
        (also("loss = 'mae'"), ["`loss`", "mae", "log|mse"]),
        (also("learning_rate = nan"), ["`learning_rate`", "nan"]),
        (also("clip = inf"), ["`clip`", "inf"]),
        (also("quantiles = {'2.0' = 1.0}"), ["`quantiles"]),
        (also("quantiles = {'0.5' = 0.0}"), ["`quantiles"]),
        (also("quantiles = {}"), ["`quantiles`"]),
        (changed('surrogate = "set"', ""), ["`surrogate`"]),
        (changed("steps = 20", "steps ="), ["`config`", "TOML"]),
        ("steps = " + "[" * 10**5, ["`config`", "TOML"]),
        ("\x00", ["`config`", "TOML"]),
        ("", ["`surrogate`"]),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    message = one_line(caught)
    assert all(word in message for word in words), message


def test_a_recipe_that_cannot_be_read(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\xfa")
    for name in ("none.toml", ".", "binary.toml"):
        with pytest.raises(InputError, match="`config`") as caught:
            read_recipe(tmp_path / name)
        one_line(caught)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surrogate": "sett"}, ["`surrogate` 'sett'"]),
        ({"model": {"depth": 3}}, ["`depth`"]),
        ({"model": {"width": -1}}, ["`width`"]),
        ({"model": {"width": 4, "heads": 3}}, ["`width` 4", "`heads` 3"]),
        ({"model": {"softening": 0.2}}, ["`softening` is 0.2 in `model`", "0.1", "'charged'"]),
        (source(parameters={"softening": 0.2}), ["`softening` is 0.1 in `model`", "0.2"]),
        (source(parameters={"softening": -1.0}), ["`softening`", "-1"]),
        (source(parameters={"frame_dt": 0.2}), ["`frame_dt` is 0.1", "0.2"]),
        (source(system="planets"), ["`system` 'planets'"]),
        (source(system="penning"), ["'penning'", "velocity"]),
        (source(system="oscillator"), ["'oscillator' lacks: ", "boost", "translation"]),
        (source(integrator="euler", options={}), ["`integrator` 'euler'"]),
        (source(options={"rtool": 1.0}), ["`rtool`"]),
        (source(splits={"test": 10}), ["`splits` of `data.0`", "`train`"]),
        ({"data": [{"batch": 4, "folder": "nowhere"}]}, ["'nowhere'"]),
        ({"chunk": 15}, ["`chunk` must be below the 15 rows of `data.0`", "got 15"]),
    ],
)
def test_what_does_not_fit_is_found_before_any_data_are_made(tmp_path, changes, words):
    """The folder is then still free for the recipe's mended version."""
    with pytest.raises(InputError) as caught:
        trainer_of(tmp_path / "run", **changes)
    message = one_line(caught)
    assert all(word in message for word in words), message
    assert not (tmp_path / "run").exists()


def test_a_device_must_have_float64(tmp_path):
    with pytest.raises(InputError, match="`device` 'mps' has no float64"):
        Trainer(Recipe(**USUAL), tmp_path, 1, silent, "mps")


def test_spacings_that_differ_by_rounding_are_the_same():
    """As of sources whose configurations have 0.3 and 3 * 0.1."""
    data = [source(parameters={"frame_dt": dt})["data"][0] for dt in (0.3, 3 * 0.1)]
    recipe = Recipe(**(USUAL | {"surrogate": "still", "model": {}, "data": data}))
    check_data(recipe, Still(SurrogateConfig()))


def test_sources_share_the_spacing_of_frames(tmp_path):
    data = [*source()["data"], *source(parameters={"frame_dt": 0.2})["data"]]
    with pytest.raises(InputError, match=r"`frame_dt` must be the same.* 0.1 and 0.2"):
        trainer_of(tmp_path, surrogate="still", model={}, data=data)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("horizon", [1, 5])  # rows 1, 3, 5 and 7, which are equally spaced, or 11
def test_rows_must_be_one_frame_apart(tmp_path, live, horizon):
    window = {"inputs": 3, "every": 2, "horizon": horizon}
    data = source(frames=None, window=window)["data"][0] | {"live": live}
    with pytest.raises(InputError, match=r"`data.0` must have rows one frame apart"):
        trainer_of(tmp_path, data=[data], chunk=2)


def test_who_applies_the_field_needs_forces_without_velocity(tmp_path, monkeypatch, plasma):
    """Whatever the symmetries of the pair forces."""
    monkeypatch.setattr(plasma, "pair_symmetries", SET.symmetries)
    register_system("plasma")(plasma)
    data = source(system="plasma", integrator="dop853", parameters={"magnetic": (0, 0, 1)})
    with pytest.raises(InputError, match="velocity"):
        trainer_of(tmp_path, **data)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("plugins/*/recipes/*.toml")), ids=lambda p: p.name
)
def test_recipes_that_ship_are_good(path):
    assert read_recipe(path).steps > 0


# What is wrong with a run folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run, to be copied."""
    folder = tmp_path_factory.mktemp("run")
    trainer_of(folder).run()
    return folder


def damage_json(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("recipe.json", lambda path: path.write_bytes(b"\0 no longer what it was")),
        ("recipe.json", lambda path: path.write_text("[]")),
        ("checkpoint.json", lambda path: path.write_bytes(b"\0")),
        ("checkpoint.json", lambda path: path.write_text("[]")),
        ("checkpoint.json", lambda path: damage_json(path, lambda old: {"step": old["step"]})),
        ("checkpoint.json", lambda path: damage_json(path, lambda old: old | {"sources": [1]})),
        ("checkpoint.json", lambda path: damage_json(path, lambda old: old | {"step": 7})),
        ("checkpoint-2.safetensors", lambda path: path.write_bytes(path.read_bytes()[:100])),
        ("checkpoint-2.safetensors", lambda path: path.unlink()),
        ("data-0/manifest.json", lambda path: path.write_bytes(b"\0")),
    ],
)
def test_a_damaged_run_folder_is_one_line(run_folder, tmp_path, name, damage):
    folder = Path(shutil.copytree(run_folder, tmp_path / "damaged"))
    damage(folder / name)
    with pytest.raises(FileFormatError, match="damaged") as caught:
        Trainer(recipe_of_run(folder), folder, 1, silent)
    one_line(caught)


def test_where_there_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"`resume`.*holds no training run"):
        recipe_of_run(tmp_path)


@pytest.mark.parametrize(
    ("named", "steps", "used"),
    [
        ("auto", 999, "torch"),
        ("auto", 1000, "fused"),
        ("torch", 5000, "torch"),
        ("fused", 1, "fused"),
    ],
)
def test_long_trainings_are_by_compiled_code_unless_an_engine_is_named(tiny, named, steps, used):
    assert tiny(steps=steps, engine=named).engine_used == used


def test_an_engine_that_there_is_not(tiny):
    values = tiny().model_dump() | {"engine": "jax"}
    with pytest.raises(InputError, match=r"`engine`.*auto.*fused.*torch"):
        checked_recipe(values, "mine.toml")
