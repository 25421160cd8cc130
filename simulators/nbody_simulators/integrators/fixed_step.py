"""What the fixed-step methods share: options, checks, blocks, threads and devices.

On the CPU a method runs compiled, in blocks of trajectories that are spread over threads; on
another device it runs in torch, as one batch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from nbody_simulators.integrators.threads import run_jobs
from nbody_simulators.kernels.lanes import Block, by_lane, by_trajectory, widest
from nbody_simulators.kernels.laws import parameters_of
from nbody_surrogate.contracts import (
    AbstractIntegrator,
    Carry,
    ForceLaws,
    Frames,
    InputError,
    IntegratorOptions,
    Problem,
    State,
    Tick,
)

if TYPE_CHECKING:
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["AbstractFixedStep", "SubstepOptions"]

DEFAULT_SUBSTEPS = 16
WHOLE = 1e-6
SMALLEST_STEP = 1e-12
MOST_SUBSTEPS = 10**12


class SubstepOptions(IntegratorOptions):
    """Options of the fixed-step methods."""

    substeps: int | None = Field(
        default=None, ge=1, le=MOST_SUBSTEPS, description="steps per frame"
    )
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="step size")
    threads: int = Field(default=1, ge=1, description="for batches, on the CPU")
    device: str = Field(default="cpu", description="cpu, cuda, or auto")
    backend: Literal["auto", "numba", "torch"] = Field(
        default="auto", description="auto is numba on the CPU and torch elsewhere"
    )

    @model_validator(mode="after")
    def _one_size(self) -> SubstepOptions:
        if self.substeps is None and self.step is None:
            object.__setattr__(self, "substeps", DEFAULT_SUBSTEPS)
        elif self.substeps is not None and self.step is not None:
            raise ValueError("give `substeps` or `step`, not both")
        return self


class AbstractFixedStep(AbstractIntegrator[SubstepOptions]):
    """A method of equal steps, several to a frame.

    To write one:

    1. set `name`, and `evaluations`, the force evaluations of one step, and `opening`, those
       before the first step of a segment;
    2. implement `_march`: the frames of a block, compiled;
    3. implement `_torch_step`: one step of a batch in torch, by the same formula;
    4. optionally refuse systems in `_refuse`.
    """

    Options = SubstepOptions
    evaluations: ClassVar[int]
    opening: ClassVar[int] = 1

    @abstractmethod
    def _march(
        self, problem: Problem, block: Block, substeps: int, x: np.ndarray, v: np.ndarray
    ) -> None:
        """Fill in the frames x, v (F, D N W) that follow the block, which is overwritten.

        In two dimensions the third component of the block stays zero, whatever the forces.
        """

    @abstractmethod
    def _torch_step(self, problem: TorchProblem, x: Any, v: Any, a: Any, step: float) -> Any:
        """Return x, v and a after one step, all (B, N, D).

        Where there is an opening, a is the acceleration at x.
        """

    @property
    def batch_invariant(self) -> bool:
        """In numba, where each trajectory has a lane of its own."""
        return self._backend() == "numba"

    def _refuse(self, problem: Problem) -> str | None:
        """Say what the method needs and the system has not, or None."""
        return None

    def _check(self, problem: Problem, state: State) -> None:
        system = problem.system
        why = self._refuse(problem)
        if system.force_laws() is None:
            why = f"needs forces that are written as laws, system {system.name!r} has none; "
            why += "use dop853"
        if why is not None:
            raise InputError(f"`integrator` {self.name} {why}")
        self._substeps(problem)
        self._backend()

    def _substeps(self, problem: Problem) -> int:
        """Count the steps of a frame."""
        options = self.options
        substeps, step = options.substeps, options.step
        size = step or problem.dt / (substeps or 1)
        if size < SMALLEST_STEP * max(1.0, abs(problem.t0)):
            raise InputError(
                f"`{'substeps' if step is None else 'step'}` makes a step of {size:g}, which is "
                "lost in the rounding of the time; take longer steps"
            )
        if step is None:
            assert substeps is not None
            return substeps
        steps = max(round(min(problem.dt / step, MOST_SUBSTEPS)), 1)
        if abs(steps * step / problem.dt - 1) > WHOLE:
            raise InputError(
                f"`step` must divide the frame spacing {problem.dt:g}, "
                f"got {step:g}; use {problem.dt / steps:.10g}"
            )
        return steps

    def _backend(self) -> str:
        """Choose numba or torch."""
        options = self.options
        if options.device == "cpu" and options.backend != "torch":
            return "numba"
        from nbody_simulators.integrators.torch_steps import double_precision_device

        device = double_precision_device(options.device)
        if options.backend == "numba" and device != "cpu":
            raise InputError(f"`backend` numba runs on the cpu only, got device {device!r}")
        return "torch" if options.backend == "torch" or device != "cpu" else "numba"

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {}

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        substeps = self._substeps(carry.problem)
        batch, n, dimensions = carry.arrays["x"].shape
        x, v = (np.empty((batch, frames, n, dimensions)) for _ in range(2))
        run = self._in_numba if self._backend() == "numba" else self._in_torch
        run(carry, substeps, x, v, tick)
        nfev = batch * (frames * substeps * self.evaluations + self.opening)
        return Frames(x, v, counters={"nfev": nfev})

    def _in_numba(
        self, carry: Carry, substeps: int, x: np.ndarray, v: np.ndarray, tick: Tick
    ) -> None:
        options, (batch, frames, n, _) = self.options, x.shape
        width = min(widest(n), math.ceil(batch / options.threads))
        blocks = [slice(first, first + width) for first in range(0, batch, width)]
        run_jobs(
            lambda block: self._fill(carry, substeps, block, x, v),
            blocks,
            options.threads,
            lambda done: tick(frames * done / len(blocks)),
        )

    def _fill(
        self, carry: Carry, substeps: int, block: slice, x: np.ndarray, v: np.ndarray
    ) -> None:
        """Fill in the frames of one block."""
        lanes = _block(carry, block)
        dimensions, (_, n, width) = x.shape[3], lanes.x.shape
        frames = np.empty((2, x.shape[1], dimensions * n * width))
        self._march(carry.problem, lanes, substeps, frames[0], frames[1])
        for values, out in zip(frames, (x, v), strict=True):
            out[block] = by_trajectory(values.reshape(-1, dimensions, n, width))

    def _in_torch(
        self, carry: Carry, substeps: int, x: np.ndarray, v: np.ndarray, tick: Tick
    ) -> None:
        import torch

        from nbody_simulators.integrators.torch_steps import TorchProblem, double_precision_device

        options = self.options
        device = double_precision_device(options.device)
        problem = TorchProblem.of(carry.problem, device)
        now_x, now_v = (torch.tensor(carry.arrays[key], device=device) for key in ("x", "v"))
        step = carry.problem.dt / substeps
        a = problem.acceleration(now_x, now_v) if self.opening else None
        for frame in range(x.shape[1]):
            for _ in range(substeps):
                now_x, now_v, a = self._torch_step(problem, now_x, now_v, a, step)
            x[:, frame], v[:, frame] = now_x.cpu().numpy(), now_v.cpu().numpy()
            tick(frame + 1)


def _block(carry: Carry, block: slice) -> Block:
    particles, laws = carry.problem.particles, laws_of(carry.problem)
    bonds = particles.couplings
    pair, field = parameters_of(laws)
    return Block(
        by_lane(carry.arrays["x"][block]),
        by_lane(carry.arrays["v"][block]),
        np.array(particles.charges[block].T, order="C"),  # copies: what is read-only, numba
        np.array(particles.masses[block].T, order="C"),  # would compile the kernel for again
        None if bonds is None else np.array(bonds[block].transpose(1, 2, 0), order="C"),
        pair,
        field,
        laws.clip,
    )


def laws_of(problem: Problem) -> ForceLaws:
    """Return the laws of a system that was checked to have them."""
    laws = problem.system.force_laws()
    assert laws is not None
    return laws
