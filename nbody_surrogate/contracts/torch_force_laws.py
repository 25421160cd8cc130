"""Force laws in torch: what is written once for every array library, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nbody_surrogate.contracts.force_laws import DirectedLaw, FieldLaw, PairLaw

__all__ = ["directed_force", "field_acceleration", "pair_force"]


def pair_force(
    law: PairLaw,
    r2: Tensor,
    charges: tuple[Tensor, Tensor],
    masses: tuple[Tensor, Tensor],
    coupling: Tensor | float,
) -> Tensor:
    """Force over distance of pairs, in reduced units.

    Parameters
    ----------
    law : PairLaw
    r2 : Tensor, shape (...)
        Squared distances.
    charges, masses : pair of Tensor, shapes that broadcast with (...)
        Of the first and of the second particle of each pair.
    coupling : Tensor, shape (...), or float
        Of the pair, and 1 where there are none.

    Returns
    -------
    Tensor, shape (...)
        Of the dtype and on the device of `r2`.
    """
    force, _ = law.factory(_sqrt, _where)(law.parameters, r2, *charges, *masses, coupling)
    # a law may give a plain number, as that of springs does where there are no couplings
    return torch.as_tensor(force, dtype=r2.dtype, device=r2.device)


def directed_force(
    law: DirectedLaw,
    separation: Tensor,
    charges: tuple[Tensor, Tensor],
    masses: tuple[Tensor, Tensor],
) -> Tensor:
    """Return forces on the first by the second of ordered pairs, in reduced units.

    Parameters
    ----------
    law : DirectedLaw
    separation : Tensor, shape (..., D)
        x_i - x_j.
    charges, masses : pair of Tensor, shapes that broadcast with (...)
        Of the first and of the second particle of each pair.

    Returns
    -------
    Tensor, shape (..., D)
        Of the dtype and on the device of `separation`.
    """
    force = law.factory(_sqrt, _where)(law.parameters, *_components(separation), *charges, *masses)
    return _together(force, separation)


def field_acceleration(
    law: FieldLaw, x: Tensor, v: Tensor, charges: Tensor, masses: Tensor
) -> Tensor:
    """Accelerations by an external field, in reduced units.

    Parameters
    ----------
    law : FieldLaw
    x, v : Tensor, shape (..., D)
    charges, masses : Tensor, shape (...)

    Returns
    -------
    Tensor, shape (..., D)
        Of the dtype and on the device of `x`.
    """
    a, _ = law.factory(_sqrt, _where)(
        law.parameters, _components(x), _components(v), charges, masses
    )
    return _together(a, x)


def _together(components: tuple[Tensor | float, ...], like: Tensor) -> Tensor:
    """Bring the first D of three components together, of the shape of vectors (..., D)."""
    # a component may be a plain number, such as the 0 of a field along one axis
    parts = [torch.as_tensor(part, dtype=like.dtype, device=like.device) for part in components]
    shape, dimensions = like.shape[:-1], like.shape[-1]
    return torch.stack([part.expand(shape) for part in parts[:dimensions]], dim=-1)


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
    device = condition.device
    return torch.where(condition, _as_tensor(yes, device), _as_tensor(no, device))


def _as_tensor(value: Tensor | float, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, dtype=torch.float64, device=device)
