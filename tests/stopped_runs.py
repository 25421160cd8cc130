"""Runs of which some trajectories stopped early, and stand still from there on."""

from __future__ import annotations

import numpy as np

from nbody_surrogate import Ensemble, Particles
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.results.trajectory import RunInfo

DT = 0.1


def ensemble(x, v=None, good=(), method="dop853", wall_time=1.0, dt=DT):
    """A run with x (B, T, N, D) given by hand, frozen from its valid frames on, as runs are."""
    x, v = x.copy(), (np.zeros_like(x) if v is None else v.copy())
    for b, count in enumerate(good):
        x[b, count:], v[b, count:] = x[b, count - 1], v[b, count - 1]
    frames = x.shape[1]
    charges = np.ones((x.shape[0], x.shape[2]))
    stopped = [count < frames for count in good]
    info = RunInfo(
        {"system": "charged"},
        {"integrator": method},
        wall_time=wall_time,
        status=tuple(-1 if each else 0 for each in stopped),
        message=tuple("no way" if each else "" for each in stopped),
        good=tuple(good),
    )
    return Ensemble(dt * np.arange(frames), x, v, Particles(charges, charges), info)


def wandering(batch=8, frames=21, n=3, seed=0):
    """Smooth positions and velocities (B, T, N, D) that belong together."""
    rng = np.random.default_rng(seed)
    start, speed, phase = rng.normal(size=(3, batch, 1, n, 3))
    t = DT * np.arange(frames)[:, None, None]
    return start + np.sin(speed * t + phase), speed * np.cos(speed * t + phase)


class Stopping(AbstractIntegrator):
    """Uniform motion; trajectories whose first particle is in x > 0 stop after some frames."""

    name = "stopping"
    AFTER = 2

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        t = carry.problem.dt * np.arange(1, frames + 1)[:, None, None]
        x, v = (carry.arrays[key][:, None] for key in ("x", "v"))
        made = Frames(x + t * v, np.repeat(v, frames, axis=1))
        valid = max(self.AFTER - carry.frame, 0)
        if valid < frames:
            lost = np.flatnonzero(x[:, 0, 0, 0] > 0)
            made.failures = {int(b): (valid, "no way") for b in lost}
        return made
