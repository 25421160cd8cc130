"""The error of a system whose own model is truncated, by its finer version."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import make_integrator, make_system, read_h5md, simulate
from nbody_surrogate.results.label_error import label_errors, system_errors
from small_systems import Pebbles, truncation_rmse

N, FRAMES = 4, 8


@pytest.fixture(scope="module")
def verified():
    system = Pebbles()
    return simulate(system, *system.sample(0, N, 2), FRAMES, "dop853", verify=True)


def test_it_is_the_closed_form(verified):
    wanted = truncation_rmse(verified.t, verified.particles.radii, 3)
    np.testing.assert_allclose(verified.system_error, wanted, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(verified[1].system_error, wanted[1], rtol=1e-9, atol=1e-14)
    assert verified.label_error.max() < 1e-12  # a parabola is what dop853 solves exactly


def test_it_depends_on_the_model_and_not_on_the_steps():
    system = Pebbles(order=0)
    start = system.sample(0, N, 1, 2)
    loose = make_integrator("rk45", rtol=1e-2, atol=1e-2)
    run = simulate(system, *start, FRAMES, loose, verify=True)
    wanted = truncation_rmse(run.t, run.particles.radii, 2, order=0)
    np.testing.assert_allclose(run.system_error, wanted, rtol=1e-9, atol=1e-14)


def test_it_is_summarised_and_told(verified):
    errors = system_errors(verified)
    assert errors.horizons == label_errors(verified).horizons
    wanted = truncation_rmse(errors.horizons[-1], verified.particles.radii, 3)
    np.testing.assert_allclose(errors.median[-1], np.median(wanted), rtol=1e-9)
    np.testing.assert_allclose(errors.largest[-1], wanted.max(), rtol=1e-9)


def test_a_file_keeps_it(tmp_path, verified):
    system = Pebbles()
    start = system.sample(0, N, 2)
    simulate(system, *start, FRAMES, "dop853", verify=True, output=tmp_path / "run.h5")
    found = read_h5md(tmp_path / "run.h5")
    np.testing.assert_array_equal(found.system_error, verified.system_error)


def test_a_system_that_truncates_nothing_has_none():
    system = make_system("charged")
    run = simulate(system, *system.sample(0, 3), 2, "dop853", verify=True)
    assert run.label_error is not None
    assert run.system_error is None
    assert system_errors(run) is None


def test_a_run_that_is_not_verified_has_none():
    system = Pebbles()
    assert simulate(system, *system.sample(0, N), 2, "dop853").system_error is None


def test_all_three_runs_are_counted(verified):
    told = []
    system = Pebbles()
    simulate(
        system,
        *system.sample(0, N),
        FRAMES,
        "dop853",
        verify=True,
        observers=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (3 * FRAMES, 3 * FRAMES)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {3 * FRAMES}
