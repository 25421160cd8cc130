"""The card of a model: what a set of weights is for, and how it came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # the one needs torch, and cards do not
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.error_model import ErrorModel

__all__ = ["Card", "CardSystem"]


class CardSystem(BaseModel):
    """A system that a set of weights was trained on, in reduced units."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    system: str = Field(description="its registered name")
    spec: dict[str, float | int | str | bool | list[Any] | dict[str, Any] | None] = Field(
        description="the parameters that the motion depends on"
    )
    numerical: tuple[str, ...] = Field(
        default=(), description="those of them that say how well forces are computed, not which"
    )
    time_range: tuple[float, float] | None = Field(
        description="earliest and latest in the training data, where it is known"
    )


class Card(BaseModel):
    """What a set of weights is for, and how it came about.

    The systems' parameters and the frame spacing are part of what was learned, so a run
    with others is refused. What else is outside the training's ranges is warned about, or as
    `simulate` is told. What is not known, as of a model that was trained elsewhere, is left open:
    None, or nothing, and then nothing is refused or warned about for it. All quantities are in
    reduced units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    systems: tuple[CardSystem, ...] = Field(description="trained on, one or more")
    frame_dt: float | None = Field(gt=0, description="time between frames")
    horizon: float | None = Field(
        default=None, gt=0, description="time from the last frame to the answer, in one shot"
    )
    particles: tuple[int, int] | None = Field(description="least and largest number N")
    charges: tuple[float, float] | None = Field(description="range of |q|")
    masses: tuple[float, float] | None = Field(description="least and largest mass")
    radii: tuple[float, float] | None = Field(
        default=None, description="least and largest radius, of particles that have some"
    )
    closest: float | None = Field(
        default=None, ge=0, description="smallest distance of a pair in the frames of training"
    )
    fastest: float | None = Field(default=None, gt=0, description="largest speed there")
    domain: Domain | None = Field(
        default=None, description="ranges of invariants of the frames there; cards of before: none"
    )
    dtype: Literal["float32", "float64"] = Field(default="float32", description="of the weights")
    symmetries: tuple[str, ...] = Field(description="what holds exactly, by names of systems'")
    training_data_hash: str = Field(description="SHA-256 over the data that were trained on")
    training: dict[str, float | int | str] = Field(
        default_factory=dict, description="how it went: steps, minutes, what it began with"
    )

    error_model: ErrorModel | None = Field(
        default=None, description="of the error estimate; None: it was not calibrated"
    )

    __repr__ = brief

    @classmethod
    def of(
        cls,
        model: AbstractSurrogate,
        system: AbstractSystem | None = None,
        frame_dt: float | None = None,
    ) -> Card:
        """Return the card of a model in memory: what it says of itself, the rest is open.

        Parameters
        ----------
        model : AbstractSurrogate
        system : AbstractSystem, optional
            That it was trained on; by default open.
        frame_dt : float, optional
            Time between frames there; by default open.

        Returns
        -------
        Card
        """
        systems: tuple[CardSystem, ...] = ()
        if system is not None:
            systems = (
                CardSystem(
                    system=system.name,
                    spec=system.spec.of_forces(),
                    numerical=system.spec.numerical(),
                    time_range=None,
                ),
            )
        return cls(
            systems=systems,
            frame_dt=frame_dt,
            dtype=str(model.dtype).removeprefix("torch."),  # type: ignore[arg-type]
            particles=None,
            charges=None,
            masses=None,
            symmetries=tuple(sorted(model.symmetries)),
            training_data_hash="",
        )

    @property
    def training_minutes(self) -> float | None:
        """What the training took, with that of the weights it began with; None if not known."""
        # weights that it began with took time of their own; not known where no card said how much
        known = 0.0 if "initial" not in self.training else None
        parts = self.training.get("minutes"), self.training.get("minutes_before", known)
        numbers = [part for part in parts if isinstance(part, int | float)]
        return float(sum(numbers)) if len(numbers) == len(parts) else None
