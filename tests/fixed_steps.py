"""Runs by fixed steps, and by which formulas they are held."""

from __future__ import annotations

import numpy as np

from nbody_surrogate import (
    AbstractSystem,
    make_integrator,
)
from nbody_surrogate.contracts.force_laws import ForceLaws
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec

SPLITTING = ["symplectic-euler", "leapfrog", "yoshida4", "srkn4", "srkn6"]
METHODS = [*SPLITTING, "rk4", "boris", "exact-flow"]
ROUNDING = 1e-12  # of coordinates of order 1 after some hundred additions
E_FIELD, B_FIELD = (0.4, -0.3, 0.5), (0.7, -0.4, 1.1)


def advanced(method, system, start, frames, dt=0.1, **options):
    """The frames of one segment."""
    integrator = make_integrator(method, **options)
    return integrator.advance(integrator.start(system, *start, dt), frames)


def assert_one_line(caught, parameter):
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "\n" not in message


def verlet(a, x, v, h):
    v = v + h / 2 * a(x, v)
    x = x + h * v
    return x, v + h / 2 * a(x, v)


def drift_kick_drift(a, x, v, h):
    x = x + h / 2 * v
    v = v + h * a(x, v)
    return x + h / 2 * v, v


def three_verlets(a, x, v, h):
    outer = 1 / (2 - 2 ** (1 / 3))
    for part in (outer, 1 - 2 * outer, outer):
        x, v = verlet(a, x, v, part * h)
    return x, v


def crowded(plasma, method, dimensions, batch=3, **parameters):
    """A start with couplings, in all fields that the method takes."""
    magnetic = {} if method in SPLITTING else {"magnetic": B_FIELD}
    system = plasma(electric=E_FIELD, **magnetic, **parameters)
    return system, system.sample(6, 5, batch, dimensions)


class Given(AbstractSystem):
    """NumPy forces of its own; the laws are whatever a test says."""

    name = "given"
    Spec = SystemSpec
    laws = ForceLaws()

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, rng.uniform(0.5, 1, size=n), rng.uniform(1, 2, size=n))

    def force_laws(self):
        return self.laws
