"""What dear forces gave at the latest places, so that nothing is computed twice.

Forces are kept of a few configurations only: those at the end of a step, which the next one begins
with, and at the boundary of a segment. If more were kept, a second run from the same start would
take no time, and what a method costs could not be measured any more. Energies, of which no step
depends, are kept of very many: a run's are then those of the calls that its forces came from.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Generic, TypeVar, final

import numpy as np

from nbody_surrogate.contracts.state import Particles

__all__ = ["Evaluations", "Latest", "evaluations_of"]

FORCES = 16
"""Configurations whose forces are kept, at least; of a batch, two of each trajectory."""

ENERGIES = 1 << 18
"""Configurations whose energies are kept: some 50 MB with their keys."""

SYSTEMS = 4  # whose evaluations are kept in a process

Value = TypeVar("Value")


@final
class Latest(Generic[Value]):
    """The latest values by their keys; the oldest are forgotten.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[bytes, Value] = OrderedDict()

    def get(self, key: bytes) -> Value | None:
        """Return the value of a key, or None where it is not known (any more)."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: bytes, value: Value) -> None:
        """Keep a value as the latest."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self.most:
            self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)


@final
class Evaluations:
    """Forces and energies of the latest configurations, and how often they were computed.

    Attributes
    ----------
    forces : Latest of ndarray, shape (N, D)
    energies : Latest of float
    calls : Counter
        Configurations computed, by the counter's name.
    checked : set of tuple
        Shapes (N, D) of the starts that were looked at.
    looks : Counter
        What that took, as far as no run has counted it.
    """

    def __init__(self) -> None:
        self.forces: Latest[np.ndarray] = Latest(FORCES)
        self.energies: Latest[float] = Latest(ENERGIES)
        self.calls: Counter[str] = Counter()
        self.checked: set[tuple[int, ...]] = set()
        self.looks: Counter[str] = Counter()

    def look_up(
        self,
        known: Latest[Any],
        x: np.ndarray,
        particles: Particles,
        compute: Callable[[np.ndarray, Particles, list[bytes]], Any],
    ) -> list[Any]:
        """Return one value for each configuration, of which only what is not known is computed.

        Parameters
        ----------
        known : Latest
            `forces` or `energies`.
        x : ndarray, shape (B, N, D)
        particles : Particles, shape (B, N)
        compute : callable
            Takes configurations, their particles and their keys, and returns a value for each.

        Returns
        -------
        list
        """
        keys = _keys(x, particles)
        # held here too: a batch may be larger than what is kept
        found = {key: value for key in keys if (value := known.get(key)) is not None}
        missing = {key: b for b, key in enumerate(keys) if key not in found}
        if missing:
            rows = np.array(list(missing.values()))
            few = x[rows]
            few.flags.writeable = False  # nor may a copy be written to: it would show nothing
            computed = compute(few, particles[rows], list(missing))
            found.update(zip(missing, computed, strict=True))
        return [found[key] for key in keys]


def _keys(x: np.ndarray, particles: Particles) -> list[bytes]:
    """Return what tells configurations apart: the bytes of all that forces may depend on."""
    of_particles = [particles.charges, particles.masses, particles.couplings, particles.radii]
    known = [values for values in of_particles if values is not None]
    return [
        # shorter than the bytes themselves, and as good: 2^64 of them would have to be computed;
        # 0 is added to make one of -0 and 0
        blake2b(b"".join([(y[b] + 0.0).tobytes() for y in (x, *known)]), digest_size=16).digest()
        for b in range(len(x))
    ]


_kept: OrderedDict[tuple[type, str], Evaluations] = OrderedDict()


def evaluations_of(cls: type, parameters: str) -> Evaluations:
    """Return the evaluations that all systems of a class and of the same parameters share.

    A run's result builds its system anew, and finds here what the run has computed.

    Parameters
    ----------
    cls : type
    parameters : str
        All that forces depend on.

    Returns
    -------
    Evaluations
    """
    found = _kept.setdefault((cls, parameters), Evaluations())
    _kept.move_to_end((cls, parameters))
    while len(_kept) > SYSTEMS:
        _kept.popitem(last=False)
    return found
