"""Whether a model is used for what it was trained for: what its card refuses, and its domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.segment import Limits, Problem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, excess_symmetries
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import range_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.surrogates.card_check import (
    check_spacing,
    check_stepper,
    check_trained_on,
    other_accuracy,
    trained_on,
)

__all__ = ["Applicability"]

SAME_RADIUS = 1e-9


@final
@dataclass(frozen=True)
class Applicability:
    """Holds a problem against the card of a model.

    The parameters of the system and the frame spacing are part of what was learned: others are
    refused. All else is ranges, its domain, which a run is held against.

    Attributes
    ----------
    model : AbstractSurrogate
    card : Card
    name : str
        The surrogate's registered name, for messages.
    """

    model: AbstractSurrogate
    card: Card
    name: str

    def check(self, problem: Problem) -> None:
        """Refuse what the model was not made for.

        Raises
        ------
        InputError
            If the system, its parameters, the number of particles or the frame spacing are others
            than those of the training, the model is no stepper, or its symmetries are not the
            system's.
        """
        card, name, system = self.card, self.name, problem.system
        given = system.spec.model_dump(mode="json")
        check_trained_on(card, name, system.name, given)
        check_stepper(card, name)
        self._check_number(problem.particles.n)
        self._check_radii(problem.particles.radii)
        check_spacing(card, name, problem.dt)
        self._check_symmetries(problem.system)
        if shown := other_accuracy(card, system.name, given):
            warn(
                f"{name} learned forces of {system.name} with {shown}: held against "
                "the system's own forces, their errors count as the model's"
            )

    def _check_number(self, n: int) -> None:
        """Demand a model of so many particles."""
        only = self.model.fixed_particles
        if only not in (None, n):
            raise InputError(
                f"`particles` must be the {only} that {self.name} was trained for, got {n}"
            )

    def _check_radii(self, radii: np.ndarray | None) -> None:
        """Demand a model of such radii."""
        only = self.model.fixed_radius
        if only is None or radii is None or np.allclose(radii, only, rtol=SAME_RADIUS, atol=0.0):
            return
        found = range_text(float(radii.min()), float(radii.max()))
        raise InputError(
            f"`radii` must all be the {only:g} that {self.name} was trained for, got {found}"
        )

    def _check_symmetries(self, system: AbstractSystem) -> None:
        """Demand that the model's group is within that of the forces it stands for."""
        if self.model.applies_field and system.velocity_dependent:
            raise InputError(
                f"`integrator` {self.name} needs forces that do not depend on velocity, "
                f"system {system.name!r} has; use a solver"
            )
        if excess := excess_symmetries(self.model, system):
            raise InputError(
                f"`integrator` {self.name} has symmetries that system {system.name!r} lacks: "
                f"{', '.join(excess)}"
            )

    def domain(self, system: AbstractSystem) -> Domain | None:
        """Return the ranges of the training that concern a system; None where none are known."""
        card = self.card
        measured = Domain() if card.domain is None else card.domain.of_system(system.name)
        known = measured.model_copy(
            update={
                "particles": card.particles,
                "charges": card.charges,
                "masses": card.masses,
                "radii": card.radii,
                "ages": self._times(system),
            }
        )
        return None if known == Domain() else known

    def limits(self, system: AbstractSystem) -> Limits:
        """Return the ranges of the card, for a guard to watch."""
        card, times = self.card, self._times(system)
        return Limits(
            closest=card.closest or 0.0,
            fastest=math.inf if card.fastest is None else card.fastest,
            most=math.inf if card.particles is None else card.particles[1],
            longest=math.inf if times is None else times[1],
        )

    def _times(self, system: AbstractSystem) -> tuple[float, float] | None:
        """Return the times of the training, where they are known."""
        entry = trained_on(self.card, system.name, system.spec.model_dump(mode="json"))
        return None if entry is None else entry.time_range
