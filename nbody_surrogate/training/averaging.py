"""The moving average of a model's weights, which is what a training leaves.

With a learning rate that is worth its time the weights jitter about where they go; their average
has the error of a much smaller rate (Polyak and Juditsky, SIAM J. Control Optim. 30, 838, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from nbody_surrogate.contracts.surrogate import AbstractSurrogate

__all__ = ["AveragedWeights"]

WARM_UP = 100  # steps


@final
class AveragedWeights:
    """An exponential moving average of a model's parameters.

    Parameters
    ----------
    model : AbstractSurrogate
    keep : float
        The share of the average that a step keeps.

    Attributes
    ----------
    values : dict of str to Tensor
        On the device of the model.
    """

    def __init__(self, model: AbstractSurrogate, keep: float) -> None:
        self._model, self._keep = model, keep
        self.values = {key: p.detach().clone() for key, p in model.named_parameters()}

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """Take in the weights after so many steps.

        In the beginning the average keeps less, so that it forgets the first, random weights.
        """
        keep = min(self._keep, steps / (steps + WARM_UP))
        for key, parameter in self._model.named_parameters():
            self.values[key].lerp_(parameter, 1 - keep)

    def restore(self, values: Mapping[str, Tensor]) -> None:
        """Go on from the values of a checkpoint.

        Raises
        ------
        KeyError
            If a parameter is missing.
        """
        self.values = {key: values[key].to(mine.device) for key, mine in self.values.items()}

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Put the average into the model, to evaluate it, for as long as the block lasts."""
        trained = {key: p.detach().clone() for key, p in self._model.named_parameters()}
        self._set(self.values)
        self._model.eval()
        try:
            yield
        finally:
            self._set(trained)
            self._model.train()

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for key, parameter in self._model.named_parameters():
            parameter.copy_(values[key])
