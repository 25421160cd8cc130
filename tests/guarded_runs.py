"""Surrogates that misbehave in a known way, where uniform motion is the truth."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nbody_surrogate import (
    AbstractIntegrator,
    AbstractSurrogate,
    AbstractSystem,
    Card,
    Guard,
    Particles,
    State,
    SurrogateIntegrator,
    simulate,
)
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.contracts.surrogate import SurrogateConfig
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec

DT, FRAMES, SEGMENT, HISTORY = 0.1, 25, 5, 3


class Free(AbstractSystem):
    """No forces, so that uniform motion is the truth and everything is kept."""

    name = "free"
    Spec = SystemSpec
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))


class Uniform(AbstractIntegrator):
    """The truth of `Free`; it knows no way for particles of charge 0.5 beyond t = 1.85."""

    name = "uniform"

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        t = DT * np.arange(1, frames + 1)[:, None, None]
        x, v = (carry.arrays[key][:, None] for key in ("x", "v"))
        made = Frames(x + t * v, np.repeat(v, frames, axis=1), counters={"nfev": 1})
        lost = carry.problem.particles.charges[:, 1] == 0.5
        if carry.problem.time(frames) > 1.85:
            made.failures = {int(b): (3, "no way") for b in np.flatnonzero(lost)}
        return made


class Misbehaving(AbstractSurrogate):
    """Uniform motion, until the first particle of a trajectory of negative charge passes x = 1.05.

    It looks back on three frames, over which velocities are averaged.
    """

    Config = SurrogateConfig

    def __init__(self, harm):
        super().__init__(SurrogateConfig(history=HISTORY))
        self.unused = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.harm = harm

    def forward(self, x, v, particles):
        windows = [v[:, max(0, t + 1 - HISTORY) : t + 1].mean(1) for t in range(x.shape[1])]
        dx, dv = DT * torch.stack(windows, 1), torch.zeros_like(v)
        wrong_x, wrong_v = self.harm(x, v)
        marked = particles.charges[:, None, :1] < 0
        wrong = (marked & (x[:, :, :1, 0] > 1.05))[..., None]
        return torch.where(wrong, wrong_x, dx), torch.where(wrong, wrong_v, dv)


def blown_up(x, v):
    return torch.full_like(x, torch.nan), torch.zeros_like(v)


def heated(x, v):
    """Opposite velocities grow: energy, but no momentum."""
    return DT * v, 0.05 * v


def turned(x, v):
    """The second particle is turned: no energy, but momentum."""
    dv = torch.zeros_like(v)
    dv[:, :, 1] = v[:, :, 1].roll(1, -1) - v[:, :, 1]
    return DT * v, dv


def shifted(x, v):
    """The second particle is beside itself: neither energy nor momentum, but angular momentum."""
    dx = DT * v
    dx[:, :, 1, 1] += 0.1
    return dx, torch.zeros_like(v)


def met(x, v):
    """The second particle jumps to the first."""
    dx = DT * v
    dx[:, :, 1] = x[:, :, 0] + DT * v[:, :, 0] + 0.01 - x[:, :, 1]
    return dx, torch.zeros_like(v)


def hurried(x, v):
    return DT * v, 10.0 * v


KEPT = {"energy": math.inf, "momentum": math.inf, "angular_momentum": math.inf}
COMPUTED = {"position": math.inf, "estimate": math.inf, "local": math.inf}
"""What a guard computes beside the run, switched off."""
OFF = KEPT | COMPUTED
CASES = {
    "non-finite": (blown_up, OFF),
    "energy": (heated, OFF | {"energy": 1e-2}),
    "momentum": (turned, OFF | {"momentum": 1e-3}),
    "angular momentum": (shifted, OFF | {"angular_momentum": 1e-3}),
    "distance": (met, OFF | {"closest": 0.5}),
    "speed": (hurried, OFF | {"fastest": 2.0}),
}
"""Reason to how the surrogate misbehaves and which thresholds notice."""


def card(**changes):
    values = {
        "systems": (CardSystem(system="free", spec={}, time_range=(0.0, 100.0)),),
        "frame_dt": DT,
        "particles": (1, 8),
        "charges": (0.0, 1.0),
        "masses": (1.0, 1.0),
        "symmetries": (),
        "training_data_hash": "none",
    }
    return Card(**(values | changes))


def method_of(harm, **limits):
    model = Misbehaving(harm)
    options = {"device": "cpu", "segment": SEGMENT}
    return SurrogateIntegrator("toy", model=model, card=card(**limits), **options)


def start_of(marked=True):
    """Three trajectories of two particles that part; the second one may be marked to go wrong."""
    x = np.zeros((3, 2, 3))
    x[:, 1] = [0.0, 3.0, 0.0]
    v = np.zeros((3, 2, 3))
    v[:, 0, 0], v[:, 1, 0] = 1.0, -1.0
    charges = np.ones((3, 2))
    charges[1] = -1.0 if marked else 1.0
    return State(0.0, x, v), Particles(charges, np.ones((3, 2)))


def run_of(reason, policy, marked=True, frames=FRAMES, **limits):
    harm, thresholds = CASES[reason]
    replays = {"reference": Uniform()} if policy == "fallback" else {}
    guard = None if policy is None else Guard(policy, **replays, **thresholds)
    return simulate(Free(), *start_of(marked), frames, method_of(harm, **limits), guard=guard)


def truth():
    state, _ = start_of()
    t = DT * np.arange(FRAMES + 1)[:, None, None]
    return state.x[:, None] + t * state.v[:, None]


def assert_the_others_are_untouched(run):
    healthy = run_of("non-finite", None, marked=False)
    for b in (0, 2):
        np.testing.assert_array_equal(run.x[b], healthy.x[b])
        np.testing.assert_array_equal(run.v[b], healthy.v[b])
