"""The system that a command is about: what its name may be, and how many particles it has."""

from __future__ import annotations

from nbody_surrogate.registry.law_folder import demand_law, named_folder

__all__ = ["DEFAULT_PARTICLES", "PARTICLES", "PHYSICS", "usual_particles"]

DEFAULT_PARTICLES = 30
PARTICLES = f"Particles.  [default: {DEFAULT_PARTICLES}, or as many as were measured]"
PHYSICS = "Physics to simulate; discovered:FOLDER is the law that nbody-sim discover wrote there."


def usual_particles(system: str) -> int:
    """Return how many particles a start of a system has where nobody says.

    Raises
    ------
    InputError
        If its name leads to a folder without a law.
    FileFormatError
        If that law is damaged.
    """
    if named_folder(system) is None:
        return DEFAULT_PARTICLES
    demand_law(system)  # before anything is imported that reads it
    from nbody_surrogate.registry.registry import make_system

    return make_system(system).usual_particles or DEFAULT_PARTICLES
