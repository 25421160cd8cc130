"""What lies outside of a domain, and by how much, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.domain import Domain, Level
from nbody_surrogate.contracts.times import SAME_TIME
from nbody_surrogate.contracts.wording import factor_text, figure_text, range_text

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

__all__ = ["Beyond", "age_text", "ages_beyond", "beyond", "fixed_faults"]

SLACK = 0.03
"""By which share of itself a value may be beyond a range: less is no other ground, and samples of
some hundred starts know their own extremes no better."""

LEAST_FACTOR = 1.1

ALWAYS_FLAT = 3
"""So many points always lie in a plane: that they do says nothing of a start."""

OF_A_CLOUD = ("thickness", "dimensions")

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
    "radii": ("radii", ""),
    "age": ("time since the start", ""),
}
"""What each range is called, and in what it is counted."""


def beyond(
    domain: Domain, n: int, values: Mapping[str, Float64[np.ndarray, "B F"]], level: Level
) -> list[Beyond]:
    """Return what of some frames is outside.

    Parameters
    ----------
    domain : Domain
    n : int
        Number of particles.
    values : mapping of str to ndarray, shape (B, F)
        As `frame_quantities` gives them; NaN is of nothing, and so not outside. Of 3 particles or
        fewer, which always lie in a plane, neither thickness nor dimensions are compared.
    level : {"start", "run"}

    Returns
    -------
    list of Beyond
    """
    found = []
    spans = domain.spans(n, level)
    if n <= ALWAYS_FLAT:
        spans = {name: span for name, span in spans.items() if name not in OF_A_CLOUD}
    for name, (low, high) in spans.items():
        for limit, above in ((low, False), (high, True)):
            if limit is not None:
                found.append(Beyond(name, limit, above, values[name], domain.softened))
    return [each for each in found if each.at.any()]


def ages_beyond(domain: Domain, ages: Float64[np.ndarray, " F"]) -> Bool[np.ndarray, " F"]:
    """Tell which times since the start, shape (F,), in reduced units, are outside."""
    if domain.ages is None:
        return np.zeros(len(ages), dtype=bool)
    slack = SAME_TIME * max(map(abs, domain.ages))  # n dt is rounded
    return np.asarray((ages < domain.ages[0] - slack) | (ages > domain.ages[1] + slack))


def fixed_faults(
    domain: Domain,
    charges: Float64[np.ndarray, "B N"],
    masses: Float64[np.ndarray, "B N"],
    radii: Float64[np.ndarray, "B N"] | None = None,
) -> dict[str, str]:
    """Say what of the particles, which do not change in a run, is outside.

    Parameters
    ----------
    domain : Domain
    charges, masses : ndarray, shape (B, N)
    radii : ndarray, shape (B, N), optional
        Of particles that have some.

    Returns
    -------
    dict of str to str
        From the name to words.
    """
    said, n = {}, charges.shape[1]
    if (known := domain.particles) is not None and not known[0] <= n <= known[1]:
        said["particles"] = f"trained for {range_text(*known, 'particle')}, got {n}"
    for name, values, span in (
        ("charges", abs(charges), domain.charges),
        ("masses", masses, domain.masses),
        ("radii", radii, domain.radii),
    ):
        if values is None:
            continue
        low, high = float(values.min()), float(values.max())
        if span is not None and not span[0] <= low <= high <= span[1]:
            trained = f"{WORDS[name][0]} of {range_text(*span)}"
            said[name] = f"trained for {trained}, got {range_text(low, high)}"
    return said


def age_text(domain: Domain, age: float) -> str:
    """Say that a time since the start is outside."""
    assert domain.ages is not None
    first, last = map(figure_text, domain.ages)
    return f"trained for times from {first} to {last} since the start, got {figure_text(age)}"


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


def _times(value: float, limit: float) -> str:
    """Say by how many times a value is beyond its limit, where that means something."""
    if not (value * limit > 0 and math.isfinite(value)):
        return ""
    factor = max(value / limit, limit / value)
    word = "above" if value > limit else "below"
    if factor < LEAST_FACTOR:  # where "1.0 times" would say nothing
        return f": {figure_text(100 * (factor - 1), 1)} % {word}"
    return f": {factor_text(factor)} {word}"
