"""Charged spheres: closed forms, limits, and what holds for any of them."""

import threading

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nbody_simulators.multipoles import dense, energies_and_forces, energy_and_forces, kernel
from nbody_simulators.multipoles.convergence import pair_error, sufficient_order

ROUNDING = 1e-13  # of sums of some thousand terms of about 1, and the residual of the solver
EITHER = pytest.mark.parametrize("permittivity", [None, 4.0])


def two_conductors(distance, radii, charges, terms=400):
    """Energy of two charged conducting spheres by their coefficients of capacitance.

    Maxwell's series of images, as in Smythe, "Static and Dynamic Electricity", section 5.08.
    """
    a, b = radii
    beta = np.arccosh((distance**2 - a * a - b * b) / (2 * a * b))
    n = np.arange(terms)
    n = n[n * beta < 300]
    first = a * b * np.sinh(beta) / (b * np.sinh((n + 1) * beta) + a * np.sinh(n * beta))
    second = a * b * np.sinh(beta) / (a * np.sinh((n + 1) * beta) + b * np.sinh(n * beta))
    mutual = a * b * np.sinh(beta) / (distance * np.sinh((n + 1) * beta))
    capacity = np.array([[first.sum(), -mutual.sum()], [-mutual.sum(), second.sum()]])
    q = np.asarray(charges)
    alone = (q * q / (2 * np.asarray(radii))).sum()
    return 0.5 * q @ np.linalg.solve(capacity, q) - alone


@pytest.fixture(scope="module")
def cloud():
    """Seven unlike spheres at gaps from 0.2 on; one is neutral, one pair is along the z axis."""
    x = [[0, 0, 0], [2.3, 0.4, 0.2], [-0.8, 2.4, 0.3], [0.6, 0.7, -2.5], [0, 0, 2.3]]
    x += [[-2.6, -0.3, 0.4], [2.2, 2.9, 0.1]]
    charges = [1, -1, 0.7, 0, 0.3, -1.2, 1]
    radii = [1, 1.1, 0.9, 0.8, 1, 1.2, 0.7]
    return tuple(np.array(each, dtype=float) for each in (x, charges, radii))


@pytest.mark.parametrize("radii", [(1.0, 1.0), (1.0, 0.4)])
@pytest.mark.parametrize("charges", [(1.0, -1.0), (1.0, 0.0), (1.0, 0.7)])
def test_two_conductors_have_the_energy_of_their_capacitances(radii, charges):
    distance = sum(radii) + 1.0
    x = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    x[1] += distance * np.array([2.0, -1.0, 2.0]) / 3.0
    energy, _ = dense.energy_and_forces(x, np.array(charges), np.array(radii), 16)
    assert energy == pytest.approx(two_conductors(distance, radii, charges), abs=1e-10)


@pytest.mark.parametrize("permittivity", [None, 4.0, 1.0])
@pytest.mark.parametrize("order", [0, 3, 6])
def test_turned_pairs_have_the_forces_of_the_dense_matrix(cloud, order, permittivity):
    energy, forces = energy_and_forces(*cloud, order, permittivity)
    wanted_energy, wanted = dense.energy_and_forces(*cloud, order, permittivity)
    assert energy == pytest.approx(wanted_energy, abs=10 * ROUNDING)
    assert np.abs(forces - wanted).max() < 10 * ROUNDING


@EITHER
def test_forces_are_the_slope_of_the_energy(cloud, permittivity):
    x, charges, radii = cloud
    _, forces = energy_and_forces(*cloud, 6, permittivity)
    h = 1e-3
    for i, d in ((0, 0), (1, 1), (3, 2), (4, 0)):
        moved = np.repeat(x[None], 4, 0)
        moved[:, i, d] += h * np.array([-2, -1, 1, 2])
        many = (np.repeat(each[None], 4, 0) for each in (charges, radii))
        energies, _ = energies_and_forces(moved, *many, 6, permittivity)
        slope = energies @ np.array([1, -8, 8, -1]) / (12 * h)
        assert -slope == pytest.approx(forces[i, d], abs=1e-8)


@EITHER
def test_momentum_and_angular_momentum_are_kept_to_rounding(cloud, permittivity):
    _, forces = energy_and_forces(*cloud, 6, permittivity)
    assert np.abs(forces.sum(0)).max() < ROUNDING
    assert np.abs(np.cross(cloud[0], forces).sum(0)).max() < 10 * ROUNDING


def test_forces_turn_and_are_numbered_with_the_spheres(cloud):
    x, charges, radii = cloud
    energy, forces = energy_and_forces(*cloud, 6)
    turn = Rotation.from_rotvec([0.3, -1.1, 2.0]).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    other = np.random.default_rng(0).permutation(len(x))
    moved = (x @ turn.T + np.array([3.0, -1.0, 2.0]))[other]
    again, found = energy_and_forces(moved, charges[other], radii[other], 6)
    assert again == pytest.approx(energy, abs=10 * ROUNDING)
    assert np.abs(found - (forces @ turn.T)[other]).max() < 10 * ROUNDING


@EITHER
def test_a_neutral_sphere_is_drawn_to_a_charged_one(permittivity):
    x = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 1.5]])
    energy, forces = energy_and_forces(x, np.array([1.0, 0.0]), np.ones(2), 6, permittivity)
    assert energy < 0
    assert forces[1] @ (x[1] - x[0]) < -1e-3


def test_forces_are_quadratic_in_the_charges_and_scale_with_lengths(cloud):
    x, charges, radii = cloud
    energy, forces = energy_and_forces(*cloud, 3)
    twice = energy_and_forces(x, -2 * charges, radii, 3)
    assert twice[0] == pytest.approx(4 * energy, rel=1e-12)
    np.testing.assert_allclose(twice[1], 4 * forces, atol=10 * ROUNDING)
    for unit in (1e-9, 1e9):  # powers up to 2 p + 1 of them are in range
        scaled = energy_and_forces(unit * x, charges, unit * radii, 6, coupling=unit)
        assert scaled[0] == pytest.approx(energy_and_forces(*cloud, 6)[0], rel=1e-12)


def coulomb(x, charges):
    r = x[:, None] - x
    distance = np.linalg.norm(r, axis=-1) + np.eye(len(x))
    return (charges[:, None] * charges / distance**3)[..., None] * r


def test_small_spheres_are_points(cloud):
    x, charges, radii = cloud
    _, forces = energy_and_forces(x, charges, 1e-3 * radii, 6)
    # a conductor's dipole makes a force of R^3 / r^5
    assert np.abs(forces - coulomb(x, charges).sum(1)).max() < 1e-9


def test_a_medium_of_their_own_makes_points_and_a_large_permittivity_conductors(cloud):
    x, charges, _ = cloud
    _, forces = energy_and_forces(*cloud, 6, 1.0)
    assert np.abs(forces - coulomb(x, charges).sum(1)).max() < ROUNDING
    conducting, dielectric = (energy_and_forces(*cloud, 6, kappa)[1] for kappa in (None, 1e9))
    assert np.abs(conducting - dielectric).max() < 1e-8


@pytest.mark.parametrize(("gap", "order", "most"), [(1.0, 6, 1e-5), (0.5, 6, 3e-4), (0.2, 8, 2e-3)])
def test_orders_converge_as_images_within_images_do(gap, order, most):
    x = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0 + gap]])
    given = (x, np.array([1.0, -1.0]), np.ones(2))
    exact = dense.energy_and_forces(*given, 30)[1][0, 2]
    off = abs(dense.energy_and_forces(*given, order)[1][0, 2] / exact - 1)
    assert off < most
    assert 1.0 < pair_error(2.0 + gap, (1.0, 1.0), order) / off < 1.5  # the rule, on the safe side


@pytest.mark.parametrize("radii", [(1.0, 1.0), (1.0, 0.3)])
def test_the_order_that_is_named_is_the_least_that_will_do(radii):
    distance = sum(radii) + 0.1
    order = sufficient_order(distance, radii, 0.01)
    assert pair_error(distance, radii, order) <= 0.01 < pair_error(distance, radii, order - 1)


def test_spheres_at_one_place_have_no_forces_rather_than_wrong_ones():
    x = np.zeros((1, 2, 3))
    energies, forces = energies_and_forces(x, np.ones((1, 2)), np.ones((1, 2)), 3)
    assert not np.isfinite(energies).any()
    assert not np.isfinite(forces).any()


def test_what_was_compiled_for_an_order_is_found_on_disk(cloud):
    first = energy_and_forces(*cloud, 0)
    kernel.solver.cache_clear()  # as another process begins
    again = energy_and_forces(*cloud, 0)
    (hits,) = kernel.solver(0).stats.cache_hits.values()
    assert (hits, kernel.solver(0).stats.cache_misses) == (1, {})
    assert np.array_equal(first[1], again[1])


def test_threads_and_batches_have_the_same_bits(cloud):
    rng = np.random.default_rng(5)
    x = cloud[0] + rng.uniform(-0.05, 0.05, size=(8, *cloud[0].shape))
    charges, radii = (np.repeat(each[None], 8, 0) for each in cloud[1:])
    wanted = energies_and_forces(x, charges, radii, 3)[1]
    found = np.empty_like(wanted)

    def work(some):
        for b in some:
            for _ in range(20):
                found[b] = energies_and_forces(x[[b]], charges[[b]], radii[[b]], 3)[1][0]

    threads = [threading.Thread(target=work, args=(range(k, 8, 2),)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(found, wanted)
