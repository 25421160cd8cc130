"""Fast encounters: solvers see them, and `verify` does not agree with itself on a missed one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nbody_surrogate.datasets.generation.measure_label_error as measure_label_error
from nbody_simulators.integrators.outcome import PATIENCE
from nbody_surrogate import NBodyWarning, Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.spec import DatasetSpec

SOLVERS = ("dop853", "rk45", "dop853-compiled")
SPEED, HEAVY, CHARGE = 3000.0, 1e6, 0.1
CLOSE = 0.05


def flyby(seed, closest=CLOSE):
    """A light charge past a heavy one; their deflection in closed form (Rutherford's)."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    back = rng.uniform(200, 1400)
    x = np.array([[-back, closest, 0.0], [0.0, 0.0, 0.0]]) @ turn.T
    v = np.array([[SPEED, 0.0, 0.0], [0.0, 0.0, 0.0]]) @ turn.T
    start = State(0.0, x[None], v[None]), Particles([[1.0, CHARGE]], [[1.0, HEAVY]])
    return *start, 2 * CHARGE / (closest * SPEED)


def deflection(run):
    return np.linalg.norm(run.v[0, -1, 0] - run.v[0, 0, 0])


@pytest.mark.parametrize("method", SOLVERS)
def test_no_flyby_is_stepped_over(method):
    system = make_system("charged", softening=0.0)
    seen = {"particle": 0, "rms": 0}
    for seed in range(8):
        state, particles, expected = flyby(seed)
        for norm in seen:
            run = simulate(system, state, particles, 10, make_integrator(method, norm=norm))
            seen[norm] += abs(deflection(run) - expected) < 0.2 * expected
    assert seen["particle"] == 8
    assert seen["rms"] < 8  # the test is one that can fail


@pytest.mark.parametrize(
    "seeds", [(0, 7), pytest.param(range(1, 7), marks=pytest.mark.slow)], ids=["two", "six"]
)
def test_block_steps_see_flybys_too(seeds):
    """Of a particle with long steps, past another with long steps: both feel it."""
    system = make_system("charged", softening=0.0)
    for seed in seeds:
        state, particles, expected = flyby(seed)
        run = simulate(system, state, particles, 10, "hermite4")
        assert deflection(run) == pytest.approx(expected, rel=1e-3)
    neutral = Particles([[1.0, 0.0]], [[1.0, HEAVY]])
    run = simulate(system, state, neutral, 10, "hermite4")
    assert run.info.counters["steps"] == 10  # what does not pull bounds no step


def test_a_particle_with_long_steps_feels_who_passes_with_short_ones():
    """A fast binary, whose steps are short anyway, past a heavy particle that waits."""
    system = make_system("gravity", softening=0.0)
    x = np.array([[-3.0, 0.02, 0.0], [-3.0, -0.02, 0.0], [0.0, 0.2, 0.0]])
    v = np.array([[60.0, 0.0, 3.5], [60.0, 0.0, -3.5], [0.0, 0.0, 0.0]])
    start = State(0.0, x[None], v[None]), Particles(np.zeros((1, 3)), [[1.0, 1.0, 1.0]])
    run, truth = (
        simulate(system, *start, 1, make_integrator(method, **options), dt=0.1)
        for method, options in (("hermite4", {}), ("dop853", {"rtol": 1e-12, "atol": 1e-12}))
    )
    kick = np.linalg.norm(truth.v[0, -1, 2])
    assert kick > 0.1
    assert np.linalg.norm(run.v[0, -1, 2] - truth.v[0, -1, 2]) < 1e-3 * kick


def test_what_does_not_pull_costs_no_steps():
    """Neutral particles, and forces that do not grow on the way, bound no step."""
    state, _, _ = flyby(0)
    neutral = Particles([[1.0, 0.0]], [[1.0, HEAVY]])
    for method in SOLVERS:
        counts = [
            simulate(
                make_system("charged", softening=0.0),
                state,
                neutral,
                10,
                make_integrator(method, norm=norm),
            ).info.counters["steps"]
            for norm in ("rms", "particle")
        ]
        assert counts[1] <= counts[0] + 1


def test_all_solvers_look_alike():
    """Compiled code asks the law, SciPy's solver the system's pair forces: the same steps."""
    charged = make_system("charged", softening=0.0)
    state, particles, _ = flyby(3)
    counts = [
        simulate(charged, state, particles, 10, make_integrator(method, segment=10)).info.counters
        for method in ("dop853", "dop853-compiled")
    ]
    assert counts[0] == counts[1]


def verified(method, seed, **options):
    state, particles, expected = flyby(seed)
    system = make_system("charged", softening=0.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", NBodyWarning)
        run = simulate(
            system, state, particles, 10, make_integrator(method, **options), verify=True
        )
    said = [str(each.message) for each in told if "stepped over" in str(each.message)]
    return run, said, abs(deflection(run) - expected) < 0.2 * expected


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("rk45", {"norm": "rms", "rtol": 1e-7, "atol": 1e-7}),
        ("leapfrog", {"substeps": 4}),
    ],
)
def test_a_missed_encounter_is_not_agreed_on(method, options):
    run, said, _ = verified(method, 1, **options)
    assert len(said) == 1
    assert "the encounter of particles 0 and 1 at t = " in said[0]
    assert "at distance 0.05" in said[0]
    first = int(np.flatnonzero(np.isinf(run.label_error[0]))[0])
    assert np.isinf(run.label_error[0, first:]).all()
    assert np.isfinite(run.label_error[0, :first]).all()
    passing = np.linalg.norm(run.x[0, 0, 0] - run.x[0, 0, 1]) / SPEED
    assert run.t[first - 1] < passing < run.t[first]


@pytest.mark.parametrize("method", SOLVERS)
def test_an_encounter_that_was_seen_has_a_label_error(method):
    run, said, is_seen = verified(method, 1)
    assert is_seen
    assert said == []
    assert np.isfinite(run.label_error).all()


def test_runs_without_fast_encounters_are_not_doubted(charged):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NBodyWarning)
        run = simulate(charged, *charged.sample(0, 5, 2), 20, "dop853", verify=True)
    assert run.label_error.max() < 1e-6


@pytest.mark.parametrize("at_once", [1000, 2])
@pytest.mark.parametrize(
    "kept",
    [
        {"frames": 12},
        {"frames": 12, "first": 2},
        {"frames": 12, "first": 9},
        {"window": {"inputs": 2, "every": 2, "horizon": 6}},
        {"window": {"inputs": 2, "every": 2, "horizon": 6, "target": "zero"}},
    ],
)
def test_label_errors_of_any_rows_know_of_encounters_between_them(kept, at_once, monkeypatch):
    """Whatever rows a data set keeps: those from the encounter on have no label error."""
    monkeypatch.setattr(measure_label_error, "AT_ONCE", at_once)
    state, particles, _ = flyby(1)
    made = {
        "system": "charged",
        "parameters": {"softening": 0.0},
        "particles": 2,
        "trajectories": 1,
        "splits": {"train": 1},
        "integrator": "rk45",
        "options": {"norm": "rms", "rtol": 1e-7, "atol": 1e-7},
    }
    maker = TrajectoryMaker(DatasetSpec(**made, **kept))
    block = maker.run(state, particles, 0, lambda _: None)
    found = measure_label_error.label_errors(maker, block, state, particles, 0, [0])
    (errors,) = found.label
    passing = np.linalg.norm(state.x[0, 0] - state.x[0, 1]) / SPEED
    times = maker.times[measure_label_error.label_error_rows(maker.spec)]
    assert len(times) > 1
    np.testing.assert_array_equal(np.isinf(errors), times > passing)


@pytest.mark.parametrize(
    ("method", "norm"), [("rk45", "particle"), ("rk45", "rms"), ("dop853-compiled", "particle")]
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_forces_beyond_all_steps_end_soon(method, norm):
    """Near t = 0 steps of 1e-77 can be taken, and a frame is 1e76 of them: it is given up."""
    system = make_system("charged", coupling=1e150)
    run = simulate(system, *system.sample(0, 5), 4, make_integrator(method, norm=norm))
    assert run.valid_frames[0] == 1
    assert run.info.message[0].startswith(f"{method}: ")
    assert run.info.counters["steps"] <= PATIENCE + 1


@pytest.mark.parametrize("method", SOLVERS)
def test_a_start_of_tiny_steps_is_no_reason_to_give_up(method):
    """Two charges that all but touch fly apart, in steps that grow: the speed in closed form."""
    apart = 1e-28
    system = make_system("charged", softening=0.0)
    x = np.zeros((1, 2, 3))
    x[0, :, 0] = [-apart / 2, apart / 2]
    start = State(0.0, x, np.zeros_like(x)), Particles([[1.0, 1.0]], [[1.0, 1.0]])
    run = simulate(system, *start, 2, make_integrator(method, atol=1e-40))
    assert run.info.message == ("",)
    np.testing.assert_allclose(run.v[0, -1, :, 0], [-(apart**-0.5), apart**-0.5], rtol=1e-6)
