"""Two charged spheres: the converged energy, and the table of what it adds to that of order p."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_simulators.multipoles import energy_and_forces
from nbody_simulators.multipoles.pair_table import LEAST_GAP, pair_corrections, pair_tables
from nbody_simulators.multipoles.two_spheres import converged_orders, two_sphere_energy
from nbody_surrogate import InputError

RADII = [(1.0, 1.0), (2.0, 0.5)]
CHARGES = [(1.0, 1.0), (1.0, -1.0), (1.0, 0.0), (0.5, 2.0)]


def of_charges(q):
    return np.array([q[0] ** 2, q[0] * q[1], q[1] ** 2])


def by_capacitances(r, a, b, q):
    """Smythe's series for two conducting spheres, less the energy of each alone."""
    u = np.arccosh((r * r - a * a - b * b) / (2 * a * b))
    n, ab = np.arange(1, int(50 / u) + 2), a * b * np.sinh(u)
    first = ab * np.sum(1 / (b * np.sinh(n * u) + a * np.sinh((n - 1) * u)))
    second = ab * np.sum(1 / (a * np.sinh(n * u) + b * np.sinh((n - 1) * u)))
    mutual = -ab / r * np.sum(1 / np.sinh(n * u))
    charges = np.array(q)
    stored = charges @ np.linalg.solve([[first, mutual], [mutual, second]], charges)
    return (stored - q[0] ** 2 / a - q[1] ** 2 / b) / 2


@pytest.mark.parametrize("gap", [0.01, 0.15, 1.0, 5.0])
@pytest.mark.parametrize("radii", RADII)
def test_conductors_have_the_energy_of_their_capacitances(radii, gap):
    r = sum(radii) + gap
    for q in CHARGES:
        exact = by_capacitances(r, *radii, q)
        made = two_sphere_energy(r, *radii) @ of_charges(q)
        assert made == pytest.approx(exact, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("permittivity", [None, 4.0])
@pytest.mark.parametrize("order", [0, 3, 6])
def test_an_order_is_that_of_spheres_in_space(order, permittivity):
    x, q, radii = np.array([[0, 0, 0], [1.1, 1.2, 1.6]]), np.array([1, -0.5]), np.array([1, 0.8])
    energy, _ = energy_and_forces(x, q, radii, order, permittivity)
    r = float(np.linalg.norm(x[1]))
    made = two_sphere_energy(r, *radii, permittivity, order) @ of_charges(q)
    assert made == pytest.approx(energy, rel=1e-13)


@pytest.mark.parametrize("permittivity", [None, 1.5, 80.0])
def test_energies_are_converged(permittivity):
    for gap in (0.01, 0.15, 2.0):
        r = 2.0 + gap
        made = two_sphere_energy(r, 1.0, 1.0, permittivity)
        beyond = two_sphere_energy(r, 1.0, 1.0, permittivity, converged_orders(r, 1, 1)[0] + 20)
        np.testing.assert_allclose(made, beyond, rtol=1e-12)


def corrected(r, radii, q, order, permittivity, turned=False):
    """Energy and the force along the line between two spheres."""
    x = np.array([[[0.0, 0.0, 0.0], [0.6 * r, 0.0, 0.8 * r]]])
    step = -1 if turned else 1
    some = [np.array([each])[:, ::step] for each in (radii, q)]
    energy, forces = pair_corrections(
        x[:, ::step], some[1], some[0], order, permittivity, coupling=0.5
    )
    np.testing.assert_allclose(forces.sum(1), 0.0, atol=1e-15)
    return energy[0], forces[0, ::step][1] @ [0.6, 0.0, 0.8]


def energy_and_force(r, h, *given):
    """Coefficients of the charges, of two spheres at k = 1/2."""
    far, out, at, near, close = (0.5 * two_sphere_energy(r - n * h, *given) for n in range(-2, 3))
    return at, -(8 * (out - near) - (far - close)) / (12 * h)


@pytest.mark.parametrize("radii, permittivity", [(RADII[0], None), (RADII[1], 4.0)])
@pytest.mark.parametrize("order", [0, 2])
def test_a_table_makes_the_energy_of_pairs_exact(radii, order, permittivity):
    """To 1e-9 of it, and the force to 1e-8, in the gaps that are allowed, either way round."""
    least = LEAST_GAP * 2 * radii[0] * radii[1] / sum(radii)
    for gap in (least * 1.01, 0.15, 1.0, 20.0):
        r, h = sum(radii) + gap, 1e-3 * gap
        exact = energy_and_force(r, h, *radii, permittivity)
        low = energy_and_force(r, h, *radii, permittivity, order)
        for q in CHARGES:
            added = corrected(r, radii, q, order, permittivity)
            for allowed, known, coarse, fine in zip((1e-9, 1e-8), exact, low, added, strict=True):
                wanted = known @ of_charges(q)
                assert abs(coarse @ of_charges(q) + fine - wanted) < allowed * abs(wanted)
            turned = corrected(r, radii, q, order, permittivity, turned=True)
            assert turned == pytest.approx(added, rel=1e-9)


def test_nearer_than_the_table_energies_go_on_in_a_straight_line():
    least = 2 + LEAST_GAP
    (near, force), (at, same) = (
        corrected(r, (1.0, 1.0), (1.0, -1.0), 2, None) for r in (1.9, least)
    )
    assert force == pytest.approx(same, rel=1e-12)
    assert near == pytest.approx(at - force * (1.9 - least), rel=1e-12)


def test_forces_are_derivatives_of_a_sum_over_all_pairs():
    rng = np.random.default_rng(3)
    x = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)]) * 2.4
    x = (x + rng.uniform(-0.1, 0.1, x.shape))[None]
    q, radii = rng.normal(size=(1, 8)), rng.choice([0.8, 1.0], size=(1, 8))
    _, forces = pair_corrections(x, q, radii, 1)
    for i, d in ((0, 0), (3, 1), (7, 2)):
        ends = []
        for step in (-1e-5, 1e-5):
            moved = x.copy()
            moved[0, i, d] += step
            ends.append(pair_corrections(moved, q, radii, 1)[0][0])
        assert forces[0, i, d] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7)


def test_not_a_number_stays_one():
    x = np.array([[[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0], [0.0, 5.0, 0.0]]])
    _, forces = pair_corrections(x, np.ones((1, 3)), np.ones((1, 3)), 2)
    assert np.isnan(forces[0, 1]).all()


def test_far_too_many_kinds_of_radii():
    with pytest.raises(InputError, match=r"^`pairs` needs a table .* at most 1000, and there are"):
        pair_tables(np.linspace(1, 2, 40)[None], 2, None)
