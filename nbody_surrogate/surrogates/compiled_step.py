"""The step of a surrogate by torch.compile, or as it is where that fails."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from nbody_surrogate.contracts.surrogate import Cache, ParticleTensors
from nbody_surrogate.surrogates.streaming import StepCache

__all__ = ["compiled_step"]

logger = logging.getLogger(__name__)

INDUCTOR: dict[str, Any] = {
    "freezing": True,  # weights are constants of the compiled step
    "cpp_wrapper": True,  # small steps: calls from Python would take a third of the time
    "realize_opcount_threshold": 10,  # else each pair computes all sub-steps before it again
}
"""How steps are compiled for the CPU; each was measured to pay for `set`."""

LONGEST = 120  # characters of a compiler's words


def compiled_step(plain: StepCache, name: str, device: torch.device) -> StepCache:
    """Return a step that is compiled on its first call.

    Compiling waits for that call because shapes are constants of what is compiled: other shapes
    are compiled anew. Where it fails, for want of a C++ compiler say, the plain step takes over
    for good, and a warning in the log says so once.

    Parameters
    ----------
    plain : callable
        `AbstractSurrogate.step_cache` of a model whose weights stay as they are.
    name : str
        The surrogate's registered name, for the log.
    device : torch.device

    Returns
    -------
    callable
    """
    on_cpu = INDUCTOR if device.type == "cpu" else None
    chosen: StepCache | None = None  # the compiled step, or the plain one after a failure

    def step(
        cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
    ) -> tuple[Tensor, Tensor, Cache]:
        nonlocal chosen
        if chosen is plain:
            return plain(cache, x, v, particles)
        try:
            chosen = chosen or torch.compile(plain, dynamic=False, options=on_cpu)
            return chosen(cache, x, v, particles)
        except Exception as error:  # whatever a compiler may raise, or torch where it has none
            reason = " ".join(str(error).split())[:LONGEST]
            logger.warning("%s runs without torch.compile: %s", name, reason)
            chosen = plain
            return plain(cache, x, v, particles)

    return step
