"""A guard looks at the start before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

from guarded_runs import FRAMES, OFF, SEGMENT, Free, Uniform, heated, method_of, start_of, truth
from nbody_surrogate import Guard, NBodyWarning, State, read_h5md, simulate

pytestmark = pytest.mark.usefixtures("one_thread")

CLOSE = {"closest": 3.1}  # the particles of all starts are 3 apart, and part


def run_of(policy, state=None, thresholds=CLOSE, **options):
    own, particles = start_of(marked=False)
    replays = {"reference": Uniform()} if policy == "fallback" else {}
    guard = Guard(policy, **replays, **(OFF | thresholds))
    state = own if state is None else state
    return simulate(Free(), state, particles, FRAMES, method_of(heated), guard=guard, **options)


def one_apart():
    """Trajectory 1 begins further apart than the others."""
    state, _ = start_of(marked=False)
    x = state.x.copy()
    x[1, 1] = [0.0, 4.0, 0.0]
    return State(0.0, x, state.v)


def test_a_start_at_fault_is_refused(tmp_path):
    run = run_of("stop", output=tmp_path / "run.h5")
    assert run.info.status == (-1,) * 3
    assert run.info.good == (1,) * 3
    why = "the guard found a pair at distance 3, the limit is 3.1 at the start"
    assert run.info.message == (why,) * 3
    assert [(e.segment, e.frame) for e in run.info.guard.events] == [(0, 0)] * 3
    assert "model_calls" not in run.info.counters  # nothing was computed
    assert (run.x == run.x[:, :1]).all()
    assert read_h5md(tmp_path / "run.h5").info == run.info


def test_the_others_go_on():
    run = run_of("stop", one_apart())
    assert run.info.good == (1, FRAMES + 1, 1)
    assert run.info.counters["model_calls"] > 0
    assert (run.x[0] == run.x[0, 0]).all()
    assert (run.x[1, 1:] != run.x[1, :-1]).any((1, 2)).all()


def test_the_reference_takes_a_start_at_fault():
    run = run_of("fallback", one_apart())
    report = run.info.guard
    # from the second segment on they are far enough apart
    assert [(e.trajectory, e.frame) for e in report.events] == [(0, 0), (2, 0)]
    assert report.fallen_back == (SEGMENT, 0, SEGMENT)
    np.testing.assert_allclose(run.x[[0, 2]], truth()[[0, 2]], atol=1e-9)
    whole = run_of("fallback")
    assert whole.info.guard.fallen_back == (SEGMENT,) * 3
    assert whole.info.counters["model_calls"] == 3 * (FRAMES - SEGMENT)


def test_a_warning_tells_of_it_once():
    with pytest.warns(NBodyWarning, match="segment 0, frame 0: a pair at distance 3"):
        run = run_of("warn")
    assert [event.frame for event in run.info.guard.events] == [0] * 3
    assert run.info.success


@pytest.mark.parametrize("boost", [0.0, 10.0])
def test_the_speed_is_that_about_the_centre_of_mass(boost):
    state, _ = start_of(marked=False)
    flying = State(0.0, state.x, state.v + np.array([0.0, boost, 0.0]))
    assert run_of("stop", flying, {"fastest": 1.1}).info.success
    slow = run_of("stop", flying, {"fastest": 0.9})
    (event, *_) = slow.info.guard.events
    assert (event.frame, event.reason) == (0, "speed")
    assert event.value == pytest.approx(1.0)
