"""Integrators as they are held against each other, and their tolerances."""

from __future__ import annotations

from nbody_surrogate import (
    make_integrator,
)

SCIPY = ["dop853", "rk45"]
ADAPTIVE = [*SCIPY, "dop853-compiled"]
BLOCK = ["hermite4"]  # steps of each particle's own
ORDERS = {
    "symplectic-euler": 1,
    "leapfrog": 2,
    "exact-flow": 2,
    "yoshida4": 4,
    "srkn4": 4,
    "srkn6": 6,
    "rk4": 4,
}
FIXED = list(ORDERS)
METHODS = [*ADAPTIVE, *BLOCK, *FIXED]  # boris needs a magnetic field: test_fixed_step.py
ROUNDING = 1e-12  # of coordinates of order 1 after some thousand additions
SOLVER = 1e-6  # default tolerances of 1e-9 times the growth of errors over a few periods


def advanced(method, system, start, frames, dt=0.1, **options):
    """The frames of one segment."""
    integrator = make_integrator(method, **options)
    return integrator.advance(integrator.start(system, *start, dt), frames)


def assert_one_line(caught, parameter):
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "\n" not in message
