"""What `nbody-sim run` was asked for: the options, and the problem that they pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.contracts.segment import whole_frames
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.state import Particles, State
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = [
    "DEFAULT_PARTICLES",
    "Problem",
    "Request",
    "given",
]

DEFAULT_PARTICLES = 30


@dataclass(frozen=True)
class Request:
    """The options of `nbody-sim run`, as given."""

    system: str
    parameter: tuple[str, ...]
    particles: int | None
    trajectories: int | None
    seed: int | None
    initial: Path | None
    initial_frame: int | None
    duration: float
    frame_dt: float | None
    softening: float | None
    integrator: str
    reference: str | None
    no_reference: bool
    verify: bool
    rtol: float | None
    atol: float | None
    substeps: int | None
    step: float | None
    device: str
    dtype: str | None
    threads: int
    weights: str | None
    compiled: bool
    guard: str | None
    threshold: tuple[str, ...]
    checkpoint: Path | None
    output: Path | None
    overwrite: bool
    render: Path | None
    report: Path | None
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class Problem:
    """What is to be simulated, whatever the method."""

    system: AbstractSystem
    state: State
    particles: Particles
    frames: int
    seed: int | None

    @classmethod
    def of(cls, request: Request) -> Problem:
        """Build the system and the start.

        Raises
        ------
        InputError
            If an option is wrong.
        FileFormatError
            If the file of the start is damaged.
        """
        system = _system(request)
        frames = whole_frames(request.duration, system.spec.frame_dt)
        state, particles = _start(request, system)
        seed = None if request.initial is not None else request.seed or 0
        return cls(system, state, particles, frames, seed)

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {key: value for key, value in options.items() if value is not None}


def _system(request: Request) -> AbstractSystem:
    from nbody_surrogate.registry.registry import make_system

    settled = given(frame_dt=request.frame_dt, softening=request.softening)
    return make_system(request.system, **parameters_of(request.parameter, settled))


def _start(request: Request, system: AbstractSystem) -> tuple[State, Particles]:
    seed = request.seed or 0
    if seed < 0:
        raise InputError(f"`seed` must be at least 0, got {seed}")
    if request.initial is None and request.initial_frame is not None:
        raise InputError("`initial_frame` goes with `initial` only; name the file")
    if request.initial is None:
        n = DEFAULT_PARTICLES if request.particles is None else request.particles
        trajectories = 1 if request.trajectories is None else request.trajectories
        return system.sample(seed, n, trajectories)
    settled = given(
        particles=request.particles, trajectories=request.trajectories, seed=request.seed
    )
    for name, value in settled.items():
        raise InputError(f"`{name}` {value} does not go with `initial`, which settles it")
    from nbody_surrogate.formats.initial import read_initial

    return read_initial(request.initial, frame=request.initial_frame or 0)
