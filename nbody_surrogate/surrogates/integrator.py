"""Make any surrogate an integrator: history, warm-up, device, streaming, batching."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.contracts.device import resolve_device, resolve_dtype, torch_threads
from nbody_surrogate.contracts.domain import Domain
from nbody_surrogate.contracts.hidden_variables import Hidden, listed, refuse_wrong_hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.segment import Carry, Frames, Limits, Problem, Tick
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.threads import threads_that_pay
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError, warn
from nbody_surrogate.registry.lookup import is_surrogate
from nbody_surrogate.registry.registry import integrator_class, surrogate_class
from nbody_surrogate.surrogates.applicability import Applicability
from nbody_surrogate.surrogates.engine import Engine
from nbody_surrogate.surrogates.options import NO_WARM_UP, SurrogateOptions
from nbody_surrogate.surrogates.places import weights_folder
from nbody_surrogate.surrogates.streaming import (
    CACHE,
    HeldStreaming,
    HostFrames,
    packed,
    unpacked,
)
from nbody_surrogate.surrogates.weights import load_weights

__all__ = ["SurrogateIntegrator", "SurrogateOptions"]

SHARE = 1 << 22
"""Pairs of all trajectories times features of the widest layer, from where a thread pays."""


@final
class SurrogateIntegrator(AbstractIntegrator[SurrogateOptions]):
    """A learned stepper under the call of a solver.

    The state is kept and summed in float64; the model returns increments in its own dtype.
    Each new frame is computed from the newest frame and the model's cache, which is part of
    the carry.

    Parameters
    ----------
    surrogate : str or AbstractSurrogate
        The surrogate's registered name, or a model in memory, which is copied.
    model : AbstractSurrogate, optional
        A model in memory beside a name, in place of a folder of weights.
    card : Card, optional
        What the model in memory is for; by default all that it does not say of itself is open, and
        nothing is refused for it.
    **options
        See `SurrogateOptions`.

    Raises
    ------
    InputError
        If an option is wrong, there are no weights, or `surrogate` is neither name nor model.
    FileFormatError
        If the weights cannot be read.
    """

    Options = SurrogateOptions

    def __init__(
        self,
        surrogate: str | AbstractSurrogate,
        *,
        model: AbstractSurrogate | None = None,
        card: Card | None = None,
        **options: Any,
    ) -> None:
        if isinstance(surrogate, AbstractSurrogate):
            if model is not None:
                raise InputError("`model` goes with a name; `surrogate` is a model already")
            name, model = name_of(surrogate), surrogate
        elif isinstance(surrogate, str):
            name = surrogate
        else:
            raise InputError(
                "`surrogate` must be a registered name or an AbstractSurrogate, "
                f"got {type(surrogate).__name__}"
            )
        self.name = name
        super().__init__(**options)
        self.device = resolve_device(self.options.device)
        self.digest = "in memory"
        if (model is None and card is not None) or (model is not None and self.options.weights):
            raise InputError("`card` goes with a model in memory, and that without `weights`")
        if model is None:
            model, card, self.digest = self._load(self.options.weights)
        card = Card.of(model) if card is None else card
        self.label = self._label()
        dtype = model.dtype if self.options.dtype is None else resolve_dtype(self.options.dtype)
        if self.device.type == "mps" and dtype is torch.float64:
            raise InputError("`dtype` float64 is not available on `device` 'mps'; use float32")
        self.model = copy.deepcopy(model).to(self.device, dtype).eval()  # the caller keeps theirs
        self.card, self.capabilities = card, self.model.capabilities
        self._held = HeldStreaming(self.model, name)
        self.origin, self.stepper = self._held.origin, self._held.method
        self._fit = Applicability(self.model, card, self.label)
        self._width = max(
            (max(weights.shape, default=1) for weights in self.model.parameters()), default=1
        )
        self._engine = Engine(self.model, self.label, self.options, self.device, self._width)
        # MPS has no float64: there the state is summed on the host.
        self._state_device = torch.device("cpu") if self.device.type == "mps" else self.device

    def _label(self) -> str:
        """Return what messages call it: the name of shipped weights, which says more than `set`."""
        weights = self.options.weights
        named = weights is not None and weights in surrogate_class(self.name).shipped_weights
        return weights if weights is not None and named else self.name

    def _load(self, folder: str | None) -> tuple[AbstractSurrogate, Card, str]:
        cls = surrogate_class(self.name)
        shipped = cls.shipped_weights
        if folder is None and not shipped:
            raise InputError(f"`weights`: surrogate {self.name!r} ships none; give a folder")
        chosen = next(iter(shipped)) if folder is None else folder
        if shipped and chosen not in shipped and not Path(chosen).is_dir():
            known = ", ".join(shipped)
            raise InputError(f"`weights` must be {known} or a folder, got {chosen!r}")
        return load_weights(shipped.get(chosen) or weights_folder(chosen), self.name, cls)

    @property
    def description(self) -> dict[str, Any]:
        """Name, options, device, the engine that computes, and the hash of the weights."""
        return {
            "integrator": self.name,
            **self.options.model_dump(),
            "engine": self._engine.described,
            "device": str(self.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "weights_hash": self.digest,
        }

    @property
    def batch_invariant(self) -> bool:
        """True of a model's own compiled steps; torch takes other paths for other shapes."""
        return self._engine.name == "fused"

    def threads_for(self, batch: int, n: int) -> int:
        """Threads: its option, or as many as pay for all features of all pairs.

        The latter are no more than torch is set to. Compiled steps share out trajectories.
        """
        if self._engine.name == "fused":
            return self._engine.threads(batch, n, self.options.segment)
        given = self.options.threads
        return self._paying(batch, n, torch.get_num_threads()) if given is None else given

    def _paying(self, batch: int, n: int, allowed: int) -> int:
        if self.device.type != "cpu":
            return 1  # the host only hands work on
        return threads_that_pay(batch * n * (n - 1) // 2 * self._width, SHARE, allowed)

    def _warn_of_threads(self, batch: int, n: int) -> None:
        """Warn of more threads than have work: they wait for each other, at times for long."""
        given = self.options.threads
        if given is None or self.device.type != "cpu" or self._engine.name == "fused":
            return  # compiled steps share out whole trajectories, and no thread waits for another
        if given > (pay := self._paying(batch, n, given)):
            warn(
                f"`threads` {given} is more than pays for {batch} x {n} particles by {self.label} "
                f"on this machine; leave it out, or take {pay}",
            )

    def _on_threads(self, problem: Problem, dimensions: int) -> AbstractContextManager[None]:
        """Let torch have the threads for a problem, and afterwards what it had."""
        self._engine.steps(problem, dimensions)  # by which the engine is that of this problem
        return torch_threads(self.threads_for(problem.particles.batch, problem.particles.n))

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
        self._fit.check(problem)
        system, first = problem.system, self._first_frames(problem.system, state.hidden)
        self._check_warm_up(first)
        if first > 1:  # the warm-up's solver asks for them
            refuse_wrong_hidden(system.name, system.hidden_variables, state.hidden, state.x.shape)
        if system.hidden_variables:
            self._warn_of_hidden(problem, state)
        self._engine.check(problem, state.x.shape[-1])
        self._warn_of_threads(problem.particles.batch, problem.particles.n)

    def _first_frames(self, system: AbstractSystem, hidden: Hidden) -> int:
        """Return how many frames there are before the model takes over, the start included.

        Where a system hides something, the reference makes a whole history: what is hidden shows in
        it, as far as the model reads it. It is the reference alone that is shown more.
        """
        if self.options.warm_up != NO_WARM_UP and system.hidden_variables and hidden:
            return self.history
        return self.model.min_history

    def _warn_of_hidden(self, problem: Problem, state: State) -> None:
        """Say what cannot be known where a system hides something."""
        system = problem.system
        names = listed([each.name for each in system.hidden_variables])
        if self.history == 1:
            warn(
                f"{self.label} is shown the present alone, and system {system.name!r} hides "
                f"{names}; it can do no better than the memoryless floor, "
                "see nbody-sim evaluate --floor"
            )
        elif self._first_frames(system, state.hidden) == 1:
            warn(
                f"{self.label} starts without a past, and system {system.name!r} hides {names}; "
                "until its start is forgotten it can do no better than the memoryless floor, "
                "see nbody-sim evaluate --floor"
            )

    def _check_warm_up(self, first: int) -> None:
        if self.options.warm_up == NO_WARM_UP and first > 1:
            raise InputError(
                f"`warm_up` must be a solver, got none: {self.name} starts from "
                f"{self.model.min_history} frames"
            )
        if first > self.options.segment:
            raise InputError(
                f"`segment` must be at least the {first} frames that "
                f"{self.name} starts from, got {self.options.segment}"
            )
        if first > 1 and is_surrogate(self.options.warm_up):
            raise InputError(f"`warm_up` must be a solver, got surrogate {self.options.warm_up!r}")

    @torch.inference_mode()
    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        if self._first_frames(problem.system, state.hidden) > 1:
            return {}  # the first segment fills the cache from the frames of the warm-up
        nothing = self._tensor(state.x[:, None][:, :0])  # of the type that a restart's frames have
        before = self._inputs(nothing, nothing)
        with self._on_threads(problem, state.x.shape[-1]):
            return packed(self._held.start(*before, self._particles(problem)))

    @property
    def history(self) -> int:
        """Frames that the model looks back on, the newest included."""
        return max(self.model.config.history, self.model.min_history)

    @torch.inference_mode()
    def _restart(self, problem: Problem, t: float, x: np.ndarray, v: np.ndarray) -> dict[str, Any]:
        """Fill the cache anew, from the frames before the newest."""
        before = self._inputs(self._tensor(x[:, :-1]), self._tensor(v[:, :-1]))
        with self._on_threads(problem, x.shape[-1]):
            return packed(self.model.start_cache(*before, self._particles(problem)))

    def limits(self, system: AbstractSystem) -> Limits:
        """Return the ranges of the card."""
        return self._fit.limits(system)

    def domain(self, system: AbstractSystem) -> Domain | None:
        """Return the domain of the card, for a system."""
        return self._fit.domain(system)

    @torch.inference_mode()
    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        with self._on_threads(carry.problem, carry.arrays["x"].shape[-1]):
            return self._rolled_out(carry, frames, tick)

    def _rolled_out(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        problem, batch = carry.problem, carry.arrays["x"].shape[0]
        particles = self._particles(problem)
        x = self._tensor(carry.arrays["x"])[:, None]  # (B, 1, N, D): the boundary's frame
        v = self._tensor(carry.arrays["v"])[:, None]
        cache = unpacked(carry.arrays)
        counters = {"model_calls": 0}
        failures: dict[int, tuple[int, str]] = {}
        first = self._first_frames(problem.system, carry.hidden) if carry.frame == 0 else 1
        if first > 1:
            x, v, counters, failures = self._warm_up(carry, min(first - 1, frames), counters)
            cache = self._held.start(*self._inputs(x[:, :-1], v[:, :-1]), particles)
        made = HostFrames(frames, x[:, 0], self.device)
        for n in range(1, x.shape[1]):  # of the warm-up
            made.add(x[:, n], v[:, n])
        newest_x, newest_v = x[:, -1], v[:, -1]
        fused = self._engine.steps(problem, x.shape[-1])
        if fused is not None and made.count < frames:
            before = made.count
            filled = self._engine.fill(fused, cache, (newest_x, newest_v), made, frames, tick)
            cache = cache if filled is None else filled
            counters["model_calls"] += batch * (made.count - before)
        check_inputs = True  # for one step of the segment: it costs copies
        while made.count < frames:
            inputs = self._inputs(newest_x, newest_v)
            dx, dv, cache = self._held.step(
                self._engine.step, cache, *inputs, particles, check_inputs
            )
            check_inputs = False
            # Increments are small beside the state: summed in the model's float32, each would lose
            # its last digits. `to` brings them to the state's float64.
            newest_x = newest_x + dx.to(newest_x)
            newest_v = newest_v + dv.to(newest_v)
            made.add(newest_x, newest_v)
            counters["model_calls"] += batch
            tick(made.count)
        return Frames(*made.arrays(), packed(cache), failures, counters)

    def _warm_up(
        self, carry: Carry, frames: int, counters: dict[str, int]
    ) -> tuple[Tensor, Tensor, dict[str, int], dict[int, tuple[int, str]]]:
        """Make the start and so many frames after it by the reference."""
        solver = self._warm_up_solver()
        problem = carry.problem
        state = State(problem.t0, carry.arrays["x"], carry.arrays["v"], hidden=carry.hidden)
        start = solver.start(problem.system, state, problem.particles, problem.dt)
        made = solver.advance(start, frames)
        x = torch.cat([self._tensor(state.x)[:, None], self._tensor(made.x)], dim=1)
        v = torch.cat([self._tensor(state.v)[:, None], self._tensor(made.v)], dim=1)
        why = f"the warm-up by {solver.name} failed"
        failures = {int(b): (int(made.good[b]), why) for b in np.flatnonzero(made.status)}
        return x, v, {**counters, "warm_up_nfev": made.counters.get("nfev", 0)}, failures

    def _warm_up_solver(self) -> AbstractIntegrator:
        """Build the solver that makes the first frames; `_check_warm_up` has refused surrogates."""
        name = self.options.warm_up
        cls = integrator_class(name)
        with plugin_errors(origin_of(cls, "integrator", name), "__init__"):
            return cls(segment=self.options.segment)

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


def name_of(model: AbstractSurrogate) -> str:
    """Return what a model in memory is called: its registered name, or else that of its class."""
    cls = type(model)
    return origin_of(cls, "surrogate", cls.__name__.lower()).name
