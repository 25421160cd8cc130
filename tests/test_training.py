"""Training by a recipe: it learns, goes on where it stopped, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nbody_set.model import SET
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.registry import make_system
from nbody_surrogate.simulation import simulate
from nbody_surrogate.surrogate import ParticleTensors
from nbody_surrogate.surrogate_integrator import SurrogateIntegrator
from nbody_surrogate.training.data import load_or_make
from nbody_surrogate.training.recipe import Recipe, read_recipe
from nbody_surrogate.training.trainer import Trainer
from nbody_surrogate.weights import load_weights

LEARNED = 0.85
"""After 60 steps over before; 0.5 is measured for the one-step error, 0.7 for the loss, which
follows the error only slowly as its scale falls along, and 1 where nothing is learned."""

TINY = {
    "surrogate": "set",
    "model": {"width": 4, "substeps": 2, "basis": 4, "history": 2},
    "data": {"particles": [2, 3], "trajectories": [3, 2], "frames": 14, "tolerance": 1e-9},
    "steps": 20,
    "batch": [4, 4],
    "chunk": 6,
    "rise": 5,
    "checkpoint_every": 10,
}

RECIPE = """
surrogate = "set"
steps = 20
batch = [4, 4]
chunk = 6
[data]
particles = [2, 3]
trajectories = [3, 2]
frames = 14
"""


class StopError(Exception):
    """Stands for a computer that is switched off."""


def tiny(**changes):
    return Recipe(**(TINY | changes))


def silent(line):
    return


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data of the tiny recipe, made once."""
    system = make_system("charged")
    simulate(system, *system.sample(0, 2), 1)  # loads the compiled law; the workers inherit it
    folder = tmp_path_factory.mktemp("data")
    load_or_make(tiny(), folder, 1, silent)
    return folder


@pytest.fixture
def new_folder(tmp_path, data):
    """Make run folders that hold the data already."""

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        for path in data.iterdir():
            shutil.copy(path, folder)
        return folder

    return make


def train(recipe, folder, stop_at=None):
    """Train and return the losses; stop in the middle of step `stop_at`."""
    losses = []

    def tick(step, loss):
        losses.append(loss)
        if step == stop_at:
            raise StopError

    trainer = Trainer(recipe, folder, 1, silent)
    try:
        trainer.run(tick)
    except StopError:
        assert stop_at is not None
    return losses


def weights_of(folder):
    return load_weights(folder / "weights", "set", SET)[0].state_dict()


def one_step_error(model, folder):
    """Mean squared error of one step over all the data of three particles."""
    with np.load(folder / "data-n3.npz") as arrays:
        x, v, charges, masses = (torch.from_numpy(arrays[key]) for key in arrays.files)
    with torch.no_grad():
        dx, _ = model(x[:, :-1], v[:, :-1], ParticleTensors(charges.float(), masses.float()))
    return float((dx - x.diff(dim=1)).square().mean())


# It learns


def test_the_loss_and_the_error_fall(new_folder):
    recipe, folder = tiny(steps=60, learning_rate=1e-2, batch=[16, 16]), new_folder("run")
    before = Trainer(recipe, folder, 1, silent).model
    losses = train(recipe, folder)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < LEARNED * np.mean(losses[:10])
    after = load_weights(folder / "weights", "set", SET)[0]
    assert one_step_error(after, folder) < LEARNED * one_step_error(before, folder)


def test_weights_and_log(new_folder):
    folder, recipe = new_folder("run"), tiny()
    train(recipe, folder)
    model, card, _ = load_weights(folder / "weights", "set", SET)
    assert model.config.model_dump() | TINY["model"] == model.config.model_dump()
    assert card.particles == (2, 3)
    assert card.charges == card.masses == (1.0, 1.0)
    assert card.frame_dt == 0.1
    assert card.system == "charged"
    assert card.system_spec == {"coupling": 1.0, "softening": 0.1}
    assert card.time_range == (0.0, pytest.approx(1.4))
    assert card.training["steps"] == 20
    assert card.training_data_hash == load_or_make(recipe, folder, 1, silent)[1]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [10, 20]
    assert not list(folder.rglob("*.part"))

    system = make_system("charged")
    state, particles = system.sample(0, 3)
    integrator = SurrogateIntegrator("set", weights=str(folder / "weights"), device="cpu")
    assert simulate(system, state, particles, 5, integrator).info.success


def test_training_is_repeatable(new_folder):
    assert train(tiny(), new_folder("one")) == train(tiny(), new_folder("other"))
    assert train(tiny(seed=1), new_folder("third")) != train(tiny(), new_folder("fourth"))


# It goes on where it stopped


def test_a_resumed_run_is_bitwise_the_one_that_was_not_stopped(new_folder):
    whole, stopped = new_folder("whole"), new_folder("stopped")
    losses = train(tiny(), whole)
    first = train(tiny(), stopped, stop_at=14)  # after the checkpoint of step 10
    rest = train(tiny(), stopped)
    assert first == losses[:14]
    assert rest == losses[10:]
    wanted, got = weights_of(whole), weights_of(stopped)
    assert wanted.keys() == got.keys()
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)


def test_a_run_that_is_over_stays_as_it_is(new_folder):
    folder = new_folder("run")
    train(tiny(), folder)
    kept = weights_of(folder)
    assert train(tiny(), folder) == []
    assert all(torch.equal(weights_of(folder)[key], kept[key]) for key in kept)


@pytest.mark.parametrize("change", [{"steps": 21}, {"seed": 1}, {"ema": 0.9}])
def test_another_recipe_in_the_same_folder_is_refused(new_folder, change):
    folder = new_folder("run")
    Trainer(tiny(), folder, 1, silent)
    with pytest.raises(InputError, match=r"`output`.*another recipe"):
        Trainer(tiny(**change), folder, 1, silent)
    Trainer(tiny(), folder, 1, silent)  # its own recipe still goes


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(new_folder):
    folder = new_folder("run")
    with pytest.raises(RunError, match="loss became") as caught:
        train(tiny(learning_rate=1e30, final_learning_rate=1e30, clip=1e30, rise=12), folder)
    assert "\n" not in str(caught.value)


# The data


def test_data_are_the_same_whoever_makes_them(data, tmp_path):
    pools, digest = load_or_make(tiny(), data, 1, silent)
    again, same = load_or_make(tiny(), tmp_path, 2, silent)
    assert same == digest
    assert len(digest) == 64
    assert [pool.n for pool in pools] == [2, 3]
    assert pools[0].x.shape == (3, 15, 2, 3)
    for pool, other in zip(pools, again, strict=True):
        assert all(map(torch.equal, pool, other))
    bits = pools[1].x.numpy().copy().view(np.int64)
    bits.flat[0] ^= 1
    with np.load(data / "data-n3.npz") as arrays:
        np.savez(tmp_path / "data-n3.npz", **(dict(arrays) | {"x": bits.view(np.float64)}))
    assert load_or_make(tiny(), tmp_path, 1, silent)[1] != digest


def test_more_trajectories_begin_with_the_same_ones(data, tmp_path):
    """Each trajectory has a seed of its own."""
    section = TINY["data"] | {"particles": [2], "trajectories": [1]}
    (few,), _ = load_or_make(tiny(data=section, batch=[4]), tmp_path, 1, silent)
    (many, _), _ = load_or_make(tiny(), data, 1, silent)
    assert torch.equal(few.x, many.x[:1])
    assert not torch.equal(many.x[0], many.x[1])


def test_data_are_those_of_the_reference(data):
    (pool, _), _ = load_or_make(tiny(), data, 1, silent)
    step = pool.x[:, 1:] - pool.x[:, :-1]
    mean_v = (pool.v[:, 1:] + pool.v[:, :-1]) / 2
    assert float((step - 0.1 * mean_v).abs().median()) < 1e-3  # the trapezium rule: O(dt^3)
    assert torch.allclose(pool.v[:, 0].norm(dim=-1), torch.tensor(0.5, dtype=torch.float64))
    assert set(pool.charges.unique().tolist()) <= {-1.0, 1.0}


# What is wrong with a recipe


def changed(old, new):
    assert old in RECIPE
    return RECIPE.replace(old, new)


def test_a_good_recipe(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert recipe.data.particles == [2, 3]
    assert recipe.quantiles == {0.5: 1.0, 0.98: 8.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("steps = 20", "steps = 20\nstep = 1"), ["`step`", "known"]),
        (changed("frames = 14", "frame = 14"), ["`data.frame`"]),
        (changed("batch = [4, 4]", "batch = [4]"), ["`batch`", "equally long"]),
        (changed("[3, 2]", "[3, 2, 1]"), ["`trajectories`", "equally long"]),
        (changed("[2, 3]", "[2]"), ["`particles`", "equally long"]),
        (changed("batch = [4, 4]", "batch = [4, 0]"), ["`batch.1`", "> 0", "0"]),
        (changed("[3, 2]", "[0, 2]"), ["`data.trajectories.0`", "> 0", "0"]),
        (changed("[2, 3]", "[-2, 3]"), ["`data.particles.0`", "> 0", "-2"]),
        (changed("[2, 3]", "[2, 2]"), ["`particles`", "2"]),
        (changed("[2, 3]", "[]"), ["`data.particles`"]),
        (changed("chunk = 6", "chunk = 14"), ["`frames`", "`chunk`", "14"]),
        (changed("steps = 20", "steps = 0"), ["`steps`", ">= 1", "0"]),
        (changed("steps = 20", "steps = 'many'"), ["`steps`", "many"]),
        (changed("steps = 20", "steps = 20\nlearning_rate = nan"), ["`learning_rate`", "nan"]),
        (changed("steps = 20", "steps = 20\nlearning_rate = inf"), ["`learning_rate`", "inf"]),
        (changed("steps = 20", "steps = 20\nquantiles = {'2.0' = 1.0}"), ["`quantiles`"]),
        (changed("steps = 20", "steps = 20\nquantiles = {'0.5' = 0.0}"), ["`quantiles`"]),
        (changed('surrogate = "set"', ""), ["`surrogate`"]),
        (changed("steps = 20", "steps ="), ["`config`", "TOML"]),
        ("\x00", ["`config`", "TOML"]),
        ("", ["`surrogate`"]),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [*words, "recipe.toml"]), message


def test_a_recipe_that_cannot_be_read(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\xfa")
    for name in ("none.toml", ".", "binary.toml"):
        with pytest.raises(InputError, match="`config`") as caught:
            read_recipe(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"surrogate": "sett"}, "`surrogate` 'sett'"),
        ({"system": "planets"}, "`system` 'planets'"),
        ({"model": {"depth": 3}}, "`depth`"),
        ({"model": {"width": -1}}, "`width`"),
        ({"system_parameters": {"softening": -1.0}}, "`softening`"),
        ({"data": TINY["data"] | {"integrator": "euler"}}, "`integrator` 'euler'"),
    ],
)
def test_wrong_names_are_found_before_any_data_are_made(tmp_path, changes, word):
    """The folder is then still free for the recipe's mended version."""
    said = []
    with pytest.raises(InputError) as caught:
        Trainer(tiny(**changes), tmp_path, 1, said.append)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert said == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("plugins/*/recipes/*.toml")), ids=lambda p: p.name
)
def test_recipes_that_ship_are_good(path):
    assert read_recipe(path).steps > 0


def test_heads_must_share_the_width(tmp_path):
    with pytest.raises(InputError, match=r"`width` 4 must be a multiple of `heads` 3"):
        Trainer(tiny(model={"width": 4, "heads": 3}), tmp_path, 1, silent)


def test_a_model_of_another_softening_than_the_system_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"`softening` is 0.1 in `model`.* but 0.2"):
        Trainer(tiny(system_parameters={"softening": 0.2}), tmp_path, 1, silent)


@pytest.mark.parametrize("name", ["recipe.json", "checkpoint.json", "data-n2.npz"])
def test_a_damaged_run_folder_is_one_line(new_folder, name):
    folder = new_folder("damaged")
    train(tiny(), folder)
    (folder / name).write_bytes(b"\x00 no longer what it was")
    with pytest.raises(FileFormatError, match=name):
        Trainer(tiny(), folder, 1, silent)


def test_a_truncated_checkpoint_is_one_line(new_folder):
    folder = new_folder("damaged")
    train(tiny(), folder)
    (checkpoint,) = folder.glob("checkpoint-*.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(FileFormatError, match="checkpoint"):
        Trainer(tiny(), folder, 1, silent)
