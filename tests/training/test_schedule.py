"""Learning rate, passes and averaged weights, each against its closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.training.averaging import WARM_UP, AveragedWeights
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.schedule import Passes, in_last_stage, learning_rate, passes

ROUNDING = 1e-12


def recipe(**changes):
    data = [{"batch": 1, "folder": "none"}]
    usual = {"surrogate": "any", "steps": 100, "rise": 1, "data": data}
    return Recipe(**(usual | changes))


def test_a_cosine_from_one_rate_to_the_other():
    made = recipe(learning_rate=3.0, final_learning_rate=1.0)
    found = [learning_rate(made, step) for step in (0, 25, 50, 75, 100)]
    assert found == pytest.approx([3.0, 2 + 0.5**0.5, 2.0, 2 - 0.5**0.5, 1.0], rel=ROUNDING)


def test_it_rises_from_the_first_step_on():
    made = recipe(rise=10, learning_rate=1.0, final_learning_rate=1.0)
    found = [learning_rate(made, step) for step in range(12)]
    assert found == pytest.approx([0.1 * k for k in range(1, 11)] + [1.0, 1.0], rel=ROUNDING)


def test_the_last_stage_has_several_passes():
    made = recipe(unroll=3, unroll_steps=20, pushforward=False)
    assert passes(made, 79) == Passes(1, False)
    assert passes(made, 80) == passes(made, 99) == Passes(3, False)
    assert [in_last_stage(made, steps) for steps in (80, 81, 100)] == [False, True, True]
    assert not in_last_stage(recipe(), 100)


class Number(AbstractSurrogate):
    Config = SurrogateConfig

    def __init__(self, value):
        super().__init__(SurrogateConfig())
        self.value = nn.Parameter(torch.tensor(value, dtype=torch.float64))

    def forward(self, x, v, particles):
        return x, v

    def set(self, value):
        with torch.no_grad():
            self.value.fill_(value)


def test_an_average_keeps_less_in_the_beginning():
    model = Number(0.0)
    averaged = AveragedWeights(model, 0.6)
    model.set(1.0)
    averaged.follow(WARM_UP)  # keeps a half
    assert averaged.values["value"].item() == pytest.approx(0.5, rel=ROUNDING)
    averaged.follow(100 * WARM_UP)  # keeps no more than was asked for
    assert averaged.values["value"].item() == pytest.approx(0.6 * 0.5 + 0.4, rel=ROUNDING)


@pytest.mark.parametrize("fails", [False, True])
def test_the_average_stands_in_the_model_for_a_while(fails):
    model = Number(2.0).train()
    averaged = AveragedWeights(model, 0.9)
    model.set(3.0)
    try:
        with averaged.in_model():
            assert (model.value.item(), model.training) == (2.0, False)
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert (model.value.item(), model.training) == (3.0, True)
    assert averaged.values["value"].item() == 2.0


def test_an_average_goes_on_from_what_was_stored():
    model = Number(2.0)
    averaged = AveragedWeights(model, 0.9)
    averaged.restore({"value": torch.tensor(7.0, dtype=torch.float64), "other": torch.zeros(1)})
    assert averaged.values.keys() == {"value"}
    assert averaged.values["value"].item() == 7.0
    with pytest.raises(KeyError):
        averaged.restore({})
