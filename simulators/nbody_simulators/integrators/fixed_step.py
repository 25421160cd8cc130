"""What the fixed-step methods share: options, checks, lanes, threads and devices.

Where forces are laws, a method runs compiled on the CPU, trajectories side by side in parts that
are spread over threads; on another device it runs in torch, as one batch. For forces that are no
laws the system is asked, in NumPy, for the whole batch at a time.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import TypeVar

from nbody_simulators.integrators.fitting import methods_without_laws
from nbody_simulators.integrators.hidden_steps import run_with_hidden
from nbody_simulators.integrators.plain_steps import PlainProblem, run_plainly
from nbody_simulators.integrators.threads import spread_over_threads
from nbody_simulators.kernels.compiled_laws import laws_of, parameters_of
from nbody_simulators.kernels.lanes import Lanes, by_lane, by_trajectory, narrowest, widest
from nbody_surrogate.contracts import (
    AbstractIntegrator,
    AbstractSystem,
    Carry,
    Frames,
    InputError,
    IntegratorOptions,
    Problem,
    State,
    Tick,
    threads_that_pay,
)

if TYPE_CHECKING:
    from nbody_simulators.integrators.hidden_steps import Slopes, Values
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["MOST_FORCES", "AbstractFixedStep", "SubstepOptions", "lanes_of", "marches"]

DEFAULT_SUBSTEPS = 16  # at frames 0.1 apart a leapfrog is then off by 5e-5 in a step, softening 0.1

WHOLE = 1e-6
"""Relative: how far a step given in decimals may be from a whole part of a frame."""

SMALLEST_STEP = 1e-10
"""Relative to a frame: each of so many steps rounds the positions, of which float64 has 16 digits,
so that the sum of more would be noise."""

SMALLEST_NUMBER = float(np.finfo(np.float64).tiny)
"""Smaller numbers have fewer digits, and then none."""

MOST_SUBSTEPS = 10**12
"""No run gets near it; it keeps the count within the integers of compiled code."""


SHARE = 20_000
"""Trajectories times N^2 from where a thread pays: a segment of them, 16 steps to a frame, takes
some 20 ms, which is long beside the start of a thread, on a machine with other work too."""

MOST_FORCES = 2 * 10**8
"""Pairs of a single call of compiled code: a few tenths of a second."""


class SubstepOptions(IntegratorOptions):
    """Options of the fixed-step methods."""

    substeps: int | None = Field(
        default=None, ge=1, le=MOST_SUBSTEPS, description="steps per frame"
    )
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="step size")
    threads: int | None = Field(
        default=None, ge=1, description="for batches, on the CPU; default: as many as pay"
    )
    device: str = Field(default="cpu", description="cpu, cuda, or auto")
    backend: Literal["auto", "numba", "torch"] = Field(
        default="auto", description="auto is numba on the CPU and torch elsewhere"
    )

    @model_validator(mode="after")
    def _one_size(self) -> SubstepOptions:
        if self.substeps is None and self.step is None:
            object.__setattr__(self, "substeps", DEFAULT_SUBSTEPS)  # options are frozen else
        elif self.substeps is not None and self.step is not None:
            raise ValueError("give `substeps` or `step`, not both")
        return self


Options_co = TypeVar("Options_co", bound=SubstepOptions, default=SubstepOptions, covariant=True)


class AbstractFixedStep(AbstractIntegrator[Options_co]):
    """A method of equal steps, several to a frame.

    To write one:

    1. set `name`, and `evaluations`, the force evaluations of one step, and `opening`, those
       before the first step of a segment;
    2. implement `_march`: the frames of trajectories side by side, compiled;
    3. implement `_array_step`: one step of a batch by the same formula, in torch or NumPy; what it
       needs again in each step comes from `_torch_problem`; with the capability
       ``hidden-variables``, implement `_hidden_step` too;
    4. optionally refuse systems in `_refuse`; set `needs_laws` where nothing else will do;
    5. where steps depend on more than the state, as on noise, hand it to the two in `_marcher` and
       `_stepper`; where drag is no part of the forces, set `at_rest`.
    """

    Options: type[Options_co] = SubstepOptions  # type: ignore[assignment]  # its default too
    needs_laws: ClassVar[bool] = False
    """Whether forces have to be written as laws."""
    at_rest: ClassVar[bool] = False
    """Whether forces are those on particles at rest, as velocities are another part's of a step."""

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """Force evaluations of one step."""

    @property
    @abstractmethod
    def opening(self) -> int:
        """Force evaluations before the first step of a segment: 0, or the one at the start."""

    @abstractmethod
    def _march(
        self,
        problem: Problem,
        lanes: Lanes,
        step: float,
        steps: int,
        x: np.ndarray,
        v: np.ndarray,
    ) -> None:
        """Fill in the frames x, v (F, D N W) that follow those in the lanes, `steps` steps apart.

        The lanes are overwritten, and hold the last frame then: from there the march goes on to
        the bits that it would have had in one go.

        In two dimensions their third component stays zero, whatever the forces.
        """

    @abstractmethod
    def _array_step(
        self, problem: TorchProblem | PlainProblem, x: Any, v: Any, a: Any, step: float
    ) -> Any:
        """Return x, v and a after one step, all (B, N, D), torch's or NumPy's as the problem is.

        Where there is an opening, a is the acceleration at x. Nothing is changed in place.
        """

    def _hidden_step(self, slopes: Slopes, y: Values, step: float) -> Values:
        """Return x, v and hidden variables after one step, for a method that has the capability."""
        raise NotImplementedError("which the capability `hidden-variables` asks for")

    def _marcher(self, carry: Carry, part: slice, substeps: int) -> Callable[..., None]:
        """Return what is called as `_march` is, but for the problem, for part of the batch.

        The calls follow one another from the boundary on.
        """
        return partial(self._march, carry.problem)

    def _stepper(self, carry: Carry, substeps: int) -> Callable[..., Any]:
        """Return what is called as `_array_step` is, step after step from the boundary on."""
        return self._array_step

    def _torch_problem(self, problem: TorchProblem, carry: Carry, step: float) -> TorchProblem:
        """Return the problem whose forces are asked for, with ``constants`` for all steps."""
        return problem

    @property
    def batch_invariant(self) -> bool:
        """In numba, where each trajectory has a lane of its own."""
        return self._backend() == "numba"

    def batch_invariant_for(self, system: AbstractSystem) -> bool:
        """Of forces in NumPy, whose last digits may depend on the batch, where they say so."""
        in_laws = system.force_laws() is not None
        alike = system.batch_invariant or not system.hidden_variables
        return self.batch_invariant and in_laws and alike

    def threads_for(self, batch: int, n: int) -> int:
        """Threads of its option, or as many as have enough vectors of trajectories each."""
        if self.options.threads is not None:
            return self.options.threads
        if self._backend() == "torch":
            from nbody_simulators.integrators.torch_steps import torch_threads_for

            return torch_threads_for(self.options.device, batch, n)
        # narrower lanes than two vectors cost more than the second thread gains
        return min(threads_that_pay(batch * n * n, SHARE), max(batch // (2 * narrowest(n)), 1))

    def _refuse(self, problem: Problem) -> str | None:
        """Say what the method needs and the system has not, or None."""
        return None

    def _check(self, problem: Problem, state: State) -> None:
        why, lawless = self._refuse(problem), problem.system.force_laws() is None
        if lawless and self.needs_laws:
            why = f"needs forces that are written as laws, system {problem.system.name!r} has "
            why += f"none; use {methods_without_laws(problem)}"
        if why is not None:
            raise InputError(f"`integrator` {self.name} {why}")
        self._substeps(problem)
        if not _in_numpy(problem.system):
            self._backend()
        elif self.options.device not in ("auto", "cpu") or self.options.backend == "torch":
            raise self._no_torch(problem)

    def _no_torch(self, problem: Problem) -> InputError:
        """Return the error of a device, or of a back end, that a system's own forces are not on."""
        key = "backend" if self.options.device in ("auto", "cpu") else "device"
        return InputError(
            f"`{key}` {getattr(self.options, key)!r} needs forces that are written as laws, system "
            f"{problem.system.name!r} has some in NumPy alone; use "
            f"{'auto' if key == 'backend' else 'cpu'}"
        )

    def _substeps(self, problem: Problem) -> int:
        """Count the steps of a frame."""
        options = self.options
        substeps, step = options.substeps, options.step  # one of them, as `SubstepOptions` sees to
        size = step or problem.dt / (substeps or 1)
        if size < max(SMALLEST_STEP * problem.dt, SMALLEST_NUMBER):
            raise InputError(
                f"`{'substeps' if step is None else 'step'}` makes a step of {size:g}, which is "
                f"lost in the rounding of a frame of {problem.dt:g}; take longer steps"
            )
        if step is None:
            assert substeps is not None
            return substeps
        steps = max(round(min(problem.dt / step, MOST_SUBSTEPS)), 1)  # a tiny step is no overflow
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
            return "numba"  # before torch is imported: most runs do without
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
        if carry.problem.system.hidden_variables:
            made = run_with_hidden(self._hidden_step, carry, substeps, frames, tick)
            made.counters["nfev"] = batch * frames * substeps * self.evaluations
            return made
        x = np.empty((batch, frames, n, dimensions))
        v = np.empty_like(x)
        if carry.problem.system.force_laws() is None:
            step_once, opening = self._stepper(carry, substeps), self.opening > 0
            run_plainly(step_once, carry, substeps, opening, self.at_rest, (x, v), tick)
        else:
            run = self._in_numba if self._backend() == "numba" else self._in_torch
            run(carry, substeps, x, v, tick)
        nfev = batch * (frames * substeps * self.evaluations + self.opening)
        # what the boundary holds beyond the state does not change
        kept = {key: carry.arrays[key] for key in carry.arrays.keys() - {"x", "v"}}
        return Frames(x, v, kept, counters={"nfev": nfev})

    def _in_numba(
        self, carry: Carry, substeps: int, x: np.ndarray, v: np.ndarray, tick: Tick
    ) -> None:
        batch, frames, n, _ = x.shape
        threads = self.threads_for(batch, n)
        width = min(widest(n), math.ceil(batch / threads))  # so that no thread is left without work
        parts = [slice(first, first + width) for first in range(0, batch, width)]
        stopped = Event()
        spread_over_threads(
            lambda part: self._fill(carry, substeps, part, x, v, stopped),
            parts,
            threads,
            lambda done: tick(frames * done / len(parts)),
            stopped.set,
        )

    def _fill(
        self,
        carry: Carry,
        substeps: int,
        part: slice,
        x: np.ndarray,
        v: np.ndarray,
        stopped: Event,
    ) -> None:
        """Fill in the frames of part of the batch."""
        lanes = lanes_of(carry.problem, carry.arrays["x"][part], carry.arrays["v"][part], part)
        dimensions = x.shape[3]
        _, n, width = lanes.x.shape
        frames = np.empty((2, x.shape[1], dimensions * n * width))
        step = carry.problem.dt / substeps
        most = max(MOST_FORCES // (self.evaluations * n * n * width), 1)
        march = self._marcher(carry, part, substeps)
        for some, steps in marches(x.shape[1], substeps, most):
            if stopped.is_set():
                return
            march(lanes, step, steps, *frames[:, some])
        for values, out in zip(frames, (x, v), strict=True):
            out[part] = by_trajectory(values.reshape(-1, dimensions, n, width))

    def _in_torch(
        self, carry: Carry, substeps: int, x: np.ndarray, v: np.ndarray, tick: Tick
    ) -> None:
        import torch

        from nbody_simulators.integrators.torch_steps import TorchProblem, double_precision_device
        from nbody_surrogate.contracts import torch_threads

        device = double_precision_device(self.options.device)
        now_x = torch.tensor(carry.arrays["x"], device=device)  # float64, as the state is
        now_v = torch.tensor(carry.arrays["v"], device=device)
        step = carry.problem.dt / substeps
        problem = self._torch_problem(TorchProblem.of(carry.problem, device), carry, step)
        step_once = self._stepper(carry, substeps)
        with torch_threads(self.threads_for(x.shape[0], x.shape[2])):
            seen = torch.zeros_like(now_v) if self.at_rest else now_v
            a = problem.acceleration(now_x, seen) if self.opening else None
            for frame in range(x.shape[1]):
                for _ in range(substeps):
                    now_x, now_v, a = step_once(problem, now_x, now_v, a, step)
                x[:, frame], v[:, frame] = now_x.cpu().numpy(), now_v.cpu().numpy()
                tick(frame + 1)


def _in_numpy(system: AbstractSystem) -> bool:
    """Whether there are forces that are no laws, as those of hidden variables."""
    return system.force_laws() is None or bool(system.hidden_variables)


def marches(frames: int, substeps: int, most: int) -> Iterator[tuple[slice, int]]:
    """Divide a segment into calls of compiled code that take at most so many steps.

    Python hears of Ctrl-C between two calls only. A frame of more steps is filled in by several
    calls, of which the last one gives what stands.

    Yields
    ------
    frames : slice
    steps : int
        For each of them.
    """
    together = most // substeps
    if together:
        for first in range(0, frames, together):
            yield slice(first, min(first + together, frames)), substeps
        return
    for frame in range(frames):
        for begun in range(0, substeps, most):
            yield slice(frame, frame + 1), min(most, substeps - begun)


def lanes_of(problem: Problem, x: np.ndarray, v: np.ndarray, part: slice) -> Lanes:
    """Bring states of part of a batch into lanes."""
    particles, laws = problem.particles, laws_of(problem)
    bonds = particles.couplings
    pair, field, directed = parameters_of(laws)
    # All copies: that an array is read-only is part of its type to numba, which would compile the
    # kernels once more for what a carry and particles hold.
    return Lanes(
        by_lane(x),
        by_lane(v),
        np.array(particles.charges[part].T, order="C"),
        np.array(particles.masses[part].T, order="C"),
        None if bonds is None else np.array(bonds[part].transpose(1, 2, 0), order="C"),
        pair,
        field,
        laws.clip,
        directed,
    )
