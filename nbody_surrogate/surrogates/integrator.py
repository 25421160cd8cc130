"""Make any surrogate an integrator: history, warm-up, device, streaming, batching."""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from nbody_surrogate.contracts.card import Card, CardSystem
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Carry, Frames, Limits, Problem, Tick
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    Cache,
    ParticleTensors,
    excess_symmetries,
)
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.environment.device import resolve_device, resolve_dtype
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import is_surrogate, surrogate_class
from nbody_surrogate.surrogates.applicability import SAME_DT, _range
from nbody_surrogate.surrogates.compiled_step import INDUCTOR, logger
from nbody_surrogate.surrogates.streaming import HeldStreaming, StepCache
from nbody_surrogate.surrogates.weights import load_weights

__all__ = ["SurrogateIntegrator", "SurrogateOptions"]


CACHE = "cache."  # names of a carry's arrays that are the model's


class SurrogateOptions(IntegratorOptions):
    """Options of every surrogate."""

    weights: str | None = Field(
        default=None, description="a folder, or the name of shipped weights; default: the first"
    )
    device: str = "auto"
    dtype: str | None = Field(default=None, description="default: that of the weights")
    warm_up: str = Field(default="dop853", description="makes the first frames where needed")
    compile: bool = Field(
        default=False,
        description="by torch.compile, for each shape: a minute or less once, then faster frames",
    )


@final
class SurrogateIntegrator(AbstractIntegrator):
    """A learned stepper under the call of a solver.

    The state is kept and summed in float64; the model returns increments in its own dtype.
    Each new frame is computed from the newest frame and the model's cache, which is part of
    the carry.

    Parameters
    ----------
    name : str
        The surrogate's registered name.
    model, card : optional
        A model in memory, in place of a folder of weights.
    **options
        See `SurrogateOptions`.

    Raises
    ------
    InputError
        If an option is wrong, or there are no weights.
    FileFormatError
        If the weights cannot be read.
    """

    Options = SurrogateOptions

    def __init__(
        self,
        name: str,
        *,
        model: AbstractSurrogate | None = None,
        card: Card | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        super().__init__(**options)
        assert isinstance(self.options, SurrogateOptions)
        self.device = resolve_device(self.options.device)
        self.digest = "in memory"
        if (model is None) != (card is None) or (model is not None and self.options.weights):
            raise InputError("`model` and `card` go together, and without `weights`")
        if model is None or card is None:
            model, card, self.digest = self._load(self.options.weights)
        dtype = model.dtype if self.options.dtype is None else resolve_dtype(self.options.dtype)
        if self.device.type == "mps" and dtype is torch.float64:
            raise InputError("`dtype` float64 is not available on `device` 'mps'; use float32")
        self.model = copy.deepcopy(model).to(self.device, dtype).eval()  # the caller keeps theirs
        self.card, self.capabilities = card, self.model.capabilities
        self._held = HeldStreaming(self.model, name)
        self.origin, self.stepper = self._held.origin, self._held.method
        self._step = self._compiled() if self.options.compile else self.model.step_cache
        # MPS has no float64: there the state is summed on the host.
        self._state_device = torch.device("cpu") if self.device.type == "mps" else self.device

    def _load(self, folder: str | None) -> tuple[AbstractSurrogate, Card, str]:
        cls = surrogate_class(self.name)
        shipped = cls.shipped_weights
        if folder is None and not shipped:
            raise InputError(f"`weights`: surrogate {self.name!r} ships none; give a folder")
        chosen = next(iter(shipped)) if folder is None else folder
        if shipped and chosen not in shipped and not Path(chosen).is_dir():
            known = ", ".join(shipped)
            raise InputError(f"`weights` must be {known} or a folder, got {chosen!r}")
        return load_weights(shipped.get(chosen, chosen), self.name, cls)

    def _compiled(self) -> StepCache:
        """Compile the step on its first call; where that fails, go on without and say so once.

        Weights are constants here, so they are frozen into what is compiled.
        """
        plain = self.model.step_cache
        on_cpu = INDUCTOR if self.device.type == "cpu" else None
        compiled: StepCache | None = None

        def step(
            cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
        ) -> tuple[Tensor, Tensor, Cache]:
            nonlocal compiled
            try:
                compiled = compiled or torch.compile(plain, dynamic=False, options=on_cpu)
                return compiled(cache, x, v, particles)
            except Exception as error:  # whatever a compiler may raise, or torch where it has none
                reason = " ".join(str(error).split())[:120]
                logger.warning("%s runs without torch.compile: %s", self.name, reason)
                self._step = plain
                return plain(cache, x, v, particles)

        return step

    @property
    def description(self) -> dict[str, Any]:
        """Name, options, device and the hash of the weights."""
        return {
            "integrator": self.name,
            **self.options.model_dump(),
            "device": str(self.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "weights_hash": self.digest,
        }

    @property
    def threads(self) -> int:
        """Threads of torch."""
        return torch.get_num_threads()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model's configuration and weights."""
        digest = hashlib.sha256(self.model.config.model_dump_json().encode())
        for key, value in sorted(self.model.state_dict().items()):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _stored(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {
            key: value.cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
            for key, value in arrays.items()
        }

    def _restored(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        tensors = {
            key: torch.tensor(value, device=self.device)
            for key, value in arrays.items()
            if key.startswith(CACHE)
        }
        return {**arrays, **tensors}

    def _check(self, problem: Problem, state: State) -> None:
        self._check_system(problem.system)
        self._check_stepper(problem.particles.n)
        if not math.isclose(problem.dt, self.card.frame_dt, rel_tol=SAME_DT):
            raise InputError(
                f"`frame_dt` is {self.card.frame_dt} in what {self.name} was trained on, got "
                f"{problem.dt}; use {self.card.frame_dt}, other weights or a solver"
            )
        self._check_symmetries(problem.system)
        self._check_warm_up()
        self._warn_outside_range(problem)

    def _check_stepper(self, n: int) -> None:
        """Demand a model that answers for the next frame, of so many particles."""
        card, only = self.card, self.model.fixed_particles
        if card.horizon is not None and not math.isclose(
            card.horizon, card.frame_dt, rel_tol=SAME_DT
        ):
            raise InputError(
                f"`integrator` {self.name} answers {card.horizon:g} time units after frames that "
                f"are {card.frame_dt:g} apart, in one shot, so it is no stepper; score it by "
                "nbody-sim evaluate with a `dataset`"
            )
        if only not in (None, n):
            raise InputError(
                f"`particles` must be the {only} that {self.name} was trained for, got {n}"
            )

    def _check_system(self, system: AbstractSystem) -> None:
        """Demand a system that the model was trained on, with the same parameters."""
        names = [trained.system for trained in self.card.systems]
        if system.name not in names:
            known = " and ".join(map(repr, dict.fromkeys(names)))
            raise InputError(
                f"`integrator` {self.name} was trained on system {known}, "
                f"got {system.name!r}; use that system, or --weights trained on this one"
            )
        given = system.spec.model_dump(mode="json")
        for key, value in self._trained_on(system).spec.items():
            if given.get(key) != value:
                raise InputError(
                    f"`{key}` is {value} in what {self.name} was trained on, got "
                    f"{given.get(key)}; use {value}, other weights or a solver"
                )

    def _trained_on(self, system: AbstractSystem) -> CardSystem:
        """Return the card's entry for a system: the one with its parameters, if there is one."""
        given = system.spec.model_dump(mode="json")
        named = [trained for trained in self.card.systems if trained.system == system.name]
        fitting = [
            trained
            for trained in named
            if all(given.get(key) == value for key, value in trained.spec.items())
        ]
        return (fitting or named)[0]

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

    def _check_warm_up(self) -> None:
        assert isinstance(self.options, SurrogateOptions)
        if self.model.min_history > self.options.segment:
            raise InputError(
                f"`segment` must be at least the {self.model.min_history} frames that "
                f"{self.name} starts from, got {self.options.segment}"
            )
        if self.model.min_history > 1 and is_surrogate(self.options.warm_up):
            raise InputError(f"`warm_up` must be a solver, got surrogate {self.options.warm_up!r}")

    def _warn_outside_range(self, problem: Problem) -> None:
        particles = problem.particles
        for label, values, (lowest, highest) in (
            ("particles", (particles.n, particles.n), self.card.particles),
            ("|charges|", _range(abs(particles.charges)), self.card.charges),
            ("masses", _range(particles.masses), self.card.masses),
        ):
            if values[0] < lowest or values[1] > highest:
                warnings.warn(
                    f"{self.name} was trained for {label} from {lowest:g} to {highest:g}, "
                    f"got {values[0]:g} to {values[1]:g}: accuracy is not known there",
                    NBodyWarning,
                    stacklevel=2,
                )

    @torch.inference_mode()
    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        if self.model.min_history > 1:
            return {}  # the first segment fills the cache from the frames of the warm-up
        nothing = torch.empty((state.x.shape[0], 0, *state.x.shape[1:]), device=self.device)
        return _packed(self._held.start(nothing, nothing, self._particles(problem)))

    @property
    def history(self) -> int:
        """Frames that the model looks back on, the newest included."""
        return max(self.model.config.history, self.model.min_history)

    @torch.inference_mode()
    def _restart(self, problem: Problem, t: float, x: np.ndarray, v: np.ndarray) -> dict[str, Any]:
        """Fill the cache anew, from the frames before the newest."""
        before = (self._tensor(y[:, :-1]) for y in (x, v))
        return _packed(self.model.start_cache(*self._inputs(*before), self._particles(problem)))

    def limits(self, system: AbstractSystem) -> Limits:
        """Return the ranges of the card."""
        card = self.card
        return Limits(
            closest=card.closest or 0.0,
            fastest=math.inf if card.fastest is None else card.fastest,
            most=card.particles[1],
            longest=self._trained_on(system).time_range[1],
        )

    @torch.inference_mode()
    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        problem, batch = carry.problem, carry.arrays["x"].shape[0]
        particles = self._particles(problem)
        self._warn_outside_times(problem, carry.frame + frames)
        x, v = (self._tensor(carry.arrays[key])[:, None] for key in ("x", "v"))  # (B, 1, N, D)
        cache, counters = _unpacked(carry.arrays), {"model_calls": 0}
        failures: dict[int, tuple[int, str]] = {}
        if carry.frame == 0 and self.model.min_history > 1:
            x, v, counters, failures = self._warm_up(carry, frames, counters)
            cache = self._held.start(*self._inputs(x[:, :-1], v[:, :-1]), particles)
        made = _Frames(frames, x[:, 0], self.device)
        for n in range(1, x.shape[1]):  # of the warm-up
            made.add(x[:, n], v[:, n])
        newest_x, newest_v, watch = x[:, -1], v[:, -1], True
        while made.count < frames:
            inputs = self._inputs(newest_x, newest_v)
            dx, dv, cache = self._held.step(self._step, cache, *inputs, particles, watch)
            watch = False
            newest_x, newest_v = newest_x + dx.to(newest_x), newest_v + dv.to(newest_v)
            made.add(newest_x, newest_v)
            counters["model_calls"] += batch
            tick(made.count)
        new_x, new_v = made.arrays()
        return Frames(new_x, new_v, _packed(cache), failures, counters)

    def _warm_up(
        self, carry: Carry, frames: int, counters: dict[str, int]
    ) -> tuple[Tensor, Tensor, dict[str, int], dict[int, tuple[int, str]]]:
        """Make the start and the frames before the model's first one by the reference."""
        assert isinstance(self.options, SurrogateOptions)
        solver = make_integrator(self.options.warm_up, segment=self.options.segment)
        problem = carry.problem
        state = State(problem.t0, carry.arrays["x"], carry.arrays["v"])
        start = solver.start(problem.system, state, problem.particles, problem.dt)
        made = solver.advance(start, min(self.model.min_history - 1, frames))
        x, v = (
            torch.cat([self._tensor(first)[:, None], self._tensor(later)], dim=1)
            for first, later in ((state.x, made.x), (state.v, made.v))
        )
        why = f"the warm-up by {solver.name} failed"
        failures = {int(b): (int(made.good[b]), why) for b in np.flatnonzero(made.status)}
        return x, v, {**counters, "warm_up_nfev": made.counters.get("nfev", 0)}, failures

    def _warn_outside_times(self, problem: Problem, frame: int) -> None:
        earliest, latest = self._trained_on(problem.system).time_range
        slack = SAME_DT * max(abs(earliest), abs(latest))
        if problem.t0 < earliest - slack or problem.time(frame) > latest + slack:
            warnings.warn(
                f"{self.name} was trained for times from {earliest:g} to {latest:g}, the run "
                "goes beyond",
                NBodyWarning,
                stacklevel=2,
            )

    def _tensor(self, array: Any) -> Tensor:
        """Copy part of the state to where it is summed, in float64."""
        return torch.tensor(array, dtype=torch.float64, device=self._state_device)

    def _inputs(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Hand frames to the model, in float64 where its device has it."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return x.to(self.device, dtype), v.to(self.device, dtype)

    def _particles(self, problem: Problem) -> ParticleTensors:
        laws = problem.system.force_laws() if self.model.applies_field else None
        field = None if laws is None else laws.field
        return ParticleTensors.from_particles(
            problem.particles, self.device, self.model.dtype, field
        )


class _Frames:
    """Frames on the host, copied while the device goes on; waited for once, at the end."""

    def __init__(self, frames: int, like: Tensor, device: torch.device) -> None:
        shape, pinned = (2, frames, *like.shape), device.type == "cuda"
        self._made = torch.empty(shape, dtype=torch.float64, pin_memory=pinned)
        self._device, self.count = device, 0

    def add(self, x: Tensor, v: Tensor) -> None:
        """Take the next frame, x and v (B, N, D)."""
        for out, y in zip(self._made, (x, v), strict=True):
            out[self.count].copy_(y, non_blocking=True)
        self.count += 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and v, both (B, F, N, D)."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        x, v = (y.transpose(0, 1).contiguous().numpy() for y in self._made)
        return x, v


def _packed(cache: Cache) -> dict[str, Tensor]:
    """Put a cache into a carry, contiguous as it is after a restart, so that bits are the same."""
    return {f"{CACHE}{key}": value.contiguous() for key, value in cache.items()}


def _unpacked(arrays: Mapping[str, Any]) -> Cache:
    return {key.removeprefix(CACHE): arrays[key] for key in arrays if key.startswith(CACHE)}
