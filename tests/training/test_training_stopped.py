"""Training stops where it must, and starts from weights."""

from __future__ import annotations

import math

import pytest
import torch

from nbody_surrogate.errors import InputError, PluginError, RunError
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.surrogates.weights import load_weights
from trainings import Toy, left, train, trainer_of


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


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


def test_keys_that_weights_do_not_depend_on_may_be_others(tiny, tmp_path):
    """Of `set`, its bound and its domain: the weights are those that ship."""
    shipped = find_model("set").load()[0]
    values = shipped.config.model_dump() | {"bound": 0.7, "domain": None}
    model = trainer_of(tiny(initial="set", model=values), tmp_path).model
    assert model.config.bound == 0.7
    assert model.config.domain is None
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in shipped.state_dict().items())


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
