"""What a system may need of a method beyond forces on pairs in open space, by name.

======================  ==========================================================================
capability              a method that has it
======================  ==========================================================================
``periodic-box``        leaves positions unwrapped and takes forces from the system, which knows
                        its box; or takes differences by `Box.displacement` itself
``neighbours``          calls `AbstractSystem.acceleration`, with a list of neighbours that holds
                        all that is near, or without one: it is made anew then
``hidden-variables``    moves them on by `AbstractSystem.hidden_rate`, hands them to the forces
                        and returns them in `Frames.hidden`; a surrogate that has it is never
                        shown them, and is made to do without
``random-kicks``        adds the kicks at random of a bath, see `contracts.kicks`
======================  ==========================================================================
"""

from __future__ import annotations

from nbody_surrogate.errors import InputError

__all__ = [
    "CAPABILITIES",
    "HIDDEN_VARIABLES",
    "NEIGHBOURS",
    "PERIODIC_BOX",
    "RANDOM_KICKS",
    "STOCHASTIC",
    "refuse_unmet_needs",
]

PERIODIC_BOX = "periodic-box"
"""Space is periodic along one axis or more."""

NEIGHBOURS = "neighbours"
"""Forces end at a cut-off, and are taken from lists of neighbours."""

HIDDEN_VARIABLES = "hidden-variables"
"""The state holds more than positions and velocities."""

RANDOM_KICKS = "random-kicks"
"""A bath of some temperature kicks the particles at random."""

STOCHASTIC = "baoab"
"""The method that has it, and the reference where none is named."""

CAPABILITIES = {
    PERIODIC_BOX: "a periodic box",
    NEIGHBOURS: "forces by lists of neighbours",
    HIDDEN_VARIABLES: "hidden variables in its state",
    RANDOM_KICKS: "kicks at random by a bath",
}
"""All there are, and what each is in words."""


def refuse_unmet_needs(
    method: str, capabilities: frozenset[str], system: str, needs: frozenset[str]
) -> None:
    """Raise where a method, by its name, lacks what a system needs.

    Raises
    ------
    InputError
    """
    unmet = sorted(needs - capabilities)
    if unmet:
        words = " and ".join(CAPABILITIES[each] for each in unmet)
        # the only need that is one parameter of a system, by which most would leave it out
        kicked = f"{STOCHASTIC}, or leave the kicks out with temperature=0"
        wanted = f"one with the capabilities {', '.join(unmet)}, such as dop853"
        raise InputError(
            f"`integrator` {method} cannot do what system {system!r} needs: {words}; "
            f"use {kicked if unmet == [RANDOM_KICKS] else wanted}"
        )
