"""Names of symmetries, and what each of them means.

A symmetry maps every solution of the equations of motion to a solution.

==================== =============================================================================
name                 map
==================== =============================================================================
translation          x -> x + c
boost                x -> x + u t, v -> v + u
rotation             about any axis through the origin
reflection           in each coordinate plane; with ``rotation``, in any plane through the origin
permutation          of the particles, with charges, masses and couplings
time-shift           t -> t + c
time-reversal        t -> -t, v -> -v
charge-conjugation   q -> -q for all particles
axial-rotation       about the axis of the system: y for the pendulum, z for all others
axial-reflection     in coordinate planes that contain the axis
midplane-reflection  in the plane normal to the axis, through the origin
==================== =============================================================================

Systems declare what holds in three dimensions. ``rotation`` implies ``axial-rotation``, and
``reflection`` the other two reflections; those are not declared beside them.
"""

from __future__ import annotations

__all__ = ["AUTONOMOUS", "FREE"]

AUTONOMOUS = frozenset({"permutation", "time-shift"})
"""What holds wherever particles differ by charges, masses and couplings only, at all times."""

FREE = AUTONOMOUS | {
    "translation",
    "rotation",
    "reflection",
    "boost",
    "time-reversal",
    "charge-conjugation",
}
"""What holds without external fields, for central forces that depend on q_i q_j at most."""
