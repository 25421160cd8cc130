"""Particles in a bath: what is exact, what converges, and on what the kicks depend."""

from __future__ import annotations

import numpy as np
import pytest

from baths import Bathed, Plain
from fixed_steps import B_FIELD, advanced
from nbody_simulators.integrators.bath_noise import Bath, BathNoise
from nbody_surrogate import (
    InputError,
    Particles,
    PluginError,
    State,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.integrators.reference import default_method, default_reference

ROUNDING = 1e-12
SLOPE = 0.1


def oscillators(seed, batch, n=40, **parameters):
    system = Bathed(**parameters)
    return system, *system.sample(seed, n, batch)


# What is exact


def test_positions_of_a_spring_have_the_temperature_at_any_step():
    """Leimkuhler and Matthews (2013): <x^2> = T / k for all stable h, where velocities are off."""
    system, state, particles = oscillators(0, 64, frame_dt=1.5)
    equal = Particles(particles.charges, np.ones_like(particles.masses))
    run = simulate(system, state, equal, 150, make_integrator("baoab", substeps=1))
    late = run.x[:, 30:], run.v[:, 30:]
    # 64 * 40 * 3 oscillators over 120 frames, of which every other one is new: 0.3 %
    assert (late[0] ** 2).mean() == pytest.approx(0.5, rel=0.01)
    assert (late[1] ** 2).mean() == pytest.approx(0.5 * (1 - 1.5**2 / 4), rel=0.01)


def test_all_have_the_temperature_of_the_bath_whatever_their_masses():
    system, state, particles = oscillators(1, 64, frame_dt=0.5)
    run = simulate(system, state, particles, 200, make_integrator("baoab", substeps=8))
    twice = particles.masses[:, None, :, None] * run.v[:, 60:] ** 2
    for light in (True, False):
        some = (particles.masses < 1.0) == light
        mean = np.broadcast_to(some[:, None, :, None], twice.shape)
        assert twice[mean].mean() == pytest.approx(0.5, rel=0.015)


def test_free_particles_diffuse():
    """<v(0) v(t)> and <dx^2> of Ornstein and Uhlenbeck, from rest in the mean."""
    system, state, particles = oscillators(2, 64, stiffness=0.0, drag=1.0, frame_dt=0.25)
    ones = np.ones_like(particles.masses)
    rng = np.random.default_rng(3)
    start = State(0.0, np.zeros_like(state.x), np.sqrt(0.5) * rng.normal(size=state.v.shape))
    run = simulate(system, start, Particles(ones, ones), 12, make_integrator("baoab", substeps=16))
    t, off = run.t, 4 * 0.5 * np.sqrt(2 / start.v.size)  # four standard deviations
    kept = (run.v * start.v[:, None]).mean((0, 2, 3))
    np.testing.assert_allclose(kept, 0.5 * np.exp(-t), rtol=0, atol=off)
    spread = (run.x**2).mean((0, 2, 3))
    wanted = 2 * 0.5 * (t - 1 + np.exp(-t))
    np.testing.assert_allclose(spread, wanted, rtol=4 * np.sqrt(2 / start.v.size) + 1e-3, atol=0)


def test_free_velocities_are_exact_whatever_the_step():
    """Without forces the bath is solved exactly, along one path: 1, 2, 3 or 6 sub-steps or 64."""
    system, state, particles = oscillators(3, 2, n=5, stiffness=0.0)
    for some in ((1, 2, 4, 64), (3, 6, 12)):
        first, *others = (
            advanced("baoab", system, (state, particles), 3, substeps=number) for number in some
        )
        for other in others:
            np.testing.assert_allclose(other.v, first.v, rtol=0, atol=ROUNDING)


def test_kicks_of_one_frame_are_independent_and_of_one_size():
    rates, h = np.full((1, 400), 1.3), 0.7 / 8
    keys = np.array([[1, 2]], dtype=np.uint64)
    bath = Bath(keys, rates, np.full((1, 400), 0.5))
    noise = BathNoise(bath, 0, 0.7, 8, 3)
    kicks = np.stack([noise.take(8).reshape(8, -1) for _ in range(40)], 1).reshape(8, -1)
    found, wanted = np.cov(kicks), 0.5 * (1 - np.exp(-2 * 1.3 * h)) * np.eye(8)
    # 48 000 of each: 4 standard deviations
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * wanted[0, 0] * np.sqrt(2 / 48_000))
    assert abs(kicks.mean()) < 4 * np.sqrt(wanted[0, 0] / kicks.size)


# What converges


def slope(substeps, errors):
    return -np.polyfit(np.log(substeps), np.log(errors), 1)[0]


def test_order_2_with_drag_and_without_kicks():
    system, state, particles = oscillators(4, 2, n=4, temperature=0.0, frame_dt=0.5)
    exact = simulate(system, state, particles, 8, make_integrator("dop853", rtol=1e-12, atol=1e-12))
    substeps = (2, 4, 8, 16)
    errors = [
        np.abs(advanced("baoab", system, (state, particles), 8, 0.5, substeps=k).x - exact.x[:, 1:])
        for k in substeps
    ]
    assert slope(substeps, [each.max() for each in errors]) == pytest.approx(2, abs=SLOPE)


def test_without_a_bath_it_is_velocity_verlet(charged):
    start = charged.sample(5, 5, 3)
    found = advanced("baoab", charged, start, 5, substeps=7)
    wanted = advanced("leapfrog", charged, start, 5, substeps=7, form="kdk")
    np.testing.assert_allclose(found.x, wanted.x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.v, wanted.v, rtol=0, atol=ROUNDING)


def test_more_sub_steps_follow_the_same_path_more_closely():
    system = make_system("dust")
    start = system.sample(6, 6, 4)
    substeps = (4, 8, 16, 32)
    finest = advanced("baoab", system, start, 20, 0.05, substeps=512)
    errors = [
        np.sqrt(np.mean((advanced("baoab", system, start, 20, 0.05, substeps=k).x - finest.x) ** 2))
        for k in substeps
    ]
    assert slope(substeps, errors) == pytest.approx(1, abs=2 * SLOPE)  # order 1 along a path
    assert errors[-1] < 1e-3


# What the kicks depend on


def test_bits_depend_on_nothing_but_the_start_and_the_seed():
    system = make_system("dust")
    state, particles = system.sample(7, 5, 66)
    whole = simulate(system, state, particles, 7, make_integrator("baoab", substeps=3, segment=3))
    for some, threads in ((slice(65, 66), 1), (slice(60, 66), 2), (slice(0, 65), 3)):
        few = State(0.0, state.x[some], state.v[some])
        method = make_integrator("baoab", substeps=3, segment=5, threads=threads)
        part = simulate(system, few, particles[some], 7, method)
        np.testing.assert_array_equal(part.x, whole.x[some])
        np.testing.assert_array_equal(part.v, whole.v[some])
    assert len(np.unique(whole.v[:, -1])) == whole.v[:, -1].size  # nobody has another's kicks


def test_a_run_cut_into_many_calls_is_the_same(monkeypatch):
    system = make_system("dust")
    start = system.sample(8, 5, 2)
    whole = advanced("baoab", system, start, 6, substeps=6)
    monkeypatch.setattr("nbody_simulators.integrators.baoab.CHUNK", 1)
    monkeypatch.setattr("nbody_simulators.integrators.fixed_step.MOST_FORCES", 4 * 25 * 2)
    np.testing.assert_array_equal(advanced("baoab", system, start, 6, substeps=6).x, whole.x)


def test_a_run_that_is_resumed_goes_on_with_the_same_kicks():
    system = make_system("dust")
    start = system.sample(14, 4, 3)
    first, other = (make_integrator("baoab", substeps=2, segment=4, seed=5) for _ in range(2))
    begun = first.advance(first.start(system, *start, 0.05), 4)
    stored = {key: values.copy() for key, values in first.stored(begun.carry).items()}
    for b in range(3):  # alone too, as a guard replays one trajectory
        row = {key: values[b : b + 1] for key, values in stored.items()}
        one = other.advance(other.start(system, start[0][b], start[1][b], 0.05), 4).carry
        assert {key: values.tolist() for key, values in row.items()} == {
            key: values.tolist() for key, values in other.stored(one).items()
        }
    resumed = other.advance(other.restored(begun.carry, stored), 4)
    whole = simulate(system, *start, 8, make_integrator("baoab", substeps=2, segment=8, seed=5))
    np.testing.assert_array_equal(resumed.x, whole.x[:, 5:])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_all_back_ends_have_the_same_kicks(dimensions):
    laws, plain = Bathed(), Plain()
    start = laws.sample(9, 4, 3, dimensions)
    found = simulate(laws, *start, 60, make_integrator("baoab", substeps=4))
    for system, options in ((laws, {"backend": "torch"}), (plain, {})):
        other = simulate(system, *start, 60, make_integrator("baoab", substeps=4, **options))
        np.testing.assert_allclose(other.x, found.x, rtol=0, atol=ROUNDING)


def test_another_seed_and_another_start_have_other_kicks():
    system = Bathed(stiffness=0.0)
    state, particles = system.sample(10, 3)
    rest = State(0.0, state.x, np.zeros_like(state.v))
    moved = State(0.0, np.nextafter(state.x, 9.0), np.zeros_like(state.v))
    runs = [
        simulate(system, start, particles, 50, make_integrator("baoab", substeps=2, seed=seed)).v
        for start, seed in ((rest, 0), (rest, 1), (moved, 0))
    ]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        related = np.corrcoef(np.diff(runs[i], axis=1).ravel(), np.diff(runs[j], axis=1).ravel())
        assert abs(related[0, 1]) < 4 / np.sqrt(450)


def test_no_bath_no_seed():
    system = make_system("dust", temperature=0.0)
    start = system.sample(11, 4, 2)
    first, second = (advanced("baoab", system, start, 4, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(first.x, second.x)


# What is refused


def refused(system, method="baoab", error=InputError, n=3, **options):
    with pytest.raises(error) as caught:
        simulate(system, *system.sample(12, n), 1, make_integrator(method, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_forces_of_velocity_are_refused(plasma):
    assert refused(make_system("penning")) == (
        "`integrator` baoab needs forces that depend on velocity by a linear drag at most, system "
        "'penning' has others; use boris or rk4 or dop853"
    )
    assert "use rk4 or dop853" in refused(make_system("pendulum"), n=1)
    both = type("Both", (plasma,), {"drag_rates": Bathed.drag_rates, "name": "both"})
    both.Spec = type("BothSpec", (plasma.Spec,), {"__annotations__": {"drag": float}, "drag": 0.3})
    assert "must tell all that forces do" in refused(both(magnetic=B_FIELD), error=PluginError)


@pytest.mark.parametrize("rates", [np.full((1, 3), -1.0), np.full((1, 3), np.nan)])
def test_rates_of_drag_are_finite_and_not_negative(rates):
    system = type("Bad", (Bathed,), {"drag_rates": lambda self, particles: rates})()
    assert "must be finite and at least 0" in refused(system, error=PluginError)


def test_a_bath_that_kicks_drags():
    system = type("Bad", (Bathed,), {"drag_rates": lambda self, particles: None})()
    assert "`drag_rates` of" in refused(system, error=PluginError)


def test_the_kicks_of_a_frame_fit_into_memory():
    assert "`substeps` must be at most 116508 for 3 particles in a bath" in refused(
        Bathed(), substeps=200_000
    )


@pytest.mark.parametrize("method", ["dop853", "rk4", "leapfrog", "dop853-compiled", "copy-last"])
def test_methods_without_kicks_name_the_one_that_has_them(method):
    assert refused(make_system("dust"), method) == (
        f"`integrator` {method} cannot do what system 'dust' needs: kicks at random by a bath; use "
        "baoab, or leave the kicks out with temperature=0"
    )


def test_it_is_what_runs_a_system_in_a_bath():
    dust = make_system("dust")
    assert (
        default_method(dust) == default_reference(dust, 1) == default_reference(dust, 5) == "baoab"
    )
    run = simulate(dust, *dust.sample(13, 3), 1)
    assert run.info.method["integrator"] == "baoab"
    cold = make_system("dust", temperature=0.0)
    assert default_method(cold) == "dop853"
