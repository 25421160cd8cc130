"""Label errors: how far a classical run may be wrong, and which solver is the ground truth."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pydantic import Field

import nbody_surrogate.integrators.reference
from nbody_surrogate import (
    Ensemble,
    InputError,
    Particles,
    PluginError,
    State,
    make_integrator,
    make_system,
    read_h5md,
    simulate,
)
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.integrators.refine import sharper
from nbody_surrogate.results.label_error import label_errors
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.simulation.file_writer import Output

FRAMES = 12
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
EXACT = {"rtol": 1e-13, "atol": 1e-13}


@pytest.fixture
def start(charged):
    return charged.sample(1, 4, 2)


class PreciseOptions(IntegratorOptions):
    substeps: int = Field(default=2, ge=1)
    segment: int = 5


class Precise(AbstractIntegrator):
    """x = x0 + 1 / substeps after any time; what goes wrong is told by `faults`.

    `faults` maps a number of sub-steps to (trajectory, valid frames since the start).
    """

    name = "precise"
    Options = PreciseOptions
    faults: dict = {}  # noqa: RUF012
    pause: dict = {}  # noqa: RUF012

    def _start(self, problem, state):
        return {"x0": state.x}

    def _advance(self, carry, frames, tick):
        substeps = self.options.substeps
        time.sleep(self.pause.get(substeps, 0.0))
        x = np.repeat(carry.arrays["x0"][:, None] + 1 / substeps, frames, axis=1)
        v = np.repeat(carry.arrays["v"][:, None], frames, axis=1)
        failures = {}
        for b, valid in self.faults.get(substeps, ()):
            if carry.frame <= valid < carry.frame + frames:
                failures[b] = (valid - carry.frame, "it broke")
        tick(frames)
        return Frames(x, v, {"x0": carry.arrays["x0"]}, failures)


def precise(**changes):
    """Return an integrator of this kind with faults and pauses of its own."""
    return type("Precise", (Precise,), changes)()


# A sharper integrator


@pytest.mark.parametrize(
    ("integrator", "changes"),
    [
        (make_integrator("dop853", rtol=1e-6, atol=1e-7), {"rtol": 1e-8, "atol": 1e-9}),
        (make_integrator("rk45", segment=7), {"rtol": 1e-11, "atol": 1e-11}),
        (make_integrator("leapfrog"), {"substeps": 64}),
        (make_integrator("leapfrog", substeps=3, segment=9), {"substeps": 12}),
        (make_integrator("rk4", step=0.05), {"step": 0.0125}),
        (precise(), {"substeps": 8}),
    ],
)
def test_a_sharper_integrator_differs_in_its_accuracy_only(integrator, changes):
    found = sharper(integrator)
    assert type(found) is type(integrator)
    assert found is not integrator
    before, after = integrator.options.model_dump(), found.options.model_dump()
    assert {key: after[key] for key in changes} == pytest.approx(changes)
    assert {key for key in before if after[key] != before[key]} == set(changes)


@pytest.mark.parametrize("name", ["ballistic", "copy-last"])
def test_what_has_no_accuracy_to_choose_cannot_be_verified(charged, tmp_path, name):
    integrator = make_integrator(name)
    for attempt in (
        lambda: sharper(integrator),
        lambda: simulate(
            *(charged, *charged.sample(0, 5), 3, integrator),
            verify=True,
            output=tmp_path / "run.h5",
            observers=pytest.fail,
        ),
    ):
        with pytest.raises(InputError, match="`verify` needs a solver with") as caught:
            attempt()
        assert repr(name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rtol", [2.9e-12, 1e-12, 1e-13])
def test_a_tolerance_that_cannot_be_tightened_is_named(rtol):
    integrator = make_integrator("dop853", rtol=rtol)
    with pytest.raises(InputError, match=rf"`rtol` .* at least 3e-12 .*got {rtol:g}$"):
        sharper(integrator)
    clipped = sharper(integrator, clip=True).options
    assert clipped.rtol == 3e-14
    assert clipped.atol == pytest.approx(1e-11)


def test_the_tightest_tolerance_that_can_be_verified():
    assert sharper(make_integrator("dop853", rtol=3e-12)).options.rtol == 3e-14


# The label error


def true_error(system, start, run):
    exact = simulate(system, *start, FRAMES, make_integrator("dop853", **EXACT))
    return rmse(exact.x, run.x)


@pytest.mark.parametrize(
    ("method", "options", "off"),
    [
        ("dop853", TOLERANCE, 0.3),  # the sharper run has some per cent of the error
        ("rk45", TOLERANCE, 0.1),
        ("leapfrog", {"substeps": 4}, 0.1),  # order 2: the sharper one has a sixteenth
    ],
)
def test_the_label_error_is_close_to_the_true_error_early_on(charged, start, method, options, off):
    run = simulate(charged, *start, FRAMES, make_integrator(method, **options), verify=True)
    expected = true_error(charged, start, run)
    early = slice(3, None)  # after the first steps, which are tiny and almost without error
    assert (expected[:, early] > 1e-9).all()  # far above rounding
    np.testing.assert_allclose(run.label_error[:, early], expected[:, early], rtol=off)
    assert run.label_error[:, 0].tolist() == [0.0, 0.0]


def test_the_label_error_is_the_position_rmse_to_the_sharper_run(charged, start):
    integrator = make_integrator("dop853", **TOLERANCE, segment=5)
    run = simulate(charged, *start, FRAMES, integrator, verify=True)
    other = simulate(charged, *start, FRAMES, sharper(integrator))
    np.testing.assert_array_equal(run.label_error, rmse(other.x, run.x))


def test_verifying_changes_nothing_else(charged, start):
    integrator = make_integrator("rk45", **TOLERANCE, segment=5)
    plain = simulate(charged, *start, FRAMES, integrator)
    run = simulate(charged, *start, FRAMES, integrator, verify=True)
    assert plain.label_error is None
    np.testing.assert_array_equal(run.x, plain.x)
    np.testing.assert_array_equal(run.v, plain.v)
    assert run.info.method == plain.info.method
    assert run.info.counters == plain.info.counters


def test_the_sharper_run_does_not_count_as_wall_time(charged, start, monkeypatch):
    """By a clock that stands still but in a pause."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    run = simulate(charged, *start, FRAMES, precise(pause={8: 1.0}), verify=True)
    assert run.info.wall_time == 0.0
    run = simulate(charged, *start, FRAMES, precise(pause={2: 1.0}), verify=True)
    assert run.info.wall_time == 3.0  # three segments


@pytest.mark.parametrize(
    ("faults", "good", "status"),
    [
        ({2: [(1, 7)]}, (13, 8), (0, -1)),  # 8 with the start; the run fails in its second segment
        ({8: [(1, 7)]}, (13, 8), (0, 0)),
        ({2: [(1, 9)], 8: [(1, 4)]}, (13, 5), (0, -1)),
        ({2: [(1, 4)], 8: [(0, 0), (1, 9)]}, (1, 5), (0, -1)),
    ],
)
def test_there_is_none_from_the_first_frame_that_is_not_good_in_either(
    charged, start, faults, good, status
):
    run = simulate(charged, *start, FRAMES, precise(faults=faults), verify=True)
    assert run.info.status == status
    for error, valid in zip(run.label_error, good, strict=True):
        assert error[0] == 0.0
        np.testing.assert_allclose(error[1:valid], 1 / 2 - 1 / 8, rtol=1e-9)
        assert np.isnan(error[valid:]).all()


def test_a_collision_has_a_label_error_until_it_happens(tmp_path):
    """Released at a distance of 2, two unit charges meet after 2.22 time units."""
    system = make_system("charged", softening=0.0)
    x = np.array([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    state, particles = State(0.0, x, np.zeros_like(x)), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    integrator = make_integrator("dop853", **TOLERANCE)
    path = tmp_path / "run.h5"
    run = simulate(system, state, particles, 30, integrator, verify=True, output=path)
    assert run.info.status == (-1,)
    assert run.info.good == (23,)
    assert np.isfinite(run.label_error[0, :23]).all()
    assert np.isnan(run.label_error[0, 23:]).all()
    assert read_h5md(path).label_error.tobytes() == run.label_error.tobytes()


# Ensembles, files and progress


def test_trajectories_have_their_part_of_it(charged, start):
    run = simulate(charged, *start, 3, "leapfrog", verify=True)
    assert run.label_error.shape == (2, 4)
    for b, trajectory in enumerate(run):
        np.testing.assert_array_equal(trajectory.label_error, run.label_error[b])
    assert simulate(charged, *start, 3, "leapfrog")[0].label_error is None


def test_what_is_written_comes_back_bit_for_bit(tmp_path, charged, start):
    path, integrator = tmp_path / "run.h5", make_integrator("dop853", **TOLERANCE, segment=5)
    run = simulate(charged, *start, FRAMES, integrator, verify=True, output=path)
    stored = read_h5md(path)
    assert stored.label_error.tobytes() == run.label_error.tobytes()
    np.testing.assert_array_equal(stored.x, run.x)
    assert stored.info == run.info
    simulate(charged, *start, FRAMES, integrator, output=Output(path, overwrite=True))
    assert read_h5md(path).label_error is None


def test_progress_counts_both_runs(charged, start):
    calls = []
    options = {"verify": True, "observers": lambda *now: calls.append(now)}
    simulate(charged, *start, FRAMES, precise(), **options)
    assert calls == [(done, 24) for done in (5, 10, 12, 17, 22, 24)]


def test_what_was_written_before_a_cancellation_has_its_label_errors(tmp_path, charged, start):
    def cancel(done, total):
        if done > stop:
            raise KeyboardInterrupt

    integrator = make_integrator("dop853", **TOLERANCE, segment=5)
    whole = simulate(charged, *start, FRAMES, integrator, verify=True)
    options = {"verify": True, "observers": cancel, "output": tmp_path / "run.h5"}
    stop = 7.0  # while the sharper run is on its way
    with pytest.raises(KeyboardInterrupt):
        simulate(charged, *start, FRAMES, integrator, **options)
    assert list(tmp_path.iterdir()) == []
    stop = 18.0
    with pytest.raises(KeyboardInterrupt):
        simulate(charged, *start, FRAMES, integrator, **options)
    part = read_h5md(tmp_path / "run.h5.part")
    assert part.label_error.shape == (2, 6)
    np.testing.assert_array_equal(part.label_error, whole.label_error[:, :6])


def test_a_bad_output_is_found_before_the_sharper_run(tmp_path, charged, start):
    options = {"verify": True, "observers": pytest.fail, "output": tmp_path / "none" / "run.h5"}
    with pytest.raises(InputError, match="`output`"):
        simulate(charged, *start, FRAMES, "leapfrog", **options)


# The summary of a table


def ensemble(label_error, dt=0.5):
    batch, frames = label_error.shape
    x, ones = np.zeros((batch, frames, 2, 3)), np.ones((batch, 2))
    info = RunInfo(system={"system": "charged"}, method={"integrator": "dop853"})
    return Ensemble(3.0 + dt * np.arange(frames), x, x, Particles(ones, ones), info, label_error)


def test_the_summary_has_medians_and_the_largest_at_the_horizons_of_a_table():
    errors = np.arange(18.0).reshape(3, 6)
    errors[:, 1] = 1.0, 3.0, 7.0
    errors[:, 2] = 2.0, np.nan, 8.0
    errors[:, 4] = 4.0, np.nan, 2.0
    errors[:, 5] = 5.0, np.nan, np.nan
    found = label_errors(ensemble(errors))
    assert found.horizons == (0.5, 1.0, 2.0, 2.5)
    assert found.median == (3.0, 5.0, 3.0, 5.0)
    assert found.largest == (7.0, 8.0, 4.0, 5.0)
    assert label_errors(ensemble(np.zeros((1, 3)))).to_dict() == {
        "horizons": [0.5, 1.0],
        "median": [0.0, 0.0],
        "largest": [0.0, 0.0],
    }


@pytest.mark.filterwarnings("error")
def test_where_no_trajectory_is_good_there_is_no_number():
    found = label_errors(ensemble(np.array([[0.0, 1.0, np.nan], [0.0, np.inf, np.nan]])))
    assert np.isnan(found.median[1])
    assert found.to_dict()["median"] == [None, None]
    assert found.to_dict()["largest"] == [None, None]


def test_a_run_that_was_not_verified_has_none(charged, start):
    assert label_errors(simulate(charged, *start, 2, "leapfrog")) is None


# Which solver is the ground truth


class Compiled(Precise):
    """Stands for the compiled solver; takes 3 dimensions only."""

    name = "dop853-compiled"

    def _check(self, problem, state):
        if problem.system.name != "charged":
            raise InputError("`integrator` dop853-compiled knows charged only")


def raising(error):
    def make(name, **options):
        raise error

    return make


@pytest.mark.parametrize(
    ("make", "system", "batch", "expected"),
    [
        (lambda name: Compiled(), "charged", 2, "dop853-compiled"),
        (lambda name: Compiled(), "charged", 100, "dop853-compiled"),
        (lambda name: Compiled(), "charged", 1, "dop853"),
        (lambda name: Compiled(), "gravity", 2, "dop853"),
        (raising(InputError("CyRK is missing")), "charged", 2, "dop853"),
        (raising(PluginError("cannot be imported")), "charged", 2, "dop853"),
    ],
)
def test_the_compiled_solver_is_the_reference_of_batches_where_it_can_be(
    monkeypatch, make, system, batch, expected
):
    asked = []

    def recorded(name):
        asked.append(name)
        return make(name)

    monkeypatch.setattr(nbody_surrogate.integrators.reference, "make_integrator", recorded)
    assert default_reference(make_system(system), batch) == expected
    assert asked == ["dop853-compiled"] * (batch > 1)
