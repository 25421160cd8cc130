"""A model in memory runs under the same call as a name."""

import numpy as np
import pytest
import torch

from nbody_surrogate import Card, InputError, SurrogateIntegrator, make_system, simulate
from nbody_surrogate.contracts import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.contracts.surrogate import device_of
from nbody_surrogate.evaluation.rollouts import Truth, one_step_of_model
from toy_surrogates import Ballistic


@pytest.fixture
def system():
    return make_system("charged")


@pytest.fixture
def start(system):
    return system.sample(0, 4)


class Bare(AbstractSurrogate):
    """Free flight, without a single number of its own."""

    Config = SurrogateConfig

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return 0.1 * v, torch.zeros_like(v)


def model():
    return Ballistic(SurrogateConfig())


def test_it_takes_the_place_of_a_name(system, start):
    state, particles = start
    run = simulate(system, state, particles, 3, model())
    expected = state.x[0] + 0.3 * state.v[0]
    np.testing.assert_allclose(run[0].x[-1], expected, rtol=1e-6)
    assert run[0].info.method["weights_hash"] == "in memory"


def test_its_card_names_the_system_and_leaves_the_rest_open(system):
    card = Card.of(model(), system)
    assert [each.system for each in card.systems] == ["charged"]
    assert card.systems[0].spec == system.spec.of_forces()
    assert card.particles is card.frame_dt is card.systems[0].time_range is None


def test_what_is_open_is_neither_refused_nor_warned_about(recwarn):
    method = SurrogateIntegrator(model(), device="cpu")
    for name in ("charged", "trap"):
        other = make_system(name)
        state, particles = other.sample(1, 50)
        run = simulate(other, state, particles, 2, method, dt=0.37)
        assert run[0].info.status == (0,)
    assert not recwarn.list


@pytest.mark.parametrize("held", [None, torch.float64])
def test_it_may_have_no_parameters(system, start, held):
    bare = Bare(SurrogateConfig())
    if held is not None:
        bare.register_buffer("unit", torch.ones(1, dtype=held))
    assert bare.dtype == (held or torch.get_default_dtype())
    assert device_of(bare) == torch.device("cpu")
    state, particles = start
    run = simulate(system, state, particles, 3, bare)
    np.testing.assert_allclose(run[0].x[-1], state.x[0] + 0.3 * state.v[0], rtol=1e-6)
    errors, _ = one_step_of_model(bare, Truth(system, run.x, run.v, run.particles), first=1)
    np.testing.assert_allclose(errors, 0.0, atol=1e-12)


def test_symmetries_are_refused_all_the_same(system):
    turning = model()
    turning.symmetries = frozenset({"rotation"})
    other = make_system("penning")
    state, particles = other.sample(0, 3)
    with pytest.raises(InputError, match="has symmetries that system 'penning' lacks: rotation"):
        simulate(other, state, particles, 2, turning)


@pytest.mark.parametrize("wrong", [3, 0.5, torch.nn.Linear(2, 2), ["leapfrog"]], ids=repr)
def test_anything_else_is_refused_in_one_line(system, start, wrong):
    with pytest.raises(InputError, match="`integrator` must be a name, an integrator"):
        simulate(system, *start, 3, wrong)


def test_two_models_are_refused():
    with pytest.raises(InputError, match="`model` goes with a name"):
        SurrogateIntegrator(model(), model=model())


def test_a_class_in_place_of_an_instance_is_named(system, start):
    words = r"got the class Bare; hand over an instance, Bare\(...\)"
    with pytest.raises(InputError, match=words):
        simulate(system, *start, 3, Bare)
