"""The baselines: fitted in closed form where they can be, equivariant where they claim to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbody_baselines.egnn import EGNN
from nbody_baselines.linear import Linear
from nbody_baselines.lstm import LSTM
from nbody_baselines.mlp import MLP
from nbody_baselines.training_mean import TrainingMean
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import make_system, surrogate_class
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

pytestmark = pytest.mark.usefixtures("one_thread")

EXACT = 1e-10
BROKEN = 1e-4

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=8)


def window(seed=0, batch=2, frames=3, n=4, dims=3):
    rng = np.random.default_rng(seed)
    x, v = torch.from_numpy(rng.normal(size=(2, batch, frames, n, dims)))
    charges = torch.from_numpy(rng.choice([-1.0, 0.5], size=(batch, n)))
    return x, v, ParticleTensors(charges, torch.from_numpy(rng.uniform(0.5, 2, size=(batch, n))))


def made(cls, **config):
    """Random weights in float64, none of them small."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(cls.Config(**config)).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
    return model


def of(model, x, v, particles):
    with torch.no_grad():
        return model(x, v, particles)


def apart(got, wanted):
    scale = max([1.0, *(float(y.abs().max()) for y in wanted)])
    return max(float((a - b).abs().max()) for a, b in zip(got, wanted, strict=True)) / scale


# In closed form


def test_linear_finds_the_time_of_straight_lines():
    x, v, particles = window(batch=50)
    model = Linear(Linear.Config()).double()
    model.initialise(x, v, particles, 0.7 * v[:, -1], -0.2 * v[:, -1])
    dx, dv = of(model, x, v, particles)
    assert apart((dx, dv), (0.7 * v, -0.2 * v)) < EXACT


def test_training_mean_answers_the_mean_target_whatever_it_is_given():
    x, v, particles = window(batch=50)
    model = TrainingMean(TrainingMean.Config()).double()
    target_x, target_v = (torch.randn(50, 4, 3, dtype=torch.float64) for _ in range(2))
    model.initialise(x, v, particles, target_x - x[:, -1], target_v - v[:, -1])
    x, v, particles = window(1)
    ends = [a + y for a, y in zip(of(model, x, v, particles), (x, v), strict=True)]
    wanted = [y.mean((0, 1)).expand_as(x) for y in (target_x, target_v)]
    assert apart(ends, wanted) < EXACT


def test_egnn_begins_with_straight_lines():
    x, v, particles = window(batch=50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EGNN(EGNN.Config(width=8)).double().eval()
    model.initialise(x, v, particles, 3.0 * v[:, -1], 0 * v[:, -1])
    dx, _ = of(model, x, v, particles)
    assert apart([dx], [3.0 * v[:, -1:]]) < 0.1


@pytest.mark.parametrize("cls", [MLP, LSTM])
def test_flattened_models_work_in_units_of_the_data(cls):
    """Data a thousand times as large, and increments a million times, give the same numbers."""
    x, v, particles = window(batch=20)
    model = made(cls, particles=4, history=3, width=8)
    answers = []
    for size, reach in ((1.0, 1.0), (1e3, 1e6)):
        model.initialise(size * x, size * v, particles, reach * x[:, -1], reach * v[:, -1])
        answers.append([y / reach for y in of(model, size * x, size * v, particles)])
    assert apart(*answers) < 1e-5


# Symmetries and switches


@repeatable
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 6),
    velocity=st.sampled_from(["none", "initial", "updated"]),
    frames=st.sampled_from(["last", "mean"]),
    dims=st.sampled_from([2, 3]),
)
def test_egnn_is_equivariant(seed, n, velocity, frames, dims):
    model = made(EGNN, layers=2, width=8, velocity=velocity, frames=frames, history=3)
    x, v, particles = window(seed, n=n, dims=dims)
    q = torch.from_numpy(np.linalg.qr(np.random.default_rng(seed).normal(size=(dims, dims)))[0])
    before = of(model, x, v, particles)
    assert apart(of(model, x @ q + 3.0, v @ q, particles), [y @ q for y in before]) < EXACT
    order = torch.arange(n - 1, -1, -1)
    turned = ParticleTensors(particles.charges[:, order], particles.masses[:, order])
    after = of(model, x[:, :, order], v[:, :, order], turned)
    assert apart(after, [y[:, :, order] for y in before]) < EXACT


@pytest.mark.parametrize("name", ["mlp", "lstm", "training-mean"])
def test_who_knows_no_rotation_claims_none(name):
    cls = surrogate_class(name)
    model = made(cls, **({} if name == "training-mean" else {"particles": 4, "history": 3}))
    x, v, particles = window()
    q = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0])
    wanted = [y @ q for y in of(model, x, v, particles)]
    assert apart(of(model, x @ q, v @ q, particles), wanted) > BROKEN
    assert not model.symmetries & {"rotation", "reflection", "translation"}


def test_switches_of_egnn():
    x, v, particles = window()
    answers = {
        velocity: of(made(EGNN, layers=2, width=8, velocity=velocity), x, v, particles)
        for velocity in ("none", "initial", "updated")
    }
    assert apart(answers["initial"], answers["updated"]) > BROKEN
    blind = made(EGNN, layers=2, width=8, velocity="none")
    assert apart(of(blind, x, 2 * v, particles)[:1], of(blind, x, v, particles)[:1]) == 0
    last = made(EGNN, layers=2, width=8, history=3)
    assert apart(of(last, x[:, -1:], v[:, -1:], particles), of(last, x, v, particles)) == 0
    mean = made(EGNN, layers=2, width=8, history=3, frames="mean")
    single = [of(mean, x[:, [t]], v[:, [t]], particles)[0][:, 0] + x[:, t] for t in range(3)]
    wanted = torch.stack(single).mean(0) - x[:, -1]
    assert apart([of(mean, x, v, particles)[0][:, 0]], [wanted]) < EXACT


# One number of particles


def card(**changes):
    trained = CardSystem(
        system="charged", spec={"coupling": 1.0, "softening": 0.1}, time_range=(0.0, 10.0)
    )
    usual = {"systems": (trained,), "frame_dt": 0.1, "particles": (4, 4), "charges": (1.0, 1.0)}
    usual |= {"masses": (1.0, 1.0), "symmetries": (), "training_data_hash": "none"}
    return Card(**(usual | changes))


@pytest.mark.parametrize("cls", [MLP, LSTM])
def test_another_number_of_particles_is_refused_in_one_line(cls):
    model = made(cls, particles=4)
    with pytest.raises(
        InputError, match=rf"`particles` must be the 4 that {cls.__name__.lower()} is"
    ):
        model(*window(n=3))
    with pytest.raises(InputError, match="`dimensions` must be the 3"):
        model(*window(dims=2))
    charged = make_system("charged")
    integrator = SurrogateIntegrator(cls.__name__.lower(), model=model, card=card(), device="cpu")
    integrator.start(charged, *charged.sample(0, 4), 0.1)
    with pytest.raises(InputError, match=r"`particles` must be the 4 .* got 5"):
        integrator.start(charged, *charged.sample(0, 5), 0.1)


def test_a_model_of_a_horizon_is_no_stepper():
    charged = make_system("charged")
    for horizon, steps in ((0.1, True), (5.0, False)):
        integrator = SurrogateIntegrator(
            "linear", model=made(Linear), card=card(horizon=horizon), device="cpu"
        )
        if steps:
            integrator.start(charged, *charged.sample(0, 4), 0.1)
            continue
        with pytest.raises(InputError, match=r"answers 5 time units after frames.*no stepper"):
            integrator.start(charged, *charged.sample(0, 4), 0.1)


def test_all_are_registered():
    assert {"egnn", "linear", "lstm", "mlp", "set-paper", "training-mean"} <= set(
        names("surrogates")
    )
