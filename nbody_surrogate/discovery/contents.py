"""What discovery.json holds: all that was found in tracks beside the law itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, model_validator

__all__ = [
    *("CurveFound", "DiscoveryFile", "Fit", "Forecast", "Interval", "NamedInterval", "Noise"),
    *("ParticleFound", "Residuals", "SymmetryTest", "TracksRead"),
]

Share = Annotated[float, Field(ge=0, le=1)]
Numbers = tuple[FiniteFloat, ...]
Text = Annotated[str, Field(max_length=10_000)]


class _Section(BaseModel):
    # strict, since a number in quotes is none of ours; lists are what JSON has for tuples
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(_Section):
    """A number and its interval of 95 %, whose ends are None where it was not measured."""

    value: float
    low: float | None = None
    high: float | None = None


class NamedInterval(Interval):
    """A number that has a name, such as ``gradient z``."""

    name: Text


class TracksRead(_Section):
    """What tracks were read."""

    files: tuple[Text, ...]
    runs: NonNegativeInt
    frames: NonNegativeInt
    particles: NonNegativeInt
    dimensions: Literal[2, 3]
    frame_dt: Annotated[float, Field(gt=0)]
    length_unit: Text | None = None
    time_unit: Text | None = None
    missing: Share = Field(description="of the positions")


class CurveFound(_Section):
    """The force of a pair of mean charges with its band, and how often distances were visited."""

    r: Numbers = ()
    force: Numbers = ()
    low: Numbers = ()
    high: Numbers = ()
    edges: Numbers = Field(default=(), description="of the bins of visited distances")
    counts: tuple[Annotated[float, Field(ge=0)], ...] = ()

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if len({len(each) for each in (self.r, self.force, self.low, self.high)}) > 1:
            raise ValueError("`r`, `force`, `low` and `high` of the curve must be equally long")
        if len(self.edges) != len(self.counts) + bool(self.counts):
            raise ValueError("`edges` of the curve must be one more than `counts`")
        return self


class ParticleFound(_Section):
    """One particle: charge and charge over mass as ratios to their means, and its drag."""

    name: Text
    charge: Interval
    charge_to_mass: Interval
    drag: Interval


class Noise(_Section):
    """Of the positions, and of random kicks."""

    position: Interval
    temperature: Interval


class SymmetryTest(_Section):
    """Whether a symmetry is broken, by how much, and how surely."""

    name: Text
    meaning: Text
    broken: bool
    effect: Interval | None = None
    p: Share | None = None
    p_corrected: Share | None = None
    least: float | None = None
    tested: bool = True
    why_not: Text | None = None


class Fit(_Section):
    """A formula that was tried, and its log-likelihood of held-out frames against the spline."""

    name: Text
    parameters: dict[Text, float]
    held_out: float = Field(description="per independent frame")
    fits: bool
    text: Text
    distance: FiniteFloat | None = Field(
        default=None, ge=0, description="relative, to the curve; of exact tracks alone"
    )


class Residuals(_Section):
    """What the law leaves unexplained."""

    r2_held_out: float
    chi2: float
    frames: NonNegativeInt
    per_particle: Numbers


class Forecast(_Section):
    """For how long runs of the law stay with held-out tracks."""

    valid_time: Interval
    segments: NonNegativeInt
    whole: NonNegativeInt = Field(default=0, description="segments that ended before it was wrong")
    threshold: float


class DiscoveryFile(_Section):
    """All of discovery.json."""

    version: Literal[1] = 1
    command: Text
    seed: NonNegativeInt
    tracks: TracksRead
    curve: CurveFound
    particles: tuple[ParticleFound, ...]
    field: tuple[NamedInterval, ...]
    noise: Noise
    symmetries: tuple[SymmetryTest, ...]
    formulas: tuple[Fit, ...]
    formula: Text | None = None
    residuals: Residuals
    forecast: Forecast | None = None
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _of_its_particles(self) -> Self:
        if self.formula is not None and self.formula not in {each.name for each in self.formulas}:
            raise ValueError("`formula` must be the name of one of `formulas`, or null")
        for name, part in (
            ("particles", self.particles),
            ("residuals.per_particle", self.residuals.per_particle),
        ):
            if len(part) != self.tracks.particles:
                raise ValueError(
                    f"`{name}` must be of as many particles as the tracks, "
                    f"{self.tracks.particles}, got {len(part)}"
                )
        return self
