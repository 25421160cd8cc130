"""What the past tells: where the step without memory erred, and what would explain it.

Between two frames that are known, the plain step (the prior and the field, leapfrog's sub-steps) is
off by a *misfit*, e = v' - v - dv and likewise of x. In a system whose present is all there is, it
holds the truncation of the step alone. In one with hidden variables it holds their forces. It is a
vector of each particle. Three readings of it, each by least squares and each equivariant:

==========  ===================================================================================
reading     unknowns of an interval
==========  ===================================================================================
charges     z_i of each particle: pairs act with (1 + z_i) (1 + z_j) c_ij in place of c_ij
pairs       z_ij of each pair: besides, they act with z_ij phi(s_ij) along x_ij, with phi learned
forces      the vectors themselves, with the change of velocity that went along
==========  ===================================================================================

The innovations of a Kalman filter are of this kind (Kalman, J. Basic Eng. 82 (1960) 35); here the
filter's gain over time is what attention learns.

Axes as in `model`: P pairs, N particles, D dimensions; B trajectories, I intervals of a window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PlainStep", "charges_of", "pairs_of_misfit"]

ITERATIONS = 2
"""Of Gauss and Newton for products of charges; on `charging` a third changes none by 1e-3."""

SMALLEST, LARGEST = -0.9, 3.0
"""Of a charge over its nominal one, less 1: beyond, a product of charges would change its sign."""


class PlainStep(NamedTuple):
    """Steps without memory over intervals that are known, and what they were off by.

    Attributes
    ----------
    shift, kick : Tensor, shape (B, I, N, D)
        Misfits of positions and of velocities, over the interval's frame spacing squared halved,
        and over the spacing: both accelerations.
    impulse : Tensor, shape (B, I, P, D)
        Mean force of each pair over the interval, by the prior.
    axis : Tensor, shape (B, I, P, D)
        Mean of phi(s) x_ij / s over it.
    gain : Tensor, shape (B, I, N, D)
        Mean acceleration that was seen.
    """

    shift: Tensor
    kick: Tensor
    impulse: Tensor
    axis: Tensor
    gain: Tensor


def charges_of(
    kick: Tensor, impulse: Tensor, masses: Tensor, ends: tuple[Tensor, Tensor], ridge: Tensor
) -> Tensor:
    """Return the z_i that explain misfits best, (B, I, N, 1), in float64.

    They minimise |m a - sum_j [(1 + z_i) (1 + z_j) - 1] F_ij|^2 / |F|^2 + ridge |z|^2, with a the
    misfit, F_ij the forces of the prior and |F|^2 the sum of their squares, by Gauss and Newton.

    Parameters
    ----------
    kick : Tensor, shape (B, I, N, D)
    impulse : Tensor, shape (B, I, P, D)
    masses : Tensor, shape (B, N)
    ends : tuple of Tensor, shape (P,)
        Particles i and j of each pair.
    ridge : Tensor, shape ()
    """
    i, j = ends
    batch, intervals, n, dimensions = kick.shape
    pairs = len(i)
    if pairs == 0:  # a lone particle shows no charge
        return kick.new_zeros((batch, intervals, n, 1))
    # of the sum, not of a mean, which a remote particle would lower by its many weak pairs
    scale = impulse.square().sum((-1, -2)).sqrt()[..., None, None] + torch.finfo(kick.dtype).tiny
    force, left = impulse / scale, masses[:, None, :, None] * kick / scale
    on_each = _signed(force, ends, n)  # (B, I, N D, P)
    target = left.reshape(batch, intervals, n * dimensions, 1)
    z = kick.new_zeros((batch, intervals, n, 1))
    which = torch.arange(pairs, device=kick.device)
    square = ridge * torch.eye(n, dtype=kick.dtype, device=kick.device)
    for _ in range(ITERATIONS):
        plus = 1.0 + z
        slope = kick.new_zeros((batch, intervals, pairs, n))
        slope[:, :, which, i], slope[:, :, which, j] = plus[..., j, 0], plus[..., i, 0]
        columns = on_each @ slope
        product = plus.index_select(2, i) * plus.index_select(2, j)
        rest = target - on_each @ (product - 1.0) + columns @ z
        turned = columns.transpose(-1, -2)
        z = torch.linalg.solve(turned @ columns + square, turned @ rest)
        z = z.clamp(SMALLEST, LARGEST)
    return z


def pairs_of_misfit(
    kick: Tensor, axis: Tensor, masses: Tensor, ends: tuple[Tensor, Tensor], ridge: Tensor
) -> Tensor:
    """Return the z_ij that explain misfits with the least sum of squares, (B, I, P, 1).

    They minimise |m a - sum_j z_ij phi x_ij / s|^2 + ridge |z|^2. Pairs are more than misfits from
    some number of particles on, so it is solved for the misfits: z = G^T (G G^T + ridge)^-1 m a.

    Parameters
    ----------
    kick : Tensor, shape (B, I, N, D)
    axis : Tensor, shape (B, I, P, D)
        See `PlainStep`.
    masses : Tensor, shape (B, N)
    ends : tuple of Tensor, shape (P,)
    ridge : Tensor, shape ()
    """
    batch, intervals, n, dimensions = kick.shape
    columns = _signed(axis, ends, n)
    left = (masses[:, None, :, None] * kick).reshape(batch, intervals, n * dimensions, 1)
    square = columns @ columns.transpose(-1, -2)
    square = square + ridge * torch.eye(n * dimensions, dtype=kick.dtype, device=kick.device)
    z: Tensor = columns.transpose(-1, -2) @ torch.linalg.solve(square, left)
    return z


def _signed(force: Tensor, ends: tuple[Tensor, Tensor], n: int) -> Tensor:
    """Put forces of pairs (B, I, P, D) into the columns of a matrix, (B, I, N D, P)."""
    i, j = ends
    batch, intervals, pairs, dimensions = force.shape
    which = torch.arange(pairs, device=force.device)
    out = force.new_zeros((batch, intervals, n, pairs, dimensions))
    out[:, :, i, which] = force
    out[:, :, j, which] = -force
    return out.transpose(-1, -2).reshape(batch, intervals, n * dimensions, pairs)
