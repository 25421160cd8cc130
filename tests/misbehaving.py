"""Plugins that break their contracts, each in one way, as sources."""

from __future__ import annotations

INTEGRATORS = '''
import numpy as np
from nbody_surrogate import AbstractIntegrator
from nbody_surrogate.contracts.integrator import Frames

class Still(AbstractIntegrator):
    """Copies the start."""
    name = "still"
    def _start(self, problem, state):
        return {}
    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in "xv")
        tick(frames)
        return Frames(x, v)

class Lacking(AbstractIntegrator):
    name = "lacking"
    def _start(self, problem, state):
        return {}

class Nameless(AbstractIntegrator):
    _start, _advance = Still._start, Still._advance

class Unlisted(Still):
    Options = dict

class Newer(Still):
    api_version = 99

class Shaped(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        return Frames(made.x[:, 0], made.v[:, 0])

class Single(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        return Frames(made.x.astype("float32"), made.v)

class Listing(Still):
    def _advance(self, carry, frames, tick):
        return [1, 2, 3]

class Nan(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.x[0, -1:] = np.nan
        return made

class Writing(Still):
    def _advance(self, carry, frames, tick):
        carry.arrays["v"][:] = 0
        return super()._advance(carry, frames, tick)

class Raising(Still):
    def _advance(self, carry, frames, tick):
        return 1 / 0

class Unready(Still):
    def _start(self, problem, state):
        raise OSError("no\\nlicence")

class Failing(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.failures = {7: (0, "lost")}
        return made

def reporting(field, value):
    class Reporting(Still):
        def _advance(self, carry, frames, tick):
            made = super()._advance(carry, frames, tick)
            setattr(made, field, value)
            return made
    return Reporting

def ending(error):
    class Ending(Still):
        def _advance(self, carry, frames, tick):
            raise error
    return Ending

Wordy, Negative = reporting("counters", {"nfev": "many"}), reporting("counters", {"nfev": -1})
Uncounted, Unreported = reporting("counters", None), reporting("failures", [0])
Mute, Bare = reporting("failures", {0: (1, None)}), reporting("arrays", [1])
Leaving, Breaking, Closing = ending(SystemExit(0)), ending(KeyboardInterrupt), ending(GeneratorExit)

class Secretive(Still):
    @property
    def description(self):
        raise SystemExit(0)

class Shy(Still):
    @property
    def description(self):
        raise RuntimeError("never ask")

no_class = 3

for made in list(globals().values()):
    if isinstance(made, type) and issubclass(made, Still):
        made.name = made.__name__.lower()
'''
SYSTEMS = '''
import numpy as np
from nbody_surrogate import AbstractSystem
from nbody_surrogate.contracts.system import Draw, SystemSpec

class Free(AbstractSystem):
    """No forces."""
    name, Spec = "free", SystemSpec
    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)
    def potential_energy(self, x, particles):
        return np.zeros(len(x))
    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))

class Shaped(Free):
    def pair_acceleration(self, x, particles):
        return np.zeros(x.shape[1:])

class Single(Free):
    def one_body_acceleration(self, x, v, particles):
        return np.zeros(x.shape, "float32")

class Nothing(Free):
    def pair_acceleration(self, x, particles):
        pass

class Nan(Free):
    def pair_acceleration(self, x, particles):
        return np.full(x.shape, np.nan)

class Writing(Free):
    def pair_acceleration(self, x, particles):
        x -= x.mean(1, keepdims=True)
        return -x

class Raising(Free):
    def pair_acceleration(self, x, particles):
        raise KeyError("mass")

class Energetic(Free):
    def potential_energy(self, x, particles):
        return 0.0

class Sampling(Free):
    def _sample(self, rng, n, dimensions):
        return super()._sample(rng, n + 1, dimensions)

class Infinite(Free):
    def _sample(self, rng, n, dimensions):
        draw = super()._sample(rng, n, dimensions)
        return draw._replace(masses=np.full(n, np.inf))

for made in list(globals().values()):
    if isinstance(made, type) and issubclass(made, Free):
        made.name = made.__name__.lower()

class Misnamed(Free):
    pass
'''
SURROGATES = '''
import torch
from torch import nn
from nbody_surrogate import AbstractSurrogate
from nbody_surrogate.contracts.surrogate import SurrogateConfig

class Straight(AbstractSurrogate):
    """Uniform motion."""
    Config = SurrogateConfig
    def __init__(self, config):
        super().__init__(config)
        self.dt = nn.Parameter(torch.tensor(0.1))
    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return self.dt * v, torch.zeros_like(v)

class Shaped(Straight):
    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx[:, :, 0], dv

class Double(Straight):
    def forward(self, x, v, particles):
        return 0.1 * v, 0 * v

class Single(Straight):
    def forward(self, x, v, particles):
        return super().forward(x, v, particles)[0]

class Nan(Straight):
    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx / 0 - dx / 0, dv

class Writing(Straight):
    def step_cache(self, cache, x, v, particles):
        x += 1
        return super().step_cache(cache, x, v, particles)

class Raising(Straight):
    def forward(self, x, v, particles):
        raise IndexError("no such frame")

class Hoarding(Straight):
    def start_cache(self, x, v, particles):
        return [x, v]
'''
WRONG_INTEGRATORS = {
    "lacking": "class Lacking lacks `_advance`, which AbstractIntegrator asks for",
    "nameless": "`__init__` raised AttributeError: 'Nameless' object has no attribute 'name'",
    "unlisted": "class Unlisted must set `Options` to a subclass of IntegratorOptions",
    "newer": "is written for `api_version` 99, this release has 1; update nbody-surrogate",
    "shaped": "`_advance` must return `x` as a float64 array of shape .* = (1, 1, 4, 3), "
    "got float64 of shape (1, 4, 3)",
    "single": "`_advance` must return `x` as a float64 array .* got float32 of shape",
    "listing": "`_advance` must return `Frames`, got a list of 3",
    "writing": "`_advance` must leave its input as it is",
    "raising": "`_advance` raised ZeroDivisionError: division by zero",
    "unready": "`_start` raised OSError: no licence",
    "failing": "`_advance` must report failures of trajectories 0 to 0",
    "wordy": "`_advance` must count in whole numbers >= 0, got a str for 'nfev'",
    "negative": "`_advance` must count in whole numbers >= 0, got -1 for 'nfev'",
    "uncounted": "`_advance` must return `counters` as a dict of names, got None",
    "unreported": "`_advance` must return `failures` as a dict of trajectories by their numbers, "
    "got a list of 1",
    "mute": "`_advance` must report failures of trajectories 0 to 0 at 0 to .* frames, each with "
    "its reason, got a int and None",
    "bare": "`_advance` must return `arrays` as a dict of names, got a list of 1",
    "leaving": "`_advance` raised SystemExit: 0",
    "breaking": "`_advance` raised KeyboardInterrupt",
    "closing": "`_advance` raised GeneratorExit",
    "no-class": "must be a subclass of AbstractIntegrator, it is a int",
}
WRONG_SYSTEMS = {
    "shaped": "`pair_acceleration` must return a float64 array of shape (1, 4, 3), "
    "got float64 of shape (4, 3)",
    "single": "`one_body_acceleration` must return a float64 array .* got float32",
    "nothing": "`pair_acceleration` must return a float64 array .* got None",
    "writing": "`pair_acceleration` must leave its input as it is",
    "raising": "`pair_acceleration` raised KeyError: 'mass'",
    "energetic": "`potential_energy` must return a float64 array of shape (1,), got a float",
    "sampling": "`_sample` must draw `x` of shape (4, 3), got float64 of shape (5, 3)",
    "misnamed": "class Misnamed must set `name` to 'misnamed', got 'free'",
    "infinite": "`_sample` must draw finite `masses`, got NaN or infinity",
}


def provided(table, *more):
    return {name: name.title() for name in (*table, *more)} | (
        {"no-class": "no_class"} if "no-class" in table else {}
    )
