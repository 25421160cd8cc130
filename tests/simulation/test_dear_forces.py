"""Forces that are dear: nothing is computed without need, and what is computed is counted."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from dear_forces import FREE, Cluster, cluster_start
from nbody_surrogate import (
    Guard,
    Output,
    WarmUp,
    compare,
    load,
    make_integrator,
    plot,
    resume,
    run_table,
    simulate,
    system_from_callable,
    thumbnail,
)
from nbody_surrogate.contracts import evaluations
from nbody_surrogate.contracts.evaluations import FORCES, Latest, evaluations_of
from nbody_surrogate.contracts.start_check import LINES
from nbody_surrogate.registry import lookup

FRAMES, SEGMENT = 8, 4
LOOKED_AT = 2 * LINES + len(FREE) - 1
"""Configurations of the look at a start, beside it itself; without charges, to conjugate them gives
what is known."""

ENDING_AT_FRAMES = ["leapfrog-kdk", "srkn4", "rk4"]
"""Methods whose frames are places of a force."""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def system(cluster):
    return system_from_callable(cluster, energy=True, symmetries=FREE, start=cluster_start())


def method(name, **options):
    if name.startswith("leapfrog"):
        options |= {"form": "kdk"} if name.endswith("kdk") else {}
    options |= {"rtol": 1e-5, "atol": 1e-5} if name in ("dop853", "rk45") else {"substeps": 2}
    return make_integrator(name.partition("-")[0], segment=SEGMENT, **options)


EVERY = ["dop853", "rk45", "leapfrog", "leapfrog-kdk", "srkn4", "rk4"]


@pytest.mark.thinned
@pytest.mark.parametrize("name", EVERY)
def test_no_place_is_computed_twice_and_all_is_counted(system, cluster, tmp_path, name):
    output = Output(tmp_path / "run.h5", checkpoint=tmp_path / "run.restart")
    run = simulate(system, *cluster_start(), FRAMES, method(name), output=output)
    assert cluster.repeated == 0
    assert run.info.counters["force_calls"] == len(cluster.places) == cluster.calls
    # the start's own force is the first of the run; boundaries of segments are known from before
    boundaries = 0 if name == "leapfrog" else FRAMES // SEGMENT - 1
    known = boundaries + (name != "leapfrog")
    extra = 1 + LOOKED_AT - known
    assert run.info.counters["force_calls"] == run.info.counters["nfev"] + extra


@pytest.mark.thinned
@pytest.mark.parametrize("name", EVERY)
def test_energies_of_frames_come_from_the_forces_there(system, cluster, tmp_path, name):
    run = simulate(system, *cluster_start(), FRAMES, method(name), output=tmp_path / "run.h5")
    before = cluster.calls
    _ = run.energy
    more = cluster.calls - before
    assert more == 0 if name in ENDING_AT_FRAMES else more <= FRAMES
    # once known, they are known to all that shows the run, and to the run read from its file
    before = cluster.calls
    plot(run)
    thumbnail(run)
    repr(run), str(run_table(run)), compare(run, run)
    np.testing.assert_array_equal(load(tmp_path / "run.h5").energy, run.energy)
    assert cluster.calls == before and cluster.repeated == 0


@pytest.mark.parametrize("name", ENDING_AT_FRAMES)
def test_a_guard_of_what_is_conserved_costs_no_force(cluster, system, name):
    plain = simulate(system, *cluster_start(), FRAMES, method(name))
    again = Cluster()
    watched = system_from_callable(again, name="watched", energy=True, symmetries=FREE)
    guard = Guard("warn", energy=1.0, spot_checks=0)
    run = simulate(watched, *cluster_start(), FRAMES, method(name), guard=guard)
    assert run.info.counters == plain.info.counters
    assert again.calls == cluster.calls and again.repeated == 0


def test_verifying_counts_the_run_alone(cluster, system):
    alone = simulate(system, *cluster_start(), FRAMES, method("leapfrog"))
    other = Cluster()
    twin = system_from_callable(other, name="twin", energy=True, symmetries=FREE)
    run = simulate(twin, *cluster_start(), FRAMES, method("leapfrog"), verify=True)
    assert run.info.counters == alone.info.counters
    assert other.calls > 4 * FRAMES * 2 and np.isfinite(run.label_error).all()


def test_a_second_run_pays_for_its_own_forces(system):
    """Else nobody could measure what a method costs."""
    runs = [simulate(system, *cluster_start(), FRAMES, method("rk4")) for _ in range(2)]
    first, second = (run.info.counters["force_calls"] for run in runs)
    assert first - second == LOOKED_AT  # the start is looked at once


def test_a_batch_keeps_the_forces_of_each_trajectory():
    cluster, batch = Cluster(), FORCES
    system = system_from_callable(cluster, energy=True, batched=True, check=False)
    run = simulate(system, *cluster_start(trajectories=batch), FRAMES, method("leapfrog-kdk"))
    # at the start all are at the same places
    assert run.info.counters["force_calls"] == batch * 2 * FRAMES + 1
    assert cluster.calls == 2 * FRAMES + 1 and cluster.repeated == 0
    assert run.energy.shape == (batch, FRAMES + 1)
    assert cluster.calls == 2 * FRAMES + 1


def test_alike_trajectories_are_computed_once():
    cluster = Cluster()
    system = system_from_callable(cluster, energy=True, check=False)
    state, particles = cluster_start()
    both = np.array([0, 0])
    run = simulate(system, state[both], particles[both], 3, method("leapfrog"))
    assert cluster.repeated == 0
    np.testing.assert_array_equal(run.x[0], run.x[1])


def test_what_was_looked_at_before_a_run_is_counted_by_it_once(cluster, system):
    start = cluster_start()
    make_integrator("rk4").check(system, *start, 0.1)  # as commands do before all else
    assert cluster.calls == LOOKED_AT + 1
    runs = [simulate(system, *start, 2, method("leapfrog-kdk")) for _ in range(2)]
    counts = [run.info.counters["force_calls"] for run in runs]
    assert sum(counts) == cluster.calls and counts[0] == LOOKED_AT + 1 + 4


def test_nothing_is_warmed_up_for_it(cluster, system):
    run = simulate(system, *cluster_start(), 2, method("leapfrog-kdk"), observers=WarmUp())
    assert run.info.counters["force_calls"] == cluster.calls == LOOKED_AT + 1 + 4


def test_energies_of_their_own_are_counted_apart():
    forces, energies = Cluster(), Cluster()
    system = system_from_callable(
        lambda x: forces(x)[1], name="apart", energy=lambda x: energies(x)[0], check=False
    )
    run = simulate(system, *cluster_start(), FRAMES, method("leapfrog-kdk"))
    assert "energy_calls" not in run.info.counters and energies.calls == 0
    before = forces.calls
    _ = run.energy, run.energy
    assert energies.calls == system.computed["energy_calls"] == FRAMES + 1
    assert forces.calls == before


def test_counts_go_on_in_a_run_that_is_resumed(system, tmp_path, monkeypatch):
    def stop(done, total):
        if done > 1.5 * SEGMENT:
            raise TimeoutError

    kept = Output(tmp_path / "run.h5", checkpoint=tmp_path / "run.restart")
    given = (system, *cluster_start(), FRAMES, method("leapfrog-kdk"))
    with pytest.raises(TimeoutError):
        simulate(*given, output=kept, observers=stop)
    monkeypatch.setattr(evaluations, "_kept", OrderedDict())  # as in another process
    run = resume(tmp_path / "run.restart")
    whole = simulate(*given)
    np.testing.assert_array_equal(run.x, whole.x)
    assert run.info.counters["nfev"] == whole.info.counters["nfev"]
    # each process looks at the forces where it begins; of the segment that was lost nothing counts
    uninterrupted = LOOKED_AT + 1 + 2 * FRAMES
    assert run.info.counters["force_calls"] == uninterrupted + LOOKED_AT + 1


def test_places_that_are_no_numbers_are_asked_of_nobody(system, cluster):
    state, particles = cluster_start()
    x = np.array(state.x)
    x[0, 0, 0] = np.nan
    assert np.isnan(system.acceleration(x, state.v, particles)).all()
    assert np.isnan(system.potential_energy(x, particles)).all()
    assert cluster.calls == 0


def test_a_table_shows_what_was_computed(system):
    run = simulate(system, *cluster_start(), 3, method("leapfrog-kdk"))
    reference = simulate(system, *cluster_start(), 3, method("dop853"))
    count = str(run.info.counters["force_calls"])
    (row,) = (line for line in run_table(run).rows if line[0] == "forces computed")
    assert row == ("forces computed", count)
    (row,) = (line for line in run_table(run, reference).rows if line[0] == "forces computed")
    assert row == ("forces computed", count, str(reference.info.counters["force_calls"]))


def test_no_compiled_solver_is_said_to_be_faster(system):
    start = cluster_start()
    reference = simulate(system, *start, 3, method("dop853"))
    slow = simulate(system, *start, 3, make_integrator("rk4", substeps=1))
    assert "may well be faster" not in compare(reference, slow).verdict


def test_the_latest_are_kept_and_the_oldest_forgotten():
    kept = Latest(2)
    for key in (b"a", b"b"):
        kept.put(key, key)
    assert kept.get(b"a") == b"a"  # which makes it the latest
    kept.put(b"c", b"c")
    assert kept.get(b"b") is None and kept.get(b"a") == b"a" and len(kept) == 2


def test_systems_of_the_same_parameters_share_what_they_know():
    assert evaluations_of(Cluster, "{}") is evaluations_of(Cluster, "{}")
    assert evaluations_of(Cluster, "{}") is not evaluations_of(Cluster, '{"k": 1}')
