"""SET outside the domain of its training: leapfrog, whatever the weights; and bounded within."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbody_set.domain import Domain, Extremes, gate
from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.evaluation.rollouts import Truth, one_step, one_step_of_model
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.testing.wild_starts import WILD_STARTS, wild_starts
from set_windows import Window, make_window, perturbed_set, repeatable

pytestmark = pytest.mark.usefixtures("one_thread")
ANY = {"charges": (0.0, 10.0), "inverse_masses": (0.0, 10.0)}
NOTHING = Domain(crowding=1e-9, drift=1e-9, kick=1e-9, speed=1e-9, **ANY)
EVERYTHING = Domain(crowding=1e9, drift=1e9, kick=1e9, speed=1e9, **ANY)
FEW = 50.0
"""Random weights make up to 23; without a bound, 1e8 and more."""
SMALL = [kind for kind in WILD_STARTS if "30" not in kind and "100" not in kind]


def gated(domain, bound=None, substeps=8):
    return perturbed_set(SETConfig(domain=domain, bound=bound, substeps=substeps))


def drift_kick_drift(system, state, particles, steps):
    """Increments of a frame by leapfrog that drifts first, written anew: the oracle."""
    h = system.spec.frame_dt / steps
    x, v = state.x.copy(), state.v.copy()
    for _ in range(steps):
        x += 0.5 * h * v
        v += h * system.acceleration(x, v, particles)
        x += 0.5 * h * v
    return x - state.x, v - state.v


# Outside


@pytest.mark.parametrize(("name", "substeps"), [("charged", 8), ("trap", 8), ("charged", 3)])
def test_outside_its_domain_a_frame_is_leapfrogs(name, substeps):
    system, model = make_system(name), gated(NOTHING, substeps=substeps)
    window = make_window(21, batch=6, frames=1, field=system.force_laws().field)
    charges, masses, _, _ = window.particles
    state = State(0.0, window.x[:, 0].numpy(), window.v[:, 0].numpy())
    particles = Particles(charges.numpy(), masses.numpy())
    wanted = drift_kick_drift(system, state, particles, substeps)
    for increments, dy in zip(window.of(model), wanted, strict=True):
        np.testing.assert_allclose(increments[:, 0], dy, atol=1e-13)


@pytest.mark.parametrize("circularity", [0.0, 0.8])
@pytest.mark.parametrize("compiling", [False, True])
def test_within_its_domain_the_gate_changes_no_bit(monkeypatch, compiling, circularity):
    """Also where the step is compiled, and has no branch that leaves out what changes nothing."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    window, plain = make_window(22, frames=5), perturbed_set()
    model = gated(EVERYTHING.model_copy(update={"circularity": circularity}))
    for one, other in zip(window.of(plain), window.of(model), strict=True):
        assert torch.equal(one, other)


def test_each_trajectory_is_held_against_the_domain_by_itself():
    window = make_window(23, batch=2)
    far = window._replace(x=torch.cat([window.x[:1], window.x[1:] * 1e-3]))
    model = gated(EVERYTHING.model_copy(update={"crowding": 2.0}))
    assert all(map(torch.equal, (y[:1] for y in far.of(model)), (y[:1] for y in window.of(model))))
    shut = gated(NOTHING)
    assert all(map(torch.equal, (y[1:] for y in far.of(model)), (y[1:] for y in far.of(shut))))


# The gate


def gate_of(model, x, v, charges, masses):
    """Of one configuration x, v (N, D)."""
    window = Window(*(torch.tensor(y, dtype=torch.float64)[None, None] for y in (x, v)), None)
    charges, masses = (torch.tensor([y], dtype=torch.float64) for y in (charges, masses))
    particles = make_window().particles._replace(charges=charges, masses=masses)
    opened = model._begin(window.x, window.v, particles)[1].gate
    return 1.0 if opened is None else float(opened)  # None: open for all


TWO = {"charges": [1.0, -1.0], "masses": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("limit", "value", "x", "v"),
    [
        # s^2 = 1.01, u = 4 across, tau = 1 / 80
        ("crowding", 1 / (1 + 1.01**2 / 0.5**4), [[0, 0], [1, 0]], [[0, 2], [0, -2]]),
        ("drift", 16 / (80**2 * 1.01), [[0, 0], [1, 0]], [[0, 2], [0, -2]]),
        ("kick", 2 / (80**2 * 1.01**1.5), [[0, 0], [1, 0]], [[0, 2], [0, -2]]),
        ("speed", 4, [[0, 0], [1, 0]], [[0, 2], [0, -2]]),
        # 2 apart, they meet within the frame: s = 0.1 there
        ("crowding", 1 / (1 + 0.2**4), [[-1, 0], [1, 0]], [[20, 0], [-20, 0]]),
        ("drift", 40**2 / (80**2 * 0.01), [[-1, 0], [1, 0]], [[20, 0], [-20, 0]]),
        # apart they fly, and have met before
        ("drift", 40**2 / (80**2 * 4.01), [[-1, 0], [1, 0]], [[-20, 0], [20, 0]]),
    ],
)
def test_the_gate_is_open_to_the_limit_and_shut_from_half_as_much_again(limit, value, x, v):
    for share, opened in ((1.01, 1.0), (1 / 1.25, 0.5), (1 / 1.51, 0.0)):
        domain = EVERYTHING.model_copy(update={limit: share * value})
        model = perturbed_set(SETConfig(domain=domain))
        assert gate_of(model, x, v, **TWO) == pytest.approx(opened, abs=1e-6)


@pytest.mark.parametrize(
    ("limit", "bounds", "charges", "masses", "opened"),
    [
        ("charges", (1, 1), [1, -1], [1, 1], 1.0),
        ("charges", (1, 1), [1, -2], [1, 1], 0.0),
        ("charges", (1, 1), [1, 0.5], [1, 1], 0.0),
        ("charges", (1, 1), [1, 0], [1, 1], 0.0),
        ("charges", (0, 1), [1, 0], [1, 1], 1.0),
        ("inverse_masses", (2, 2), [1, 1], [1, 1], 1.0),
        ("inverse_masses", (2, 2), [1, 1], [1, 0.4], 0.0),
        ("inverse_masses", (2, 2), [1, 1], [9, 9], 0.0),
    ],
)
def test_charges_and_masses_that_the_training_did_not_have(limit, bounds, charges, masses, opened):
    model = perturbed_set(SETConfig(domain=EVERYTHING.model_copy(update={limit: bounds})))
    x, v = np.eye(2), np.zeros((2, 2))
    assert gate_of(model, x, v, charges, masses) == opened


def test_a_model_of_one_particle_needs_no_domain():
    window = make_window(24, n=1)
    assert all(map(torch.equal, window.of(gated(NOTHING)), window.of(perturbed_set())))


def test_the_gate_falls_steadily():
    limits = torch.linspace(0.5, 2.0, 61)[:, None]
    one = torch.ones_like(limits)
    found = (limits, one, one, one, (one, one), (one, one))
    domain = Domain(crowding=1, drift=1, kick=1, speed=1, inverse_masses=(1, 1))
    opened = gate(domain, Extremes(*found))[:, 0]
    assert (opened.diff() <= 0).all()
    assert opened.diff().abs().max() < 0.1
    assert opened[0] == 1.0
    assert opened[-1] == 0.0


@pytest.mark.parametrize("prior", ["kernel", "none"])
def test_a_domain_needs_the_law(prior):
    with pytest.raises(ValueError, match="`domain` needs `prior` 'coulomb'"):
        SETConfig(domain=NOTHING, prior=prior)


def test_a_range_of_a_domain_must_be_one():
    with pytest.raises(ValueError, match="must be \\(lo, hi\\)"):
        Domain(crowding=1, drift=1, kick=1, speed=1, charges=(2, 1))


# A lone pair that is nearly radial


def lone_pair(share, third=None):
    """Opposite charges 1 apart, with a share of the speed of a circle; a third particle far off."""
    x = np.zeros((2 if third is None else 3, 3))
    x[1, 0], v = 1.0, np.zeros_like(x)
    v[0, 1] = share * np.sqrt(0.5 / 1.01**1.5)
    v[1, 1] = -v[0, 1]
    if third is not None:
        x[2, 2] = third
    return x, v, np.array([1.0, -1.0, 1.0])[: len(x)]


@pytest.mark.parametrize(
    ("share", "third", "substeps"),
    [(0.0, None, 16), (0.5, None, 16), (0.0, 3000.0, 16), (0.9, None, None), (0.0, 10.0, None)],
)
def test_a_lone_radial_pair_takes_leapfrogs_steps_two_for_one(share, third, substeps):
    x, v, charges = lone_pair(share, third)
    particles = Particles(charges[None], np.ones((1, len(x))))
    window = Window(
        torch.tensor(x)[None, None],
        torch.tensor(v)[None, None],
        ParticleTensors.from_particles(particles, "cpu", torch.float64),
    )
    model = gated(EVERYTHING.model_copy(update={"circularity": 0.8}))
    if substeps is None:  # not lone, or not radial: what is learned holds
        assert all(map(torch.equal, window.of(model), window.of(gated(EVERYTHING))))
        return
    state = State(0.0, x[None], v[None])
    wanted = drift_kick_drift(make_system("charged"), state, particles, substeps)
    for increments, dy in zip(window.of(model), wanted, strict=True):
        np.testing.assert_allclose(increments[:, 0], dy, atol=1e-13)


@pytest.mark.parametrize(("r", "u", "halved"), [(0.01, 0, True), (1.0, 4.1, True), (1.0, 3, False)])
def test_lone_like_charges_of_high_energy_take_them_too(r, u, halved):
    """u^2 / 2 + 2 / s against 2 / 0.2: of the relative motion, whose attraction is -2 / s^2."""
    window = Window(
        torch.tensor([[[[r, 0.0, 0.0], [0.0, 0.0, 0.0]]]], dtype=torch.float64),
        torch.tensor([[[[u, 0.0, 0.0], [0.0, 0.0, 0.0]]]], dtype=torch.float64),
        ParticleTensors(*torch.ones((2, 1, 2), dtype=torch.float64)),
    )
    model = gated(EVERYTHING.model_copy(update={"circularity": 0.8}))
    assert (model._begin(*window)[1].halved is not None) == halved


def test_while_it_trains_the_gate_is_open():
    model = gated(NOTHING).train()
    window = make_window(25)
    assert all(map(torch.equal, window.of(model), window.of(perturbed_set())))


# What an error may be


def rms_ratio(model, kind, seed, substeps, starts=3, frames=8):
    """One frame from the reference's: rms error of positions over leapfrog's, over a kind."""
    system = make_system("charged")
    state, particles = wild_starts(kind, starts, seed)
    solver = make_integrator("dop853-compiled", rtol=1e-12, atol=1e-12)
    run = simulate(system, state, particles, frames, solver)
    truth = Truth(system, run.x, run.v, particles)
    leapfrog = one_step(make_integrator("leapfrog", substeps=substeps), truth, 0)
    return float(np.sqrt(one_step_of_model(model, truth, 0)[0].mean() / leapfrog.mean()))


@settings(repeatable, max_examples=12)
@given(kind=st.sampled_from(SMALL), seed=st.integers(0, 10**6))
def test_a_frame_of_the_shipped_weights_is_not_much_worse_than_leapfrogs(kind, seed):
    model = find_model("set").load()[0].double()
    assert rms_ratio(model, kind, seed, model.config.substeps) <= 1.1


def outrageous(config, seed):
    """A model of large random weights, but for the shares of a leapfrog."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SET(config).double().eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name not in {"kick", "drift"}:
                    parameter.copy_(3.0 * torch.randn_like(parameter))
    return model


@settings(repeatable, max_examples=12)
@given(kind=st.sampled_from(SMALL), seed=st.integers(0, 10**6))
def test_whatever_the_weights_a_frame_does_not_explode(kind, seed):
    """The bound is of each correction: eight of them add up, where a network says the worst."""
    config = find_model("set").load()[0].config
    assert rms_ratio(outrageous(config, seed), kind, seed, config.substeps) <= FEW
    free = outrageous(config.model_copy(update={"bound": None, "domain": None}), seed)
    assert rms_ratio(free, kind, seed, config.substeps) > 1000 * FEW
