"""What computes the steps of a surrogate: its own compiled code, torch, or torch.compile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import final

import numpy as np
import torch

from nbody_surrogate.contracts.fused_steps import AbstractFusedSteps
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, Cache
from nbody_surrogate.contracts.threads import threads_that_pay
from nbody_surrogate.errors import InputError
from nbody_surrogate.surrogates.compiled_step import LONGEST, compiled_step
from nbody_surrogate.surrogates.options import SurrogateOptions
from nbody_surrogate.surrogates.streaming import HostFrames, StepCache

__all__ = ["Engine"]

logger = logging.getLogger(__name__)

CALL = 1 << 27
"""Pairs times sub-steps times features of a call of compiled code, about a tenth of a second:
Python hears of Ctrl-C between two calls only."""

SHARE = 1 << 22
"""The same of a call, from where a thread pays."""

KEPT = 4  # problems whose compiled steps are kept at a time, as a guard has some beside the run


@final
class Engine:
    """How the steps of a model are computed; what was asked for is checked at once.

    Parameters
    ----------
    model : AbstractSurrogate
        On its device, in its dtype.
    name : str
        The surrogate's registered name.
    options : SurrogateOptions
    device : torch.device
    width : int
        Features of the widest layer.

    Attributes
    ----------
    name : str
        ``fused``, ``torch`` or ``inductor``: what runs the latest problem that was looked at. It is
        ``torch`` where ``fused`` was not asked for, and a model has no compiled steps for that
        problem, or its code cannot be compiled at all.
    step : callable
        As `AbstractSurrogate.step_cache`, by torch.

    Raises
    ------
    InputError
        If ``fused`` was asked for, and the model has none or the device is no CPU.
    """

    def __init__(
        self,
        model: AbstractSurrogate,
        name: str,
        options: SurrogateOptions,
        device: torch.device,
        width: int,
    ) -> None:
        self._model, self._surrogate, self._options, self._width = model, name, options, width
        self._kept: list[tuple[Problem, AbstractFusedSteps | None]] = []
        has = type(model).fused_steps is not AbstractSurrogate.fused_steps
        if options.engine == "fused":
            self._demand(has, f"{name} has no compiled steps; take torch or inductor")
            on_cpu = device.type == "cpu"
            self._demand(on_cpu, f"compiled steps are for the CPU, got `device` '{device.type}'")
        auto = options.engine == "auto" and not options.compile
        self.name = "fused" if auto and has and device.type == "cpu" else options.engine
        if options.compile:
            self.name = "inductor"
        elif self.name == "auto":
            self.name = "torch"
        self._fuses = self.name == "fused"
        self.step: StepCache = model.step_cache
        if self.name == "inductor":
            self.step = compiled_step(model.step_cache, name, device)

    @property
    def described(self) -> str:
        """The name that a run keeps: of one of before, which says it by `compile`, as it was."""
        before = self._options.compile and self._options.engine == "torch"
        return self._options.engine if before else self.name

    def _demand(self, holds: bool, why: str) -> None:
        if not holds:
            raise InputError(f"`engine` 'fused': {why}")

    def check(self, problem: Problem, dimensions: int) -> None:
        """Refuse a problem for which compiled steps were asked for and there are none.

        Raises
        ------
        InputError
        """
        if not self._fuses or self.steps(problem, dimensions) is not None:
            return
        # which it does no more where the code could not be compiled
        asked = self._fuses and self._options.engine == "fused"
        dtype = str(self._model.dtype).removeprefix("torch.")
        where = f"{self._surrogate} has no compiled steps in {dtype} and {dimensions} dimensions"
        self._demand(not asked, f"{where}; take torch")

    def steps(self, problem: Problem, dimensions: int) -> AbstractFusedSteps | None:
        """Return compiled steps for a problem, or None where torch makes them; `name` says so."""
        if not self._fuses:
            return None
        made = self._made(problem, dimensions)
        self.name = "torch" if made is None else "fused"
        return made

    def _made(self, problem: Problem, dimensions: int) -> AbstractFusedSteps | None:
        for known, steps in self._kept:
            if known is problem:
                return steps
        laws = problem.system.force_laws() if self._model.applies_field else None
        field = None if laws is None else laws.field
        made = self._tried(lambda: self._model.fused_steps(problem.particles, dimensions, field))
        self._kept = [*self._kept[1 - KEPT :], (problem, made)]
        return made

    def _tried(self, make: Callable[[], AbstractFusedSteps | None]) -> AbstractFusedSteps | None:
        """Compile; where that fails, torch takes over for good, and the log says so once."""
        try:
            return make()
        except Exception as error:  # whatever a compiler may raise, or a plugin's code
            self._fall_back(error)
            return None

    def _fall_back(self, error: Exception) -> None:
        reason = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        logger.warning("%s runs by torch, without compiled steps: %s", self._surrogate, reason)
        self._fuses, self.name = False, "torch"

    def threads(self, batch: int, n: int, frames: int) -> int:
        """Return on how many threads compiled steps share out trajectories."""
        given = self._options.threads
        pay = threads_that_pay(self._work(batch, n) * frames, SHARE, torch.get_num_threads())
        return min(pay if given is None else given, batch)

    def _work(self, batch: int, n: int) -> int:
        """Pairs times sub-steps times features of a frame."""
        pairs = batch * max(n * (n - 1) // 2, n)
        return max(pairs * self._model.evaluations_per_frame * self._width, 1)

    def fill(
        self,
        steps: AbstractFusedSteps,
        cache: Cache,
        newest: tuple[torch.Tensor, torch.Tensor],
        made: HostFrames,
        frames: int,
        tick: Callable[[float], None],
    ) -> Cache | None:
        """Add the frames that are missing, in calls of bounded length.

        Returns
        -------
        Cache or None
            None, and no frame more than there were, where the code could not be compiled.
        """
        x, v = (y.cpu().numpy() for y in newest)
        batch, n = x.shape[:2]
        arrays = {key: value.cpu().numpy() for key, value in cache.items()}
        at_once = max(CALL // self._work(batch, n), 1)
        threads, before = self.threads(batch, n, min(at_once, frames)), made.count
        while made.count < frames:
            count = min(at_once * threads, frames - made.count)
            out = [np.empty((batch, count, *x.shape[1:])) for _ in range(2)]
            try:
                arrays = steps.advance(arrays, x, v, out[0], out[1], threads)
            except Exception as error:  # of the first call, which compiles
                if made.count > before:
                    raise
                self._fall_back(error)
                return None
            x, v = out[0][:, -1], out[1][:, -1]
            made.extend(out[0], out[1])
            tick(made.count)
        return {key: torch.from_numpy(value) for key, value in arrays.items()}
