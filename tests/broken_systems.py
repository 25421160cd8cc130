"""Systems, each broken in one way."""

from __future__ import annotations

import numpy as np
from pydantic import field_validator

from examples import Yukawa
from nbody_surrogate.contracts.laws import ForceLaws, PairLaw
from nbody_surrogate.testing import checks


def named(name, kind):
    (found,) = (check for check in checks("broken", kind=kind) if check.name == name)
    return found


def system_with(**changes):
    """A system like the example, changed."""
    return type("Broken", (Yukawa,), {"name": "broken", **changes})


def pulled(self, x, particles):
    return Yukawa.pair_acceleration(self, x, particles) + 1e-3 * x.mean(0)


def noisy(self, x, particles):
    noise = np.random.default_rng().normal(size=x.shape)
    return Yukawa.pair_acceleration(self, x, particles) + 1e-9 * noise


def own_generator(self, rng, n, dimensions):
    return Yukawa._sample(self, np.random.default_rng(), n, dimensions)


def flat(self, rng, n, dimensions):
    return Yukawa._sample(self, rng, n, 3)


def drag(self, x, v, particles):
    return -v


def centre(self, x, v, particles):
    return -x


def opposite_laws(self):
    def factory(sqrt, where):
        return lambda p, r2, *pair: (1.0, 0.0)

    return ForceLaws(PairLaw((1.0,), factory))


def twice(self, x, particles):
    return 2 * Yukawa.potential_energy(self, x, particles)


def cubes(self, x, v, particles):
    return -(x**3)


class Doubling(Yukawa.Spec):
    @field_validator("coupling")
    @classmethod
    def _double(cls, value):
        return 2 * value

    coupling: float = 1.0


SYSTEMS = {
    "parameters": ({"Spec": Doubling}, "Spec", "same from JSON"),
    "starts": ({"_sample": flat}, "_sample", r"draw `x` of shape \(1, 2\), got float64 .*\(1, 3\)"),
    "sampling": ({"_sample": own_generator}, "_sample", "the generator that it is handed"),
    "forces": ({"pair_acceleration": noisy}, "pair_acceleration", "same bits"),
    "batch": ({"pair_acceleration": pulled}, "pair_acceleration", "trajectory by itself"),
    "velocities": ({"one_body_acceleration": drag}, "velocity_dependent", "it is False, and"),
    "laws": ({"force_laws": opposite_laws}, "force_laws", "of `pair_acceleration`"),
    "conserved": ({"potential_energy": twice}, "conserved", "'energy' drifts"),
    "symmetry:translation": (
        {"one_body_acceleration": centre},
        "symmetries",
        "must not hold 'translation'",
    ),
    "axial-symmetries": (
        {
            "one_body_acceleration": cubes,
            "symmetries": frozenset({"axial-rotation", "permutation", "time-shift"}),
        },
        "symmetries",
        "must not hold 'axial-rotation'",
    ),
}
