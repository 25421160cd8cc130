"""Toy surrogates whose roll-outs are known by hand, and their cards."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

DT = 0.1
EPS = np.finfo(np.float64).eps
ROUNDING = 1e-13
"""Against closed forms and across batch sizes: some 50 frames of a few roundings each."""
THREE, FOUR = SurrogateConfig(history=3), SurrogateConfig(history=4)


class Ballistic(AbstractSurrogate):
    """dx = v dt, dv = 0."""

    Config = SurrogateConfig

    def __init__(self, config=THREE):
        super().__init__(config)
        self.frame_dt = nn.Parameter(torch.tensor(DT, dtype=torch.float64))

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return v * self.frame_dt, torch.zeros_like(v)


class Windowed(Ballistic):
    """Depends on every frame it may see: v averaged over the window, a pull to its mean x."""

    def forward(self, x, v, particles):
        dx, dv = [], []
        for t in range(x.shape[1]):
            window = slice(max(0, t + 1 - self.config.history), t + 1)
            dx.append(self.frame_dt * v[:, window].mean(1).to(self.dtype))
            dv.append((x[:, window].mean(1) - x[:, t]).to(self.dtype))
        return torch.stack(dx, 1), torch.stack(dv, 1)


class ThreeFrames(Ballistic):
    """A one-shot model that answers for its last frame and needs three: x'' from the past."""

    min_history = 3

    def forward(self, x, v, particles):
        if x.shape[1] < 3:
            raise AssertionError(f"called with {x.shape[1]} frames")
        dv = (v[:, -1] - v[:, -3]) / 2
        dx = v[:, -1] * DT + dv * DT / 2
        return dx[:, None].to(self.dtype), dv[:, None].to(self.dtype)


class Turning(Ballistic):
    """Free motion whose velocities turn by a small angle: all speeds are kept, and no path is."""

    def __init__(self, angle, config=THREE):
        super().__init__(config)
        turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        self.register_buffer("turn", torch.tensor(turn, dtype=torch.float64))

    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return v * self.frame_dt, v @ self.turn.T - v


class Tiny(Ballistic):
    """dx = 1e-9 in every coordinate, in single precision."""

    def __init__(self, config=THREE):
        super().__init__(config)
        self.float()

    def forward(self, x, v, particles):
        assert x.dtype is v.dtype is torch.float64
        dx = torch.full_like(x, 1e-9, dtype=self.dtype)
        return dx, torch.zeros_like(dx)


def card_system(system="charged", time_range=(0.0, 100.0), **spec):
    spec = {"coupling": 1.0, "softening": 0.1} if system == "charged" and not spec else spec
    return CardSystem(system=system, spec=spec, time_range=time_range)


CHARGED_AND_TRAP = (
    card_system(),
    card_system("trap", coupling=1.0, softening=0.1, frequencies=[0.5, 0.5, 0.5]),
)


def make_card(*systems, **changes):
    values = {
        "systems": systems or (card_system(),),
        "frame_dt": DT,
        "particles": (1, 8),
        "charges": (0.0, 1.0),
        "masses": (1.0, 1.0),
        "symmetries": (),
        "training_data_hash": "none",
    }
    return Card(**(values | changes))


def integrator_of(model, **options):
    options = {"device": "cpu", "segment": 10} | options
    return SurrogateIntegrator("toy", model=model, card=make_card(), **options)


def set_of(model, **options):
    card = make_card(*CHARGED_AND_TRAP)
    return SurrogateIntegrator("set", model=model, card=card, **({"device": "cpu"} | options))


def same_bits(one, other):
    return np.array_equal(one.x, other.x) and np.array_equal(one.v, other.v)
