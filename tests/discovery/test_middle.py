"""Origin and units are a matter of choice."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.discovery.estimate import Smoothness, improve
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.law import law_of
from nbody_surrogate.discovery.middle import about_middle, at_origin, middle_of
from nbody_surrogate.discovery.problem import problem_of
from nbody_surrogate.discovery.splines import Envelope
from nbody_surrogate.discovery.start import begin
from watched import swings, tracks_of


def test_the_middle_is_the_mean_of_what_was_seen():
    x, y = swings(100, 3), swings(80, 2, seed=1) + 5.0
    x[20:70, 1] = np.nan
    runs = [tracks_of(x), tracks_of(y)]
    middle = middle_of(runs)
    each = np.concatenate([x[np.isfinite(x[..., 0])], y.reshape(-1, 3)])
    np.testing.assert_allclose(middle, each.mean(0), rtol=1e-12)
    np.testing.assert_allclose(middle_of(about_middle(runs, middle)), 0.0, atol=1e-12)


def test_a_law_at_the_origin_is_the_same_law(dust):
    law, _ = law_of(dust.estimate)
    rng = np.random.default_rng(0)
    for name in ("uniform", "gradient", "uniform_by_charge"):
        law[name] = [*rng.normal(size=2), 0.0]
    middle = np.array([7.0, -3.0])
    moved = at_origin(law, middle)
    start, speed = np.array(law["starts_x"][2]), np.array(law["starts_v"][2])
    particles = nb.Particles(np.array([law["charges"]]), np.array([law["masses"]]))

    def felt(law, x):
        return nb.make_system("discovered", **law).acceleration(x[None], speed[None], particles)[0]

    np.testing.assert_allclose(felt(moved, start + middle), felt(law, start), rtol=1e-10)
    np.testing.assert_allclose(moved["starts_x"][2], start + middle)
    assert law["starts_x"][2] == start.tolist()


@pytest.mark.parametrize(
    ("length", "time"), [pytest.param(1e-6, 1.0, marks=pytest.mark.slow), (1e4, 1e-3)]
)
def test_an_estimate_is_the_same_in_all_units(dust, length, time):
    """Strengths lie beside coefficients of the curve, which go with length^3 / time^2."""
    run = dust.estimate.problem.runs[0]
    found = []
    for a, b in ((1.0, 1.0), (length, time)):
        tracks = tracks_of(a * run.x[:400], b * run.dt)
        start = begin(problem_of([tracks], None, False, False, 8), (Envelope(-2.0, 1.0),))[-1]
        freedom = Freedom(directed=False)
        found.append(
            improve(start.problem, start.unknowns, freedom, Smoothness.loose(start.unknowns), 4)
        )
    one, other = (each.unknowns for each in found)
    for name in ("strengths", "responses"):
        np.testing.assert_allclose(other.part(name), one.part(name), rtol=1e-4)
    np.testing.assert_allclose(time * other.part("drag"), one.part("drag"), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(other.noise) / length, np.sqrt(one.noise), rtol=1e-4)
    part = one.layout.part("strengths")
    errors = [np.sqrt(np.diag(each.covariance)[part]) for each in found]
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "measured",
    [lambda x: (1e3 * x, 0.05), lambda x: (x + 1e4, 0.05), lambda x: (1e-6 * x - 1.0, 50.0)],
)
def test_a_discovery_is_the_same_in_all_units_and_places(dust, measured):
    found = []
    for x, dt in (
        (dust.estimate.problem.runs[0].x, 0.05),
        measured(dust.estimate.problem.runs[0].x),
    ):
        found.append(discover([tracks_of(x, dt)], bootstrap=20, knots=8).discovery)
    one, other = found
    for key in ("charge", "charge_to_mass"):
        for bound in ("value", "low", "high"):
            values = [
                [each[key][bound] for each in each_found["particles"]] for each_found in found
            ]
            np.testing.assert_allclose(values[1], values[0], rtol=1e-3)
    assert [each["name"] for each in one["field"]] == [each["name"] for each in other["field"]]
    for mine, yours in zip(one["symmetries"], other["symmetries"], strict=True):
        assert mine["broken"] == yours["broken"]
        assert yours["effect"]["value"] == pytest.approx(mine["effect"]["value"], abs=1e-2)
    assert other["formula"] == one["formula"]
