"""The domain of a model: the ranges of what its training data held, and what lies outside of them.

Ranges are of the invariants in `domain_quantities`, for each number of particles that was trained
on. A start is held against those of starts and of usual frames; frames along a run, which nobody
chose, against all but the rarest of the training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.domain_quantities import QUANTITIES
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.contracts.wording import factor_text, figure_text, range_text

__all__ = ["Beyond", "Domain", "DomainRanges", "Span", "joined"]

Span = tuple[float | None, float | None]
"""A range, of which None leaves an end open."""

SLACK = 0.03
"""By which share of itself a value may be beyond a range: less is no other ground, and samples of
some hundred starts know their own extremes no better."""

LEAST_FACTOR = 1.1

WORDS: Mapping[str, tuple[str, str]] = {
    "nearest": ("nearest neighbour", "length"),
    "third": ("third neighbour", "length"),
    "separation": ("mean separation", "length"),
    "extent": ("rms radius", "length"),
    "speed": ("internal speed", ""),
    "rms_speed": ("rms internal speed", ""),
    "pair_energy": ("energy of a bound pair", "of its depth"),
    "repulsion": ("energy of a pair that repels", "of its height"),
    "eccentricity": ("eccentricity of a bound pair", ""),
    "thickness": ("thickness", "of the extent"),
    "dimensions": ("dimensions", ""),
    "particles": ("particles", ""),
    "charges": ("|charges|", ""),
    "masses": ("masses", ""),
    "age": ("time since the start", ""),
}
"""What each range is called, and in what it is counted."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DomainRanges(_Section):
    """Ranges of frames of one system with one number of particles."""

    system: str = Field(description="its registered name")
    particles: int = Field(ge=1)
    trajectories: int = Field(ge=1, description="that the ranges are of")
    frames: int = Field(ge=1, description="of all of them")
    start: dict[str, Span] = Field(description="all but the rarest 1.5e-3 of starts and of frames")
    run: dict[str, Span] = Field(description="all but the rarest 1e-4 of frames")

    __repr__ = brief

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> DomainRanges:
        for spans in (self.start, self.run):
            for name, (low, high) in spans.items():
                if name not in QUANTITIES:
                    raise ValueError(f"`{name}` is no quantity of a domain")
                if low is not None and high is not None and low > high:
                    raise ValueError(f"`{name}` must be a range, got {low:g} to {high:g}")
        return self


class Domain(_Section):
    """What a method was made for, in reduced units. What is None, or not there, is open.

    The last four are those of a `Card`, which a surrogate adds for the system of the run.
    """

    softened: bool = Field(
        default=False,
        description="whether lengths are counted in softenings, else in reduced units",
    )
    measured: tuple[DomainRanges, ...] = Field(
        default=(), description="by systems and numbers of particles"
    )
    particles: tuple[int, int] | None = Field(default=None, description="least and largest number")
    charges: tuple[float, float] | None = Field(default=None, description="range of |q|")
    masses: tuple[float, float] | None = Field(default=None, description="least and largest mass")
    ages: tuple[float, float] | None = Field(
        default=None, description="times since the start; of the clock where forces depend on it"
    )

    __repr__ = brief

    @model_validator(mode="after")
    def _one_each(self) -> Domain:
        of = [(each.system, each.particles) for each in self.measured]
        if len(of) != len(set(of)):
            raise ValueError("`measured` must hold each `system` with its `particles` once")
        return self

    def of_system(self, system: str) -> Domain:
        """Return what concerns one system: its own ranges, where it has any, else those of all.

        Parameters
        ----------
        system : str

        Returns
        -------
        Domain
        """
        own = tuple(each for each in self.measured if each.system == system)
        return self.model_copy(update={"measured": own or self.measured})

    def spans(self, n: int, level: Literal["start", "run"]) -> dict[str, Span]:
        """Return the ranges that hold for n particles.

        Of each system those that were measured with so many; between two numbers, all that either
        of the two allows; beyond the last one, those of that.

        Parameters
        ----------
        n : int
        level : {"start", "run"}

        Returns
        -------
        dict of str to tuple
        """
        spans: dict[str, Span] = {}
        for each in self._around(n):
            for name, span in getattr(each, level).items():
                spans[name] = joined(spans[name], span) if name in spans else span
        return spans

    def _around(self, n: int) -> list[DomainRanges]:
        found = []
        for system in dict.fromkeys(each.system for each in self.measured):
            own = [each for each in self.measured if each.system == system]
            below = max((each.particles for each in own if each.particles <= n), default=n)
            above = min((each.particles for each in own if each.particles >= n), default=n)
            found += [each for each in own if each.particles in (below, above)]
        return found

    def outside(
        self,
        n: int,
        values: Mapping[str, Float64[np.ndarray, "B F"]],
        level: Literal["start", "run"],
    ) -> list[Beyond]:
        """Return what of some frames is outside.

        Parameters
        ----------
        n : int
            Number of particles.
        values : mapping of str to ndarray, shape (B, F)
            As `frame_quantities` gives them; NaN is of nothing, and so not outside.
        level : {"start", "run"}

        Returns
        -------
        list of Beyond
        """
        found = []
        for name, (low, high) in self.spans(n, level).items():
            for limit, above in ((low, False), (high, True)):
                if limit is not None:
                    found.append(Beyond(name, limit, above, values[name], self.softened))
        return [each for each in found if each.at.any()]

    def age_beyond(self, ages: Float64[np.ndarray, " F"]) -> Bool[np.ndarray, " F"]:
        """Tell which times since the start, shape (F,), are outside."""
        if self.ages is None:
            return np.zeros(len(ages), dtype=bool)
        slack = SAME_TIME * max(map(abs, self.ages))  # n dt is rounded
        return np.asarray((ages < self.ages[0] - slack) | (ages > self.ages[1] + slack))

    def fixed_faults(self, n: int, charges: np.ndarray, masses: np.ndarray) -> dict[str, str]:
        """Say what of the particles, which do not change in a run, is outside.

        Parameters
        ----------
        n : int
        charges, masses : ndarray, shape (B, N)

        Returns
        -------
        dict of str to str
            From the name to words.
        """
        said = {}
        if (known := self.particles) is not None and not known[0] <= n <= known[1]:
            said["particles"] = f"trained for {range_text(*known, 'particle')}, got {n}"
        for name, values, span in (
            ("charges", abs(charges), self.charges),
            ("masses", masses, self.masses),
        ):
            low, high = float(values.min()), float(values.max())
            if span is not None and not span[0] <= low <= high <= span[1]:
                trained = f"{WORDS[name][0]} of {range_text(*span)}"
                said[name] = f"trained for {trained}, got {range_text(low, high)}"
        return said

    def age_text(self, age: float) -> str:
        """Say that a time is outside."""
        assert self.ages is not None
        return (
            f"trained for times from {figure_text(self.ages[0])} to {figure_text(self.ages[1])} "
            f"since the start, got {figure_text(age)}"
        )


class Beyond(NamedTuple):
    """One end of one range, and the values (B, F) that are held against it.

    Attributes
    ----------
    name : str
    limit : float
    above : bool
        Whether what is larger than the limit is outside, else what is smaller.
    values : ndarray, shape (B, F)
    softened : bool
        Whether lengths are counted in softenings.
    """

    name: str
    limit: float
    above: bool
    values: Float64[np.ndarray, "B F"]
    softened: bool

    @property
    def at(self) -> Bool[np.ndarray, "B F"]:
        """Where it is outside."""
        slack = SLACK * abs(self.limit)
        beyond = (
            self.values > self.limit + slack if self.above else self.values < self.limit - slack
        )
        return np.asarray(beyond)

    @property
    def reason(self) -> str:
        """What tells it from others, such as ``nearest below``."""
        return f"{self.name} {'above' if self.above else 'below'}"

    @property
    def worst(self) -> float:
        """The value that is farthest outside."""
        values = self.values[self.at]
        return float(values.max() if self.above else values.min())

    def __str__(self) -> str:
        """Say what is outside and by how much."""
        words, unit = WORDS[self.name]
        if unit == "length":
            unit = "softenings" if self.softened else ""
        value, limit, until = self.worst, self.limit, "to" if self.above else "from"
        if self.name == "dimensions":
            return f"{value:.0f} dimensions, trained {until} {limit:.0f}"
        shown = f"{words} {figure_text(value, 2)}{' ' * bool(unit)}{unit}"
        return f"{shown}, trained {until} {figure_text(limit, 2)}{_times(value, limit)}"


def joined(one: Span, other: Span) -> Span:
    """Return the range that holds both of two."""
    lows, highs = zip(one, other, strict=True)
    low = None if None in lows else min(each for each in lows if each is not None)
    high = None if None in highs else max(each for each in highs if each is not None)
    return low, high


def _times(value: float, limit: float) -> str:
    """Say by how many times a value is beyond its limit, where that means something."""
    if not (value * limit > 0 and math.isfinite(value)):
        return ""
    factor = max(value / limit, limit / value)
    word = "above" if value > limit else "below"
    if factor < LEAST_FACTOR:  # where "1.0 times" would say nothing
        return f": {figure_text(100 * (factor - 1), 1)} % {word}"
    return f": {factor_text(factor)} {word}"
