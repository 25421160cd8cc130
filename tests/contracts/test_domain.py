"""Invariants of a frame in closed form, and ranges of them on a card."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from nbody_surrogate.contracts.domain import Domain, DomainRanges
from nbody_surrogate.contracts.domain_check import beyond
from nbody_surrogate.contracts.domain_quantities import QUANTITIES, frame_quantities
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.registry.registry import make_system

SINGLE = 1e-5
"""Pairs are measured in single precision; some ten roundings each."""


def measured(x, v, charges, system=None, masses=None):
    """Of one frame, as plain numbers."""
    system = make_system("charged") if system is None else system
    charges = np.array([charges], dtype=float)
    particles = Particles(charges, np.ones_like(charges) if masses is None else masses)
    x, v = (np.array(y, dtype=float)[None, None] for y in (x, v))
    return {name: y[0, 0] for name, y in frame_quantities(system, x, v, particles).items()}


def test_a_pair_in_closed_form():
    """Opposite charges 2 apart, one of them at speed 1 across."""
    found = measured([[1, 0, 0], [-1, 0, 0]], [[0, 1, 0], [0, 0, 0]], [1, -1])
    s = np.sqrt(4 + 0.01)
    wanted = {
        "nearest": 20,
        "third": 20,  # there is no third: the last one
        "separation": 10 * s,
        "extent": 10,
        "speed": 0.5,
        "rms_speed": 0.5,
        "pair_energy": 0.1 * (0.25 - 1 / s),
        "repulsion": -0.1 / s,
        "dimensions": 2,
        "thickness": 0,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=SINGLE)


@pytest.mark.parametrize("e", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("at", ["peri", "apo"])
def test_the_eccentricity_of_a_kepler_orbit(e, at):
    """At either end of an orbit of semi-axis 1: v^2 = 2 k / mu (1 / r - 1 / 2), mu = 1 / 2."""
    r = 1 + e if at == "apo" or e == 1 else 1 - e
    v = np.sqrt(max(4 * (1 / r - 0.5), 0))
    system = make_system("charged", softening=0.0)
    found = measured([[r, 0, 0], [0, 0, 0]], [[0, v / 2, 0], [0, -v / 2, 0]], [1, -1], system)
    assert found["eccentricity"] == pytest.approx(e, abs=1e-3)


def test_what_there_is_not_is_no_number():
    assert all(np.isnan(y) for y in measured([[0, 0, 0]], [[1, 0, 0]], [1]).values())
    like = measured([[0, 0, 0], [1, 0, 0]], np.zeros((2, 3)), [1, 1])
    assert np.isnan(like["eccentricity"])
    springs = make_system("springs")
    state, particles = springs.sample(0, 4)
    found = frame_quantities(springs, state.x[:, None], state.v[:, None], particles)
    assert np.isfinite(found["pair_energy"]).all()
    assert np.isnan(found["eccentricity"]).all() or (found["eccentricity"] <= 1).all()


def turned(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize(
    ("change", "within"),
    [
        (lambda x, v, rng: (x + 1e4, v), 1e-4),
        (lambda x, v, rng: (x + 1e6, v), 1e-4),
        (lambda x, v, rng: (x, v + 10.0), 1e-4),
        (lambda x, v, rng: (x @ (turn := turned(rng)), v @ turn), 1e-4),
        (lambda x, v, rng: (-x, -v), 1e-6),
    ],
    ids=["shift 1e4", "shift 1e6", "boost 10", "rotation", "inversion"],
)
@pytest.mark.parametrize("flat", [False, True])
def test_nothing_depends_on_axes_origin_and_frame_of_reference(change, within, flat):
    rng = np.random.default_rng(3)
    x, v = rng.normal(size=(2, 4, 2, 7, 3))
    if flat:
        x[..., 2] = v[..., 2] = 0.0
    charges = rng.choice([-1.0, 1.0], size=(4, 7))
    particles, system = Particles(charges, rng.uniform(0.5, 2, size=(4, 7))), make_system("charged")
    before = frame_quantities(system, x, v, particles)
    after = frame_quantities(system, *change(x, v, rng), particles)
    for name in QUANTITIES:
        np.testing.assert_allclose(
            after[name], before[name], rtol=within, atol=within, err_msg=name
        )
    assert (before["dimensions"] == (2 if flat else 3)).all()


def test_the_order_of_particles_does_not_matter():
    rng = np.random.default_rng(4)
    x, v = rng.normal(size=(2, 1, 1, 9, 3))
    charges, masses = rng.choice([-1.0, 1.0], size=(1, 9)), rng.uniform(0.5, 2, size=(1, 9))
    order, system = rng.permutation(9), make_system("charged")
    before = frame_quantities(system, x, v, Particles(charges, masses))
    mixed = Particles(charges[:, order], masses[:, order])
    after = frame_quantities(system, x[:, :, order], v[:, :, order], mixed)
    for name in QUANTITIES:
        np.testing.assert_allclose(after[name], before[name], rtol=SINGLE, err_msg=name)


def ranges(n=5, system="charged", **spans):
    return DomainRanges(
        system=system, particles=n, trajectories=10, frames=100, start=spans, run=spans
    )


def test_between_two_numbers_of_particles_both_count():
    domain = Domain(
        measured=(
            ranges(5, speed=(None, 2.0), nearest=(1.0, None)),
            ranges(30, speed=(None, 4.0), nearest=(0.5, None)),
            ranges(10, "trap", speed=(None, 9.0)),
        )
    ).of_system("charged")
    of = {n: domain.spans(n, "run") for n in (2, 5, 12, 30, 100)}
    assert [each["speed"][1] for each in of.values()] == [2.0, 2.0, 4.0, 4.0, 4.0]
    assert [each["nearest"][0] for each in of.values()] == [1.0, 1.0, 0.5, 0.5, 0.5]
    assert domain.of_system("another") == domain


def test_what_is_outside_is_said_with_by_how_much():
    domain = Domain(softened=True, measured=(ranges(nearest=(0.31, None), rms_speed=(0.2, 2.0)),))
    values = {"nearest": np.array([[0.021, 0.5]]), "rms_speed": np.array([[3.0, 0.201]])}
    below, above = beyond(domain, 5, values, "run")
    assert str(below) == "nearest neighbour 0.021 softenings, trained from 0.31: 15 times below"
    assert str(above) == "rms internal speed 3.0, trained to 2.0: 1.5 times above"
    assert below.at.tolist() == [[True, False]] == above.at.tolist()
    assert (below.reason, above.reason) == ("nearest below", "rms_speed above")


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ({"speed": (2.0, 1.0)}, "must be a range"),
        ({"speed": (float("nan"), 1.0)}, "finite"),
        ({"sped": (0.0, 1.0)}, "no quantity"),
    ],
)
def test_ranges_that_are_none_are_refused(spans, words):
    with pytest.raises(ValidationError, match=words):
        ranges(**spans)


def test_a_number_of_particles_stands_once():
    with pytest.raises(ValidationError, match="once"):
        Domain(measured=(ranges(), ranges()))


@pytest.mark.parametrize(("n", "told"), [(2, []), (3, []), (4, ["thickness", "dimensions"])])
def test_points_that_always_lie_in_a_plane_are_not_too_flat(n, told):
    domain = Domain(measured=(ranges(5, thickness=(0.2, None), dimensions=(3, None)),))
    flat = {"thickness": np.zeros((1, 1)), "dimensions": np.full((1, 1), 2.0)}
    assert [each.name for each in beyond(domain, n, flat, "start")] == told
