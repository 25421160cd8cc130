"""Force laws in torch: what is written once for every array library, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nbody_surrogate.contracts.laws import FieldLaw, PairLaw

__all__ = ["field_acceleration", "pair_force"]


def pair_force(
    law: PairLaw,
    r2: Tensor,
    charges: tuple[Tensor, Tensor],
    masses: tuple[Tensor, Tensor],
    coupling: Tensor | float,
) -> Tensor:
    """Force over distance of pairs, by their squared distances."""
    force, _ = law.factory(_sqrt, _where)(law.parameters, r2, *charges, *masses, coupling)
    # a law may give a plain number, as that of springs does where there are no couplings
    return torch.as_tensor(force, dtype=r2.dtype, device=r2.device)


def field_acceleration(
    law: FieldLaw, x: Tensor, v: Tensor, charges: Tensor, masses: Tensor
) -> Tensor:
    """Accelerations (..., D) at x, v (..., D), of particles with charges and masses (...)."""
    a, _ = law.factory(_sqrt, _where)(
        law.parameters, _components(x), _components(v), charges, masses
    )
    # a component may be a plain number, such as the 0 of a field along one axis
    parts = [torch.as_tensor(part, dtype=x.dtype, device=x.device) for part in a]
    return torch.stack([part.expand(x.shape[:-1]) for part in parts[: x.shape[-1]]], dim=-1)


def _components(vectors: Tensor) -> tuple[Tensor, ...]:
    """Take vectors apart; in two dimensions the third component is zero."""
    parts = vectors.unbind(-1)
    return (*parts, *[torch.zeros_like(parts[0])] * (3 - len(parts)))


def _sqrt(value: Tensor | float) -> Tensor | float:
    """Take roots of parameters too, which are floats."""
    return torch.sqrt(value) if isinstance(value, Tensor) else math.sqrt(value)


def _where(condition: Tensor | bool, yes: Tensor | float, no: Tensor | float) -> Tensor | float:
    """Choose between floats in double precision, where torch.where would take single."""
    if not isinstance(condition, Tensor):
        return yes if condition else no
    return torch.where(condition, _tensor(yes, condition), _tensor(no, condition))


def _tensor(value: Tensor | float, like: Tensor) -> Tensor:
    """Put a number on the device of a tensor, in double precision."""
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, dtype=torch.float64, device=like.device)
