"""SET's compiled steps: equal to torch to rounding, the same bits in any batch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from nbody_set.domain import Domain
from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.surrogates.weights import load_weights
from set_windows import (
    ROUNDING,
    TRAP,
    FusedTwin,
    Window,
    assert_close,
    make_window,
    perturbed_set,
)

pytestmark = pytest.mark.usefixtures("one_thread")
ANY = {"charges": (0.0, 10.0), "inverse_masses": (0.0, 10.0)}
OPEN = Domain(crowding=1e9, drift=1e9, kick=1e9, speed=1e9, **ANY)
SHUT = Domain(crowding=1e-9, drift=1e-9, kick=1e-9, speed=1e-9, **ANY)
HALF = Domain(crowding=1.0, drift=0.1, kick=0.5, speed=4.0, **ANY)
CONFIGS = {
    "usual": SETConfig(),
    "kernel": SETConfig(prior="kernel", width=8, heads=4, substeps=2, history=1),
    "no law": SETConfig(prior="none", width=24, heads=3, substeps=3, history=2, basis=14),
    "narrow": SETConfig(width=1, heads=1, substeps=2, basis=2, history=6),
    "open": SETConfig(domain=OPEN, bound=0.1, width=4),
    "half open": SETConfig(domain=HALF, bound=1.0, width=4),
    "shut": SETConfig(domain=SHUT, width=4, substeps=5),
}
SINGLE = 4.0
"""How many times torch's own error in float32 that of compiled steps may be."""


@pytest.mark.thinned
@pytest.mark.parametrize("name", CONFIGS)
def test_frames_are_torchs(name):
    """Of N = 1, of pairs that fill no vector and of more than one tile; in the trap, in a plane."""
    model = perturbed_set(CONFIGS[name])
    for n, dims, field in ((1, 3, TRAP), (2, 2, None), (5, 3, TRAP), (13, 3, None)):
        window = make_window(n, batch=3, frames=model.config.history + 1, n=n, dims=dims)
        window = window._replace(particles=window.particles._replace(field=field))
        assert_close(window.of(FusedTwin(model)), window.of(model), ROUNDING)


def test_frames_of_many_particles_of_like_charges_are_torchs():
    """Pairs of one q_i q_j share a first layer; of 30 particles they fill several tiles."""
    model = load_weights(SET.shipped_weights["set"], "set", SET)[0].double()
    window = make_window(3, batch=1, frames=2, n=30, spread=3.0)
    signs = torch.where(window.particles.charges > 0, 1.0, -1.0).double()
    one = torch.ones_like(signs)
    window = window._replace(particles=ParticleTensors(signs, one))
    assert_close(window.of(FusedTwin(model)), window.of(model), ROUNDING)


def test_a_lone_radial_pair_takes_the_steps_that_it_takes_by_torch():
    model = perturbed_set(SETConfig(domain=OPEN.model_copy(update={"circularity": 0.8})))
    x = torch.tensor([[[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]], dtype=torch.float64)
    charges = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    particles = ParticleTensors(charges, torch.ones_like(charges), TRAP)
    window = Window(x, 0.1 * x, particles)
    assert model._begin(*window)[1].halved is not None
    assert_close(window.of(FusedTwin(model)), window.of(model), ROUNDING)


@pytest.mark.parametrize("started", [1, 3])
def test_a_cache_of_torch_goes_on(started):
    model, window = perturbed_set(SETConfig(width=4, substeps=2)), make_window(6, frames=5)
    dx, dv = FusedTwin(model)(*window, started=started)
    wanted = tuple(y[:, started:] for y in window.of(model))
    assert_close((dx, dv), wanted, ROUNDING)


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["usual weights", "large weights"])
def test_single_precision_is_as_close_to_double_as_torchs(scale):
    model = perturbed_set(SETConfig(width=8, bound=1.0, domain=OPEN))
    with torch.no_grad():
        for each in model.messages.parameters():
            each *= scale
    single = copy.deepcopy(model).float()
    window = make_window(7, batch=4, n=9, spread=3.0)
    truth = window.of(model)
    by_torch, fused = window.single().of(single), FusedTwin(single)(*window.single())
    for true, one, other in zip(truth, by_torch, fused, strict=True):
        allowed = float((one.double() - true).abs().max())
        assert float((other - true).abs().max()) <= SINGLE * allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_a_trajectory_has_the_same_bits_in_any_batch_and_on_any_number_of_threads(dtype):
    model = perturbed_set(SETConfig(width=4, substeps=2)).to(dtype)
    window = make_window(8, batch=65, frames=2, n=4)
    constants = window.particles._replace(
        charges=window.particles.charges.to(dtype), masses=window.particles.masses.to(dtype)
    )
    window = window._replace(particles=constants)
    twin = FusedTwin(model)
    whole = twin(*window)
    for many in (2, 3):
        assert all(map(torch.equal, whole, twin(*window, threads=many)))
    for b in (0, 31, 64):
        one = slice(b, b + 1)
        assert all(map(torch.equal, (y[one] for y in whole), twin(*window.members(one))))


def test_a_trajectory_that_is_no_number_disturbs_no_other():
    twin, window = FusedTwin(perturbed_set(CONFIGS["half open"])), make_window(9, batch=3)
    x = window.x.clone()
    x[1, :, 0] = torch.nan
    with np.errstate(invalid="ignore"):
        broken = twin(x, window.v, window.particles)
    for one, other in zip(twin(*window), broken, strict=True):
        assert torch.equal(one[::2], other[::2])
        assert not torch.isfinite(other[1]).any(-1).all()


def test_there_are_none_beyond_what_the_code_is_made_for():
    model, particles = perturbed_set(CONFIGS["narrow"]), Particles(*np.ones((2, 1, 3)))
    assert copy.deepcopy(model).half().fused_steps(particles, 3, None) is None
    assert model.fused_steps(particles, 4, None) is None
