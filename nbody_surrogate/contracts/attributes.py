"""Attributes that are not there: the error names the one that does it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from nbody_surrogate.spelling import instead_of

__all__ = ["OF_SAMPLES", "OF_SYSTEMS", "Suggesting"]

OF_SYSTEMS = {
    **dict.fromkeys(["energy", "total_energy"], "`invariants(x, v, particles).energy`"),
    **dict.fromkeys(["force", "forces", "rhs"], "`acceleration(x, v, particles)`"),
    **dict.fromkeys(["momentum", "angular_momentum"], "`invariants(x, v, particles)`"),
    **dict.fromkeys(["simulate", "run"], "`nbody_surrogate.simulate(system, state, ...)`"),
    "parameters": "`spec`",
}
"""What other libraries call the duties of a system."""


OF_SAMPLES = {
    **dict.fromkeys(["seed", "random_state", "key"], "`rng`, a seed or a generator"),
    **dict.fromkeys(["n_particles", "particles", "num_particles", "N"], "`n`"),
    **dict.fromkeys(["size", "batch", "batch_size", "n_trajectories"], "`trajectories`"),
    **dict.fromkeys(["dim", "ndim", "d", "D"], "`dimensions`"),
}
"""What other libraries call the parameters of a system's sampler."""


class Suggesting:
    """Base of what people look into: an unknown attribute is refused with the nearest one.

    One name for one thing: what other libraries call it is in `other_words`, and no alias.
    """

    other_words: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # a type checker would take any attribute for one that is there

        def __getattr__(self, name: str) -> object:
            cls = type(self)
            # protocols such as copying and pickling ask for names of their own
            if name.startswith("_"):
                raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
            if hasattr(cls, name):  # a property that failed: its own error is told
                return object.__getattribute__(self, name)
            public = [each for each in dir(self) if not each.startswith("_")]
            hint = instead_of(name, public, self.other_words)
            raise AttributeError(f"{cls.__name__} has no `{name}`{hint}")
