"""The streaming half of a surrogate: its cache in a carry, its steps held to their contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.contracts.origin import Origin, origin_of
from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    Cache,
    ParticleTensors,
    tensors_described,
)
from nbody_surrogate.contracts.violations import described, plugin_errors, violation

__all__ = ["CACHE", "HeldStreaming", "HostFrames", "StepCache", "packed", "unpacked"]

CACHE = "cache."
"""Begins the names of a carry's arrays that are the model's cache."""

StepCache = Callable[[Cache, Tensor, Tensor, ParticleTensors], tuple[Tensor, Tensor, Cache]]


@final
class HeldStreaming:
    """Calls `start_cache` and `step_cache` of a model, and names it where it breaks its contract.

    Parameters
    ----------
    model : AbstractSurrogate
    name : str
        The surrogate's registered name.

    Attributes
    ----------
    origin : Origin
        The plugin that the model is of.
    method : str
        Where its increments come from: ``step_cache`` where it streams by itself, else ``forward``.
    """

    def __init__(self, model: AbstractSurrogate, name: str) -> None:
        self._model = model
        self.origin: Origin = origin_of(type(model), "surrogate", name)
        own = type(model).step_cache is not AbstractSurrogate.step_cache
        self.method = "step_cache" if own else "forward"

    def start(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """Return the cache after frames x, v (B, T, N, D)."""
        with plugin_errors(self.origin, "start_cache"):
            cache = self._model.start_cache(x, v, particles)
        self._demand_cache("start_cache", cache)
        return cache

    def step(
        self,
        step_cache: StepCache,
        cache: Cache,
        x: Tensor,
        v: Tensor,
        particles: ParticleTensors,
        check_inputs: bool,
    ) -> tuple[Tensor, Tensor, Cache]:
        """Return the increments after x, v (B, N, D), and the next cache.

        With `check_inputs`, see to it that nothing that is handed in is changed. That takes
        copies, and on a GPU makes the host wait, so once in a segment is enough.
        """
        kept = _Kept.of(cache, x, v, particles) if check_inputs else None
        with plugin_errors(self.origin, self.method):
            made = step_cache(cache, x, v, particles)
        if not (isinstance(made, tuple) and len(made) == 3):
            what = f"must return dx, dv and the cache, got {described(made)}"
            raise violation(self.origin, self.method, what)
        dx, dv, following = made
        self._demand_increments(dx, dv, x.shape)
        self._demand_cache("step_cache", following)
        if kept is not None and (changed := kept.changed(cache, x, v, particles)):
            what = f"must leave its input as it is, it changed `{changed}`"
            raise violation(self.origin, self.method, what)
        return dx, dv, following

    def _demand_increments(self, dx: Tensor, dv: Tensor, shape: torch.Size) -> None:
        dtype = self._model.dtype
        for dy in (dx, dv):
            if not (isinstance(dy, Tensor) and dy.shape == shape and dy.dtype is dtype):
                name = str(dtype).removeprefix("torch.")
                wanted = f"dx and dv, both {name} of shape (B, N, D) = {tuple(shape)}"
                what = f"must return {wanted}, got {tensors_described((dx, dv))}"
                raise violation(self.origin, self.method, what)

    def _demand_cache(self, method: str, cache: object) -> None:
        fits = isinstance(cache, dict) and all(isinstance(y, Tensor) for y in cache.values())
        if not fits:
            what = f"must return a cache that is a flat dict of tensors, got {described(cache)}"
            raise violation(self.origin, method, what)


class _Kept(NamedTuple):
    """Copies of what was handed to a model."""

    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors) -> _Kept:
        named = _named(cache, x, v, particles)
        return cls({name: value.clone() for name, value in named.items()})

    def changed(self, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors) -> str | None:
        """Name what is not as it was, or return None. NaN is as it was where it was NaN."""
        for name, now in _named(cache, x, v, particles).items():
            before = self.tensors.get(name)
            if before is None or before.shape != now.shape:
                return name
            if not torch.equal(before.nan_to_num(), now.nan_to_num()):
                return name
        return None


def _named(cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors) -> Mapping[str, Tensor]:
    inside = {f"cache.{key}": value for key, value in cache.items()}
    named = {"x": x, "v": v, "charges": particles.charges, "masses": particles.masses}
    sizes = {} if particles.radii is None else {"radii": particles.radii}
    return named | sizes | inside


@final
class HostFrames:
    """Frames on the host, copied while the device goes on; waited for once, at the end."""

    def __init__(self, frames: int, like: Tensor, device: torch.device) -> None:
        shape = (2, frames, *like.shape)
        pinned = device.type == "cuda"  # only from pinned memory does a copy not make one wait
        self._made = torch.empty(shape, dtype=torch.float64, pin_memory=pinned)
        self._device, self.count = device, 0

    def add(self, x: Tensor, v: Tensor) -> None:
        """Take the next frame, x and v (B, N, D)."""
        for out, y in zip(self._made, (x, v), strict=True):
            out[self.count].copy_(y, non_blocking=True)
        self.count += 1

    def extend(self, x: np.ndarray, v: np.ndarray) -> None:
        """Take the frames that follow, x and v (B, F, N, D) on the host."""
        for out, y in zip(self._made, (x, v), strict=True):
            out[self.count : self.count + y.shape[1]] = torch.from_numpy(y).transpose(0, 1)
        self.count += x.shape[1]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and v, both (B, F, N, D)."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        made = self._made.transpose(1, 2).contiguous().numpy()
        return made[0], made[1]


def packed(cache: Cache) -> dict[str, Tensor]:
    """Put a cache into a carry, contiguous as it is after a restart, so that bits are the same."""
    return {f"{CACHE}{key}": value.contiguous() for key, value in cache.items()}


def unpacked(arrays: Mapping[str, Any]) -> Cache:
    """Take the cache out of a carry's arrays."""
    return {key.removeprefix(CACHE): arrays[key] for key in arrays if key.startswith(CACHE)}
