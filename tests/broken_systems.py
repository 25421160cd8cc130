"""Systems, each broken in one way."""

from __future__ import annotations

import numpy as np
from pydantic import field_validator

from examples import Yukawa
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.force_laws import DirectedLaw, ForceLaws, PairLaw
from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.contracts.neighbours import NeighbourRequest
from nbody_surrogate.contracts.scenery import Ellipsoid
from nbody_surrogate.contracts.system import AbstractSystem
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


def careless(self, x, particles, neighbours):
    """Takes what is listed beyond the cut-off for neighbours."""
    return neighbours.sum(np.ones((len(neighbours.j), x.shape[2])))


def flickering(self, state, particles):
    return [Ellipsoid(np.zeros(3), np.random.default_rng().uniform(size=3))]


def guesses(self, x, v, particles, hidden, neighbours):
    return {"charge": np.random.default_rng().normal(size=x.shape[:2])}


def with_charge(self, rng, n, dimensions):
    return Yukawa._sample(self, rng, n, dimensions)._replace(hidden={"charge": np.ones(n)})


class Doubling(Yukawa.Spec):
    @field_validator("coupling")
    @classmethod
    def _double(cls, value):
        return 2 * value

    coupling: float = 1.0


def with_radii(self, rng, n, dimensions):
    return Yukawa._sample(self, rng, n, dimensions)._replace(radii=np.ones(n))


def behind(self):
    """One-way forces, of a system that declares a potential."""

    def factory(sqrt, where):
        return lambda p, dx, dy, dz, *pair: (0.0, 0.0, -1.0)

    return ForceLaws(directed=DirectedLaw((1.0,), factory))


def slow(self, particles):
    return 0.5 * np.ones_like(particles.charges)


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
    "potential": (
        {"potential_energy": AbstractSystem.potential_energy},
        "conserved",
        "must not hold 'energy'",
    ),
    "box": ({"box": Box((4.0, None, 5.0))}, "pair_acceleration", "every image of a particle"),
    "neighbours": (
        {"requested_neighbours": NeighbourRequest(1.0), "neighbour_acceleration": careless},
        "neighbour_acceleration",
        "must be the forces of `pair_acceleration`, by ",
    ),
    "hidden": (
        {
            "hidden_variables": (HiddenVariable("charge"),),
            "_hidden_rate": guesses,
            "_sample": with_charge,
        },
        "_hidden_rate",
        "same bits of `charge` each time",
    ),
    "radii": ({"needs_radii": True, "_sample": with_radii}, "needs_radii", "must be False"),
    "finer": (
        {"finer": lambda self: type(self)(**self.spec.model_dump())},
        "finer",
        "must return None where forces are the same",
    ),
    "scenery": ({"_scenery": flickering}, "_scenery", "same shapes each time"),
    "directed": ({"force_laws": behind}, "has_potential", "must be False where a law is directed"),
    "bath": (
        {"one_body_acceleration": drag, "velocity_dependent": True, "drag_rates": slow},
        "drag_rates",
        "must tell all that forces do with velocities",
    ),
}
