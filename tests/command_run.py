"""The command `run` in a test: its JSON, its starts, and integrators that do what a test says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from commands import good, no_constant
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.registry.registry import register_integrator

SHORT = ("-n", 4, "--duration", 0.5)


def good_json(*arguments):
    return json.loads(good("run", "--json", *arguments), parse_constant=no_constant)


class HardwareOptions(IntegratorOptions):
    threads: int = 3
    device: str = "best"
    substeps: int = 2


def write_npz(path, n=4, batch=(), **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(*batch, n, 3)),
        "v": rng.normal(size=(*batch, n, 3)),
        "charges": rng.choice([-1.0, 1.0], size=(*batch, n)),
        "masses": rng.uniform(0.5, 2.0, size=(*batch, n)),
    } | changes
    np.savez(path, **arrays)
    return arrays


def name_of(case):
    return " ".join(case)[:40] if isinstance(case, list) else None


def register_failing(name, action, options=IntegratorOptions):
    """Register an integrator that stands still but for `action(frames)`, x after the frames."""

    @register_integrator(name)
    class Failing(AbstractIntegrator):
        Options = options

        def _start(self, problem, state):
            return {}

        def _advance(self, carry, frames, tick):
            x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in ("x", "v"))
            action(SimpleNamespace(frame=carry.frame, x=x))
            return Frames(x, v)

    Failing.name = name
