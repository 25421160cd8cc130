"""Guards and estimates of runs with hidden variables: what their frames hold, they start from."""

import numpy as np
import pytest

from nbody_surrogate import Guard, InputError, make_integrator, resume, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.registry.registry import (
    register_integrator,
    register_surrogate,
    register_system,
)
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.testing.probes import Relaxing
from nbody_surrogate.testing.surrogate_case import surrogate_case
from tests.contracts.test_capabilities import Blind
from tests.hidden_systems import Bonding

# of models that see the present alone, as the small ones here do
pytestmark = pytest.mark.filterwarnings("ignore:.* memoryless floor")
SEGMENT, FRAMES, NEAR = 5, 20, 1e-6
SYSTEMS = {"relaxing": (Relaxing(), "charge"), "bonding": (Bonding(), "strength")}


class Slipping(AbstractIntegrator):
    """The reference, but that a part of a segment is wrong in trajectory 1, with what is hidden."""

    name = "slipping"
    capabilities = frozenset({"hidden-variables"})
    slip, wrong_at = 0.3, 2

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        solver, problem = make_integrator("dop853", segment=SEGMENT), carry.problem
        hidden = carry.hidden
        start = solver.restart(
            problem, carry.frame, carry.arrays["x"][:, None], carry.arrays["v"][:, None], hidden
        )
        made = solver.advance(start, frames)
        x, v = made.x.copy(), made.v.copy()
        hidden = {name: values.copy() for name, values in made.hidden.items()}
        if carry.frame == self.wrong_at * SEGMENT:
            x[1, 2:] += self.slip
            for values in hidden.values():
                values[1, 2:] += self.slip
        tick(frames)
        return Frames(x, v, hidden=hidden)


def run_of(name, method, **options):
    system, _ = SYSTEMS[name]
    return simulate(system, *system.sample(3, 4, 2), FRAMES, method, **options)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_replay_by_the_reference_is_the_true_motion(name):
    variable = SYSTEMS[name][1]
    truth = run_of(name, "dop853")
    guard = Guard("fallback", reference="dop853", spot_checks=1.0)
    run = run_of(name, Slipping(segment=SEGMENT), guard=guard)
    report = run.info.guard
    assert report.fallen_back == (0, SEGMENT)
    assert {event.reason for event in report.events} == {"local error"}
    np.testing.assert_allclose(run.x, truth.x, atol=NEAR)
    np.testing.assert_allclose(run.hidden[variable], truth.hidden[variable], atol=NEAR)


def test_spot_checks_find_nothing_in_a_run_that_is_right():
    run = run_of("bonding", "dop853", guard=Guard("stop", spot_checks=0.5))
    assert run.info.success
    assert run.info.guard.spot_checked == FRAMES
    assert not run.info.guard.events


@pytest.mark.parametrize("policy", ["fallback", "stop"])
def test_a_guarded_run_goes_on_to_the_same_bits(policy, tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    register_system("bonding")(Bonding)
    register_integrator("slipping")(Slipping)
    options = {} if policy == "stop" else {"reference": "dop853"}
    guard, method = Guard(policy, spot_checks=1.0, **options), Slipping(segment=SEGMENT)
    whole = run_of("bonding", method, guard=guard)

    def stop(done, total):
        if done > 17:
            raise KeyboardInterrupt

    output = Output("run.h5", checkpoint="run.restart")
    with pytest.raises(KeyboardInterrupt):
        run_of("bonding", method, guard=guard, output=output, observers=stop)
    run = resume("run.restart")
    assert run.x.tobytes() == whole.x.tobytes()
    assert run.hidden["strength"].tobytes() == whole.hidden["strength"].tobytes()
    assert (policy == "stop") == (run.info.good[1] < FRAMES + 1)


# Error estimates


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_error_estimate_covers_the_error(name):
    truth = run_of(name, make_integrator("dop853", rtol=1e-12, atol=1e-12))
    loose = make_integrator("rk45", rtol=1e-4, atol=1e-4, segment=SEGMENT)
    run = run_of(name, loose, error_estimate=True)
    error = np.sqrt(((run.x - truth.x) ** 2).mean((2, 3)))
    assert error[:, -1].min() > 1e-9
    assert (run.error_estimate[:, 1:] >= error[:, 1:]).all()
    assert (run.error_estimate[:, -1] < 10 * error[:, -1]).all()


def test_an_estimate_sees_what_is_wrong_in_what_is_hidden():
    """The slip of a bond's strength is in no frame before the next: the estimate follows it."""

    class OnlyHidden(Slipping):
        def _advance(self, carry, frames, tick):
            made = super()._advance(carry, frames, tick)
            if carry.frame == self.wrong_at * SEGMENT:
                made.x[1, 2:] -= self.slip
            return made

    truth = run_of("bonding", "dop853")
    run = run_of("bonding", OnlyHidden(segment=SEGMENT), error_estimate=True)
    error = np.sqrt(((run.x - truth.x) ** 2).mean((2, 3)))
    assert error[1, -1] > 1e-2
    assert run.error_estimate[1, -1] >= error[1, -1]
    assert run.error_estimate[1, -1] < 2 * error[1, -1]
    assert run.error_estimate[0].max() < 1e-6


def test_an_estimate_goes_on_to_the_same_bits(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    register_system("bonding")(Bonding)
    method = make_integrator("rk45", segment=SEGMENT)
    whole = run_of("bonding", method, error_estimate=True)

    def stop(done, total):
        if done > 12:
            raise KeyboardInterrupt

    output = Output("run.h5", checkpoint="run.restart")
    with pytest.raises(KeyboardInterrupt):
        run_of("bonding", method, error_estimate=True, output=output, observers=stop)
    assert resume("run.restart").error_estimate.tobytes() == whole.error_estimate.tobytes()


# A surrogate, whose frames hold none


@pytest.fixture
def blind(registered):
    register_system("relaxing")(Relaxing)
    register_surrogate("blind")(Blind)
    return surrogate_case("blind", "relaxing").make(segment=SEGMENT)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guard": "fallback"}, "`guard` fallback cannot replay system 'relaxing', which has hidd"),
        ({"error_estimate": True}, "`error_estimate` cannot be made of system 'relaxing': frames "),
        ({"tolerance": 0.1}, "`.*` cannot be made of system 'relaxing': frames of a surrogate do"),
        ({"guard": Guard("warn", local=0.1)}, "`threshold` local=0.1 cannot be watched: system"),
    ],
)
def test_what_would_start_from_frames_of_a_surrogate_is_refused(blind, options, words):
    with pytest.raises(InputError, match=f"^{words}") as caught:
        run_of("relaxing", blind, outside=None, **options)
    assert "\n" not in str(caught.value)


def test_a_state_of_a_surrogates_run_is_for_surrogates_alone(blind):
    run = run_of("relaxing", blind, outside=None)
    assert dict(run.state(5).hidden) == {}
    rest = simulate(Relaxing(), run.state(5), run.particles, 15, blind, outside=None)
    np.testing.assert_allclose(rest.x, run.x[:, 5:], atol=1e-9)
    with pytest.raises(InputError, match="frames of a surrogate's run hold none, so draw a start"):
        simulate(Relaxing(), run.state(5), run.particles, 1, "dop853")


def test_a_guard_stops_a_surrogate_all_the_same(blind):
    run = run_of("relaxing", blind, outside=None, guard="stop")
    assert dict(run.hidden) == {}
