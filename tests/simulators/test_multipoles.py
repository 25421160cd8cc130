"""Charged spheres: closed forms, limits, and what holds for any of them."""

import numpy as np
import pytest
from nbody_simulators.multipoles import energy_and_forces

ROUNDING = 1e-12  # of sums of some thousand terms


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
    # a alone next to b: its own images come first in the series of the sphere they lie in
    capacity = np.array([[first.sum(), -mutual.sum()], [-mutual.sum(), second.sum()]])
    q = np.asarray(charges)
    alone = (q * q / (2 * np.asarray(radii))).sum()
    return 0.5 * q @ np.linalg.solve(capacity, q) - alone


@pytest.mark.parametrize("radii", [(1.0, 1.0), (1.0, 0.4)])
@pytest.mark.parametrize("charges", [(1.0, -1.0), (1.0, 0.0), (1.0, 0.7)])
def test_two_conductors_have_the_energy_of_their_capacitances(radii, charges):
    distance = sum(radii) + 1.0
    x = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    x[1] += distance * np.array([2.0, -1.0, 2.0]) / 3.0
    energy, _ = energy_and_forces(x, np.array(charges), np.array(radii), 16)
    assert energy == pytest.approx(two_conductors(distance, radii, charges), abs=1e-10)
