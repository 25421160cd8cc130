"""DOC."""

from __future__ import annotations

import torch
from torch import Tensor

from nbody_surrogate.contracts.surrogate import AbstractSurrogate

__all__ = []


class _Swapped:
    """Holds averaged parameters in a model for a while."""

    def __init__(self, model: AbstractSurrogate, averaged: dict[str, Tensor]) -> None:
        self._model, self._averaged = model, averaged
        self._trained: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        named = self._model.named_parameters()
        self._trained = {key: value.detach().clone() for key, value in named}
        self._set(self._averaged)
        self._model.eval()

    def __exit__(self, *error: object) -> None:
        self._set(self._trained)
        self._model.train()

    @torch.no_grad()
    def _set(self, values: dict[str, Tensor]) -> None:
        for key, parameter in self._model.named_parameters():
            parameter.copy_(values[key])
