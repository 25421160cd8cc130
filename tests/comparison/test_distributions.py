"""What is compared past the Lyapunov time: closed forms, twins, and the noise floor."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nbody_surrogate import Ensemble, Particles, compare, make_integrator, make_system, simulate
from nbody_surrogate.comparison.bound_pairs import bound_pairs, pair_law_of
from nbody_surrogate.comparison.distributions import (
    Distribution,
    _wasserstein,
    compare_distributions,
    late_window,
    mean_squared_displacement,
    pair_distances,
    speeds,
)
from nbody_surrogate.comparison.lyapunov import (
    FAR,
    NEAR,
    grows_exponentially,
    growth_rate,
    twins_of,
)
from nbody_surrogate.comparison.table import comparison_rows, comparison_table
from nbody_surrogate.contracts.state import State
from nbody_surrogate.results.bootstrap import Summary
from nbody_surrogate.results.metrics import ade, fde, normalised_rmse, spread
from nbody_surrogate.results.paired import PairedTest
from nbody_surrogate.results.trajectory import RunInfo

ROUNDING = 1e-12


def run_of(x, v=None, charges=None):
    """A run with x (B, T, N, D) given by hand."""
    batch, frames, n, _ = x.shape
    charges = np.ones((batch, n)) if charges is None else np.tile(charges, (batch, 1))
    info = RunInfo(system={"system": "charged"}, method={"integrator": "dop853"})
    particles = Particles(charges, np.ones((batch, n)))
    return Ensemble(
        0.1 * np.arange(frames), x, np.zeros_like(x) if v is None else v, particles, info
    )


@pytest.fixture(scope="module")
def trap():
    """Four chaotic runs of ten particles in a trap."""
    system = make_system("trap")
    state, particles = system.sample(3, 10, 4)
    return simulate(system, state, particles, 100, make_integrator("leapfrog", substeps=32))


# Displacement errors


def test_displacement_errors_are_mean_distances():
    reference = np.zeros((1, 3, 2, 3))
    candidate = reference.copy()
    candidate[0, 1, 0] = [3.0, 4.0, 0.0]
    candidate[0, 2] = [[0.0, 0.0, 2.0], [6.0, 8.0, 0.0]]
    np.testing.assert_allclose(ade(reference, candidate), [(5 + 0 + 2 + 10) / 4], rtol=ROUNDING)
    np.testing.assert_allclose(fde(reference, candidate), [6.0], rtol=ROUNDING)


def test_a_candidate_at_the_centroid_has_a_normalised_error_of_one():
    reference = np.random.default_rng(0).normal(size=(2, 1, 50, 3))
    centroid = np.broadcast_to(reference.mean(2, keepdims=True), reference.shape)
    np.testing.assert_allclose(normalised_rmse(reference, centroid), 1.0, rtol=ROUNDING)


# Distributions


def test_distances_of_distributions_in_closed_form():
    """All speeds, pair distances and displacements of the candidate are off by known amounts."""
    x, v = np.zeros((2, 1, 20, 2, 3))
    v[..., 0, 0], v[..., 1, 1] = 1.0, 2.0
    x[..., 1, 0] = 3.0
    x[0, 1:, :, 2] = 1.0  # displaced by 1 from the first frame on
    x2, v2 = x.copy(), 1.5 * v
    x2[..., 1, 0] = 5.0
    x2[0, 1:, :, 2] = 2.0
    reference, candidate = run_of(x, v), run_of(x2, v2)
    window = late_window(reference.t, None)
    assert window.frames.tolist() == list(range(10, 20))
    found = {each.name: each for each in compare_distributions(reference, candidate, None, window)}
    assert found["speeds"].distance.median == pytest.approx(0.75)  # 1 to 1.5 and 2 to 3
    assert found["speeds"].reference == pytest.approx(1.5)
    assert found["pair distances"].distance.median == pytest.approx(2.0)
    assert found["displacement"].distance.median == pytest.approx(3.0)  # (4 - 1) / 1
    assert found["displacement"].candidate == pytest.approx(4.0)
    assert all(each.floor is None and each.within_noise is None for each in found.values())
    for each in compare_distributions(reference, reference, reference, window):
        assert each.distance.median == each.floor.median == 0
        assert each.within_noise


def test_distributions_know_neither_axes_nor_names(trap):
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned = replace(trap, x=trap.x[:, :, ::-1] @ rotation, v=trap.v[:, :, ::-1] @ rotation)
    frames = np.array([5, 50])
    for take in (speeds, pair_distances):
        np.testing.assert_allclose(
            np.sort(take(turned, frames)), np.sort(take(trap, frames)), rtol=1e-9
        )
    np.testing.assert_allclose(
        mean_squared_displacement(turned), mean_squared_displacement(trap), rtol=1e-9
    )


def test_a_pair_is_bound_below_its_escape_speed(charged):
    """Opposite charges at a distance of 1; each has half the relative speed u, m u^2 / 4 = U."""
    escape = np.sqrt(4 / np.hypot(1, charged.spec.softening))
    for charges, speed, bound in (
        ([1.0, -1.0], 0.99, 1),
        ([1.0, -1.0], 1.01, 0),
        ([1.0, 1.0], 0.0, 0),
    ):
        x, v = np.zeros((2, 1, 1, 2, 3))
        x[0, 0, 1, 2] = 1.0
        v[0, 0, :, 0] = 0.5 * speed * escape * np.array([1, -1])
        run = run_of(x, v, charges)
        assert bound_pairs(pair_law_of(charged), run.x, run.v, run.particles) == [[bound]]


@pytest.mark.parametrize(
    ("name", "options", "applies"),
    [("charged", {}, True), ("charged", {"softening": 0.0}, True), ("gravity", {}, True),
     ("charged-clipped", {}, True), ("springs", {}, False), ("springs", {"stiffness": 0.0}, True)],
)  # fmt: skip
def test_pairs_are_bound_where_a_potential_vanishes_far_away(name, options, applies):
    system = make_system(name, **options)
    state, particles = system.sample(3, 5, trajectories=2)
    found = bound_pairs(pair_law_of(system), state.x[:, None], state.v[:, None], particles)
    assert found.shape == (2, 1)
    assert np.isnan(found).all() == (not applies)


def test_a_table_says_that_bound_pairs_of_springs_do_not_apply():
    system = make_system("springs")
    runs = [
        simulate(system, *system.sample(3, 4, trajectories=2), 12, method)
        for method in ("dop853", "rk45")
    ]
    found = compare(*runs, twins_of(runs[0]))
    measure = {each.name: each for each in found.distributions}["bound pairs"]
    assert measure.within_noise is None
    assert measure.to_dict()["reference"] is None
    rows = dict(comparison_rows([found]))
    assert rows["bound pairs, distance (noise floor)"] == "does not apply"
    assert "NaN" not in json.dumps(found.to_dict(), allow_nan=False)


# Twins


def test_twins_start_as_far_off_as_they_say(trap):
    twins = twins_of(trap)
    for twin, offset in ((twins.near, NEAR), (twins.far, FAR)):
        gaps = ((twin.x - trap.x)[:, 0] ** 2, (twin.v - trap.v)[:, 0] ** 2)
        distance = np.sqrt((gaps[0] + gaps[1]).mean((1, 2)) / 2)
        np.testing.assert_allclose(distance / spread(trap.x[:, :1]), offset, rtol=1e-6)
        assert twin.info.method == trap.info.method
    assert np.array_equal(twins_of(trap).far.x, twins.far.x)


def test_growth_of_a_known_rate_is_found():
    """The distance grows by exp(0.7 t) up to a tenth of the spread, and no more."""
    t = 0.1 * np.arange(101)
    base = np.zeros((1, 101, 2, 3))
    base[..., 0, 0], base[..., 1, 0] = 1.0, -1.0
    grown = 1e-3 * np.exp(0.7 * np.minimum(t, 6.0))
    moved = base + grown[:, None, None]
    one, other = run_of(base, base), run_of(moved, base + grown[:, None, None])
    assert growth_rate(one, other)[0] == pytest.approx(0.7, rel=1e-6)
    assert growth_rate(one, replace(other, x=base + 1e-3, v=base + 1e-3))[0] == pytest.approx(0.0)


def test_a_chaotic_system_has_a_short_lyapunov_time_and_a_regular_one_none(trap):
    assert 0.3 < twins_of(trap).lyapunov_time < 3
    regular = make_system("oscillator")
    run = simulate(regular, *regular.sample(0, 5), 100, make_integrator("dop853"))
    assert np.isinf(twins_of(run).lyapunov_time)


@pytest.mark.parametrize(
    ("name", "particles", "frames", "batch", "chaotic"),
    [
        ("charged", 1, 10, 1, False),  # a free particle: its twin leaves in a straight line
        ("charged", 1, 300, 2, False),
        ("oscillator", 3, 60, 2, False),
        ("charged", 30, 40, 2, True),
    ],
)
def test_only_exponential_growth_has_a_lyapunov_time(name, particles, frames, batch, chaotic):
    system = make_system(name)
    state, kinds = system.sample(0, particles, batch)
    solver = make_integrator("dop853-compiled")
    run = simulate(system, state, kinds, frames, solver)
    found = compare(run, run, twins_of(run))
    assert np.isfinite(found.lyapunov_time) == chaotic
    for key in ("lyapunov_time", "valid_in_lyapunov_times"):
        assert chaotic or found.to_dict()[key] is None
    labels = [label for label, *_ in comparison_rows([found])]
    assert ("  in Lyapunov times" in labels) == chaotic
    notes = " ".join(comparison_table(found).notes)
    assert ("no Lyapunov time" in notes) == (not chaotic)
    assert chaotic or "positions there" not in notes


def test_growth_of_closed_forms_is_told_apart():
    t, base = 0.1 * np.arange(101), np.zeros((1, 101, 2, 3))
    base[..., 0, 0], base[..., 1, 0] = 1.0, -1.0
    one = run_of(base, base)
    for factor, wanted in (
        (np.exp(0.4 * t), True),
        (np.exp(0.05 * t), False),  # less than e-fold
        (1 + t, False),
        (np.sqrt(1 + t**2), False),
        (1 + 0.5 * np.sin(t), False),
    ):
        off = 1e-4 * factor[:, None, None]
        assert grows_exponentially(one, run_of(base + off, base + off)) == wanted


def test_a_true_solution_is_within_the_noise_and_a_hotter_one_is_not(trap):
    """The first is from a start of its own; the second is 20 % too fast."""
    twins, system = twins_of(trap), make_system("trap")
    shift = np.random.default_rng(9).normal(size=trap.x[:, 0].shape)
    start = State(0.0, trap.x[:, 0] + 2e-3 * shift, trap.v[:, 0])
    other = simulate(system, start, trap.particles, 100, make_integrator("leapfrog", substeps=32))
    window = late_window(trap.t, twins.lyapunov_time)
    assert window.chaotic
    for each in compare_distributions(trap, other, twins.far, window):
        assert each.within_noise, each
    hot = replace(trap, v=1.2 * trap.v)
    found = {each.name: each for each in compare_distributions(trap, hot, twins.far, window)}
    assert found["speeds"].within_noise is False
    assert found["pair distances"].within_noise  # positions are the reference's own


def judged(distances, floors):
    """What is said of a candidate at such distances, start by start."""
    sides = Summary.of(np.asarray(distances)), Summary.of(np.asarray(floors))
    return Distribution("speeds", 1.0, 1.0, *sides, PairedTest.of(distances, floors))


def test_what_is_farther_on_each_start_is_told_though_the_starts_are_unlike():
    """Half as far off again on starts whose floors span powers of ten: the intervals overlap."""
    rng = np.random.default_rng(3)
    floors = np.exp(rng.normal(0, 2, 16))
    found = judged(1.5 * floors * np.exp(rng.normal(0, 0.1, 16)), floors)
    assert found.distance.low <= found.floor.high
    assert found.within_noise is False
    assert found.pair.ratio.low > 1.3
    nearer = judged(floors, 1.5 * floors)
    assert nearer.within_noise


@pytest.mark.parametrize("starts", [2, 4, 8, 20])  # by Student's t, and by the bootstrap
def test_a_second_twin_is_marked_no_more_often_than_the_interval_says(starts):
    """Of two solutions that are alike, the one is farther off by chance: 2.5 %, and scatter."""
    rng = np.random.default_rng(starts)
    runs, unused = 200, Summary.of(np.zeros(1))
    hard = rng.normal(0, 1.5, (runs, starts))
    one, other = np.exp(hard + rng.normal(0, 0.5, (2, runs, starts)))
    tests = [PairedTest.of(*pair) for pair in zip(one, other, strict=True)]
    found = [Distribution("speeds", 1.0, 1.0, unused, unused, each) for each in tests]
    assert sum(each.within_noise is False for each in found) <= 0.05 * runs


def test_a_single_start_tells_only_what_is_nearer_and_what_stopped():
    assert judged([2.0], [1.0]).within_noise is None
    assert judged([0.5], [1.0]).within_noise is True
    assert judged([np.inf], [1.0]).within_noise is False
    assert judged([np.nan], [1.0]).within_noise is None


def test_counts_that_differ_from_a_floor_of_nothing_are_ranked():
    """A distance of 0 has no ratio: the twin had all bound pairs right, the candidate none."""
    assert judged(np.ones(8), np.zeros(8)).within_noise is False
    assert judged(np.zeros(8), np.zeros(8)).within_noise
    assert judged(np.zeros(8), np.ones(8)).within_noise


def test_a_comparison_with_twins_counts_lyapunov_times(trap):
    twins = twins_of(trap)
    system = make_system("trap")
    coarse = make_integrator("leapfrog", substeps=4)
    found = compare(trap, simulate(system, trap.state(0), trap.particles, 100, coarse), twins)
    assert found.to_dict()["valid_in_lyapunov_times"] == pytest.approx(
        found.valid_time / twins.lyapunov_time
    )
    floor = found.curves.bands["position_rmse"]["twin"].median
    wanted = np.sqrt(((twins.far.x - trap.x) ** 2).mean((2, 3)))
    np.testing.assert_allclose(floor, np.median(wanted, axis=0), rtol=ROUNDING)
    assert {"reference", "candidate", "twin"} == found.curves.bands["displacement"].keys()
    density = found.curves.histograms["speeds"]
    assert 0.9 < (density.densities["reference"] * np.diff(density.edges)).sum() <= 1 + ROUNDING


# Summaries


def test_a_summary_has_its_interval_about_the_median():
    values = np.random.default_rng(0).exponential(size=400)
    found = Summary.of(values)
    assert found.median == pytest.approx(np.median(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low < found.median < found.high
    assert found.high - found.low < 0.3
    assert found.q05 < found.q25 < found.median < found.q75 < found.q95
    assert Summary.of(np.array([2.0])) == Summary(*[2.0] * 8)
    whole = Summary.of(np.array([1.0, np.inf, np.inf]))
    assert whole.median == np.inf
    assert whole.to_dict()["median"] is None


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5), (40, 7), (300, 411)])
def test_the_distance_of_samples_is_that_of_scipy(sizes):
    rng = np.random.default_rng(sum(sizes))
    one, other = (rng.normal(size=size).round(1) for size in sizes)  # with ties
    expected = stats.wasserstein_distance(one, other)
    assert _wasserstein(one, other) == pytest.approx(expected, rel=1e-13, abs=1e-15)
    assert _wasserstein(one, one + 0.25) == pytest.approx(0.25)
