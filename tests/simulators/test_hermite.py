"""The Hermite scheme: order, steps of each particle's own, encounters, rates of laws, refusals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
import pytest

from fixed_steps import Given
from integrator_runs import advanced, assert_one_line
from nbody_simulators.integrators import hermite
from nbody_simulators.kernels import dual_numbers
from nbody_surrogate import InputError, Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.contracts.force_laws import ForceLaws, PairLaw
from nbody_surrogate.integrators.refine import sharper

METHOD = "hermite4"
TIGHT = {"rtol": 1e-13, "atol": 1e-13}
AGREED = 1e-10  # after one time unit, of a solver at 1e-13
FIT = 0.35  # of the exponent of a power law, as steps are powers of two


def both(system, start, frames, **options):
    """The frames of a segment, and those of the truth."""
    truth = advanced("dop853-compiled", system, start, frames, system.spec.frame_dt, **TIGHT)
    return advanced(METHOD, system, start, frames, system.spec.frame_dt, **options), truth


# Order, and what it converges to


@pytest.mark.parametrize("name", ["charged", pytest.param("trap", marks=pytest.mark.slow)])
def test_errors_go_as_the_square_of_eta(name):
    """Of order 4 in steps, which go as the root of eta."""
    system = make_system(name, softening=0.2)
    etas = np.array([0.02, 0.005, 0.00125, 0.0003125])
    errors = []
    for eta in etas:
        run, truth = both(system, system.sample(1, 5, 4), 10, eta=eta)
        errors.append(np.median(np.abs(run.x - truth.x)[:, -1].max((1, 2))))
    order = 2 * np.polyfit(np.log(etas), np.log(errors), 1)[0]
    assert order == pytest.approx(4, abs=2 * FIT)
    assert errors[-1] < 1e-7


@pytest.mark.parametrize("dimensions", [pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("charged", 6),
        pytest.param("gravity", 6, marks=pytest.mark.slow),
        ("springs", 5),
        ("trap", 1),
    ],
)
def test_it_agrees_with_the_truth(name, n, dimensions):
    """Pairs, couplings, fields, and one particle alone."""
    system = make_system(name)
    run, truth = both(system, system.sample(2, n, 2, dimensions), 10, eta=4e-6)
    assert np.abs(run.x - truth.x).max() < AGREED
    assert np.abs(run.v - truth.v).max() < 10 * AGREED
    assert (run.status == 0).all()


def test_a_field_across_a_plane_pulls_nobody_out_of_it(plasma):
    start = plasma().sample(2, 5, 2, 2)
    runs = [
        advanced(METHOD, plasma(reach=1e3, electric=(0.4, -0.3, pull)), start, 10)
        for pull in (0.0, 5.0)
    ]
    np.testing.assert_array_equal(runs[0].x, runs[1].x)


def test_energy_and_momentum_are_kept_to_the_error_of_the_method():
    system = make_system("gravity")
    start = system.sample(3, 12)
    drifts = []
    for eta in (0.01, 0.0001):
        run = simulate(system, *start, 30, make_integrator(METHOD, eta=eta))
        before, after = (
            system.invariants(run.x[:, k], run.v[:, k], run.particles) for k in (0, -1)
        )
        drifts.append(
            (abs(after.energy - before.energy)[0], np.abs(after.momentum - before.momentum).max())
        )
    (energy, momentum), fine = drifts
    assert energy < 1e-3
    assert momentum < 1e-5
    assert fine[0] < 1e-2 * energy
    assert fine[1] < 1e-2 * momentum


# Steps of each particle's own


def idle_cloud(binary=True, count=20):
    """A tight pair, with a period of 0.02, among heavy particles that hardly move."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-20, 20, size=(count, 3))
    x += 5 * np.sign(x)
    masses, gap = np.full(count, 1e-3), 0.02
    if binary:
        arm = np.array([[gap / 2, 0.0, 0.0], [-gap / 2, 0.0, 0.0]])
        x, masses = np.concatenate([arm, x]), np.concatenate([np.ones(2), masses])
    v = np.zeros_like(x)
    if binary:
        v[:2, 1] = np.array([0.5, -0.5]) * math.sqrt(2 / gap)
    return State(0.0, x[None], v[None]), Particles(np.zeros((1, len(x))), masses[None])


def test_a_tight_pair_costs_few_evaluations_of_the_others():
    system = make_system("gravity", softening=0.0)
    state, particles = idle_cloud()
    run = advanced(METHOD, system, (state, particles), 5)
    steps, evaluations = run.counters["steps"], run.counters["nfev"] * particles.n
    assert steps > 1000
    # shared steps would take all 22 particles each time
    assert 2 * steps < evaluations < 3 * steps


def test_free_particles_take_a_step_to_a_frame(charged):
    state, _ = charged.sample(5, 4)
    run = advanced(METHOD, charged, (state, Particles(np.zeros((1, 4)), np.ones((1, 4)))), 7)
    # the start, a trial of the first step, and the frames
    assert run.counters == {"nfev": 9, "steps": 7}


def test_steps_go_on_over_a_boundary(charged):
    """They are carried: to start anew takes trials."""
    start = charged.sample(6, 5, 2)
    first = advanced(METHOD, charged, start, 5, segment=5)
    assert (first.carry.arrays["h"] > 0).all()
    goes_on = make_integrator(METHOD, segment=5).advance(first.carry, 5)
    anew = State(0.5, first.x[:, -1], first.v[:, -1])
    again = advanced(METHOD, charged, (anew, start[1]), 5, segment=5)
    assert goes_on.counters["nfev"] < again.counters["nfev"]
    np.testing.assert_allclose(goes_on.x, again.x, rtol=0, atol=1e-6)


def test_particles_at_rest_get_a_first_step_that_fits():
    """Their forces have no rate of change at first, which is no reason for a step of a frame."""
    system = make_system("gravity", softening=0.0)
    x = np.array([[[0.05, 0.0, 0.0], [-0.05, 0.0, 0.0], [5.0, 0.0, 0.0]]])
    start = State(0.0, x, np.zeros_like(x)), Particles(np.zeros((1, 3)), np.ones((1, 3)))
    run = advanced(METHOD, system, start, 1, dt=0.01, eta=1e-4)
    truth = advanced("dop853-compiled", system, start, 1, dt=0.01, **TIGHT)
    np.testing.assert_allclose(run.x, truth.x, rtol=0, atol=1e-9)


# Bits


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_depend_neither_on_threads_nor_on_calls(charged, monkeypatch, threads):
    """Python hears of Ctrl-C between two calls of compiled code: after few particles, here."""
    start = charged.sample(7, 6, 5)
    whole = simulate(charged, *start, 8, make_integrator(METHOD, segment=4, threads=1))
    monkeypatch.setattr(hermite, "MOST_PAIRS", 60)
    parts = simulate(charged, *start, 8, make_integrator(METHOD, segment=4, threads=threads))
    np.testing.assert_array_equal(parts.x, whole.x)
    np.testing.assert_array_equal(parts.v, whole.v)
    assert parts.info.counters == whole.info.counters


# Failure, and misuse


def test_steps_below_the_smallest_end_a_trajectory_alone(charged):
    state, particles = charged.sample(8, 3, 2)
    x = np.array(state.x)
    x[1, 1] = x[1, 0] + 0.01
    system = make_system("charged", softening=0.0)
    integrator = make_integrator(METHOD, smallest_step=0.002)
    run = simulate(system, State(0.0, x, state.v), particles, 5, integrator)
    assert run.info.status == (0, -1)
    assert "hermite4: the required step size is less than `smallest_step`" in run.info.message[1]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("penning", {}, ("integrator", "velocity", "rk4")),
        ("charged-clipped", {}, ("integrator", "clipped", "dop853")),
        ("charged", {"smallest_step": 0.2}, ("smallest_step", "0.1", "0.2")),
        ("charged", {"smallest_step": 1e-30}, ("smallest_step", "8.7e-20", "1e-30")),
    ],
)
def test_what_it_cannot_do_is_refused(name, options, words):
    system = make_system(name)
    with pytest.raises(InputError) as caught:
        advanced(METHOD, system, system.sample(1, 3), 1, **options)
    assert_one_line(caught, words[0])
    assert all(word in str(caught.value) for word in words), caught.value


def test_forces_without_laws_are_refused():
    class Lawless(Given):
        def force_laws(self):
            return None

    system = Lawless()
    with pytest.raises(InputError, match="laws") as caught:
        advanced(METHOD, system, system.sample(1, 3), 1)
    assert_one_line(caught, "integrator")


class FloorParameters(NamedTuple):
    """Of a law in steps, which have no rate of change."""

    strength: float


def floored(sqrt, where):
    def law(p, r2, qi, qj, mi, mj, bond):
        return p.strength * math.floor(r2), 0.0 * r2

    return law


class Floored(Given):
    laws = ForceLaws(PairLaw(FloorParameters(0.1), floored))


def test_a_law_that_it_cannot_differentiate_is_refused():
    state, particles = Floored().sample(1, 3)
    with pytest.raises(InputError, match="arithmetic") as caught:
        advanced(METHOD, Floored(), (state, particles), 1)
    assert_one_line(caught, "integrator")


def test_a_sharper_one_has_a_tenth_of_eta_and_runs_say_so(charged):
    assert sharper(make_integrator(METHOD, eta=0.01)).options.eta == pytest.approx(0.001)
    run = simulate(charged, *charged.sample(1, 3), 2, METHOD + ":0.01", verify=True)
    assert run.info.label == "hermite4 (eta 0.01)"
    assert 0 < run.label_error[0, -1] < 1e-4


def test_without_any_law_particles_move_straight():
    class Free(Given):
        laws = ForceLaws()

    state, particles = Free().sample(1, 3)
    run = advanced(METHOD, Free(), (state, particles), 3)
    expected = state.x[:, None] + state.v[:, None] * 0.1 * np.arange(1, 4)[:, None, None]
    np.testing.assert_allclose(run.x, expected, rtol=0, atol=1e-12)


# Rates of laws, by dual numbers


def law_zoo(sqrt, where):
    """All that a law may be written with."""

    def law(p, r2, qi, qj, mi, mj, bond):
        s = sqrt(r2 + 0.3) + 1.0
        near = where(r2 < 0.7, 2.0 - s, s / (r2 + s)) - where(s > r2, 1.5, r2 * 0.5)
        powers = r2**3 + r2**-0.5 + 1 / s**2
        signs = abs(-r2) + (+r2) * (r2 - 2.0) - r2 / 3.0 + (1.0 - r2) * 2.0
        total = near + powers
        total += signs
        total *= 1.0 if r2 != 2.0 else 0.0
        total -= s
        total /= where(r2 >= s, r2, s)
        return (total if r2 <= 5.0 else -total), r2 == r2

    return law


def test_dual_numbers_differentiate_whatever_a_law_is_written_with():
    law = numba.extending.register_jitable(law_zoo(math.sqrt, dual_numbers.where))
    dual, value_of, rate_of = dual_numbers.dual, dual_numbers.value_of, dual_numbers.rate_of

    @numba.njit(error_model="numpy")
    def rates(r2, slope):
        force, _ = law(0.0, dual(r2, slope), 1.0, 1.0, 1.0, 1.0, 1.0)
        return value_of(force), rate_of(force)

    plain = law_zoo(math.sqrt, lambda condition, yes, no: yes if condition else no)
    for r2 in (0.2, 1.3, 3.1, 7.0):
        h = 1e-5
        ends = [plain(0.0, r2 + h * k, 1.0, 1.0, 1.0, 1.0, 1.0)[0] for k in (-2, -1, 1, 2)]
        slope = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * h)
        value, rate = rates(r2, -0.7)
        assert value == pytest.approx(plain(0.0, r2, 1.0, 1.0, 1.0, 1.0, 1.0)[0], rel=1e-14)
        assert rate == pytest.approx(-0.7 * slope, rel=1e-8)


def test_the_rate_of_coulombs_law_is_exact(charged):
    """-3 k q q slope / 2 s^5, to rounding."""
    parameters = charged.force_laws().pair.parameters
    law = dual_numbers.differentiable_law(type(parameters))
    dual, value_of, rate_of = dual_numbers.dual, dual_numbers.value_of, dual_numbers.rate_of

    @numba.njit(error_model="numpy")
    def rates(p, r2, slope):
        force, _ = law(p, dual(r2, slope), 2.0, -1.5, 1.0, 1.0, 1.0)
        return value_of(force), rate_of(force)

    s2 = 1.7 + parameters.softening**2
    value, rate = rates(parameters, 1.7, 0.4)
    assert value == pytest.approx(-3.0 * s2**-1.5, rel=1e-14)
    assert rate == pytest.approx(1.5 * 3.0 * 0.4 * s2**-2.5, rel=1e-14)
