"""Whether a model is used for what it was trained for: what its card refuses and warns about."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import final

import numpy as np

from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.segment import Limits, Problem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, excess_symmetries
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import SAME_TIME, same_spacing
from nbody_surrogate.contracts.wording import range_text
from nbody_surrogate.errors import InputError, NBodyWarning

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
        self._check_system(problem.system)
        self._check_stepper(problem.particles.n)
        known = self.card.frame_dt
        if known is not None and not same_spacing(problem.dt, known):
            raise InputError(
                f"`frame_dt` is {known} in what {self.name} was trained on, got "
                f"{problem.dt}; use {known}, other weights or a solver"
            )
        self._check_symmetries(problem.system)

    def _check_system(self, system: AbstractSystem) -> None:
        """Demand a system that the model was trained on, with the same parameters."""
        names = [trained.system for trained in self.card.systems]
        trained_on = self._trained_on(system)
        if names and trained_on is None:
            known = " and ".join(map(repr, dict.fromkeys(names)))
            raise InputError(
                f"`integrator` {self.name} was trained on system {known}, "
                f"got {system.name!r}; use that system, or --weights trained on this one"
            )
        given = system.spec.model_dump(mode="json")
        for key, value in ({} if trained_on is None else trained_on.spec).items():
            if given.get(key) != value:
                raise InputError(
                    f"`{key}` is {value} in what {self.name} was trained on, got "
                    f"{given.get(key)}; use {value}, other weights or a solver"
                )

    def _trained_on(self, system: AbstractSystem) -> CardSystem | None:
        """Return the card's entry for a system: the one with its parameters, if there is one.

        None where the card has no entry of that name.
        """
        given = system.spec.model_dump(mode="json")
        named = [trained for trained in self.card.systems if trained.system == system.name]
        fitting = [
            trained
            for trained in named
            if all(given.get(key) == value for key, value in trained.spec.items())
        ]
        return next(iter(fitting or named), None)

    def _check_stepper(self, n: int) -> None:
        """Demand a model that answers for the next frame, of so many particles."""
        card, only = self.card, self.model.fixed_particles
        spacing = card.frame_dt or math.inf  # open: any horizon is another
        if card.horizon is not None and not same_spacing(card.horizon, spacing):
            raise InputError(
                f"`integrator` {self.name} answers {card.horizon:g} time units after frames that "
                f"are {spacing:g} apart, in one shot, so it is no stepper; score it by "
                "nbody-sim evaluate with a `dataset`"
            )
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
                warnings.warn(
                    f"{self.name} was trained for {_known(label, lowest, highest)}, "
                    f"got {range_text(*values)}: accuracy is not known there",
                    NBodyWarning,
                    stacklevel=2,
                )

    def warn_outside_times(self, problem: Problem, frame: int) -> None:
        """Warn where a run up to some frame leaves the times of the training."""
        if (times := self._times(problem.system)) is None:
            return
        earliest, latest = times
        slack = SAME_TIME * max(abs(earliest), abs(latest))
        if problem.t0 < earliest - slack or problem.time(frame) > latest + slack:
            warnings.warn(
                f"{self.name} was trained for times from {earliest:g} to {latest:g}, the run "
                "goes beyond",
                NBodyWarning,
                stacklevel=2,
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
        trained_on = self._trained_on(system)
        return None if trained_on is None else trained_on.time_range


def _known(label: str, lowest: float, highest: float) -> str:
    """Name a range of the training: ``5 particles``, ``masses of 0.5 to 2``."""
    if label == "particles":
        return range_text(lowest, highest, "particle")
    return f"{label} of {range_text(lowest, highest)}"


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
