"""Verlet keeps its contract, and is of second order."""

import numpy as np
import pytest

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.testing import checks


@pytest.mark.parametrize("check", checks("verlet"), ids=str)
def test_conformance(check):
    check()


def test_half_the_step_makes_a_quarter_of_the_error():
    system = make_system("charged", softening=0.5)
    start = system.sample(0, 4)
    truth = simulate(system, *start, 5, "dop853").x
    errors = [
        np.abs(simulate(system, *start, 5, make_integrator("verlet", substeps=n)).x - truth).max()
        for n in (8, 16)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
