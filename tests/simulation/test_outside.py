"""What becomes of a run outside of what its method was trained for, by uniform motion."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.cli.outside import told_outside
from nbody_surrogate.contracts.domain import Domain, DomainRanges
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.formats.h5md.provenance import dump_info, load_info
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from toy_surrogates import DT, Ballistic, card_system, make_card

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::nbody_surrogate.errors.NBodyWarning"),
]
FRAMES, SEGMENT = 30, 10
LEAVES = 20
"""The last frame in which trajectory 1 is not wider than 30 softenings."""


@pytest.fixture(scope="module")
def system():
    """Without forces, so that the toy is right."""
    return make_system("charged", coupling=0.0)


def start(t=0.0):
    """Two particles 2 apart; of the second trajectory they part, of the third they are close."""
    x = np.zeros((3, 2, 3))
    x[:, 0, 0] = [2.0, 2.0, 0.02]
    v = np.zeros_like(x)
    # half the distance is 30 softenings just after t = 2
    v[1, 0, 0] = 1.99
    return State(t, x, v), Particles(np.ones((3, 2)), np.ones((3, 2)))


def method(time_range=(0.0, 100.0), **spans):
    spans = spans or {"nearest": (1.0, None), "extent": (None, 30.0 / 1.03)}
    measured = DomainRanges(
        system="charged", particles=2, trajectories=10, frames=100, start=spans, run=spans
    )
    card = make_card(
        card_system(coupling=0.0, softening=0.1, time_range=time_range),
        domain=Domain(softened=True, measured=(measured,)),
    )
    return SurrogateIntegrator("toy", model=Ballistic(), card=card, device="cpu", segment=SEGMENT)


def told(caught):
    return [str(each.message) for each in caught if each.category is NBodyWarning]


def test_each_reason_is_warned_of_once_with_what_by_how_much_and_how_many(system):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = simulate(system, *start(), FRAMES, method())
    first, second = told(caught)
    assert "at the start: nearest neighbour 0.20 softenings, trained from 1.0" in first
    assert "5.0 times below (1 of 3)" in first
    assert f"from frame {LEAVES + 5} on: rms radius" in second and "(1 of 3)" in second
    report = run.info.domain
    assert report.since == (-1, LEAVES + 5, 0)
    assert [(each.reason, each.trajectories) for each in report.findings] == [
        ("nearest below", (2,)),
        ("extent above", (1,)),
    ]
    assert (report.outside, report.at_start) == (2, 1)
    assert run.info.success


def test_a_start_outside_is_refused_before_anything_is_computed(system, tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(InputError, match=r"`outside` refuses the start: .*5\.0 times below"):
        simulate(system, *start(), FRAMES, method(), outside="refuse", output=path)
    assert list(tmp_path.iterdir()) == []


def test_a_trajectory_that_leaves_is_stopped_at_its_last_frame_inside(system):
    state, particles = start()
    state, particles = State(0.0, state.x[:2], state.v[:2]), particles[:2]
    run = simulate(system, state, particles, FRAMES, method(), outside="refuse")
    assert run.info.status == (0, -1)
    assert run.info.good == (FRAMES + 1, LEAVES + 1)
    assert "after t = 2" in run.info.message[1] and "rms radius" in run.info.message[1]
    assert (run.x[1, LEAVES:] == run.x[1, LEAVES]).all()


def test_the_reference_takes_over_what_is_outside_and_nothing_else(system):
    alone = simulate(system, *start(), FRAMES, method(), outside=None)
    run = simulate(system, *start(), FRAMES, method(), outside="fallback")
    assert alone.info.domain is None
    # the whole of the last segment, in which the second one is seen to be outside
    assert run.info.domain.fallen_back == (0, SEGMENT, FRAMES)
    assert run.info.domain.reference["integrator"].startswith("dop853")
    assert np.array_equal(run.x[0], alone.x[0])
    np.testing.assert_allclose(run.x, alone.x, atol=1e-9)
    assert run.info.label.endswith("outside fallback")
    assert run.info.counters["fallback_nfev"] > 0


def test_the_one_that_takes_over_may_be_named(system):
    outside = nb.Outside("fallback", nb.make_integrator("leapfrog", substeps=2))
    run = simulate(system, *start(), FRAMES, method(), outside=outside)
    assert run.info.domain.reference["integrator"] == "leapfrog"
    for wrong in ({"policy": "stop"}, {"policy": "warn", "reference": "dop853"},
                  {"policy": "fallback", "reference": "set"}):  # fmt: skip
        with pytest.raises(InputError):
            nb.Outside(**wrong)


@pytest.mark.parametrize("policy", ["warn", "fallback"])
def test_an_interrupted_run_goes_on_to_the_same_report(system, tmp_path, policy):
    whole = simulate(system, *start(), FRAMES, method(), outside=policy)
    output = nb.Output(tmp_path / "run.h5", checkpoint=tmp_path / "run.restart")

    def stop(done, total):
        if done > 1.5 * SEGMENT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(system, *start(), FRAMES, method(), outside=policy, output=output, observers=stop)
    run = nb.resume(tmp_path / "run.restart", method())
    assert np.array_equal(run.x, whole.x)
    stored = nb.load(tmp_path / "run.h5").info.domain
    for report in (run.info.domain, stored):
        assert report.since == whole.info.domain.since
        assert report.findings == whole.info.domain.findings
        assert report.fallen_back == whole.info.domain.fallen_back
    assert stored.taking(np.array([1])).findings[0].trajectories == (0,)


@pytest.mark.parametrize("t", [0.0, 100.0, -7.0, 1e9])
def test_a_run_is_young_whatever_the_clock_says(system, t):
    state, particles = start(t)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NBodyWarning)
        simulate(system, state[:1], particles[:1], 20, method((0.0, 2.0)), dt=DT)
    with pytest.warns(NBodyWarning, match="times from 0 to 2.00 since the start, got 2.5"):
        simulate(system, state[:1], particles[:1], 30, method((0.0, 2.0)), dt=DT)


def test_a_solver_is_outside_of_nothing(system):
    assert simulate(system, *start(), 2, "leapfrog").info.domain is None
    with pytest.raises(InputError, match="`outside` 'refuse' cannot be kept: leapfrog"):
        simulate(system, *start(), 2, "leapfrog", outside="refuse")
    with pytest.raises(InputError, match="`outside` must be warn, refuse, fallback"):
        simulate(system, *start(), 2, "leapfrog", outside="stop")


@pytest.mark.parametrize("policy", ["warn", "refuse", "fallback"])
def test_a_card_without_a_measured_domain_says_how_little_is_looked_at(system, policy):
    card = make_card(card_system(coupling=0.0, softening=0.1), particles=(2, 9))
    bare = SurrogateIntegrator("toy", model=Ballistic(), card=card, device="cpu", segment=SEGMENT)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = simulate(system, *start(), 5, bare, outside=policy, dt=DT)
    said = [each for each in told(caught) if "no measured domain" in each]
    assert len(said) == (policy != "warn")
    assert all("`nbody-sim models domain WEIGHTS RECIPE`" in each for each in said)
    # `compare`, which prints no warnings, and whoever reads the file, have it from the run
    lines = told_outside({"toy": run})
    assert len(lines) == (policy != "warn")
    assert all(each.startswith(f"toy: `outside` {policy!r} found nothing") for each in lines)
    assert load_info(dump_info(run.info, 3), 3).domain == run.info.domain


def test_what_the_guard_had_replayed_is_told_beside_the_domain(system):
    # two particles for a model of one: the guard, which is around the domain's watch, knows as well
    card = make_card(card_system(coupling=0.0, softening=0.1), particles=(1, 1))
    made = SurrogateIntegrator("toy", model=Ballistic(), card=card, device="cpu", segment=SEGMENT)
    state, particles = start()
    run = simulate(
        system, state[:1], particles[:1], 10, made, outside="fallback", guard="fallback", dt=DT
    )
    assert (run.info.domain.fallen_back, run.info.guard.fallen_back) == ((0,), (10,))
    assert "The guard had 10 frames of the same replayed." in run.info.outside_note
    plain = simulate(system, state[:1], particles[:1], 10, made, outside="fallback", dt=DT)
    assert "10 of 10 frames fell back on dop853" in plain.info.outside_note
    assert "The guard" not in plain.info.outside_note
