"""The learned stepper: what a surrogate is, and what it must say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Generic, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from typing_extensions import TypeVar  # the default of a parameter comes with Python 3.13

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.force_laws import FieldLaw
from nbody_surrogate.contracts.fused_steps import AbstractFusedSteps
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.violations import described, plugin_errors, violation

__all__ = [
    "AbstractSurrogate",
    "Cache",
    "ParticleTensors",
    "SurrogateConfig",
    "checked_increments",
    "device_of",
    "excess_symmetries",
    "increments",
    "tensors_described",
]

Cache = dict[str, Tensor]
"""What a streaming surrogate remembers of earlier frames: a flat dict of tensors."""


class ParticleTensors(NamedTuple):
    """The constant properties of particles as tensors, in reduced units.

    Attributes
    ----------
    charges, masses : Tensor, shape (B, N)
    field : FieldLaw or None
        The law of the external field of a system that has one: handed to surrogates that apply
        it, see `nbody_surrogate.contracts.torch_force_laws.field_acceleration`.
    radii : Tensor, shape (B, N), or None
        Where the particles have a size.
    """

    charges: Tensor
    masses: Tensor
    field: FieldLaw | None = None
    radii: Tensor | None = None

    def __repr__(self) -> str:
        return brief(self)

    @classmethod
    def from_particles(
        cls,
        particles: Particles,
        device: torch.device | str,
        dtype: torch.dtype,
        field: FieldLaw | None = None,
    ) -> ParticleTensors:
        """Copy particles to a device and dtype.

        Parameters
        ----------
        particles : Particles, shape (B, N)
        device : torch.device or str
        dtype : torch.dtype
        field : FieldLaw, optional
            The law of the external field, for a model that applies it.

        Returns
        -------
        ParticleTensors
        """
        return cls(
            torch.tensor(particles.charges, device=device, dtype=dtype),
            torch.tensor(particles.masses, device=device, dtype=dtype),
            field,
            None
            if particles.radii is None
            else torch.tensor(particles.radii, device=device, dtype=dtype),
        )


class SurrogateConfig(BaseModel):
    """Base of every surrogate's configuration: unknown keys are refused.

    Attributes
    ----------
    free : frozenset of str
        Keys that weights do not depend on: a training may start from weights that have others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    free: ClassVar[frozenset[str]] = frozenset()

    history: int = Field(default=1, ge=1, description="frames the model may look back on")


def excess_symmetries(model: AbstractSurrogate, system: AbstractSystem) -> list[str]:
    """Symmetries of a model that the forces it stands for lack, sorted.

    Where a system alters forces, as by clipping them, those of the physics it stands for count.
    """
    ideal = system.ideal()
    # a model that applies the field itself stands for the forces of pairs alone
    held = ideal.pair_symmetries if model.applies_field else ideal.symmetries
    return sorted(model.symmetries - held)


Config_co = TypeVar("Config_co", bound=SurrogateConfig, default=SurrogateConfig, covariant=True)


class AbstractSurrogate(nn.Module, ABC, Generic[Config_co]):
    """A learned map from a window of frames to the increments of the next frame.

    To write one:

    1. set `Config` to a subclass of `SurrogateConfig` and take one instance in ``__init__``,
       handing it to ``super().__init__(config)``, which keeps it as `config`; inherit from
       ``AbstractSurrogate[YourConfig]``, so that type checkers know what `config` is;
    2. set `min_history` above 1 if the model cannot start from a single frame: the reference
       integrator then supplies the first frames;
    3. declare `symmetries`: what holds exactly, whatever the weights. These two stand on the
       class, or on the instance where they depend on its config;
    4. implement `forward`; set `one_shot` where it answers for the last frame of a window only,
       `fixed_particles` where it takes one number of particles only, and `fixed_radius` where
       it takes one radius only;
    5. set `applies_field` where the model applies the system's external field itself, from
       ``particles.field``: it then learns the pair forces only, and is refused where forces
       depend on velocity;
    6. optionally implement `start_cache` and `step_cache` together, so that a roll-out costs
       one frame's work per frame. They must agree with `forward` to rounding, and each tensor
       of the cache has one axis that counts the trajectories;
    7. optionally implement `fused_steps`: the same steps by compiled code, where torch is slow;
    8. optionally train by compiled code in `forward` while `training_engine` is "fused", with the
       same gradients to rounding: a trainer sets it, nothing else of the model changes;
    9. optionally set `shipped_weights`, names of sets of weights and their folders; the first
       is what runs by default; and `own_recipe`, the TOML file of a training from the start, by
       which `nbody-sim plan` tells what one costs;
    10. optionally implement `initialise`: what data give in closed form, before the first step
       of a training;
    11. set `api_version` to the version of these duties that the class is written for;
    12. name in `capabilities` what of `contracts.capabilities` the model is made for, on the
        class or on the instance: a system that needs more is refused;
    13. where the model cannot keep a demand, as one that is made as it was published, name the
        check in `known_failures`, with the reason: ``nbody-sim plugins check`` shows it as known,
        and fails if it passes after all.

    All quantities are in reduced units. `nbody_surrogate.testing` checks all of this.

    Parameters
    ----------
    config : SurrogateConfig
        An instance of `Config`.
    """

    api_version: ClassVar[int] = 1
    Config: type[Config_co]
    min_history: int = 1
    symmetries: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    one_shot: ClassVar[bool] = False
    applies_field: ClassVar[bool] = False
    shipped_weights: ClassVar[Mapping[str, Path]] = MappingProxyType({})
    own_recipe: ClassVar[Path | None] = None
    known_failures: ClassVar[Mapping[str, str]] = MappingProxyType({})
    training_engine: Literal["torch", "fused"] = "torch"

    def __init__(self, config: Config_co) -> None:
        super().__init__()
        self.config = config

    @property
    def evaluations_per_frame(self) -> int:
        """How often one frame evaluates each pair of particles, to compare costs by."""
        return 1

    @property
    def fixed_particles(self) -> int | None:
        """The only number of particles that the model takes, or None where it takes any."""
        return None

    @property
    def fixed_radius(self) -> float | None:
        """The only radius of particles that the model takes, or None where it takes any."""
        return None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, and of the increments; of a model without any, torch's."""
        held = next((each for each in _tensors(self) if each.is_floating_point()), None)
        return torch.get_default_dtype() if held is None else held.dtype

    @abstractmethod
    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """Predict the increments to the next frame, after every frame of a window.

        Parameters
        ----------
        x, v : Tensor, shape (B, T, N, D)
            Positions and velocities, oldest frame first. They come in float64 where the
            device has it: take differences first, then cast to the model's dtype.
        particles : ParticleTensors

        Returns
        -------
        dx, dv : Tensor, shape (B, T, N, D)
            Increments after each frame, computed from that frame and at most
            ``history - 1`` earlier ones (causal), in the model's dtype. A one-shot model
            returns ``(B, 1, N, D)``, for its last frame only.
        """

    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Set what follows from training windows in closed form; by default nothing.

        Parameters
        ----------
        x, v : Tensor, shape (B, T, N, D)
            Some thousand windows.
        particles : ParticleTensors
        dx, dv : Tensor, shape (B, N, D)
            The true increments after the last frame.
        """

    def begin_with_curve(self, r: Tensor, force: Tensor) -> bool:
        """Begin with a central pair law that is known as a curve; by default nothing is done.

        Parameters
        ----------
        r : Tensor, float64, shape (R,)
            Distances, ascending, those that are visited.
        force : Tensor, float64, shape (R,)
            The force between two unit charges, positive where they repel each other.

        Returns
        -------
        bool
            Whether the model has taken it.
        """
        return False

    def start_cache(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """Return the cache after the frames of a window, which may be empty.

        Parameters
        ----------
        x, v : Tensor, shape (B, T, N, D)
            The frames before the one that `step_cache` is given next; T may be 0.
        particles : ParticleTensors

        Returns
        -------
        Cache
        """
        # one less than the history: `step_cache` brings the newest frame of the window
        first = max(x.shape[1] - self.config.history + 1, 0)
        return {"x": x[:, first:], "v": v[:, first:]}

    def step_cache(
        self, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
    ) -> tuple[Tensor, Tensor, Cache]:
        """Predict from the newest frame and the cache; return increments and the new cache.

        Parameters
        ----------
        cache : Cache
            Never changed in place.
        x, v : Tensor, shape (B, N, D)
            The newest frame.
        particles : ParticleTensors

        Returns
        -------
        dx, dv : Tensor, shape (B, N, D)
        cache : Cache
        """
        # the empty cache of a start is in torch's default dtype, frames come in float64
        window_x = torch.cat([cache["x"].to(x.dtype), x[:, None]], dim=1)
        window_v = torch.cat([cache["v"].to(v.dtype), v[:, None]], dim=1)
        dx, dv = checked_increments(self, self(window_x, window_v, particles), window_x.shape)
        return (
            dx[:, -1],
            dv[:, -1],
            AbstractSurrogate.start_cache(self, window_x, window_v, particles),
        )

    def fused_steps(
        self, particles: Particles, dimensions: int, field: FieldLaw | None
    ) -> AbstractFusedSteps | None:
        """Return the steps of the model as it is now, by compiled code; None where there are none.

        Parameters
        ----------
        particles : Particles, shape (B, N)
        dimensions : int
        field : FieldLaw or None
            The law of the external field, for a model that applies it.

        Returns
        -------
        AbstractFusedSteps or None
        """
        return None


def device_of(model: nn.Module) -> torch.device:
    """Return where a model's parameters are, or its buffers; the CPU of one that has neither."""
    held = next(_tensors(model), None)
    return torch.device("cpu") if held is None else held.device


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def increments(
    model: AbstractSurrogate, x: Tensor, v: Tensor, particles: ParticleTensors
) -> tuple[Tensor, Tensor]:
    """Call a model on windows x, v (B, T, N, D), and hold it to `AbstractSurrogate.forward`.

    Raises
    ------
    PluginError
        If it raises, or returns anything else.
    """
    with plugin_errors(origin_of(type(model), "surrogate"), "forward"):
        made = model(x, v, particles)
    return checked_increments(model, made, x.shape)


def checked_increments(
    model: AbstractSurrogate, made: object, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Demand what `AbstractSurrogate.forward` must return for windows of a shape (B, T, N, D).

    Raises
    ------
    PluginError
        If it is no pair of increments, or their shape or dtype is another.
    """
    batch, _, *rest = shape
    one_shot = (batch, 1, *rest)
    fits = (
        isinstance(made, tuple)
        and len(made) == 2
        and all(isinstance(dy, Tensor) and dy.dtype is model.dtype for dy in made)
        and made[0].shape == made[1].shape
        and made[0].shape in (shape, one_shot)
    )
    if not fits:
        dtype = str(model.dtype).removeprefix("torch.")
        wanted = f"dx and dv, both {dtype} of shape (B, T, N, D) = {tuple(shape)}"
        wanted += f", or {one_shot} for its last frame only"
        what = f"must return {wanted}, got {tensors_described(made)}"
        raise violation(origin_of(type(model), "surrogate"), "forward", what)
    return made  # type: ignore[return-value]


def tensors_described(made: object) -> str:
    """Say in a few words what a model returned."""
    if isinstance(made, Tensor):
        return f"{str(made.dtype).removeprefix('torch.')} of shape {tuple(made.shape)}"
    if isinstance(made, tuple) and len(made) == 2:
        return " and ".join(tensors_described(each) for each in made)
    return described(made)
