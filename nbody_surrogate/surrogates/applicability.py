"""Whether a model is used for what it was trained for: what its card refuses and warns about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.segment import Limits, Problem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, excess_symmetries
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.contracts.wording import range_text
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.surrogates.card_check import (
    check_spacing,
    check_stepper,
    check_trained_on,
    trained_on,
)

__all__ = ["Applicability"]


@final
@dataclass(frozen=True)
class Applicability:
    """Holds a problem against the card of a model.

    The parameters of the system and the frame spacing are part of what was learned: others are
    refused. Particle numbers, charges, masses and times are ranges: beyond them is a warning.

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
        check_trained_on(card, name, system.name, system.spec.model_dump(mode="json"))
        check_stepper(card, name)
        self._check_number(problem.particles.n)
        check_spacing(card, name, problem.dt)
        self._check_symmetries(problem.system)

    def _check_number(self, n: int) -> None:
        """Demand a model of so many particles."""
        only = self.model.fixed_particles
        if only not in (None, n):
            raise InputError(
                f"`particles` must be the {only} that {self.name} was trained for, got {n}"
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

    def warn_outside_ranges(self, problem: Problem) -> None:
        """Warn of particle numbers, charges and masses that the training did not have."""
        particles = problem.particles
        for label, values, known in (
            ("particles", (particles.n, particles.n), self.card.particles),
            ("|charges|", _range(abs(particles.charges)), self.card.charges),
            ("masses", _range(particles.masses), self.card.masses),
        ):
            lowest, highest = known or (-math.inf, math.inf)
            if values[0] < lowest or values[1] > highest:
                warn(
                    f"{self.name} was trained for {_known(label, lowest, highest)}, "
                    f"got {range_text(*values)}: accuracy is not known there",
                )

    def warn_outside_times(self, problem: Problem, frame: int) -> None:
        """Warn where a run up to some frame leaves the times of the training."""
        if (times := self._times(problem.system)) is None:
            return
        earliest, latest = times
        slack = SAME_TIME * max(abs(earliest), abs(latest))
        if problem.t0 < earliest - slack or problem.time(frame) > latest + slack:
            warn(
                f"{self.name} was trained for times from {earliest:g} to {latest:g}, the run "
                "goes beyond",
            )

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


def _known(label: str, lowest: float, highest: float) -> str:
    """Name a range of the training: ``5 particles``, ``masses of 0.5 to 2``."""
    if label == "particles":
        return range_text(lowest, highest, "particle")
    return f"{label} of {range_text(lowest, highest)}"


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
