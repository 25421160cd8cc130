"""Trajectories of a data set depend on its spec alone, whoever makes them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from generated import CASES, SMALL, Counting, arrays, assert_same, contents, edit, written
from nbody_surrogate.datasets import generate_dataset
from nbody_surrogate.datasets.generation.measure_label_error import label_error_sample
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system, register_integrator
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.simulation.simulate import simulate

ABOUT = 3.0
"""Between two estimates of an error: each is a difference to a run that has errors itself."""
CONVERGED = 1e-6
"""Far above what the solvers' tolerance of 1e-9 grows to in 3 time units; 1e-9 is measured."""


# Trajectory i depends on the spec and i alone


@pytest.mark.parametrize("case", CASES)
def test_trajectory_i_is_what_sample_and_simulate_give(made, case):
    data = made(**(SMALL | CASES[case]))
    spec = data.spec
    integrator = make_integrator(spec.integrator, **spec.options)
    for i in range(7):
        state, particles = data.system().sample(
            spec.seed, spec.particles, dimensions=spec.dimensions, first=i
        )
        run = simulate(data.system(), state, particles, spec.frames, integrator)
        wanted = [run.x[0], run.v[0], particles.charges[0], particles.masses[0]]
        if particles.couplings is not None:
            wanted.append(particles.couplings[0])
        assert_same([each[i] for each in arrays(data)], wanted)
        np.testing.assert_array_equal(data.t, run.t)


@pytest.mark.parametrize(
    ("case", "shard", "workers"),
    [
        ("dop853-compiled", 1, 2),
        ("dop853-compiled", 7, 2),
        ("leapfrog", 1, 2),
        ("couplings", 1, 1),
    ],
)
def test_neither_shards_nor_threads_change_a_bit(made, folder, case, shard, workers):
    spec = resolve(SMALL | CASES[case] | {"shard": shard})
    data = generate_dataset(spec, folder, workers=workers)
    assert [record.count for record in data.manifest.shards] == [len(p) for p in spec.shards]
    assert_same(arrays(data), arrays(made(**(SMALL | CASES[case]))))


def test_worker_processes_write_the_same_files(made, folder):
    case = SMALL | CASES["couplings"]
    whole, told = made(**case), []
    generate_dataset(resolve(case), folder, workers=2, progress=lambda *now: told.append(now))
    assert contents(folder) == contents(whole.folder)
    assert told == sorted(told)
    assert told[-1] == (7, 7)


def test_more_trajectories_than_run_at_a_time_are_the_same_ones(made, folder):
    many = {"particles": 2, "trajectories": 150, "frames": 1, "integrator": "leapfrog"}
    data = made(**many)
    generate_dataset(resolve(many), folder, workers=2)
    assert contents(folder) == contents(data.folder)
    system = make_system("charged")
    run = simulate(system, *system.sample(0, 2, 150), 1, "leapfrog")
    assert_same(arrays(data)[:2], [run.x, run.v])


@pytest.mark.parametrize("integrator", ["dop853-compiled", "leapfrog", "rk4"])
def test_rows_that_are_kept_are_those_of_a_run_that_keeps_all(made, integrator):
    """Frames that are left out take as many steps as others."""
    values = {"particles": 3, "trajectories": 2, "frames": 30, "integrator": integrator}
    every = arrays(made(**values))
    late = arrays(made(**(values | {"first": 20})))
    window = {"inputs": 2, "every": 3, "horizon": 24}
    spread = arrays(made(**(values | {"frames": None, "window": window})))
    for k in (0, 1):
        np.testing.assert_allclose(late[k], every[k][:, 20:], rtol=0, atol=CONVERGED)
        np.testing.assert_allclose(spread[k], every[k][:, [1, 4, 30]], rtol=0, atol=CONVERGED)


# One trajectory at a time, or many


@pytest.mark.parametrize(("invariant", "sizes"), [(False, [1] * 7), (True, [3, 3, 1])])
def test_what_is_not_batch_invariant_runs_by_itself(
    registered, monkeypatch, folder, invariant, sizes
):
    register_integrator("counting")(Counting)
    monkeypatch.setattr(Counting, "sizes", [])
    monkeypatch.setattr(Counting, "invariant", invariant)
    generate_dataset(resolve(SMALL | {"integrator": "counting"}), folder)
    assert Counting.sizes == sizes


# The label error


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"options": {"rtol": 1e-5, "atol": 1e-5}}, "dop853-compiled, rtol 1e-07"),
        ({"integrator": "leapfrog"}, "leapfrog, substeps 64"),
    ],
)
def test_the_label_error_is_about_the_difference_to_a_far_sharper_run(made, changes, method):
    data = made(**({"particles": 3, "trajectories": 7, "frames": 30, "shard": 3} | changes))
    error, system = data.manifest.label_error, data.system()
    x = arrays(data)[0]
    sharp = make_integrator("dop853", rtol=1e-12, atol=1e-12)
    truth = simulate(system, *system.sample(0, 3, 7), 30, sharp).x
    measured = rmse(truth, x)[label_error_sample(data.spec)]
    assert error.method == method
    assert error.sample == 4
    assert (error.rows[0], error.rows[-1], len(error.rows)) == (0, 30, 12)
    assert error.median[0] == error.largest[0] == 0
    for row, median, largest in list(zip(error.rows, error.median, error.largest, strict=True))[1:]:
        assert np.median(measured[:, row]) / ABOUT < median < ABOUT * np.median(measured[:, row])
        assert measured[:, row].max() / ABOUT < largest < ABOUT * measured[:, row].max()


@pytest.mark.parametrize(
    ("integrator", "options"),
    [("ballistic", {}), ("dop853", {"rtol": 3e-14}), ("dop853-compiled", {"rtol": 2.9e-13})],
)
def test_there_is_a_note_where_nothing_sharper_exists(made, integrator, options):
    data = made(**(SMALL | {"frames": 1, "integrator": integrator, "options": options}))
    assert data.manifest.label_error is None
    assert data.manifest.label_error_note == f"{integrator} cannot be made sharper"


# The folder


def test_the_manifest_says_what_was_made_and_by_what(made):
    data = made(**SMALL)
    manifest = json.loads((data.folder / "manifest.json").read_text())
    assert resolve(manifest["spec"]) == resolve(SMALL)
    assert manifest["versions"].keys() == {"nbody-surrogate", "numpy", "scipy", "numba", "CyRK"}
    names = ["shard-00000.h5", "shard-00001.h5", "shard-00002.h5"]
    found = [(shard["name"], shard["first"], shard["count"]) for shard in manifest["shards"]]
    assert found == list(zip(names, (0, 3, 6), (3, 3, 1), strict=True))
    assert sorted(contents(data.folder)) == ["manifest.json", *names]


def test_a_finished_folder_stays_as_it_is(finished):
    """Also where other versions of the libraries made it."""
    edit(finished, versions={"numpy": "1.0"})
    before, at = contents(finished), written(finished)
    generate_dataset(resolve(SMALL), finished, workers=2)
    assert contents(finished) == before
    assert written(finished) == at
