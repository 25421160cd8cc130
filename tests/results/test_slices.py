"""Runs taken apart: trajectories, frames, states, and what `info` tells of the parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import (
    Ensemble,
    Particles,
    State,
    Trajectory,
    load,
    make_system,
    simulate,
)
from nbody_surrogate.errors import InputError, OutsideError
from nbody_surrogate.results.guard_report import GuardEvent, GuardReport
from nbody_surrogate.results.trajectory import RunInfo
from refusals import refused

B, T, N, D = 3, 11, 2, 3
GOOD = (11, 4, 7)


def run_of(good=GOOD):
    rng = np.random.default_rng(0)
    events = [GuardEvent(b, 0, 1, "speed", "", 2.0, 1.0) for b in (0, 2)]
    events += [GuardEvent(2, 1, 6, "speed", "", 3.0, 1.0)]
    guard = GuardReport("stop", frames=T - 1, fallen_back=(1, 2, 3), events=events)
    message = tuple("" if count == T else "stopped" for count in good)
    status = tuple(-bool(why) for why in message)
    told = {"status": status, "message": message, "good": good, "guard": guard}
    info = RunInfo({"system": "charged"}, {"integrator": "it"}, wall_time=2.0, **told)
    x, v = rng.normal(size=(2, B, T, N, D))
    particles = Particles(rng.normal(size=(B, N)), 1.0)
    return Ensemble(0.1 * np.arange(T), x, v, particles, info, rng.uniform(size=(B, T)))


def rows(index):
    return np.arange(B)[index]


@pytest.mark.parametrize(
    "index",
    [slice(1, None), slice(None, None, -1), [2, 0], np.array([1, 1]), [True, False, True]],
    ids=str,
)
def test_some_trajectories_are_an_ensemble(index):
    run, some = run_of(), run_of()[index]
    assert isinstance(some, Ensemble)
    numbers = rows(index)
    np.testing.assert_array_equal(some.x, run.x[numbers])
    np.testing.assert_array_equal(some.particles.charges, run.particles.charges[numbers])
    np.testing.assert_array_equal(some.label_error, run.label_error[numbers])
    assert some.info.good == tuple(GOOD[b] for b in numbers)
    assert [str(each.info.message) for each in some] == [
        str(run[int(b)].info.message) for b in numbers
    ]
    for each, b in zip(some, numbers, strict=True):
        assert each.info.guard.events == run[int(b)].info.guard.events
        assert each.info.guard.fallen_back == run[int(b)].info.guard.fallen_back
    order = [event.segment for event in some.info.guard.events]
    assert order == sorted(order)


def test_a_number_takes_one_from_either_end():
    run = run_of()
    for b in (2, -1, np.int64(2)):
        assert isinstance(run[b], Trajectory)
        np.testing.assert_array_equal(run[b].x, run.x[2])
        assert run[b].valid_frames == 7
        assert [event.trajectory for event in run[b].info.guard.events] == [0, 0]


@pytest.mark.parametrize("frames", [slice(None, None, 5), slice(2, 4), slice(3, None, 100)])
def test_a_slice_of_frames_keeps_times_and_counts_valid_ones(frames):
    run = run_of()
    some = run[:, frames]
    np.testing.assert_array_equal(some.t, run.t[frames])
    np.testing.assert_array_equal(some.v, run.v[:, frames])
    np.testing.assert_array_equal(some.label_error, run.label_error[:, frames])
    np.testing.assert_array_equal(some.valid, run.valid[:, frames])
    one = run[0][frames]
    assert isinstance(one, Trajectory)
    np.testing.assert_array_equal(one.x, run.x[0, frames])
    np.testing.assert_array_equal(run[0, frames].x, one.x)


def test_nobody_knows_how_long_a_part_took():
    run = run_of()
    assert run[:, ::5].info.wall_time == 2.0  # from the start to the end
    assert math.isnan(run[:, :3].info.wall_time)
    assert math.isnan(run[:, 1:4].info.wall_time)


def test_frames_after_the_last_valid_one_are_no_run():
    run = run_of()
    with refused(InputError, "`index`", "trajectory 1", "4", "5"):
        run[:, 5:]
    assert run[0][5:].valid_frames == 6
    assert run[[0, 2], 5:].valid_frames.tolist() == [6, 2]


def test_a_frame_is_a_state():
    run = run_of()
    state = run[0][-1]
    assert isinstance(state, State)
    assert state.t == run.t[-1]
    np.testing.assert_array_equal(state.x, run.x[:1, -1])
    np.testing.assert_array_equal(run[:, 3].v, run.v[:, 3])
    np.testing.assert_array_equal(run[1, 3].v, run.v[1:2, 3])
    assert [each.t for each in run[1]] == run.t.tolist()
    assert (len(run), len(run[1])) == (B, T)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run[3], OutsideError),
        (lambda run: run[0][T], OutsideError),
        (lambda run: run[0, -T - 1], OutsideError),
        (lambda run: run.state(T), OutsideError),
        (lambda run: run[[True, False]], InputError),
        (lambda run: run[0][True], InputError),
        (lambda run: run[0][::-1], InputError),
        (lambda run: run[0][5:5], InputError),
        (lambda run: run[3:], InputError),
    ],
)
def test_what_is_not_there_is_one_line(call, error):
    with refused(error, "`"):
        call(run_of())


def test_what_is_not_there_ends_loops_and_is_caught_as_an_index():
    with pytest.raises(IndexError):
        run_of()[3]


# What is conserved


def test_energies_and_momenta_of_known_motion():
    """Two free charges: kinetic energy, momentum and spin by hand, and the energy of the pair."""
    t = np.arange(3.0)
    x = np.array([[0.0, 0, 0], [3, 4, 0]]) + t[:, None, None] * [[0, 0, 1], [0, 0, 1]]
    v = np.broadcast_to([[0.0, 0, 1], [0, 0, 1]], x.shape)
    particles = Particles([1, -1], [2, 3])
    system = make_system("charged", softening=0.0)
    info = RunInfo(system.description, {"integrator": "it"}, good=(2,))
    one = Trajectory(t, x, v, particles, info)
    nan = np.nan
    np.testing.assert_allclose(one.kinetic_energy, [2.5, 2.5, nan])
    np.testing.assert_allclose(one.potential_energy, [-0.2, -0.2, nan])
    np.testing.assert_allclose(one.energy, [2.3, 2.3, nan])
    np.testing.assert_allclose(one.momentum, [[0, 0, 5], [0, 0, 5], [nan] * 3])
    np.testing.assert_allclose(one.angular_momentum, [[12, -9, 0], [12, -9, 0], [nan] * 3])


@pytest.mark.parametrize("name", ["charged", "trap", "springs", "penning"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_they_are_the_invariants_of_each_state(name, dimensions, monkeypatch):
    if (name, dimensions) == ("penning", 2):
        pytest.skip("a trap in space")
    # several blocks of frames
    monkeypatch.setattr("nbody_surrogate.results.conserved.AT_ONCE", 50)
    system = make_system(name)
    run = simulate(system, *system.sample(0, 3, 2, dimensions), 6, "rk45")
    for b, one in enumerate(run):
        for n, state in enumerate(one):
            wanted = system.invariants(state.x, state.v, one.particles)
            np.testing.assert_allclose(run.energy[b, n], wanted.energy[0], rtol=1e-13)
            np.testing.assert_allclose(one.kinetic_energy[n], wanted.kinetic[0], rtol=1e-13)
            np.testing.assert_allclose(run.momentum[b, n], wanted.momentum[0], atol=1e-14)
            spin = wanted.angular_momentum[0]
            np.testing.assert_allclose(one.angular_momentum[n], spin, atol=1e-13)


def test_without_a_potential_the_energy_is_refused_and_the_rest_is_there(monkeypatch):
    from small_systems import Dragged

    system = Dragged()
    run = simulate(system, *system.sample(0, 3), 3)
    monkeypatch.setattr("nbody_surrogate.results.abstract_run.system_from", lambda _: system)
    with refused(InputError, "`energy`", "'dragged'", "kinetic_energy"):
        _ = run.energy
    assert (np.diff(run.kinetic_energy[0]) < 0).all()
    nameless = replace(run, info=replace(run.info, system={}))
    assert nameless.momentum.shape == (1, 4, 3)


@pytest.mark.parametrize("frames", [slice(None, None, 5), slice(0, 1), slice(3, 5)], ids=str)
def test_what_the_guard_of_a_run_found_stays_with_its_frames(frames, tmp_path):
    some = run_of((T,) * B)[:, frames]
    back = load(some.save(tmp_path / "a.h5"))
    assert back.info.guard == some.info.guard == run_of().info.guard


@pytest.mark.parametrize("run", [run_of(), run_of()[0]], ids=["ensemble", "trajectory"])
def test_a_run_is_no_array(run):
    with refused(InputError, "a run is no array", "`x`"):
        np.asarray(run)
