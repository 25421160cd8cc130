"""A law of measured numbers: its curve, its energy, its symmetries, its starts."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from itertools import pairwise
from unittest import SkipTest

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.interpolate import BSpline
from scipy.stats import special_ortho_group

from built_in_systems import build
from nbody_simulators.force_laws import spline_directed, spline_pair
from nbody_simulators.force_laws.spline_numbers import Curve
from nbody_simulators.systems.measured_clouds import nearest
from nbody_surrogate import Particles, simulate
from nbody_surrogate.contracts import pair_force
from nbody_surrogate.testing.case import SystemCase
from nbody_surrogate.testing.systems import SYSTEM_CHECKS

EXACT = 1e-12  # relative: sums of some terms, and exp by its series
RANGE = {"scale": 0.9, "first": 0.03}  # of u, which spacings of 0.9 over K take up to 0.93 - 1.8/K


def curve(power=-2, core=0.1, screening_length=1.3, count=8, seed=0, **changes):
    wobbly = np.random.default_rng(seed).uniform(0.6, 1.4, size=count)
    return {
        **{"power": power, "core": core, "screening_length": screening_length, **RANGE},
        **{"spacing": 0.9 / count, "coefficients": wobbly.tolist(), **changes},
    }


def surface(seed=0):
    cross = np.random.default_rng(seed).uniform(-0.5, 0.5, size=(2, 7, 6))
    return {
        **{key: value for key, value in curve(count=7).items() if key != "coefficients"},
        **{"coefficients_rho": cross[0].tolist(), "coefficients_z": cross[1].tolist()},
        **{"height_scale": 0.6, "height_first": -1.5, "height_spacing": 0.6},
    }


def formula(values, r):
    """The curve, by SciPy's splines."""
    count = len(values["coefficients"])
    place = (r / (r + values["scale"]) - values["first"]) / values["spacing"]
    spline = BSpline(np.arange(-2.0, count + 2.0), values["coefficients"], 3)
    held = spline(np.clip(place, 1.0, count - 2.0))
    reach = values["screening_length"] or np.inf
    return (r * r + values["core"] ** 2) ** (values["power"] / 2) * np.exp(-r / reach) * held


def knots(values):
    u = values["first"] + values["spacing"] * np.arange(1, len(values["coefficients"]) - 1)
    return values["scale"] * u / (1 - u)


def of_pairs(system, r):
    """Force along the separation, and energy, of pairs of unit charges at distances r."""
    x = np.zeros((len(r), 2, 3))
    turned = special_ortho_group.rvs(3, size=len(r), random_state=1)
    x[:, 0] = r[:, None] * turned[:, 0]
    particles = Particles(np.ones((len(r), 2)), np.ones((len(r), 2)))
    a = system.acceleration(x, np.zeros_like(x), particles)
    np.testing.assert_allclose(a[:, 0], -a[:, 1], rtol=EXACT)
    return (a[:, 0] * turned[:, 0]).sum(1), system.potential_energy(x, particles)


CURVES = [
    curve(),
    curve(screening_length=None),
    curve(-3, 0.3, 0.4),
    curve(0, 0.1, None),
    curve(1, 0.0, None),
    curve(-1, 0.2, 5.0),
    curve(-7, 0.2, 30.0),
    curve(-2, 0.0, None, 4),
]
each_curve = pytest.mark.parametrize("values", CURVES, ids=lambda each: f"power{each['power']}")


@each_curve
def test_the_force_is_the_formula_at_any_distance(values):
    r = np.geomspace(0.05, 20.0, 60)
    force, _ = of_pairs(build("discovered", pair=values), r)
    np.testing.assert_allclose(force, formula(values, r), rtol=EXACT)


@each_curve
def test_the_energy_is_the_integral_of_the_force(values):
    r = np.geomspace(0.05, 20.0, 25)
    _, energy = of_pairs(build("discovered", pair=values), r)
    scale = np.abs(energy).max()
    for k, (low, high) in enumerate(pairwise(r)):
        ends = [low, *(each for each in knots(values) if low < each < high), high]
        parts = [quad(lambda r: formula(values, r), *each, epsabs=0)[0] for each in pairwise(ends)]
        work = sum(parts)
        # a power of -1 is a logarithm within the range, and 16 nodes are few for it
        assert energy[k] - energy[k + 1] == pytest.approx(work, rel=1e-10, abs=1e-13 * scale)


@pytest.mark.parametrize("power", [-2, -3, -5])
def test_the_energy_is_zero_far_away_where_it_has_a_limit(power):
    values = curve(power, screening_length=None)
    _, energy = of_pairs(build("discovered", pair=values), np.array([1e3, 1e9, 1e12]))
    last = formula(values, np.array([1e3]))[0] * 1e3 / (-power - 1)
    assert energy[0] == pytest.approx(last, rel=1e-6)  # (core / r)^2
    np.testing.assert_allclose(energy[2] / energy[1], 1e3 ** (power + 1), rtol=1e-9)


def test_without_a_limit_the_energy_counts_from_the_last_knot():
    values = curve(0, screening_length=None)
    _, energy = of_pairs(build("discovered", pair=values), knots(values)[-1:])
    assert energy == pytest.approx(0.0, abs=1e-13)


def test_equal_coefficients_are_the_envelope_alone():
    values = curve(-3, 0.1, None, coefficients=[2.0] * 8)
    softened = build("charged", coupling=2.0, softening=0.1)
    r = np.geomspace(0.05, 20.0, 40)
    force, _ = of_pairs(build("discovered", pair=values), r)
    other, _ = of_pairs(softened, r)
    np.testing.assert_allclose(force, other / r, rtol=EXACT)  # Plummer's force has r / s^3


def test_torch_differentiates_the_law_and_agrees_with_the_formula():
    values = curve()
    law = build("discovered", pair=values).force_laws().pair
    r = np.geomspace(0.06, 15.0, 50)
    r2 = torch.tensor(r * r, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    over = pair_force(law, r2, (one, one), (one, one), 1.0)
    np.testing.assert_allclose(over.detach() * r, formula(values, r), rtol=EXACT)
    (slope,) = torch.autograd.grad(over.sum(), r2)
    step = 1e-6 * r * r
    ends = [formula(values, np.sqrt(r * r + e)) / np.sqrt(r * r + e) for e in (step, -step)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


def test_couplings_stand_in_place_of_charges():
    bonds = np.arange(9.0).reshape(3, 3) + np.arange(9.0).reshape(3, 3).T
    given = {"charges": [3.0, -2.0, 5.0], "masses": [1.0, 2.0, 4.0]}
    system = build("discovered", pair=curve(), couplings=bonds.tolist(), **given)
    state, particles = system.sample(0, 3)
    np.testing.assert_array_equal(particles.couplings[0], bonds - np.diag(np.diag(bonds)))
    a = system.acceleration(state.x, state.v, particles)[0]
    d = state.x[0][:, None] - state.x[0][None]
    r = np.sqrt((d * d).sum(2) + np.eye(3))
    pull = (bonds - np.diag(np.diag(bonds))) * formula(curve(), r) / r
    np.testing.assert_allclose(a, (pull[..., None] * d).sum(1) / particles.masses[0][:, None])


def test_the_field_is_affine_and_its_drag_goes_as_a_power_of_the_mass():
    rng = np.random.default_rng(2)
    a, b, g, h = rng.normal(size=(4, 3))
    names = ("uniform", "uniform_by_charge", "gradient", "gradient_by_charge")
    vectors = dict(zip(names, (a.tolist(), b.tolist(), g.tolist(), h.tolist()), strict=True))
    system = build("discovered", pair=None, drag=0.3, drag_power=-0.4, **vectors)
    x, v = rng.normal(size=(2, 1, 5, 3))
    q, m = rng.normal(size=(1, 5)), rng.uniform(0.5, 2.0, size=(1, 5))
    ratio, particles = (q / m)[..., None], Particles(q, m)
    wanted = a + ratio * b + (g + ratio * h) * x - 0.3 * m[..., None] ** -0.4 * v
    np.testing.assert_allclose(system.acceleration(x, v, particles), wanted, rtol=EXACT)
    np.testing.assert_allclose(system.drag_rates(particles), 0.3 * m**-0.4)


# Directed forces


def directed_formula(values, d):
    rho, z = np.hypot(d[0], d[1]), d[2]
    u = (rho / (rho + values["scale"]) - values["first"]) / values["spacing"]
    w = (z / np.hypot(z, values["height_scale"]) - values["height_first"]) / 0.6
    surfaces = np.array([values["coefficients_rho"], values["coefficients_z"]])
    _, across, upright = surfaces.shape

    def basis(s, count):
        held = np.clip(s, 1.0, count - 2.0)
        rows = np.eye(count)
        return np.array([BSpline(np.arange(-2.0, count + 2.0), row, 3)(held) for row in rows])

    radial, vertical = np.einsum("skl,k,l->s", surfaces, basis(u, across), basis(w, upright))
    flat = {**values, "coefficients": [1.0] * 8}  # the envelope
    envelope = formula(flat, np.linalg.norm(d))
    return envelope * np.array([radial * d[0] / rho, radial * d[1] / rho, vertical])


def test_directed_forces_are_the_formula_and_not_reciprocal():
    values = surface()
    system = build("discovered", pair=None, directed=values)
    rng = np.random.default_rng(4)
    for size in (0.05, 0.5, 5.0):
        x = size * rng.normal(size=(1, 2, 3))
        q, m = np.array([[1.5, -0.7]]), np.array([[2.0, 0.5]])
        a = system.acceleration(x, np.zeros_like(x), Particles(q, m))[0]
        d = x[0, 0] - x[0, 1]
        forces = [q.prod() * directed_formula(values, each) for each in (d, -d)]
        np.testing.assert_allclose(a * m[0][:, None], forces, rtol=1e-11)
        assert np.abs(forces[0] + forces[1]).max() > 1e-3 * np.abs(forces).max()
    assert not system.has_potential
    assert system.conserved == frozenset()


def test_on_the_axis_of_a_directed_law_nothing_pushes_sideways():
    system = build("discovered", pair=None, directed=surface())
    x = np.array([[[0.3, 0.2, 0.9], [0.3, 0.2, 0.1]]])
    a = system.acceleration(x, np.zeros_like(x), Particles(np.ones((1, 2)), np.ones((1, 2))))
    assert (a[..., :2] == 0).all()
    assert (a[..., 2] != 0).all()


# The system


DOWN = {"uniform": [0.0, 0.0, -1.0]}
CASES = {
    "curve": {"pair": curve()},
    "couplings": {
        "pair": curve(1, 0.0, None),
        "couplings": (np.ones((8, 8)) - np.eye(8)).tolist(),
    },
    "falling": {"pair": curve(), **DOWN},
    "slanted": {"pair": curve(), "uniform": [0.3, 0.0, -1.0]},
    "floating": {"pair": curve(), **DOWN, "uniform_by_charge": [0.0, 0.0, 1.0]},
    "trapped": {"pair": curve(), "gradient": [-0.5, -0.5, -0.5]},
    "round": {"pair": curve(), "gradient": [-0.5, -0.5, -0.9]},
    "uneven": {"pair": curve(), "gradient_by_charge": [-0.5, -0.7, -0.9]},
    "dragged": {"pair": curve(), "drag": 0.2, "drag_power": -0.3},
    "kicked": {"pair": curve(), "drag": 0.2, "temperature": 0.1},
    "directed": {"pair": curve(), "directed": surface(), "gradient": [-0.5, -0.5, -0.9]},
}


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_it_passes_the_conformance_kit_whatever_its_parameters(parameters):
    system = build("discovered", **parameters)
    case = SystemCase(system.origin, system)
    for check, arguments in SYSTEM_CHECKS:
        with suppress(SkipTest):
            check(case, *arguments)


def test_a_start_of_the_measured_number_is_a_measured_one():
    system, x, v = measured()
    found = {}
    for seed in range(20):
        state, particles = system.sample(seed, 6)
        which = [k for k in range(3) if np.array_equal(state.x[0], x[k])]
        assert len(which) == 1
        np.testing.assert_array_equal(state.v[0], v[which[0]])
        found[which[0]] = True
        np.testing.assert_array_equal(particles.charges[0], system.spec.charges)
        np.testing.assert_array_equal(particles.masses[0], system.spec.masses)
    assert len(found) == 3


def measured(dimensions=3):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3, 6, dimensions)) * [2.0, 1.0, 0.5][:dimensions] + 5.0
    v = 0.1 * rng.normal(size=x.shape)
    given = {"charges": rng.uniform(1, 2, 6).tolist(), "masses": rng.uniform(1, 2, 6).tolist()}
    starts = {"starts_x": x.tolist(), "starts_v": v.tolist(), "dimensions": dimensions}
    return build("discovered", **given, **starts), x, v


def test_another_number_is_drawn_from_the_particles_in_a_like_cloud():
    system, x, _ = measured()
    state, particles = system.sample(0, 48, 40)
    pairs = set(zip(system.spec.charges, system.spec.masses, strict=True))
    drawn = zip(particles.charges.ravel(), particles.masses.ravel(), strict=True)
    assert set(drawn) == pairs
    assert nearest(state.x) >= nearest(x)
    # eight times as many: twice as large along each axis
    np.testing.assert_allclose(state.x.std((0, 1)), 2.0 * x.std((0, 1)), rtol=0.1)
    np.testing.assert_allclose(state.x.mean((0, 1)), x.mean((0, 1)), atol=0.4)


def test_tracks_of_the_plane_start_in_the_plane():
    system, _, _ = measured(2)
    state, _ = system.sample(0, 6)
    assert state.x.shape == (1, 6, 2)
    lifted, _ = system.sample(0, 6, dimensions=3)
    np.testing.assert_array_equal(lifted.x[..., :2], state.x)
    assert (lifted.x[..., 2] == 0).all()
    assert system.usual_particles == 6


def test_the_description_of_a_run_makes_the_same_system_again():
    system, _, _ = measured()
    text = json.loads(json.dumps(system.description))
    assert text.pop("system") == "discovered"
    assert build("discovered", **text).spec == system.spec


@pytest.mark.parametrize("module", [spline_pair, spline_directed])
def test_classes_of_parameters_are_found_by_name_in_another_process(module):
    laws = build("discovered", pair=curve(count=17), directed=surface()).force_laws()
    law = laws.pair if module is spline_pair else laws.directed
    assert type(pickle.loads(pickle.dumps(law.parameters))) is type(law.parameters)
    with pytest.raises(AttributeError):
        _ = spline_directed.SplineDirected9x8


def test_an_isolated_cloud_keeps_its_energy_at_the_tolerance():
    system = build("discovered", pair=curve(seed=3))
    run = simulate(system, *system.sample(1, 5), frames=20)[0]
    rows = system.invariants(run.x, run.v, run.particles)
    assert np.ptp(rows.energy) < 1e-6 * rows.kinetic.mean()
    assert np.abs(rows.momentum - rows.momentum[0]).max() < 1e-11


def test_the_curve_in_numpy_is_the_curve_of_the_law():
    values = curve()
    r = np.geomspace(0.05, 20.0, 30)
    np.testing.assert_allclose(Curve(**values).at(r), formula(values, r), rtol=EXACT)
