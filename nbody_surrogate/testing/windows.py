"""Windows of frames that a surrogate is tested on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    Cache,
    ParticleTensors,
    increments,
)

__all__ = ["EXACT", "Window", "apart", "last", "make_window"]

APART = 6.0
"""Radii in the unit of length of a cloud, where the radius is given."""

EXACT = 1e-9
"""In float64, relative to the larger of 1 and the increments: rounding, 1e-16, times the growth of
a perturbation within a frame."""


class Window(NamedTuple):
    """Frames x, v (B, T, N, D) of particles."""

    x: np.ndarray
    v: np.ndarray
    particles: Particles

    def frames(self, which: slice) -> Window:
        """Return some of its frames."""
        return self._replace(x=self.x[:, which], v=self.v[:, which])

    def members(self, b: int) -> Window:
        """Return one trajectory of the batch, with a batch axis of length 1."""
        return Window(self.x[b : b + 1], self.v[b : b + 1], self.particles[b])

    def tensors(
        self, model: AbstractSurrogate, device: str = "cpu"
    ) -> tuple[Tensor, Tensor, ParticleTensors]:
        """Copy the window to tensors, as a run hands it over."""
        x, v = (torch.tensor(y, dtype=torch.float64, device=device) for y in (self.x, self.v))
        return x, v, ParticleTensors.from_particles(self.particles, device, model.dtype)

    def of(self, model: AbstractSurrogate) -> tuple[np.ndarray, np.ndarray]:
        """Return the increments by `forward`, arrays (B, T, N, D), or (B, 1, N, D) of one shot."""
        with torch.no_grad():
            dx, dv = increments(model, *self.tensors(model))
        return dx.double().numpy(), dv.double().numpy()

    def streamed(self, model: AbstractSurrogate, started: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the increments by `step_cache`, from a cache that starts after some frames."""
        x, v, particles = self.tensors(model)
        made: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            cache: Cache = model.start_cache(x[:, :started], v[:, :started], particles)
            for t in range(started, x.shape[1]):
                dx, dv, cache = model.step_cache(cache, x[:, t], v[:, t], particles)
                made.append((dx, dv))
        dx, dv = (torch.stack(column, 1).double() for column in zip(*made, strict=True))
        return dx.numpy(), dv.numpy()


def make_window(
    dt: float,
    frames: int,
    seed: int = 0,
    batch: int = 2,
    n: int = 5,
    dimensions: int = 3,
    sized: bool = False,
    radius: float | None = None,
    **replaced: Any,
) -> Window:
    """Draw nearly uniform motion with noise: no solution of any equation, as no check needs one.

    The particles have radii where they are `sized`, small beside their distances. Where the
    `radius` is given, it is that of all, and lengths grow with it.
    """
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, batch, 1, n, dimensions))
    times = dt * np.arange(frames)[:, None, None]
    x = x + v * times + 0.01 * rng.normal(size=(batch, frames, n, dimensions))
    v = v + 0.1 * rng.normal(size=(batch, frames, n, dimensions))
    charges = rng.choice([-1.0, 1.0, 0.5, -2.0], size=(batch, n))
    masses = rng.uniform(0.5, 3.0, size=(batch, n))
    radii = rng.uniform(0.1, 0.2, size=(batch, n)) if sized else None
    if sized and radius is not None:
        x, radii = radius * APART * x, np.full((batch, n), radius)
    return Window(x, v, Particles(charges, masses, radii=radii))._replace(**replaced)


def apart(first: Any, second: Any) -> float:
    """Largest difference of two pairs of increments, over the larger of 1 and their size."""
    scale = max(1.0, *(float(np.abs(dy).max(initial=0.0)) for dy in first))
    off = max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(first, second, strict=True))
    return off / scale if off == off else float("inf")


def last(made: Any) -> list[np.ndarray]:
    """Return the increments of the last frame."""
    return [dy[:, -1:] for dy in made]
