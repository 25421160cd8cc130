"""The loop: progress, files, provenance, failures, and systems that nobody has compiled."""

from __future__ import annotations

import importlib.metadata
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import Field

from nbody_surrogate import (
    AbstractSystem,
    InputError,
    Particles,
    State,
    make_integrator,
    make_system,
    read_h5md,
    simulate,
)
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.environment.versions import installed_versions, versions
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.simulation.observers import WarmUp

METHODS = ["dop853", "rk45", "leapfrog"]
FRAMES, SEGMENT = 12, 5  # two whole segments and a part of a third
SOLVER = 1e-6  # default tolerances of 1e-9 times the growth of errors over two periods


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture
def start(charged):
    return charged.sample(1, 4, 2)


def run_of(charged, start, method="leapfrog", frames=FRAMES, **options):
    return simulate(charged, *start, frames, make_integrator(method, segment=SEGMENT), **options)


def assert_same_frames(first, second):
    np.testing.assert_array_equal(first.t, second.t)
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.v, second.v)


# Frames


def test_the_start_is_frame_zero(charged, start, method):
    state, particles = start
    run = run_of(charged, (State(2.5, state.x, state.v), particles), method)
    assert run.x.shape == run.v.shape == (2, FRAMES + 1, 4, 3)
    assert run.t.tolist() == [2.5 + n * 0.1 for n in range(FRAMES + 1)]
    np.testing.assert_array_equal(run.x[:, 0], state.x)
    np.testing.assert_array_equal(run.v[:, 0], state.v)
    assert run.particles is particles


def test_the_frame_spacing_is_the_systems_or_ones_own(start):
    system = make_system("charged", frame_dt=0.25)
    assert run_of(system, start).t[1] == 0.25
    own = run_of(system, start, dt=0.1)
    assert own.t[1] == 0.1
    np.testing.assert_array_equal(own.x, run_of(make_system("charged"), start).x)


def test_a_name_stands_for_an_integrator_with_default_options(charged, start, method):
    assert_same_frames(
        simulate(charged, *start, 3, method), simulate(charged, *start, 3, make_integrator(method))
    )


def test_dop853_is_the_default(charged, start):
    assert_same_frames(simulate(charged, *start, 2), simulate(charged, *start, 2, "dop853"))


def test_warming_up_changes_no_frame(charged, start, method):
    cold, warm = run_of(charged, start, method), run_of(charged, start, method, observers=WarmUp())
    assert_same_frames(cold, warm)
    assert cold.info.counters == warm.info.counters


# Progress


def test_progress_grows_to_the_number_of_frames(charged, start, method):
    calls = []
    run = run_of(charged, start, method, observers=lambda done, total: calls.append((done, total)))
    done = [call[0] for call in calls]
    assert {call[1] for call in calls} == {FRAMES}
    assert done == sorted(done)
    assert done[0] > 0
    assert done[-1] == FRAMES
    assert len(done) >= 3  # at least once in each segment
    assert_same_frames(run, run_of(charged, start, method))


@pytest.mark.thinned
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_progress_may_cancel_and_what_is_written_stays(tmp_path, charged, start, method, error):
    def cancel(done, total):
        if done > 11:
            raise error

    with pytest.raises(error):
        run_of(charged, start, method, observers=cancel, output=tmp_path / "run.h5")
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5.part"]
    part, whole = read_h5md(tmp_path / "run.h5.part"), run_of(charged, start, method)
    written = 1 + 2 * SEGMENT
    assert len(part.t) == written
    np.testing.assert_array_equal(part.t, whole.t[:written])
    np.testing.assert_array_equal(part.x, whole.x[:, :written])
    np.testing.assert_array_equal(part.v, whole.v[:, :written])
    assert part.info.status == (-1, -1)
    assert part.info.good == (written, written)
    assert "unfinished" in part.info.message[0]
    assert part.info.system == whole.info.system
    assert part.info.method == whole.info.method
    assert part.info.seed == 1


# Files


@pytest.mark.thinned
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_file_holds_the_result_bit_for_bit(tmp_path, charged, method, dimensions):
    start = charged.sample(2, 3, 2, dimensions)
    run = run_of(charged, start, method, output=tmp_path / "run.h5")
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]
    stored = read_h5md(tmp_path / "run.h5")
    assert_same_frames(stored, run)
    np.testing.assert_array_equal(stored.particles.charges, run.particles.charges)
    np.testing.assert_array_equal(stored.particles.masses, run.particles.masses)
    assert stored.info == run.info
    assert_same_frames(run, run_of(charged, start, method))


def test_writing_does_not_change_the_run(tmp_path, charged, start, method):
    written = run_of(charged, start, method, output=tmp_path / "run.h5")
    assert_same_frames(written, run_of(charged, start, method))


def test_a_file_is_replaced_only_when_asked(tmp_path, charged, start):
    path = tmp_path / "run.h5"
    first = run_of(charged, start, output=path)
    with pytest.raises(InputError, match="`output`"):
        run_of(charged, start, "rk45", output=path)
    assert_same_frames(read_h5md(path), first)
    second = run_of(charged, start, "rk45", output=Output(path, overwrite=True))
    assert_same_frames(read_h5md(path), second)


# Provenance


def test_info_says_how_a_run_came_about(start, method):
    system = make_system("charged", softening=0.2)
    info = run_of(system, start, method, observers=WarmUp()).info
    assert info.system == {"system": "charged", **system.spec.model_dump(mode="json")}
    assert info.system.items() >= {"softening": 0.2, "coupling": 1.0, "frame_dt": 0.1}.items()
    assert info.method == make_integrator(method, segment=SEGMENT).description
    assert info.method["integrator"] == method
    assert set(info.versions) >= {"python", "nbody-surrogate", "numpy", "scipy", "numba"}
    assert info.versions["numpy"] == np.__version__
    assert info.counters["nfev"] > 0
    assert info.wall_time > 0
    assert info.status == (0, 0)
    assert info.message == ("", "")
    assert info.good == (FRAMES + 1, FRAMES + 1)
    assert info.success
    assert info.seed == 1
    json.dumps([info.system, info.method, info.versions, info.counters], allow_nan=False)


def test_versions_name_cyrk_where_it_is_installed(monkeypatch):
    installed = {"CyRK": "9.9"}

    def version(name):
        if name == "CyRK" and name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed.get(name, "1.0")

    monkeypatch.setattr(importlib.metadata, "version", version)
    installed_versions.cache_clear()
    assert versions()["CyRK"] == "9.9"
    installed.clear()
    installed_versions.cache_clear()
    found = versions()
    installed_versions.cache_clear()
    assert "CyRK" not in found
    assert found["scipy"] == "1.0"


def test_no_seed_is_made_up(charged, start):
    state, particles = start
    assert run_of(charged, charged.sample(np.random.default_rng(1), 4, 2)).info.seed is None
    assert run_of(charged, (State(0.0, state.x, state.v), particles)).info.seed is None
    later = run_of(charged, start).state(3)
    assert run_of(charged, (later, particles)).info.seed is None


def test_counters_are_summed_over_segments_and_trajectories(charged, start):
    both = run_of(charged, start).info.counters["nfev"]
    assert both == 2 * FRAMES * 16  # sub-steps, which begin with a drift
    state, particles = start
    singles = (run_of(charged, (state[b], particles[b]), "dop853") for b in range(2))
    counts = run_of(charged, start, "dop853").info.counters
    assert counts == {
        key: sum(values)
        for key, values in zip(
            counts, zip(*(run.info.counters.values() for run in singles), strict=True), strict=True
        )
    }


def test_a_run_can_rebuild_its_system(start):
    system = make_system("charged", softening=0.2, coupling=-1.5)
    again = run_of(system, start).system()
    assert type(again) is type(system)
    assert again.spec == system.spec


@pytest.mark.parametrize(
    ("method", "options", "label"),
    [
        ("dop853", {}, "dop853 (rtol 1e-09)"),
        ("leapfrog", {}, "leapfrog (dkd, 16 sub-steps)"),
        ("leapfrog", {"step": 0.05}, "leapfrog (dkd, step 0.05)"),
        ("leapfrog", {"form": "kdk"}, "leapfrog (kdk, 16 sub-steps)"),
        ("exact-flow", {"order": 4}, "exact-flow (order 4, 16 sub-steps)"),
    ],
)
def test_labels_tell_methods_apart(charged, start, method, options, label):
    run = simulate(charged, *start, 1, make_integrator(method, **options))
    assert run.info.label == label


# Ensembles


def test_an_ensemble_is_its_trajectories(charged, start):
    run = run_of(charged, start)
    assert len(run) == len(list(run)) == 2
    for b, trajectory in enumerate(run):
        np.testing.assert_array_equal(trajectory.x, run.x[b])
        np.testing.assert_array_equal(trajectory.v, run.v[b])
        np.testing.assert_array_equal(
            trajectory.particles.charges, run.particles.charges[b : b + 1]
        )
        assert trajectory.info == replace(run.info, status=(0,), message=("",), good=(FRAMES + 1,))
        np.testing.assert_array_equal(trajectory.state(3).x, run.state(3).x[b : b + 1])
    assert run.state(3).t == run.t[3]


def test_a_run_goes_on_from_any_of_its_frames(charged, start):
    run = run_of(charged, start)
    rest = run_of(charged, (run.state(5), run.particles), frames=FRAMES - 5)
    np.testing.assert_array_equal(rest.x, run.x[:, 5:])
    np.testing.assert_allclose(rest.t, run.t[5:], rtol=1e-15)


# Failures


def test_a_failed_trajectory_stays_frozen_in_later_segments(tmp_path, method):
    """Two opposite charges, not softened, at a distance whose square is zero in float64."""
    system = make_system("charged", softening=0.0)
    state, _ = system.sample(3, 2, 2)
    x, v = np.array(state.x), np.array(state.v)
    x[0], v[0] = [[0.0, 0.0, 0.0], [1e-170, 0.0, 0.0]], 0.0
    state, particles = State(0.0, x, v), Particles([[1.0, -1.0], [1.0, 1.0]], np.ones((2, 2)))
    run = run_of(system, (state, particles), method, output=tmp_path / "run.h5")
    assert run.info.status == (-1, 0)
    assert run.info.good == (1, FRAMES + 1)
    assert "after t = 0" in run.info.message[0]
    np.testing.assert_array_equal(run.x[0], np.broadcast_to(x[0], run.x[0].shape))
    alone = run_of(system, (state[1], particles[1]), method)
    np.testing.assert_array_equal(run.x[1], alone.x[0])
    stored = read_h5md(tmp_path / "run.h5")
    assert_same_frames(stored, run)
    assert stored.info.status == (-1, 0)


@pytest.mark.parametrize("method", ["dop853", "rk45"])
def test_a_collision_counts_its_good_frames_over_segments(method):
    """Released at a distance of 2, two unit charges meet after 2.22 time units."""
    system = make_system("charged", softening=0.0)
    x = np.array([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    start = State(0.0, x, np.zeros_like(x)), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    run = run_of(system, start, method, frames=40)
    assert run.info.good == (23,)  # the start and the frames up to t = 2.2
    assert "after t = 2.2" in run.info.message[0]
    np.testing.assert_array_equal(run.x[0, 23:], np.repeat(run.x[0, 22:23], 18, axis=0))
    assert (np.diff(run.x[0, :23, 0, 0]) < 0).all()


# A system that somebody wrote in an afternoon


class SpringSpec(SystemSpec):
    stiffness: float = Field(default=2.0, gt=0, allow_inf_nan=False)


class Springs(AbstractSystem):
    """Every pair joined by a spring, in plain NumPy."""

    name = "springs"
    Spec = SpringSpec
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_acceleration(self, x, particles):
        r = x[:, :, None] - x[:, None]
        return -self.spec.stiffness * r.sum(2) / particles.masses[..., None]

    def potential_energy(self, x, particles):
        r = x[:, :, None] - x[:, None]
        return 0.25 * self.spec.stiffness * (r**2).sum((1, 2, 3))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.zeros(n), np.ones(n))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", ["dop853", "rk45"])
def test_a_system_with_numpy_forces_only_runs_on_solvers(tmp_path, method, dimensions):
    """N equal masses on springs swing about their centre with omega^2 = k N / m."""
    system, n = Springs(stiffness=3.0), 4
    state, particles = system.sample(4, n, 2, dimensions)
    run = run_of(system, (state, particles), method, frames=40, output=tmp_path / "run.h5")
    omega, t = math.sqrt(3.0 * n), run.t[:, None, None]
    place, drift = state.x.mean(1, keepdims=True), state.v.mean(1, keepdims=True)
    swing = (state.x - place)[:, None] * np.cos(omega * t)
    swing = swing + (state.v - drift)[:, None] / omega * np.sin(omega * t)
    expected = place[:, None] + drift[:, None] * t + swing
    np.testing.assert_allclose(run.x, expected, rtol=0, atol=SOLVER)
    assert run.info.system == {"system": "springs", "stiffness": 3.0, "frame_dt": 0.1}
    assert_same_frames(read_h5md(tmp_path / "run.h5"), run)


def test_a_system_with_numpy_forces_only_is_refused_by_hermite4():
    system = Springs()
    with pytest.raises(InputError) as caught:
        simulate(system, *system.sample(5, 3), 2, "hermite4")
    message = str(caught.value)
    assert message.startswith("`integrator` hermite4 ")
    assert "'springs'" in message
    assert "dop853" in message
    assert "\n" not in message


# Misuse is found before anything is computed or written


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("frames", {"frames": 0}),
        ("frames", {"frames": -3}),
        ("dt", {"dt": 0.0}),
        ("dt", {"dt": -0.1}),
        ("dt", {"dt": math.nan}),
        ("integrator", {"integrator": "leapfog"}),
        ("output", {"output": "run.txt"}),
        ("output", {"output": "missing/run.h5"}),
        ("particles", {"particles": Particles([[1.0, 1.0]], [[1.0, 1.0]])}),
    ],
)
def test_misuse_is_one_line(tmp_path, monkeypatch, charged, start, parameter, values):
    monkeypatch.chdir(tmp_path)
    state, particles = start
    called = []
    arguments = {"state": state, "particles": particles, "frames": 3, "output": "run.h5", **values}
    with pytest.raises(InputError) as caught:
        simulate(charged, **arguments, observers=lambda *now: called.append(now))
    assert str(caught.value).startswith(f"`{parameter}` ")
    assert "\n" not in str(caught.value)
    assert not called
    assert not list(tmp_path.iterdir())
