"""Splines, and the same curves as the simulator has them."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.splines import DirectedCurve, Envelope, Knots, PairCurve

KNOTS = Knots.over(0.2, 0.9, 9)
ENVELOPES = (Envelope(-2.0, 1.3, 0.2), Envelope(-2.0, 0.7), Envelope(1.0), Envelope(-4.0, 5.0))


def test_splines_are_complete_from_end_to_end():
    assert KNOTS.ends == pytest.approx((0.2, 0.9))
    u = np.linspace(0.2, 0.9, 301)
    np.testing.assert_allclose(KNOTS.matrix(u).sum(1), 1.0, atol=1e-14)
    assert (KNOTS.matrix(u) >= 0).all()


def test_cubics_are_followed_exactly():
    """Those of a cubic are its polar form at neighbouring knots: Marsden's identity."""
    centres = KNOTS.first + KNOTS.spacing * np.arange(KNOTS.count)
    h = KNOTS.spacing
    u = np.linspace(0.2, 0.899, 101)
    for power, blossom in enumerate(
        [np.ones_like(centres), centres, centres**2 - h * h / 3, centres * (centres**2 - h * h)]
    ):
        np.testing.assert_allclose(KNOTS.matrix(u) @ blossom, u**power, rtol=1e-12)


def test_the_error_of_a_smooth_function_is_of_fourth_order():
    u = np.linspace(0.2, 0.9, 2001)
    errors = []
    for count in (19, 35, 67):  # 16, 32, 64 cells
        matrix = Knots.over(0.2, 0.9, count).matrix(u)
        fit = matrix @ np.linalg.lstsq(matrix, np.sin(9 * u), rcond=None)[0]
        errors.append(np.abs(fit - np.sin(9 * u)).max())
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4.0, atol=0.3)


def test_beyond_the_ends_it_stays_as_at_the_end():
    low, high = KNOTS.matrix(np.array([0.2, 0.9]))
    np.testing.assert_array_equal(KNOTS.matrix(np.array([-3.0, 0.0, 0.19])), [low] * 3)
    np.testing.assert_array_equal(KNOTS.matrix(np.array([0.91, 1.0, 7.0])), [high] * 3)
    # the last place inside is a hair before the end: the value there is that of the end
    assert high @ [0, 0, 0, 0, 0, 0, 1, 4, 1] == pytest.approx((1 + 16 + 1) / 6, abs=1e-8)


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_curve_in_pieces_is_the_curve(envelope):
    r = np.random.default_rng(0).uniform(0.1, 8.0, size=(5, 7))
    curve = PairCurve.over(np.geomspace(0.4, 5.0, 50), 10, envelope)
    coefficients = np.random.default_rng(1).normal(size=10)
    first, values = curve.pieces(r)
    pieces = (values * coefficients[first[..., None] + np.arange(4)]).sum(-1)
    np.testing.assert_allclose(
        pieces.ravel(), curve.matrix(r.ravel()) @ coefficients, rtol=1e-12, atol=1e-14
    )


def test_under_another_envelope_only_the_envelope_is_another():
    r = np.geomspace(0.3, 7.0, 40)
    curve = PairCurve.over(r, 8, ENVELOPES[0])
    bare = curve.matrix(r) / ENVELOPES[0](r)[:, None]
    np.testing.assert_allclose(
        curve.under(ENVELOPES[2]).matrix(r), bare * ENVELOPES[2](r)[:, None], rtol=1e-13
    )


def accelerations(x, charges, **law):
    """Those by the system `discovered`, shape (N, D)."""
    law = {"frame_dt": 0.1, "dimensions": 3, "charges": charges, "masses": [1.0] * len(x), **law}
    system = nb.make_system("discovered", **law)
    particles = nb.Particles(np.array([charges]), np.ones((1, len(x))))
    return system.acceleration(x[None], np.zeros_like(x)[None], particles)[0]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_the_simulator_has_the_same_curve(envelope):
    """Two particles at distances that were visited, and on both sides beyond."""
    rng = np.random.default_rng(2)
    curve = PairCurve.over(np.geomspace(0.5, 4.0, 50), 8, envelope)
    coefficients = rng.uniform(0.5, 1.5, size=8)
    pair = curve.to_dict(coefficients)
    for r in (0.21, 0.5, 0.77, 1.4, 2.9, 4.0, 6.3):
        way = rng.normal(size=3)
        x = np.stack([np.zeros(3), r * way / np.linalg.norm(way)])
        force = 1.3 * -0.8 * float(curve.matrix(np.array([r]))[0] @ coefficients)
        found = accelerations(x, [1.3, -0.8], pair=pair)
        expected = force * (x[1] - x[0]) / r
        # from the far end on, the place is a hair inside
        near = 1e-12 if r < 4.0 else 1e-8
        np.testing.assert_allclose(found, [-expected, expected], rtol=near, atol=near)


@pytest.mark.parametrize("envelope", ENVELOPES[:2])
def test_the_simulator_has_the_same_directed_curve(envelope):
    rng = np.random.default_rng(3)
    rho, z = rng.uniform(0.3, 3.0, size=200), rng.normal(scale=0.5, size=200)
    curve = DirectedCurve.over(rho, z, envelope, 1.1, (7, 6))  # as compiled for others
    across, along = rng.normal(size=(2, curve.size))
    law = curve.to_dict(across, along)
    for trial in range(8):
        # the last ones beyond what was visited, where the place is a hair inside
        x = rng.normal(scale=[0.6, 0.6, 0.2], size=(2, 3)) * (1 if trial < 6 else 8)
        inside = np.hypot(*(x[0] - x[1])[:2]) < rho.max() and abs(x[0, 2] - x[1, 2]) < z.max()
        assert inside == (trial < 6)
        near = 1e-12 if inside else 1e-8
        found = accelerations(x, [1.3, 0.8], pair=None, directed=law)
        for i, j in ((0, 1), (1, 0)):
            d = x[i] - x[j]
            flat = np.hypot(d[0], d[1])
            at, values = curve.pieces(np.array([flat]), d[2:])
            up = values[0] @ along[at[0]]
            out = values[0] @ across[at[0]]
            expected = 1.3 * 0.8 * np.array([out * d[0] / flat, out * d[1] / flat, up])
            np.testing.assert_allclose(found[i], expected, rtol=near, atol=near)


def test_a_refined_curve_is_the_same_curve():
    r = np.linspace(0.3, 4.0, 200)
    curve = PairCurve.over(r, 9, Envelope(-2.0, 1.5, 0.1))
    coefficients = np.random.default_rng(0).normal(size=9)
    finer, more = curve.refined(coefficients)
    assert finer.knots.count == more.size == 15
    assert finer.knots.ends == pytest.approx(curve.knots.ends)
    np.testing.assert_allclose(finer.matrix(r) @ more, curve.matrix(r) @ coefficients, rtol=1e-7)
