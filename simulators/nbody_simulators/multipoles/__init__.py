"""Charged spheres that polarise each other: multipoles about their centres, coupled and solved.

`energy_and_forces` is for one configuration, `energies_and_forces` for many. They are loaded when
they are first used, and numba with them: a system checks its parameters and draws starts without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbody_simulators.multipoles.batches import energies_and_forces, energy_and_forces

__all__ = ["energies_and_forces", "energy_and_forces"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nbody_simulators.multipoles import batches

    return getattr(batches, name)
