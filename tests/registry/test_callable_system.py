"""Any callable as a system: what it may be, what it may return, and its name."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from dear_forces import FREE, Cluster, cluster_start, energy_and_forces
from nbody_surrogate import (
    Guard,
    InputError,
    Output,
    Particles,
    PluginError,
    State,
    compare,
    load,
    make_integrator,
    make_system,
    resume,
    simulate,
    system_from_callable,
)
from nbody_surrogate.datasets import DatasetSpec, generate_dataset
from nbody_surrogate.registry import lookup

GUARD = Guard("warn", energy=1.0, spot_checks=0)  # with nothing to say
SOLVER = 1e-7  # of a period, at tolerances of 1e-9


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))


def refused(call):
    """Return the one line that a call is refused with."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def forces(x):
    return energy_and_forces(x)[1]


def energy(x):
    return energy_and_forces(x)[0]


def charged_forces(x, particles):
    return particles.charges[0][:, None] * np.array([1.0, 0.0, 0.0]) + 0 * x


def thrown(x, accuracy=1.0):
    return np.array([0.0, -accuracy, 0.0]) + 0 * x


def one(x=(0.0, 0.0, 0.0), v=(0.0, 0.0, 0.0), charge=0.0, mass=1.0):
    return State(0.0, [x], [v]), Particles([charge], [mass])


def test_forces_are_divided_by_masses():
    start = one(mass=4.0)
    system = system_from_callable(thrown, start=start)
    run = simulate(system, *start, 10, "dop853")
    np.testing.assert_allclose(run.x[0, :, 0, 1], -0.125 * run.t**2, atol=1e-12)


def test_the_second_parameter_is_the_particles_where_it_has_no_default():
    start = one(charge=-3.0)
    system = system_from_callable(charged_forces, start=start)
    assert system.acceleration(start[0].x, start[0].v, start[1]).tolist() == [[[-3.0, 0.0, 0.0]]]
    assert system_from_callable(thrown, start=start).acceleration(
        start[0].x, start[0].v, start[1]
    ).tolist() == [[[0.0, -1.0, 0.0]]]


KINDS = {
    "apart": {"forces": forces, "energy": energy},
    "together": {"forces": energy_and_forces, "energy": True},
    "batched": {"forces": energy_and_forces, "energy": True, "batched": True},
    "batched apart": {"forces": forces, "energy": energy, "batched": True},
    "of lists": {"forces": lambda x: forces(x).tolist(), "energy": lambda x: [float(energy(x))]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_callable_gives_the_same_bits(kind):
    start = cluster_start(trajectories=3)
    system = system_from_callable(name="cluster", symmetries=FREE, **KINDS[kind])
    method = make_integrator("leapfrog", substeps=4)
    run = simulate(system, *start, 2, method)
    plain = system_from_callable(forces, energy=energy, name="plain", check=False)
    wanted = simulate(plain, *start, 2, method)
    # NumPy may sum a batch in another order
    np.testing.assert_allclose(run.x, wanted.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run.energy, wanted.energy, rtol=1e-13)
    assert np.ptp(run.energy, axis=1).max() < 1e-2  # of an energy of -13


def test_what_follows_of_symmetries_is_conserved():
    assert system_from_callable(forces).conserved == frozenset()
    assert system_from_callable(forces, energy=energy).conserved == {"energy"}
    free = system_from_callable(forces, energy=energy, symmetries=FREE)
    assert free.conserved == {"energy", "momentum", "angular_momentum"}
    assert {"time-shift", "time-reversal", *FREE} == free.symmetries
    told = system_from_callable(forces, energy=energy, symmetries=FREE, conserved=["momentum"])
    assert told.conserved == {"momentum"}


def test_without_an_energy_there_is_none():
    system = system_from_callable(forces, start=cluster_start())
    assert not system.has_potential
    run = simulate(system, *cluster_start(), 2)
    with pytest.raises(InputError, match="potential energy"):
        _ = run.energy


# Names


def test_the_name_is_the_callables_or_given():
    assert system_from_callable(forces).name == "forces"
    assert system_from_callable(partial(thrown, accuracy=2.0)).name == "thrown"
    assert system_from_callable(Cluster(), energy=True).name == "cluster"
    assert system_from_callable(lambda x: x, name="unstable").name == "unstable"


def test_a_run_and_its_file_say_what_made_the_forces(tmp_path):
    system = system_from_callable(forces, name="argon", energy=energy)
    run = simulate(system, *cluster_start(), 2, output=tmp_path / "run.h5")
    found = load(tmp_path / "run.h5")
    assert found.info.system == run.info.system
    assert found.info.system["system"] == "argon" and found.info.system["callable"] == "forces"
    np.testing.assert_array_equal(found.energy, run.energy)
    lookup.registered.clear()
    message = refused(lambda: found.energy)
    assert message.startswith("`system` 'argon' is of a callable, 'forces', that this process")
    assert "system_from_callable(forces, name='argon')" in message
    system_from_callable(energy_and_forces, name="argon", energy=True)
    assert "`callable` of system 'argon'" in refused(lambda: found.energy)


def test_a_name_is_of_one_callable():
    first = system_from_callable(forces, name="argon")
    assert type(system_from_callable(forces, name="argon", energy=energy)).name == first.name
    assert "another callable" in refused(lambda: system_from_callable(thrown, name="argon"))
    assert "is taken" in refused(lambda: system_from_callable(forces, name="charged"))
    assert make_system("argon").has_potential


REFUSED = {
    "`name` is needed": lambda: system_from_callable(lambda x: x),
    "`name` must be letters": lambda: system_from_callable(forces, name="a b"),
    "did you mean 'rotation'?": lambda: system_from_callable(forces, symmetries=["rotations"]),
    "`conserved` must be of": lambda: system_from_callable(forces, conserved=["mass"]),
    "there is no `energy`": lambda: system_from_callable(forces, conserved=["energy"]),
    "leave out one": lambda: system_from_callable(forces, start=one(), sample=lambda rng, n: one()),
    "must be one trajectory": lambda: system_from_callable(
        forces, start=cluster_start(trajectories=2)
    ),
    "`frame_dt`": lambda: system_from_callable(forces, frame_dt=-1.0),
    "`start` or `sample` is needed": lambda: system_from_callable(forces).sample(0, 8),
    "has 8 `particles` in 3": lambda: system_from_callable(forces, start=cluster_start()).sample(
        0, 5
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_makes_no_system_is_refused_in_one_line(said):
    message = refused(REFUSED[said])
    assert said in message and "\n" not in message


# What a callable may not do

WRONG = {
    "must return numbers of shape (8, 3), got float64 of shape (3, 8)": lambda x: forces(x).T,
    "must return numbers of shape (8, 3), got None": lambda x: None,
    "must return numbers of shape (8, 3), got <U1": lambda x: np.full(x.shape, "a"),
    "must return numbers of shape (8, 3), got complex128": lambda x: 1j * forces(x),
    "say `energy=True` where it returns (energy, forces)": energy_and_forces,
    "must be finite at the start, got [nan, nan, nan] for particle 3": lambda x: np.where(
        np.arange(8)[:, None] == 3, np.nan, forces(x)
    ),
    "-1 times as much being right": lambda x: -forces(x),
    "0.5 times as much being right": lambda x: 2 * forces(x),
    "disagree at the start": lambda x: forces(x) * np.array([1.0, 1.0, 1.01]),
    "disagree at the start: over": lambda x: forces(x) + 0.05 * x,
}


@pytest.mark.parametrize("said", WRONG)
@pytest.mark.parametrize("method", ["dop853", "leapfrog"])
def test_wrong_forces_are_refused_before_a_run(said, method):
    system = system_from_callable(WRONG[said], name="wrong", energy=energy)
    message = refused(lambda: simulate(system, *cluster_start(), 2, method))
    assert said in message and "system 'wrong'" in message and "\n" not in message
    # and let be where nobody wants to know, as of a program in single precision
    system_from_callable(WRONG[said], name="unchecked", energy=energy, check=False)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda x: forces(x), "must return (energy, forces), as `energy` True says, got float64"),
        (lambda x: (np.nan, forces(x)), "`energy` of system 'wrong' must be finite"),
        (lambda x: (np.ones(8), forces(x)), "`energy` of system 'wrong' must return a number"),
        (lambda x: (energy(x), forces(x)[0]), "numbers of shape (8, 3), got float64 of shape (3,)"),
    ],
)
def test_wrong_pairs_are_refused_before_a_run(returned, said):
    system = system_from_callable(returned, name="wrong", energy=True)
    assert said in refused(lambda: simulate(system, *cluster_start(), 2))


def test_what_a_callable_raises_is_told_with_its_name():
    def broken(x):
        raise ValueError("no convergence\nafter 250 cycles")

    system = system_from_callable(broken)
    with pytest.raises(PluginError, match=r"system 'broken' .*`forces` raised ValueError: no conv"):
        simulate(system, *cluster_start(), 2)


def test_writing_into_positions_is_refused():
    def greedy(x):
        x += 1
        return x

    with pytest.raises(PluginError, match="must leave its input as it is"):
        simulate(system_from_callable(greedy), *cluster_start(), 2)


def test_a_force_that_fails_on_the_way_stops_its_trajectory_alone():
    def bounded(x):
        return np.where(np.abs(x) < 2.0, 0.0, np.nan)

    state = State(0.0, np.zeros((2, 1, 3)), np.array([[[0.1, 0, 0]], [[4.0, 0, 0]]]))
    particles = Particles(np.zeros((2, 1)), np.ones((2, 1)))
    for method in ("dop853", "leapfrog"):
        system = system_from_callable(bounded, name=f"bounded-{method}")
        run = simulate(system, state, particles, 10, method)
        assert run.info.status == (0, -1)


DECLARED = {
    "translation": lambda x: -x,
    "rotation": lambda x: forces(x) * np.array([1.0, 1.0, 0.5]),
    "reflection": lambda x: forces(x) + np.roll(forces(x), 1, axis=1),
    "permutation": lambda x: forces(x) * np.arange(1, 9)[:, None],
}


@pytest.mark.parametrize("symmetry", DECLARED)
def test_a_symmetry_that_forces_lack_is_refused(symmetry):
    system = system_from_callable(DECLARED[symmetry], name="wrong", symmetries=[symmetry])
    message = refused(lambda: simulate(system, *cluster_start(), 2))
    assert f"`symmetries` of system 'wrong' hold '{symmetry}', which its forces lack" in message


def test_charge_conjugation_is_refused_where_a_field_pulls_at_charges():
    system = system_from_callable(charged_forces, symmetries=["charge-conjugation"])
    message = refused(lambda: simulate(system, *one(charge=1.0), 2))
    assert "'charge-conjugation'" in message


@pytest.mark.parametrize(
    ("key", "law"),
    [("momentum", lambda x: -x), ("angular_momentum", lambda x: np.roll(x, 1, axis=1))],
)
def test_a_conserved_quantity_that_forces_change_is_refused(key, law):
    system = system_from_callable(law, name="wrong", conserved=[key])
    start = cluster_start()
    message = refused(lambda: simulate(system, *start, 2))
    assert f"`conserved` of system 'wrong' holds '{key}'" in message


def test_true_forces_pass_at_a_minimum_where_all_vanish():
    def tethered(x):
        return 0.5 * (x * x).sum(), -x

    start = one(v=(0.0, 1.0, 0.0))
    system = system_from_callable(tethered, energy=True, symmetries=["rotation", "reflection"])
    run = simulate(system, *start, 20, "dop853")
    np.testing.assert_allclose(run.x[0, :, 0, 1], np.sin(run.t), atol=SOLVER)
    half = system_from_callable(lambda x: (0.25 * (x * x).sum(), -x), name="half", energy=True)
    assert "disagree" in refused(lambda: simulate(half, *start, 2))


# What can be done with it


def test_runs_are_compared_guarded_and_go_on(tmp_path):
    start = cluster_start()
    system = system_from_callable(
        energy_and_forces, name="argon", energy=True, start=start, symmetries=FREE
    )
    method = make_integrator("leapfrog", substeps=4, segment=5)
    whole = simulate(system, *start, 20, method, guard=GUARD)
    assert whole.info.success and whole.info.guard.policy == "warn"
    found = compare(simulate(system, *start, 20, make_integrator("rk4", substeps=4)), whole)
    assert 0 < found.position_rmse[-1] < 0.1

    def stop(done, total):
        if done >= 12:
            raise TimeoutError

    kept = Output(tmp_path / "run.h5", checkpoint=tmp_path / "run.restart")
    with pytest.raises(TimeoutError):
        simulate(system, *start, 20, method, guard=GUARD, output=kept, observers=stop)
    lookup.registered.clear()
    assert "`system` 'argon' is of a callable" in refused(lambda: resume(tmp_path / "run.restart"))
    system_from_callable(energy_and_forces, name="argon", energy=True, symmetries=FREE)
    np.testing.assert_array_equal(resume(tmp_path / "run.restart").x, whole.x)


def sampled(rng, n):
    x = np.arange(3 * n, dtype=np.float64).reshape(n, 3) + 0.1 * rng.normal(size=(n, 3))
    return x, np.zeros((n, 3)), np.zeros(n), np.ones(n)


def test_data_sets_are_made_of_it_in_this_process(tmp_path):
    system_from_callable(thrown, name="falling", sample=sampled)
    spec = DatasetSpec(
        system="falling",
        integrator="dop853",
        particles=2,
        frames=3,
        trajectories=4,
        splits={"train": 4},
    )
    dataset = generate_dataset(spec, tmp_path / "set")
    assert len(dataset) == 4
    other = DatasetSpec(**{**spec.model_dump(), "seed": 1})
    message = refused(lambda: generate_dataset(other, tmp_path / "other", workers=2))
    assert "registered in this process only" in message


def test_particles_of_a_start_with_radii_have_them():
    start = State(0.0, [[0.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]]), Particles([0.0], [1.0], radii=2.0)
    system = system_from_callable(thrown, start=start)
    assert system.needs_radii
    assert system.sample(0, 1)[1].radii.tolist() == [[2.0]]
    assert simulate(system, *start, 2).info.success
