"""Forces of `SETSpheres` in torch: induced moments from one dense system, forces pair by pair.

Each sphere has low moments y = (Q, u), u of the degrees 1 and 2, and high ones, which follow from
the low ones of each pair. The energy over k, in radii, is the least over all u of

    1/2 sum_i u_i^2 + sum_pairs y S y - 1/2 sum_i t_i^2,    t_i = sum_j R_ij (y_i, y_j),

where S and R are matrices that are diagonal in the order m about the axis of the pair. At the least
energy no derivative of u is needed: forces along an axis follow from slopes of the functions, and
those across it from the torques on moments, as a pair that turns together with its moments keeps
its energy (Hellmann and Feynman's theorem).

Axes: S samples, P unordered pairs, N spheres, 9 low components (Q, then degrees 1 and 2), H high
ones. A bar means seen from the other sphere of a pair: components of odd degree change sign.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from nbody_set.sphere_functions import Values, faded, looked_up
from nbody_set.sphere_harmonics import generators, raised, raising
from nbody_set.sphere_pairs import HIGH, LOW, TERMS

__all__ = [
    "REST",
    "SIZE",
    "WIDTH",
    "Pairs",
    "fast_forces",
    "induced_forces",
    "pairs_of",
    "slow_forces",
]

SIZE = (LOW + 1) ** 2
REST = (HIGH + 1) ** 2 - SIZE
ORDERS = (0, 1, 1, 2, 2)  # m of the components of an axial moment
WIDTH = 0.4
"""Of the repulsion of surfaces, over the least gap: e exp((least gap - gap) / width), a constant
force in overlap."""


class Pairs(NamedTuple):
    """All unordered pairs, lengths in radii."""

    ends: tuple[Tensor, Tensor]  # (P,) i and j
    r: Tensor  # (S, P)
    axis: Tensor  # (S, P, 3) from i to j
    n: int  # spheres


class Matrices(NamedTuple):
    """Of pairs, from i's point of view: what a sphere's own moments do, and what the other's do."""

    own: Tensor  # (S, P, 9, 9)
    mutual: Tensor  # (S, P, 9, 9) rows of i, columns of j
    high_own: Tensor  # (S, P, H, 9)
    high_mutual: Tensor  # (S, P, H, 9)


def pairs_of(x: Tensor) -> Pairs:
    """Return the pairs of places (S, N, 3)."""
    n = x.shape[1]
    i, j = torch.triu_indices(n, n, offset=1, device=x.device)
    d = x[:, j] - x[:, i]
    r = (d * d).sum(-1).clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    return Pairs((i, j), r, d / r[..., None], n)


def fast_forces(
    pairs: Pairs, charges: Tensor, table: Tensor, least_gap: float, strength: float
) -> Tensor:
    """Return forces (S, N, 3) of the exact energies of pairs, and of the repulsion.

    Parameters
    ----------
    pairs : Pairs
    charges : Tensor, shape (S, N)
        In units that make k 1.
    table : Tensor, shape (steps + 1, 2, 2)
        See `nbody_set.sphere_functions.tables`, as below.
    least_gap, strength : float
        Of the repulsion, in radii and in the unit of energy.
    """
    i, j = pairs.ends
    made = looked_up(pairs.r, table).slope
    qi, qj = charges[:, i], charges[:, j]
    slope = 0.5 * (qi * qi + qj * qj) * made[..., 0] + qi * qj * made[..., 1]
    width = WIDTH * least_gap
    gap = (pairs.r - 2.0).clamp(min=0.0)
    slope = slope - strength / width * ((least_gap - gap) / width).exp()
    return _gathered(slope[..., None] * pairs.axis, pairs)


def slow_forces(pairs: Pairs, charges: Tensor, table: Tensor) -> Tensor:
    """Return forces (S, N, 3) of all that is induced, less the exact energies of pairs.

    Parameters
    ----------
    pairs : Pairs
    charges : Tensor, shape (S, N)
    table : Tensor, shape (steps + 1, 2, F)
    """
    return induced_forces(pairs, charges, faded(pairs.r, looked_up(pairs.r, table)))


def induced_forces(pairs: Pairs, charges: Tensor, functions: Values) -> Tensor:
    """Return the same from values and slopes of all functions, each (S, P, F)."""
    turns = _turns(pairs.axis)
    value, slope = (_matrices(each, turns) for each in functions)
    low, high = _solved(pairs, value, charges)
    return _pair_forces(pairs, value, slope, low, high)


@cache
def _columns() -> dict[tuple[str, bool, int, int, int], int]:
    return {(t.kind, t.mutual, t.l, t.k, t.m): f for f, t in enumerate(TERMS)}


def _turns(axis: Tensor) -> list[Tensor]:
    """Return for each degree the components of moments about the axis, (S, P, 2 l + 1, M).

    Columns are cos and sin of the orders 0, 1, 2, as far as the degree has them.
    """
    z = axis[..., [2, 0, 1]]  # components of degree 1 are z, x, y
    # any direction across the axis will do; one that is never along it
    flat = axis[..., 0].abs() < 0.6
    other = torch.where(flat[..., None], axis.new_tensor([1.0, 0, 0]), axis.new_tensor([0, 1.0, 0]))
    first = torch.cross(other.expand_as(axis), axis, dim=-1)
    first = first / (first * first).sum(-1, keepdim=True).sqrt()
    second = torch.cross(axis, first, dim=-1)
    made = [
        torch.ones_like(axis[..., :1, None]),
        torch.stack([z, *(e[..., [2, 0, 1]] for e in (first, second))], -1),
    ]
    for degree in range(1, HIGH):
        up = torch.as_tensor(raising(degree)).to(axis)
        along, *across = (torch.einsum("spa,acd->spcd", e, up) for e in (axis, first, second))
        factors = [raised(degree, m) for m in ORDERS[: 2 * degree + 1]]
        columns = along @ made[degree] / axis.new_tensor(factors)
        if degree == 1:
            x, y = made[1][..., 1:2], made[1][..., 2:3]
            cosine = 0.5 * 3**0.5 * (across[0] @ x - across[1] @ y)
            columns = torch.cat([columns, cosine, 3**0.5 * (across[0] @ y)], dim=-1)
        made.append(columns)
    return made


def _block(
    kind: str,
    mutual: bool,
    l: int,
    k: int,
    functions: Tensor,
    turns: list[Tensor],
) -> Tensor:
    """Return the matrix (S, P, 2 l + 1, 2 k + 1) of two degrees."""
    count = min(turns[l].shape[-1], turns[k].shape[-1])
    first, last = min(l, k) if kind == "S" else l, max(l, k) if kind == "S" else k
    places = [_columns()[kind, mutual, first, last, m] for m in ORDERS[:count]]
    left = turns[l][..., :count] * functions[..., None, places]
    made = left @ turns[k][..., :count].mT
    # of the same function with the spheres exchanged
    odd = kind == "S" and mutual and l > k and (l + k) % 2 == 1
    return -made if odd else made


def _matrices(functions: Tensor, turns: list[Tensor]) -> Matrices:
    def rows(kind: str, mutual: bool, degrees: range) -> Tensor:
        return torch.cat(
            [
                torch.cat(
                    [_block(kind, mutual, l, k, functions, turns) for k in range(LOW + 1)], dim=-1
                )
                for l in degrees
            ],
            dim=-2,
        )

    low, high = range(LOW + 1), range(LOW + 1, HIGH + 1)
    return Matrices(
        rows("S", False, low), rows("S", True, low), rows("R", False, high), rows("R", True, high)
    )


def _signs(like: Tensor, degrees: range) -> Tensor:
    return like.new_tensor([(-1.0) ** l for l in degrees for _ in range(2 * l + 1)])


def _solved(pairs: Pairs, made: Matrices, charges: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments of least energy, (S, N, 9) and (S, N, H)."""
    samples, n = charges.shape
    (i, j), low, high = pairs.ends, range(LOW + 1), range(LOW + 1, HIGH + 1)
    bar, high_bar = _signs(charges, low), _signs(charges, high)
    own = (made.own, made.own * bar[:, None] * bar)
    mutual = (made.mutual, made.mutual.mT)
    form = _assembled(own, mutual, i, j, n)
    turned = high_bar[:, None] * bar
    response = _assembled(
        (made.high_own, made.high_own * turned),
        (made.high_mutual, made.high_mutual * turned),
        i,
        j,
        n,
    )
    places = torch.arange(n * SIZE, device=charges.device).view(n, SIZE)
    charge, induced = places[:, 0], places[:, 1:].flatten()
    form = form - response.mT @ response
    matrix = form[:, induced][:, :, induced] + torch.eye(len(induced)).to(form)
    drive = form[:, induced][:, :, charge] @ charges[..., None]
    factor, wrong = torch.linalg.cholesky_ex(matrix)
    # far outside of what it is for, as in spheres within spheres, there may be no least energy:
    # then nothing is induced
    sane = (wrong == 0)[:, None, None]
    eye = torch.eye(len(induced)).to(form)
    u = -torch.cholesky_solve(drive, torch.where(sane, factor, eye)) * sane
    y = torch.cat([charges[..., None], u.view(samples, n, SIZE - 1)], dim=-1)
    return y, (response @ y.reshape(samples, -1, 1)).view(samples, n, REST)


def _assembled(
    own: tuple[Tensor, Tensor], mutual: tuple[Tensor, Tensor], i: Tensor, j: Tensor, n: int
) -> Tensor:
    """Return matrices of all spheres (S, N A, N C) from those of pairs (S, P, A, C)."""
    samples, _, rows, columns = own[0].shape
    whole = own[0].new_zeros(samples, n * n, rows, columns)
    for place, block in (
        (i * n + i, own[0]),
        (j * n + j, own[1]),
        (i * n + j, mutual[0]),
        (j * n + i, mutual[1]),
    ):
        whole = whole.index_add(1, place, block)
    whole = whole.view(samples, n, n, rows, columns).transpose(2, 3)
    return whole.reshape(samples, n * rows, n * columns)


def _pair_forces(
    pairs: Pairs, value: Matrices, slope: Matrices, low: Tensor, high: Tensor
) -> Tensor:
    i, j = pairs.ends
    bar = _signs(low, range(LOW + 1))
    high_bar = _signs(low, range(LOW + 1, HIGH + 1))
    yi, yj, ti, tj = low[:, i], low[:, j], high[:, i], high[:, j]
    seen_i, seen_j, seen_t = yi * bar, yj * bar, tj * high_bar

    along = (
        0.5 * _dot(yi, _times(slope.own, yi))
        + 0.5 * _dot(seen_j, _times(slope.own, seen_j))
        + _dot(yi, _times(slope.mutual, yj))
        - _dot(ti, _times(slope.high_own, yi) + _times(slope.high_mutual, yj))
        - _dot(seen_t, _times(slope.high_own, seen_j) + _times(slope.high_mutual, seen_i))
    )
    # derivatives of the pair's energy by the moments of either sphere
    by_i = _times(value.own, yi) + _times(value.mutual, yj)
    by_i = by_i - _times(value.high_own.mT, ti) - bar * _times(value.high_mutual.mT, seen_t)
    by_j = bar * _times(value.own, seen_j) + _times(value.mutual.mT, yi)
    by_j = by_j - bar * _times(value.high_own.mT, seen_t) - _times(value.high_mutual.mT, ti)
    by_ti = _times(value.high_own, yi) + _times(value.high_mutual, yj)
    by_tj = high_bar * (_times(value.high_own, seen_j) + _times(value.high_mutual, seen_i))
    turn, high_turn = _generators(low)
    torque = (
        torch.einsum("spa,kab,spb->spk", by_i, turn, yi)
        + torch.einsum("spa,kab,spb->spk", by_j, turn, yj)
        - torch.einsum("spa,kab,spb->spk", by_ti, high_turn, ti)
        - torch.einsum("spa,kab,spb->spk", by_tj, high_turn, tj)
    )
    across = torch.cross(-torque, pairs.axis, dim=-1) / pairs.r[..., None]
    return _gathered(along[..., None] * pairs.axis + across, pairs)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _generators(like: Tensor) -> tuple[Tensor, Tensor]:
    parts = []
    for degrees in (range(LOW + 1), range(LOW + 1, HIGH + 1)):
        blocks = [[torch.as_tensor(generators(l)[k]) for l in degrees] for k in range(3)]
        diagonal: Callable[..., Tensor] = torch.block_diag
        parts.append(torch.stack([diagonal(*each) for each in blocks]).to(like))
    return parts[0], parts[1]


def _gathered(slopes: Tensor, pairs: Pairs) -> Tensor:
    """Return forces (S, N, 3) from the energy's derivatives (S, P, 3) by the place of j."""
    i, j = pairs.ends
    out = slopes.new_zeros(slopes.shape[0], pairs.n, 3)
    return out.index_add(1, i, slopes).index_add(1, j, -slopes)
