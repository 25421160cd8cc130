"""The learned prior of `SET` from a pair law that is known as a curve, by least squares.

The prior `kernel` is c = q_i q_j (w + sum_k a_k G_k(s)) in F = c r / s^3, with Gaussians G_k in the
logarithm of s = sqrt(r^2 + softening^2). A force f(r) of unit charges asks for c = f s^3 / r, and w
and all a_k follow from linear equations. What no charge weighs, b(s), is left at zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from nbody_set.model import PairFeatures, Prior

__all__ = ["begin_with_curve"]

RIDGE = 1e-5
"""Of the squares of all a_k over that of the curve: what single precision asks for."""

LEAST = 1e-2
"""Of the median force, below which errors count as they are, and not relative to the force."""


@torch.no_grad()
def begin_with_curve(
    prior: Prior, features: PairFeatures, softening: float, r: Tensor, force: Tensor
) -> None:
    """Give a learned prior the parameters that are nearest to a curve.

    Parameters
    ----------
    prior : Prior
        Of the kind `kernel`; it is changed.
    features : PairFeatures
        Whose Gaussians it uses.
    softening : float
    r, force : Tensor, float64, shape (R,)
        Distances, and the force between unit charges there.
    """
    s = torch.sqrt(r * r + softening**2)
    wanted = force * s**3 / r
    centres = features.centres.double()
    gaussians = torch.exp(-0.5 * ((s[:, None].log() - centres) / features.sigma) ** 2)
    rows = torch.cat([gaussians, torch.ones_like(s)[:, None]], 1)
    size = force.abs()
    weight = (r / s**3) / torch.maximum(size, LEAST * size.median())
    found = _ridge(rows * weight[:, None], wanted * weight, RIDGE / float(wanted.abs().median()))
    prior.radial.weight.zero_()
    prior.radial.weight[0] = found[:-1].to(prior.radial.weight)
    prior.far.fill_(float(found[-1]))


def _ridge(rows: Tensor, right: Tensor, ridge: float) -> Tensor:
    """Solve by least squares, with a small penalty of the solution's own size."""
    count = rows.shape[1]
    penalty = ridge * torch.eye(count, dtype=rows.dtype)
    more = torch.zeros(count, dtype=rows.dtype)
    found: Tensor = torch.linalg.lstsq(
        torch.cat([rows, penalty]), torch.cat([right, more])[:, None]
    ).solution[:, 0]
    return found
