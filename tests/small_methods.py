"""A method that can do all that a system may need: to see that it is simple to write."""

from __future__ import annotations

from typing import final

import numpy as np

from nbody_surrogate.contracts.capabilities import CAPABILITIES
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames

SUBSTEPS = 4


@final
class SmallRK4(AbstractIntegrator):
    """The classical Runge-Kutta method, one list of neighbours for as long as it holds."""

    name = "small-rk4"
    capabilities = frozenset(CAPABILITIES)
    lists = 0  # that were made, for the tests to see

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        system, particles = carry.problem.system, carry.problem.particles
        y = {"x": carry.arrays["x"], "v": carry.arrays["v"], **carry.hidden}
        near, h, made = system.neighbours(y["x"]), carry.problem.dt / SUBSTEPS, []
        self.lists += near is not None

        def rate(y):
            nonlocal near
            if near is not None and not near.cover(y["x"]):
                near = system.neighbours(y["x"])
                self.lists += 1
            x, v, hidden = y["x"], y["v"], {name: y[name] for name in carry.hidden}
            a = system.acceleration(x, v, particles, hidden, near)
            moved = system.hidden_rate(x, v, particles, hidden, near) if hidden else {}
            return {"x": v, "v": a, **moved}

        for frame in range(frames):
            for _ in range(SUBSTEPS):
                k1 = rate(y)
                k2 = rate(after(y, k1, h / 2))
                k3 = rate(after(y, k2, h / 2))
                k4 = rate(after(y, k3, h))
                mean = {key: (k1[key] + 2 * k2[key] + 2 * k3[key] + k4[key]) / 6 for key in y}
                y = after(y, mean, h)
            made.append(y)
            tick(frame + 1)
        columns = {key: np.stack([each[key] for each in made], axis=1) for key in y}
        return Frames(columns.pop("x"), columns.pop("v"), hidden=columns)


def after(y, k, h):
    return {key: y[key] + h * k[key] for key in y}
