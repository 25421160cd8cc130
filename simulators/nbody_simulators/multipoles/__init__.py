"""Charged spheres that polarise each other: multipoles about their centres, coupled and solved."""

from nbody_simulators.multipoles.batches import energies_and_forces, energy_and_forces

__all__ = ["energies_and_forces", "energy_and_forces"]
