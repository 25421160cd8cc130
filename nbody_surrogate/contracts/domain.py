"""The domain of a model: the ranges of what its training data held.

Ranges are of the invariants in `domain_quantities`, for each system and number of particles that
was trained on. A start is held against those of starts and of usual frames; frames along a run,
which nobody chose, against all but the rarest of the training: `domain_check` does that.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.domain_quantities import QUANTITIES

__all__ = ["Domain", "DomainRanges", "Level", "Span", "joined"]

Span = tuple[float | None, float | None]
"""A range, of which None leaves an end open."""

Level = Literal["start", "run"]
"""Whether frames are starts, or come along a run."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DomainRanges(_Section):
    """Ranges of frames of one system with one number of particles."""

    system: str = Field(description="its registered name")
    particles: int = Field(ge=1, description="their number")
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

    The last five are those of a `Card`, which a surrogate adds for the system of the run.
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
    radii: tuple[float, float] | None = Field(default=None, description="least and largest radius")
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

    def spans(self, n: int, level: Level) -> dict[str, Span]:
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


def joined(one: Span, other: Span) -> Span:
    """Return the range that holds both of two."""
    lows, highs = zip(one, other, strict=True)
    low = None if None in lows else min(each for each in lows if each is not None)
    high = None if None in highs else max(each for each in highs if each is not None)
    return low, high
