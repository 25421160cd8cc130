"""Guards that fall back on a reference which itself loses more than the budget."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import Guard, Observer, make_integrator, make_system, resume, simulate
from nbody_surrogate.errors import InputError
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.testing.probes import Relaxing

FRAMES = 20
LOOSE = {"rtol": 0.1, "atol": 0.1}


def guarded(policy="fallback", reference="rk45", options=LOOSE, trajectories=3, **more):
    """Run a method that is too coarse, under a guard with a reference."""
    thresholds = {key: more.pop(key) for key in ("energy", "momentum") if key in more}
    if policy == "fallback":
        thresholds["reference"] = make_integrator(reference, **options)
    guard = Guard(policy, angular_momentum=np.inf, **thresholds)
    system = make_system("charged")
    state, particles = system.sample(3, 6, trajectories)
    method = make_integrator("leapfrog", substeps=1, segment=5)
    return simulate(system, state, particles, FRAMES, method, guard=guard, **more)


def lost(run):
    """Largest change of the internal energy over its scale at the start, of each trajectory."""
    system, x = run.system(), run.x
    v = run.v - run.v.mean(2, keepdims=True)  # of equal masses
    each = [system.invariants(x[:, f], v[:, f], run.particles) for f in range(FRAMES + 1)]
    energy = np.stack([found.energy for found in each], 1)
    i, j = np.triu_indices(x.shape[2], 1)
    charges = run.particles.charges
    apart = np.sqrt(((x[:, 0, i] - x[:, 0, j]) ** 2).sum(2) + system.spec.softening**2)
    pairs = np.sqrt(((charges[:, i] * charges[:, j] / apart) ** 2).sum(1))
    return abs(energy - energy[:, :1]).max(1) / (each[0].kinetic + pairs)


def test_a_reference_that_is_too_loose_is_a_failure():
    run = guarded()
    beyond = lost(run) > 0.01
    assert beyond.any()
    assert run.info.status == tuple(-2 if each else 0 for each in beyond)
    assert not run.info.success
    # they are no frozen frames, though their energy is wrong
    assert run.valid.all()
    b = int(np.flatnonzero(beyond)[0])
    why = run.info.message[b]
    assert f"it lost {lost(run)[b]:.2g} of the scale of its energy, the budget is 0.01" in why
    assert "the reference, rk45 (rtol 0.1), lost up to" in why
    assert "a tighter reference, such as rk45 (rtol 0.001), or a larger `threshold`" in why
    assert run.info.failures("x")[0] == f"x, trajectory {b} did not keep its budget: {why}"
    for b in np.flatnonzero(~beyond):
        assert run.info.message[b] == ""


def test_a_budget_below_what_the_reference_keeps_is_a_failure():
    run = guarded(reference="dop853", options={}, energy=1e-10, trajectories=1)
    assert lost(run)[0] > 1e-10
    assert run.info.status == (-2,)
    assert "such as dop853 (rtol 1e-11)" in run.info.message[0]
    # below rounding no reference helps
    hopeless = guarded(reference="dop853", options={}, energy=1e-16, trajectories=1)
    assert hopeless.info.message[0].endswith("where it replayed: use a larger `threshold`")
    kept = guarded(reference="dop853", options={}, energy=1e-6, trajectories=1)
    assert kept.info.status == (0,)
    assert kept.info.guard.fallback_share > 0
    assert lost(kept)[0] <= 1e-6


def test_errors_that_cancel_are_no_failure():
    """The account adds up what comes back: a bound, by which no run is called a failure."""
    steps = {"reference": "leapfrog", "options": {"substeps": 16}, "trajectories": 8}
    run = guarded(energy=2e-3, **steps)
    for b, each in enumerate(lost(run)):
        assert run.info.status[b] == (-2 if each > 2e-3 else 0)
    assert {0, -2} == set(run.info.status)


@pytest.mark.parametrize("policy", ["warn", "stop"])
@pytest.mark.filterwarnings("ignore:guard")
def test_the_other_policies_say_what_they_said(policy):
    run = guarded(policy)
    if policy == "warn":
        assert run.info.success
        assert run.info.guard.events
    else:
        assert set(run.info.status) <= {0, -1}
        part = run.valid_part()
        assert np.isnan(part.x).any() or part.x.shape[1] < FRAMES + 1


class Stop(Observer):
    """Ends a run after its second segment."""

    def on_segment(self, run, new):
        if run.done == 10:
            raise KeyboardInterrupt


def test_a_resumed_run_is_judged_over_all_of_its_frames(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = guarded()
    with pytest.raises(KeyboardInterrupt):
        guarded(output=Output("run.h5", checkpoint="run.restart"), observers=Stop())
    again = resume("run.restart")
    assert (again.info.status, again.info.message) == (whole.info.status, whole.info.message)
    assert -2 in again.info.status


def test_a_threshold_of_what_the_system_does_not_conserve_is_refused():
    system = make_system("charged-clipped")
    start = system.sample(0, 3)
    with pytest.raises(InputError, match=r"`threshold` energy=0.1 cannot be watched.*nothing"):
        simulate(system, *start, 2, "rk4", guard=Guard("stop", energy=0.1))
    # what is off, or was not asked for, may be
    assert simulate(system, *start, 2, "rk4", guard=Guard("stop", energy=np.inf)).info.success
    assert simulate(system, *start, 2, "rk4", guard="stop").info.success


@pytest.mark.parametrize("key", ["position", "local", "estimate"])
def test_a_threshold_that_needs_what_the_run_lacks_is_refused(key):
    said = {
        "position": "a solver has no companion",
        "local": "`spot_checks` is 0",
        "estimate": "the run has no error estimate",
    }[key]
    system = make_system("charged")
    start = system.sample(0, 3)
    match = f"`threshold` {key}=0.5 cannot be watched: {said}.*; leave it out"
    with pytest.raises(InputError, match=match):
        simulate(system, *start, 2, "rk4", guard=Guard("warn", spot_checks=0, **{key: 0.5}))
    # what is off, or was not asked for, may be
    off = Guard("warn", spot_checks=0, **{key: np.inf})
    assert simulate(system, *start, 2, "rk4", guard=off).info.success


def test_what_starts_from_frames_of_a_surrogate_cannot_watch_hidden_variables():
    system = Relaxing()
    words = "cannot be watched: system 'relaxing' has hidden variables, "
    for key in ("local", "position"):
        with pytest.raises(InputError, match=f"`threshold` {key}=0.5 {words}"):
            Guard("warn", **{key: 0.5}).check(system, learned=True, estimated=False)
    # frames of a solver hold them
    Guard("warn", local=0.5).check(system, learned=False, estimated=False)
