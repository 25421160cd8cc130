"""`set-symplectic`: what holds whatever is learned, its compiled frames, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nbody_set.symplectic import SETSymplectic, SETSymplecticConfig, palindrome
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.weights import load_weights
from set_windows import DT, ROUNDING, TRAP, Window, assert_close, make_window

pytestmark = pytest.mark.usefixtures("one_thread")
SYMPLECTIC = 1e-10
"""Of the map's derivatives, against the symplectic form: rounding, times the size of entries."""
AGREE = 1e-9
"""Compiled frames against torch, after a few of random clouds: rounding, times its growth."""
FORMS = {
    "equal kicks": {"substeps": 3},
    "learned kicks": {"kicks": "learned", "substeps": 6},
    "many-body": {"kicks": "learned", "force_gradient": True, "substeps": 5},
    "few": {"kicks": "learned", "substeps": 2, "powers": 2, "terms": 1},
}


def splitting(**config):
    """Random numbers: those of leapfrog, each of which is moved."""
    model = SETSymplectic(SETSymplecticConfig(**config)).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module", params=[*FORMS, "shipped"])
def model(request):
    """In turn random numbers of each form, and those that ship."""
    if request.param == "shipped":
        return shipped()
    return splitting(**FORMS[request.param])


def shipped():
    folder = SETSymplectic.shipped_weights["set-symplectic"]
    return load_weights(folder, "set-symplectic", SETSymplectic)[0]


# What holds whatever is learned


@pytest.mark.parametrize("count", [2, 3, 8, 9])
def test_shares_are_a_palindrome_and_sum_to_one(count):
    shares = palindrome(torch.linspace(-0.3, 0.7, (count + 1) // 2 - 1, dtype=torch.float64), count)
    assert shares.shape == (count,)
    assert torch.equal(shares, shares.flip(0))
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.thinned
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("field", [None, TRAP], ids=["free", "trapped"])
def test_a_frame_is_symplectic(model, dims, field):
    """J^T W J = W in positions and momenta, for particles of different masses."""
    window = make_window(3, batch=1, frames=1, n=3, dims=dims, field=field)
    masses = window.particles.masses[0].repeat_interleave(dims)

    def step(z):
        x, p = z.view(2, 3, dims)
        v = p / window.particles.masses[0][:, None]
        dx, dv = model(x[None, None], v[None, None], window.particles)
        return torch.cat([(x + dx[0, 0]).flatten(), (v + dv[0, 0]).flatten() * masses])

    z = torch.cat([window.x.flatten(), window.v.flatten() * masses])
    jacobian = torch.autograd.functional.jacobian(step, z)
    size = 3 * dims
    form = torch.zeros((2 * size, 2 * size), dtype=torch.float64)
    form[:size, size:], form[size:, :size] = torch.eye(size), -torch.eye(size)
    off = (jacobian.T @ form @ jacobian - form).abs().max()
    assert float(off) <= SYMPLECTIC * float(jacobian.abs().max()) ** 2
    assert float((jacobian - torch.eye(2 * size)).abs().max()) > 0.01  # it is no uniform motion


@pytest.mark.parametrize("field", [None, TRAP], ids=["free", "trapped"])
def test_a_frame_backwards_undoes_it(model, field):
    window = make_window(4, frames=2, field=field)
    dx, dv = window.of(model)
    back = window._replace(x=window.x + dx, v=-(window.v + dv))
    assert_close(back.of(model), (-dx, dv), SYMPLECTIC)


@pytest.mark.parametrize("dims", [2, 3])
def test_momentum_and_angular_momentum_are_kept(model, dims):
    window = make_window(5, n=6, dims=dims)
    dx, dv = window.of(model)
    masses = window.particles.masses[:, None, :, None]
    zero = torch.zeros_like(dv.sum(2))
    assert_close(((masses * dv).sum(2), zero), (zero, zero), ROUNDING)
    moved = (masses * (dx - DT * window.v)).sum(2)
    assert_close((moved, zero), (zero, zero), ROUNDING)

    def turning(x, v):
        tensor = masses[..., None] * x[..., :, None] * v[..., None, :]
        return (tensor - tensor.transpose(-1, -2)).sum(2)

    before, after = turning(window.x, window.v), turning(window.x + dx, window.v + dv)
    assert float((after - before).abs().max()) <= ROUNDING * max(1.0, float(after.abs().max()))


def test_charges_and_masses_scaled_alike_change_nothing(model):
    """m and q^2 times the same number: the same accelerations, so the same modified ones."""
    window = make_window(6)
    charges, masses, _, _ = window.particles
    scaled = window._replace(particles=ParticleTensors(3.0 * charges, 9.0 * masses))
    assert_close(scaled.of(model), window.of(model), ROUNDING)


def test_far_from_the_origin_a_frame_is_the_same(model):
    window = make_window(7)
    far = window._replace(x=window.x + 2.0**20)
    here = window._replace(x=far.x - 2.0**20)  # as rounded there
    assert_close(far.of(model), here.of(model), ROUNDING)


# Orders, in closed form


def error_of_a_frame(config, dt, **values):
    """Of three particles, against a hundred steps of leapfrog, extrapolated."""
    window = make_window(8, batch=1, frames=1, n=3, spread=2.0)

    def of(made, frames):
        x, v = window.x, window.v
        for _ in range(frames):
            dx, dv = Window(x, v, window.particles).of(made)
            x, v = x + dx, v + dv
        return x

    made = SETSymplectic(SETSymplecticConfig(frame_dt=dt, softening=0.5, **config))
    with torch.no_grad():
        for name, value in values.items():
            getattr(made, name).copy_(torch.tensor(value))
    fine = [
        of(SETSymplectic(SETSymplecticConfig(substeps=2, frame_dt=dt / n, softening=0.5)), n)
        for n in (100, 200)
    ]
    truth = fine[1] + (fine[1] - fine[0]) / 3.0
    return float((of(made, 1) - truth).abs().max())


ANY = {
    "config": {"kicks": "learned", "substeps": 3},
    "radial": np.random.default_rng(0).normal(size=(2, 2, 3)).tolist(),
}
CHIN = {
    # Chin, Phys. Lett. A 226 (1997) 344, 4A: the middle kick, of 2 / 3, with a gradient of
    # h^3 / 36, in units of (h / 3)^3
    "config": {"kicks": "learned", "substeps": 3, "force_gradient": True},
    "kick": [1 / 6],
    "drift": [0.0],
    "gradient": [0.0, 0.75],
}


@pytest.mark.parametrize(
    ("order", "values"),
    [(2, {"config": {"substeps": 3}}), (2, ANY), (4, CHIN)],
    ids=["leapfrog", "whatever the polynomials", "forces and their gradient"],
)
def test_the_error_of_a_frame_falls_as_its_order_says(order, values):
    errors = [error_of_a_frame(dt=dt, **values) for dt in (0.2, 0.1)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.25)


def test_of_two_particles_the_many_body_term_is_one_of_the_polynomials():
    """sum |F|^2 / m = mu (k q q')^2 (1 - u) / s^4."""
    whole = splitting(kicks="learned", substeps=4, force_gradient=True)
    pairs = splitting(kicks="learned", substeps=4)
    with torch.no_grad():
        for name in ("kick", "drift", "radial"):
            getattr(pairs, name).copy_(getattr(whole, name))
        pairs.radial[:, 0, 0] -= 0.5 * whole.gradient
        pairs.radial[:, 0, 1] += 0.5 * whole.gradient
    window = make_window(9, n=2)
    assert_close(window.of(pairs), window.of(whole), ROUNDING)


# Compiled frames


def rolled_out(model, window, frames, threads=1):
    charges, masses, field, _ = window.particles
    particles = Particles(charges.numpy(), masses.numpy())
    x, v = window.x[:, 0].numpy(), window.v[:, 0].numpy()
    steps = model.fused_steps(particles, x.shape[-1], field)
    made_x, made_v = np.full((2, len(x), frames, *x.shape[1:]), np.nan)
    kept = x.copy(), v.copy()
    assert steps.advance({}, x, v, made_x, made_v, threads) == {}
    assert np.array_equal(x, kept[0])
    assert np.array_equal(v, kept[1])
    return made_x, made_v


@pytest.mark.parametrize(("n", "dims"), [(1, 3), (2, 3), (5, 2), (6, 3)])
@pytest.mark.parametrize("field", [None, TRAP], ids=["free", "trapped"])
def test_compiled_frames_are_those_of_torch(model, n, dims, field):
    window = make_window(10, batch=3, frames=1, n=n, dims=dims, field=field, spread=2.0)
    made = rolled_out(model, window, 3)
    x, v = window.x[:, 0], window.v[:, 0]
    for f in range(3):
        with torch.no_grad():
            dx, dv, cache = model.step_cache({}, x, v, window.particles)
        assert cache == {}
        x, v = x + dx, v + dv
        assert_close(tuple(torch.from_numpy(y[:, f]) for y in made), (x, v), AGREE)


@pytest.mark.parametrize("n", [3, 8])
def test_a_trajectory_is_the_same_bits_in_any_batch_on_any_number_of_threads(model, n):
    window = make_window(11, batch=70, frames=1, n=n, spread=2.0, field=TRAP)
    together = rolled_out(model, window, 4, threads=2)
    for few in (slice(0, 1), slice(9, 12), slice(50, 70)):
        alone = rolled_out(model, window.members(few), 4)
        assert all(np.array_equal(a[few], b) for a, b in zip(together, alone, strict=True))


def test_other_forms_and_single_precision_are_left_to_torch():
    particles = Particles(np.ones((1, 2)), np.ones((1, 2)))
    for other in (splitting(powers=4), splitting(terms=4), splitting().float()):
        assert other.fused_steps(particles, 3, None) is None
    assert splitting().fused_steps(particles, 4, None) is None


def test_single_precision_is_close_to_double(model):
    window = make_window(12)
    single = type(model)(model.config).float()
    single.load_state_dict(model.state_dict())
    got = window.single().of(single)
    assert all(y.dtype is torch.float32 for y in got)
    assert_close(got, window.of(model), 1e-4)


# What it learns


def windows_of(name, n, batch, frames, seed):
    system = make_system(name)
    state, particles = system.sample(seed, n, batch)
    run = simulate(system, state, particles, frames, "dop853-compiled")
    laws = system.force_laws()
    tensors = ParticleTensors.from_particles(particles, "cpu", torch.float64, laws.field)
    return Window(torch.from_numpy(run.x), torch.from_numpy(run.v), tensors)


def squared_errors(model, truth, frames):
    """Of positions after some frames, (B,)."""
    x, _ = rolled_out(model, truth, frames)
    return np.square(x[:, -1] - truth.x[:, frames].numpy()).mean((1, 2))


@pytest.mark.parametrize(("kicks", "frames"), [("learned", 1), ("equal", 20)])
def test_a_fit_is_much_better_than_what_it_begins_with(kicks, frames):
    """Learned kicks in one frame; equal ones after some: a frame is a change of coordinates off."""
    truth = windows_of("charged", 3, 8, 20, seed=1)
    model = SETSymplectic(SETSymplecticConfig(kicks=kicks, powers=2, terms=2, substeps=8))
    before = squared_errors(model, truth, frames)
    dx, dv = truth.x[:, -1] - truth.x[:, -2], truth.v[:, -1] - truth.v[:, -2]
    model.initialise(truth.x[:, :-1], truth.v[:, :-1], truth.particles, dx, dv)
    after = squared_errors(model, truth, frames)
    assert np.exp(np.log(after / before).mean()) < 0.2


def test_a_fit_to_one_particle_or_noise_leaves_numbers():
    for window in (make_window(13, n=1), make_window(14, frames=3)):
        model = splitting(kicks="learned", substeps=2, powers=2, terms=1)
        last = torch.zeros_like(window.x[:, -1])
        model.initialise(window.x, window.v, window.particles, last, last)
        assert all(bool(torch.isfinite(each).all()) for each in model.parameters())


@pytest.mark.parametrize(("name", "n"), [("charged", 5), ("trap", 12)])
def test_shipped_numbers_beat_a_leapfrog_of_as_many_kicks(name, n):
    truth = windows_of(name, n, 12, 20, seed=501)
    leapfrog = SETSymplectic(SETSymplecticConfig())
    quotients = squared_errors(shipped(), truth, 20) / squared_errors(leapfrog, truth, 20)
    assert np.exp(np.log(quotients).mean()) < 0.1


def test_shipped_numbers_begin_as_the_expansion_in_powers_of_the_step_does():
    """Takahashi and Imada's potential, of two far particles: -1 / 24."""
    assert shipped().radial[0, 0, 0].item() == pytest.approx(-1 / 24, rel=0.05)
