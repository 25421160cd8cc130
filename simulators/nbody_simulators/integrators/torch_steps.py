"""The forces of laws in torch, dense over pairs: batches on any device."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nbody_simulators.kernels.compiled_laws import laws_of
from nbody_surrogate.contracts import (
    AbstractSystem,
    ForceLaws,
    InputError,
    Problem,
    directed_force,
    field_acceleration,
    pair_force,
    resolve_device,
    threads_that_pay,
)

__all__ = ["TorchProblem", "double_precision_device", "torch_threads_for"]

SHARE = 1 << 20
"""Trajectories times N^2 from where a thread of torch pays."""


def double_precision_device(name: str) -> str:
    """Resolve the name of a device that computes in float64.

    Raises
    ------
    InputError
        If the device is unknown, not available, or has no float64.
    """
    device = resolve_device(name).type
    if device == "mps":
        raise InputError("`device` mps has no float64, which this method needs; use cpu")
    return device


def torch_threads_for(device: str, batch: int, n: int) -> int:
    """Choose torch's threads for a batch of n particles each: as many as pay, on the CPU."""
    if double_precision_device(device) != "cpu":
        return 1  # the host only hands work on
    return threads_that_pay(batch * n * n, SHARE, torch.get_num_threads())


class TorchProblem(NamedTuple):
    """A problem on a device; charges, masses (B, N), couplings (B, N, N) or None.

    Constants are what a method computes once for all steps.
    """

    system: AbstractSystem
    laws: ForceLaws
    charges: Tensor
    masses: Tensor
    couplings: Tensor | None
    constants: Any = None

    @property
    def array_module(self) -> Any:
        """What makes arrays of its kind."""
        return torch

    @classmethod
    def of(cls, problem: Problem, device: str) -> TorchProblem:
        """Bring a problem's particles to a device."""
        particles = problem.particles
        bonds = particles.couplings
        return cls(
            problem.system,
            laws_of(problem),
            torch.tensor(particles.charges, device=device),
            torch.tensor(particles.masses, device=device),
            None if bonds is None else torch.tensor(bonds, device=device),
        )

    def acceleration(self, x: Tensor, v: Tensor) -> Tensor:
        """Accelerations at x, v (B, N, D), shape (B, N, D)."""
        return self._by_pairs(x) + self._by_directed(x) + self._by_field(x, v)

    def _by_pairs(self, x: Tensor) -> Tensor:
        if self.laws.pair is None:
            return torch.zeros_like(x)
        separation = x[:, :, None] - x[:, None]  # (B, N, N, D)
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        # A particle is at no distance of itself, where an unsoftened law divides by zero. Any other
        # distance will do: what comes of it is dropped below.
        r2 = torch.where(itself, 1.0, (separation * separation).sum(3))
        q = self.charges[:, :, None], self.charges[:, None]
        m = self.masses[:, :, None], self.masses[:, None]
        coupling = 1.0 if self.couplings is None else self.couplings
        force = pair_force(self.laws.pair, r2, q, m, coupling)
        force = torch.where(itself, torch.zeros_like(r2), force)
        total = (force[..., None] * separation).sum(2)
        return total.clamp(-self.laws.clip, self.laws.clip) / self.masses[..., None]

    def _by_directed(self, x: Tensor) -> Tensor | float:
        if self.laws.directed is None:
            return 0.0
        separation = x[:, :, None] - x[:, None]  # (B, N, N, D)
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)[..., None]
        # a law may divide by the distance, see `_by_pairs`
        separation = torch.where(itself, 1.0, separation)
        q = self.charges[:, :, None], self.charges[:, None]
        m = self.masses[:, :, None], self.masses[:, None]
        force = directed_force(self.laws.directed, separation, q, m)
        return torch.where(itself, 0.0, force).sum(2) / self.masses[..., None]

    def _by_field(self, x: Tensor, v: Tensor) -> Tensor | float:
        if self.laws.field is None:
            return 0.0
        return field_acceleration(self.laws.field, x, v, self.charges, self.masses)
