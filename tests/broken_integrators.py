"""Integrators, each broken in one way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from examples import Verlet
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError


def spoilt(change):
    """An integrator like the example, with its frames changed."""

    class Spoilt(Verlet):
        def _advance(self, carry, frames, tick):
            made = super()._advance(carry, frames, tick)
            change(carry, made)
            return made

    return Spoilt


class Renamed(Verlet):
    name = "another"


class NeedsThree(Verlet):
    def _start(self, problem, state):
        return {"third": state.x[:, 2]}


class Remembers(Verlet):
    last = 0.0

    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.x += self.last
        self.last = 1e-3 * float(carry.frame == 0)
        return made


class Massless(Verlet):
    """Takes all masses for one."""

    def _advance(self, carry, frames, tick):
        given = carry.problem.particles
        particles = Particles(given.charges, np.ones(given.masses.shape), given.couplings)
        problem = replace(carry.problem, particles=particles)
        return super()._advance(replace(carry, problem=problem), frames, tick)


class Careless(Verlet):
    """Takes a system whose forces depend on velocity, and leaves that part out."""

    def _check(self, problem, state):
        return

    def _advance(self, carry, frames, tick):
        system = carry.problem.system
        plain = system.acceleration
        object.__setattr__(system, "acceleration", lambda x, v, p: plain(x, 0 * v, p))
        try:
            return super()._advance(carry, frames, tick)
        finally:
            object.__delattr__(system, "acceleration")


class Folding(Verlet):
    """Folds particles back into a box of its own."""

    capabilities = frozenset({"periodic-box"})

    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        if carry.problem.system.needs:
            made.x = Box((2.5, 2.5, 2.5)).wrap(made.x)
        return made


class Mute(Verlet):
    def _check(self, problem, state):
        if problem.system.velocity_dependent:
            raise InputError("no")


def single(carry, made):
    made.x = made.x.astype(np.float32)


def coupled(carry, made):
    made.x += 1e-6 * made.x.mean(0)


def writes(carry, made):
    carry.arrays["x"][:] += 1e-3


def noise(carry, made):
    made.x += 1e-9 * np.random.default_rng().normal(size=made.x.shape)


def foresees(carry, made):
    made.x += 1e-9 * made.x.shape[1]


def forgets_t0(carry, made):
    made.x += 1e-3 * carry.problem.t0


def contagious(carry, made):
    if not np.isfinite(made.x).all():
        made.x[:] = np.nan


INTEGRATORS = {
    "description": (Renamed, "name", "'broken'"),
    "shapes": (spoilt(single), "_advance", "float64 array .* got float32"),
    "few-particles": (NeedsThree, "_start", "IndexError"),
    "batch": (spoilt(coupled), "_advance", "in a batch as alone"),
    "inputs-unchanged": (spoilt(writes), "_advance", "leave its input"),
    "determinism": (spoilt(noise), "_advance", "same bits"),
    "shorter-runs": (spoilt(foresees), "_advance", "the beginning of"),
    "restart": (Remembers, "_advance", "go on from a boundary"),
    "times": (spoilt(forgets_t0), "_advance", r"t0 \+ n dt"),
    "unequal-masses": (Massless, "_advance", "own mass"),
    "nonfinite": (spoilt(contagious), "_advance", "leave the others alone"),
    "refusals": (Careless, "_check", "'penning', whose forces depend on velocity"),
    "capabilities": (Folding, "capabilities", "'soft-spheres', which needs periodic-box"),
}
