"""Charged spheres that polarise each other: multipoles about their centres, coupled and solved."""

from nbody_simulators.multipoles.dense import energy_and_forces

__all__ = ["energy_and_forces"]
