"""What SET remembers: readings of the past are right, and are brought to the present exactly."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch

import nbody_surrogate as nb
from nbody_set.misfit import charges_of, pairs_of_misfit
from nbody_set.model import SET, SETConfig
from nbody_set.own_forces import OwnForces
from nbody_set.recollection import lagged
from nbody_simulators.systems.ties import strength
from nbody_surrogate.contracts import ParticleTensors
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.testing import checks

EXACT = 1e-12
KINDS = [("charges",), ("pairs",), ("forces",), ("charges", "pairs", "forces")]
FRAMES = 12


@functools.cache
def truth(name, trajectories=3, frames=FRAMES, n=4, **parameters):
    system = nb.make_system(name, **parameters)
    state, particles = system.sample(0, n, trajectories)
    run = nb.simulate(system, state, particles, frames, nb.make_integrator("rk4", substeps=16))
    return system, run


def model_of(trained=True, **config):
    torch.manual_seed(0)
    config = {"substeps": 2, "width": 8, "basis": 6, **config}
    model = SET(SETConfig(**config)).double().eval()
    with torch.no_grad():
        for each in model.parameters():  # what begins at zero must matter too
            each.add_(0.1 * torch.randn_like(each)) if trained else None
    return model


def tensors(system, run):
    particles = ParticleTensors.from_particles(
        run.particles, torch.device("cpu"), torch.float64, system.force_laws().field
    )
    return torch.tensor(run.x), torch.tensor(run.v), particles


@pytest.mark.parametrize("temporal", ["attention", "mean", "gru"])
@pytest.mark.parametrize("memory", KINDS, ids="-".join)
@torch.no_grad()
def test_streaming_equals_the_window(memory, temporal):
    for history, prior in ((2, "coulomb"), (5, "kernel")):
        model = model_of(memory=memory, temporal=temporal, history=history, prior=prior)
        x, v, particles = tensors(*truth("charging"))
        dx, dv = model(x, v, particles)
        cache = model.start_cache(x[:, :0], v[:, :0], particles)
        for t in range(FRAMES + 1):
            ex, ev, cache = model.step_cache(cache, x[:, t], v[:, t], particles)
            torch.testing.assert_close(ex, dx[:, t], atol=EXACT, rtol=0)
            torch.testing.assert_close(ev, dv[:, t], atol=EXACT, rtol=0)
        # no frame before the last `history` ones matters
        cache = model.start_cache(x[:, 9 - history : 8], v[:, 9 - history : 8], particles)
        ex, _, _ = model.step_cache(cache, x[:, 8], v[:, 8], particles)
        torch.testing.assert_close(ex, dx[:, 8], atol=EXACT, rtol=0)


@pytest.mark.parametrize("memory", KINDS, ids="-".join)
@torch.no_grad()
def test_symmetries_hold_with_memory(memory):
    model = model_of(memory=memory, history=4)
    x, v, particles = tensors(*truth("charging"))
    particles = ParticleTensors(particles.charges, particles.masses * 1.5)  # without the trap
    dx, dv = model(x, v, particles)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    t = 0.1 * torch.arange(FRAMES + 1, dtype=torch.float64)[:, None, None]
    away, faster = torch.randn(2, 3, dtype=torch.float64)
    ex, ev = model((x @ q.T + away + t * faster), (v @ q.T + faster), particles)
    torch.testing.assert_close(ev, dv @ q.T, atol=1e-11, rtol=0)
    torch.testing.assert_close(ex, dx @ q.T + 0.1 * faster, atol=1e-11, rtol=0)
    order = [2, 0, 3, 1]
    renumbered = ParticleTensors(particles.charges[:, order], particles.masses[:, order])
    ex, _ = model(x[:, :, order], v[:, :, order], renumbered)
    torch.testing.assert_close(ex, dx[:, :, order], atol=1e-11, rtol=0)
    if "forces" not in memory:  # which act on each particle by itself
        momentum = (particles.masses[:, None, :, None] * dv).sum(2)
        torch.testing.assert_close(momentum, torch.zeros_like(momentum), atol=1e-11, rtol=0)


@torch.no_grad()
def test_charges_are_read_out_of_the_motion():
    """To the order of the sub-steps, and of the mean over the interval."""
    system, run = truth("charging", trajectories=8, frames=12, n=5)
    model = model_of(False, memory=("charges",), history=4, substeps=8)
    x, v, particles = tensors(system, run)
    step = model._plain_step(x, v, particles)
    z = model.memory.read(step, particles.masses, torch.triu_indices(5, 5, 1).unbind()).charges
    q = run.hidden["charge"]
    middle = 0.5 * (q[:, 1:] + q[:, :-1]) / run.particles.charges[:, None] - 1.0
    error = z[..., 0].permute(1, 2, 0).numpy() - middle
    assert np.sqrt((error**2).mean()) < 0.02 * np.sqrt((middle**2).mean())
    assert np.median(np.abs(error)) < 2e-3


@torch.no_grad()
def test_ties_are_read_out_of_the_motion():
    """With the true force of a full tie for phi; few enough particles to tell pairs apart."""
    system, run = truth("ties", trajectories=20, frames=10, n=3)
    x, v, particles = tensors(system, run)
    model = model_of(False, memory=("pairs",), history=4, substeps=8, coupling=system.spec.coupling)
    step = model._plain_step(x, v, particles)
    i, j = torch.triu_indices(3, 3, 1).unbind()
    middle = 0.5 * (x[:, 1:] + x[:, :-1])
    r = middle[:, :, i] - middle[:, :, j]
    s = torch.sqrt((r**2).sum(-1, keepdim=True) + system.spec.softening**2)
    full = -system.spec.stiffness * (s - system.spec.length)
    ridge = torch.tensor(1e-6, dtype=torch.float64)
    z = pairs_of_misfit(step.kick, full * r / s, particles.masses, (i, j), ridge)[..., 0].numpy()
    b = strength(run.hidden["tie"])[:, :, i, j]
    b = 0.5 * (b[:, 1:] + b[:, :-1])
    pulled = np.abs(full[..., 0].numpy()) > 0.3  # where a tie makes a force at all
    assert np.median(np.abs(z - b)[pulled]) < 0.01
    assert ((z > 0.5) == (b > 0.5))[pulled].mean() > 0.98


def test_charges_that_made_misfits_are_found_exactly():
    rng = torch.Generator().manual_seed(0)
    i, j = torch.triu_indices(4, 4, 1)
    impulse = torch.randn(2, 3, 6, 3, generator=rng, dtype=torch.float64)
    masses = 1.0 + torch.rand(2, 4, generator=rng, dtype=torch.float64)
    z = 0.02 * torch.randn(2, 3, 4, 1, generator=rng, dtype=torch.float64)
    force = ((1 + z[:, :, i]) * (1 + z[:, :, j]) - 1.0) * impulse
    total = torch.zeros(2, 3, 4, 3, dtype=torch.float64)
    total.index_add_(2, i, force).index_add_(2, j, -force)
    kick = total / masses[:, None, :, None]
    found = charges_of(kick, impulse, masses, (i, j), torch.tensor(1e-12, dtype=torch.float64))
    torch.testing.assert_close(found, z, atol=1e-6, rtol=0)


def test_a_lone_particle_has_no_charge_to_remember():
    model = model_of(memory=("charges", "pairs"), history=3)
    x = torch.randn(2, 5, 1, 3, dtype=torch.float64)
    ones = torch.ones(2, 1, dtype=torch.float64)
    dx, dv = model(x, torch.zeros_like(x), ParticleTensors(ones, ones))
    assert torch.isfinite(dx).all() and not dv.any()


def test_an_oscillator_is_predicted_by_its_past():
    """Forces a cos(w t) + b sin(w t) obey f(t + 1) = 2 cos(w) f(t) - f(t - 1), exactly."""
    rng = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 5, 40, 1, 1, 3, generator=rng, dtype=torch.float64)
    t = torch.arange(8.0, dtype=torch.float64)[:, None, None]
    f = a * torch.cos(0.7 * t) + b * torch.sin(0.7 * t)  # (5, 40, 8, 1, 3)
    vectors = torch.cat([f, 0.5 * f, torch.zeros_like(f)], 3)
    own = OwnForces("attention", 5, True).double()
    own.fit(vectors[:, :, :-1], vectors[:, :, -1, :2])
    made = own(vectors[:, :, :-1], 0)[:, :, -1]
    torch.testing.assert_close(made, vectors[:, :, -1, :2], atol=1e-5, rtol=0)
    mean = OwnForces("mean", 5, True).double()
    mean.fit(vectors[:, :, :-1], vectors[:, :, -1, :2])
    off = (mean(vectors[:, :, :-1], 0)[:, :, -1] - vectors[:, :, -1, :2]).abs().max()
    assert off > 0.1


def test_lags_are_newest_first_and_zero_before_the_first():
    y = torch.arange(1.0, 6.0).view(1, 1, 5, 1)
    past, count = lagged(y, 1, 3)
    assert past[0, 0, :, :, 0].tolist() == [
        [0, 0, 0],
        [2, 0, 0],
        [3, 2, 0],
        [4, 3, 2],
        [5, 4, 3],
    ]
    assert count.tolist() == [[0, 1, 2, 3, 3]]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"memory": ["charges"], "history": 1}, "`memory` needs `history` of at least 2"),
        ({"memory": ["charges", "charges"]}, "`memory` must name each kind once"),
        ({"memory": ["edges"]}, "'charges', 'pairs' or 'forces'"),
        ({"temporal": "max"}, "'attention', 'mean' or 'gru'"),
    ],
)
def test_wrong_memories_are_one_line(config, message):
    with pytest.raises(ValueError, match=message):
        SETConfig(**config)


@pytest.mark.parametrize("kind", ["charges", "forces"])
def test_a_model_with_memory_keeps_its_contract(kind):
    config = {"memory": [kind], "history": 3, "width": 8, "substeps": 2}
    wanted = {"shapes", "batch", "causality", "history", "streaming", "restart", "remote"}
    found = [each for each in checks("set", kind="surrogate", config=config) if each.name in wanted]
    assert {each.name for each in found} == wanted
    for check in found:
        check()


def learnt(memory, steps=60, history=4):
    """One-step errors of x after a little training on `charging`, late frames of other starts."""
    system, run = truth("charging", trajectories=120, frames=14, n=4)
    x, v, particles = tensors(system, run)
    torch.manual_seed(1)
    model = SET(SETConfig(memory=memory, history=history, substeps=2, width=8)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(steps):
        some = torch.arange(step * 32, step * 32 + 32) % 100
        few = ParticleTensors(particles.charges[some], particles.masses[some], particles.field)
        dx, dv = model(x[some, :-1], v[some, :-1], few)
        error = 4e4 * (dx - x[some].diff(dim=1)) ** 2 + 100 * (dv - v[some].diff(dim=1)) ** 2
        loss = torch.log1p(error[:, history:].mean((2, 3)) / 1e-4).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        few = ParticleTensors(particles.charges[100:], particles.masses[100:], particles.field)
        dx, _ = model(x[100:, :-1], v[100:, :-1], few)
    return float(((dx - x[100:].diff(dim=1)) ** 2)[:, history:].mean())


def test_memory_tells_what_the_present_does_not():
    assert learnt(("charges",)) < learnt(()) / 20


def test_a_run_begins_with_a_past_by_the_reference_or_says_that_it_has_none():
    system = nb.make_system("charging")
    state, particles = system.sample(2, 4)
    model = model_of(False, memory=("charges",), history=4)
    exact = nb.simulate(system, state, particles, 6, "dop853")
    run = nb.simulate(system, state, particles, 6, nb.SurrogateIntegrator(model))
    np.testing.assert_allclose(run.x[:, :4], exact.x[:, :4], atol=1e-12)
    assert not run.hidden and np.abs(run.x[:, 4] - exact.x[:, 4]).max() > 1e-12
    blind = nb.SurrogateIntegrator(model, warm_up="none")
    with pytest.warns(
        NBodyWarning, match=r"starts without a past, .* hides `charge`; until its start is "
    ):
        run = nb.simulate(system, state, particles, 6, blind)
    assert np.abs(run.x[:, 1] - exact.x[:, 1]).max() > 1e-9


def test_a_model_of_the_present_is_told_of_its_floor():
    system = nb.make_system("charging")
    state, particles = system.sample(2, 4)
    model = model_of(False, history=1)
    with pytest.warns(NBodyWarning, match=r"is shown the present alone, .* --floor"):
        nb.simulate(system, state, particles, 2, nb.SurrogateIntegrator(model))


def test_the_cost_of_a_frame_does_not_grow_with_the_run():
    """What is kept from frame to frame has the same size after 3 frames and after 12."""
    model = model_of(memory=("charges", "forces"), history=3)
    x, v, particles = tensors(*truth("charging"))
    cache, sizes = model.start_cache(x[:, :0], v[:, :0], particles), []
    for t in range(FRAMES):
        cache = model.step_cache(cache, x[:, t], v[:, t], particles)[2]
        sizes.append({key: tuple(y.shape) for key, y in cache.items()})
    assert all(size == sizes[0] for size in sizes)


def test_all_combinations_have_finite_gradients():
    x, v, particles = tensors(*truth("charging"))
    for memory, temporal in itertools.product(KINDS, ("attention", "mean", "gru")):
        model = model_of(memory=memory, temporal=temporal, history=3).train()
        dx, dv = model(x[:, :5], v[:, :5], particles)
        (dx.square().sum() + dv.square().sum()).backward()
        for name, each in model.named_parameters():
            if each.grad is not None:
                assert torch.isfinite(each.grad).all(), name


@pytest.mark.parametrize(
    ("name", "kind"), [("charging", "charges"), ("bath", "forces"), ("ties", "pairs")]
)
def test_each_system_can_be_trained_on(name, kind, tmp_path):
    """No parameter of a system has the name of another thing in the model's config."""
    data = {
        "system": name,
        "particles": 3,
        "trajectories": 10,
        "frames": 16,
        "integrator": "rk4",
        "options": {"substeps": 4},
    }
    recipe = {
        "surrogate": "set",
        "model": {
            "memory": [kind],
            "history": 3,
            "width": 8,
            "substeps": 2,
            "coupling": nb.make_system(name).spec.coupling,
        },
        "steps": 2,
        "data": [{"batch": 4, "spec": data}],
    }
    trained = nb.train(recipe, tmp_path / "run", workers=1, device="cpu")
    assert nb.load_model(tmp_path / "run").config.memory == (kind,)
    assert trained is not None
