"""E(n) equivariant graph convolution in torch, for surrogates that are built of it.

After Satorras, Hoogeboom and Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021. With
features h, positions x, velocities v and edge attributes e, over ordered pairs i, j of different
particles:

======================  ======================================================  ================
symbol                  meaning                                                 variable
======================  ======================================================  ================
m_ij                    phi_e(h_i, h_j, |x_i - x_j|^2, e_ij), two layers        ``message``
g_ij                    sigmoid(w . m_ij), spatial attention; or 1              ``gate``
phi_x(g_ij m_ij)        weight of a pair in the coordinates, two layers         ``weight``
phi_h(h_i, sum_j g m)   update of the features                                  ``received``
phi_v(h_i)              how much of its velocity a particle keeps               ``kept``
======================  ======================================================  ================

The first edge layer is factorised: h_i and h_j are projected before they are paired. What lives
on pairs is made, used and forgotten in pieces that stay in the processor's cache, and made again
for the gradient, so that memory does not grow with the number of pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import silu

__all__ = ["EGCL", "EdgeWeights", "edge_sums"]

PIECE = 1 << 18
"""Features on pairs that are made together on a CPU: 1 MiB in float32, of which the second-level
cache holds a few, as many as are worked on at a time."""

LARGE_PIECE = 1 << 26
"""The same elsewhere, where many threads want work and memory is the limit."""

SMALL = 1e-3
"""Gain of the last layers of phi_x and phi_v, so that nothing moves at first."""


class EdgeWeights(NamedTuple):
    """The parameters of phi_e and phi_x beyond the factorised first layer.

    Attributes
    ----------
    geometry : Tensor, shape (1 + E, d)
        First layer, of the squared distance and the edge attributes.
    message : Tensor, shape (d, d)
    message_bias : Tensor, shape (d,)
    gate : Tensor, shape (d, 1), or None
        Of spatial attention.
    gate_bias : Tensor, shape (1,), or None
    coordinate : Tensor, shape (d, d)
    coordinate_bias : Tensor, shape (d,)
    weight : Tensor, shape (d, W)
        Last layer of phi_x, for W sums of vectors.
    """

    geometry: Tensor
    message: Tensor
    message_bias: Tensor
    gate: Tensor | None
    gate_bias: Tensor | None
    coordinate: Tensor
    coordinate_bias: Tensor
    weight: Tensor


def edge_sums(
    of_i: Tensor, of_j: Tensor, x: Tensor, edges: Tensor, weights: EdgeWeights
) -> tuple[Tensor, Tensor]:
    """Sum messages and weighted separations over each particle's pairs.

    Positions are in reduced units, or in any others that the weights were made for.

    Parameters
    ----------
    of_i, of_j : Tensor, shape (S, N, d)
        Features of both ends of a pair, projected by the first edge layer.
    x : Tensor, shape (S, N, D)
    edges : Tensor, shape (S, N, N, E)
    weights : EdgeWeights

    Returns
    -------
    received : Tensor, shape (S, N, d)
        sum_j g_ij m_ij
    pull : Tensor, shape (S, N, W, D)
        sum_j phi_x(g_ij m_ij) (x_i - x_j)
    """
    received, pull = _EdgeSums.apply(of_i, of_j, x, edges, *weights)  # type: ignore[no-untyped-call]
    return received, pull


class _Pairs(NamedTuple):
    """What lives on the pairs of some samples, P = C N N of them in rows."""

    difference: Tensor  # (C, N, N, D) x_i - x_j
    geometry: Tensor  # (P, 1 + E)
    z1: Tensor  # (P, d) before each activation
    a1: Tensor
    z2: Tensor
    message: Tensor
    gate: Tensor | None  # (P, 1)
    gated: Tensor  # (P, d), zero on the diagonal
    z3: Tensor
    a3: Tensor
    weight: Tensor  # (P, W)


KEEP = (0, 1, 2, 3, 4, 5, 6)
FORGET = (0, 0, 1, 1, 2, 0, 0)
"""In which array z1, a1, z2, message, gated, z3 and a3 are, with and without a gradient to come. A
gradient needs what was before each activation; without one, what has been read is written over."""


def _room(of_i: Tensor, places: tuple[int, ...]) -> list[Tensor]:
    """Return arrays, as `places` say, that one piece after the other is made in."""
    samples, n, width = of_i.shape
    arrays = of_i.new_empty(max(places) + 1, min(_piece(of_i), samples), n, n, width)
    return [arrays[place] for place in places]


def _on_pairs(
    of_i: Tensor, of_j: Tensor, x: Tensor, edges: Tensor, w: EdgeWeights, room: list[Tensor]
) -> _Pairs:
    """Evaluate phi_e and phi_x on all ordered pairs."""
    difference = x[:, :, None] - x[:, None]
    shape = difference.shape[:3]
    squared = difference.square().sum(-1, keepdim=True)  # no root: its slope at 0 is infinite
    geometry = torch.cat([squared, edges], dim=-1).flatten(0, 2)
    rows = [array[: len(x)].flatten(0, 2) for array in room]  # the last piece may be shorter
    z1, a1, z2, message, gated, z3, a3 = rows
    # The first layer on [h_i, h_j, geometry], as a sum of three products: those with h cost N rows
    # and not N^2.
    torch.add(of_i[:, :, None], of_j[:, None], out=z1.view(*shape, -1))
    z1.addmm_(geometry, w.geometry)
    _silu(z1, a1)
    torch.addmm(w.message_bias, a1, w.message, out=z2)
    _silu(z2, message)
    if w.gate is None or w.gate_bias is None:
        gate, gated = None, message
        _no_self(gated, shape)
    else:
        gate = torch.addmm(w.gate_bias, message, w.gate).sigmoid_()
        _no_self(gate, shape)  # one number a pair, where the message has d
        torch.mul(message, gate, out=gated)
    torch.addmm(w.coordinate_bias, gated, w.coordinate, out=z3)
    _silu(z3, a3)
    return _Pairs(difference, geometry, z1, a1, z2, message, gate, gated, z3, a3, a3 @ w.weight)


def _silu(z: Tensor, out: Tensor) -> None:
    """Write silu(z) into `out`, which torch's own function does not offer."""
    torch.ops.aten.silu.out(z, out=out)


def _no_self(rows: Tensor, shape: torch.Size) -> None:
    """Set the rows of a particle with itself to zero, in place."""
    rows.view(*shape, -1).diagonal(dim1=1, dim2=2).zero_()


class _EdgeSums(torch.autograd.Function):
    """`edge_sums`, piece by piece, with nothing on pairs kept for the gradient."""

    @staticmethod
    def forward(
        ctx: Any, of_i: Tensor, of_j: Tensor, x: Tensor, edges: Tensor, *weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        # The inputs alone: what is on pairs is made again for the gradient, piece by piece, so that
        # memory does not grow with all of it.
        ctx.save_for_backward(of_i, of_j, x, edges, *weights)
        w = EdgeWeights(*weights)  # type: ignore[arg-type]
        received, pull = [], []
        room = _room(of_i, FORGET)
        for some in _pieces(of_i):
            pairs = _on_pairs(of_i[some], of_j[some], x[some], edges[some], w, room)
            shape = pairs.difference.shape[:3]
            received.append(pairs.gated.view(*shape, -1).sum(2))
            pull.append(
                torch.einsum("cijw,cijd->ciwd", pairs.weight.view(*shape, -1), pairs.difference)
            )
        return torch.cat(received), torch.cat(pull)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_received: Tensor, to_pull: Tensor) -> tuple[Tensor | None, ...]:
        of_i, of_j, x, edges, *weights = ctx.saved_tensors
        w = EdgeWeights(*weights)
        # Of inputs each piece has a part of its own; to the weights all pieces add.
        inputs = [torch.empty_like(y) for y in (of_i, of_j, x, edges)]
        totals = [None if y is None else torch.zeros_like(y) for y in w]
        room = _room(of_i, KEEP)
        for some in _pieces(of_i):
            pairs = _on_pairs(of_i[some], of_j[some], x[some], edges[some], w, room)
            of_inputs, of_weights = _gradients(pairs, to_received[some], to_pull[some], w)
            for whole, part in zip(inputs, of_inputs, strict=True):
                whole[some] = part
            for total, more in zip(totals, of_weights, strict=True):
                if total is not None and more is not None:
                    total += more
        return (*inputs, *totals)


def _gradients(
    pairs: _Pairs, to_received: Tensor, to_pull: Tensor, w: EdgeWeights
) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Gradients of of_i, of_j, x and edges, and of the weights, for one piece.

    They are made in the arrays of what is not needed any more.
    """
    difference = pairs.difference
    z1, a1, z2, message = pairs[2:6]
    shape = difference.shape[:3]
    # Backwards through the layers, from the last one: first phi_x, then the gate, then phi_e.
    to_weight = torch.einsum("ciwd,cijd->cijw", to_pull, difference).reshape(len(z1), -1)
    to_difference = torch.einsum("ciwd,cijw->cijd", to_pull, pairs.weight.view(*shape, -1))
    of_weight = pairs.a3.T @ to_weight
    to_z3 = _through_silu(torch.mm(to_weight, w.weight.T, out=pairs.a3), pairs.z3)
    of_coordinate = pairs.gated.T @ to_z3
    of_coordinate_bias = to_z3.sum(0)
    to_message = torch.mm(to_z3, w.coordinate.T, out=pairs.z3)
    to_message.view(*shape, -1).add_(to_received[:, :, None])
    _no_self(to_message, shape)  # what was set to zero has no slope
    of_gate, of_gate_bias = None, None
    if pairs.gate is not None and w.gate is not None:
        slope = pairs.gate * (1 - pairs.gate)  # of the sigmoid
        before = torch.mul(to_message, message, out=pairs.a3).sum(-1, keepdim=True).mul_(slope)
        of_gate = message.T @ before
        of_gate_bias = before.sum(0)
        to_message.mul_(pairs.gate).addmm_(before, w.gate.T)
    to_z2 = _through_silu(to_message, z2)
    of_message = a1.T @ to_z2
    of_message_bias = to_z2.sum(0)
    to_z1 = _through_silu(torch.mm(to_z2, w.message.T, out=a1), z1)
    to_geometry = (to_z1 @ w.geometry.T).view(*shape, -1)
    to_difference += 2 * to_geometry[..., :1] * difference  # of its square
    ends = to_z1.view(*shape, -1)
    of_x = to_difference.sum(2) - to_difference.sum(1)  # a particle is i of some pairs, j of others
    of_inputs = (ends.sum(2), ends.sum(1), of_x, to_geometry[..., 1:])
    of_weights = EdgeWeights(
        pairs.geometry.T @ to_z1,
        of_message,
        of_message_bias,
        of_gate,
        of_gate_bias,
        of_coordinate,
        of_coordinate_bias,
        of_weight,
    )
    return of_inputs, of_weights


def _through_silu(gradient: Tensor, z: Tensor) -> Tensor:
    """Turn the gradient of silu(z) into that of z, in place."""
    after: Tensor = torch.ops.aten.silu_backward.grad_input(gradient, z, grad_input=gradient)
    return after


def _piece(h: Tensor) -> int:
    """Return how many samples of (S, N, d) are looked at together."""
    _, n, width = h.shape
    features = PIECE if h.device.type == "cpu" else LARGE_PIECE
    return max(features // (n * n * width), 1)


def _pieces(h: Tensor) -> list[slice]:
    size = _piece(h)
    return [slice(begin, begin + size) for begin in range(0, len(h), size)]


@final
class EGCL(nn.Module):
    """One layer: changes of the features, and W vectors of each particle, in reduced units.

    Parameters
    ----------
    width : int
        Features d.
    edges : int
        Attributes of an edge, E.
    attention : bool
        Whether messages are gated.
    vectors : int
        W.
    """

    def __init__(self, width: int, edges: int, attention: bool = True, vectors: int = 1) -> None:
        super().__init__()
        self.of_i = nn.Linear(width, width)
        self.of_j = nn.Linear(width, width, bias=False)  # one bias for the sum of both
        self.geometry = nn.Linear(1 + edges, width, bias=False)
        self.message = nn.Linear(width, width)
        self.gate = nn.Linear(width, 1) if attention else None
        self.coordinate = nn.Linear(width, width)
        self.weight = nn.Linear(width, vectors, bias=False)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.kept = nn.Linear(width, width)
        self.share = nn.Linear(width, vectors)
        for layer in (self.weight, self.share):
            nn.init.xavier_uniform_(layer.weight, gain=SMALL)
        nn.init.zeros_(self.share.bias)

    def forward(self, h: Tensor, x: Tensor, v: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Look at each sample by itself.

        Parameters
        ----------
        h : Tensor, shape (S, N, d)
        x, v : Tensor, shape (S, N, D)
        edges : Tensor, shape (S, N, N, E)

        Returns
        -------
        change : Tensor, shape (S, N, d)
            phi_h, to be added to the features.
        vectors : Tensor, shape (S, N, W, D)
            phi_v v + mean_j phi_x (x_i - x_j).
        """
        received, pull = edge_sums(self.of_i(h), self.of_j(h), x, edges, self._weights())
        pull = pull / max(x.shape[1] - 1, 1)  # a mean, which keeps its size whatever N is
        vectors = self.share(silu(self.kept(h)))[..., None] * v[:, :, None] + pull
        return self.update(torch.cat([h, received], dim=-1)), vectors

    def _weights(self) -> EdgeWeights:
        """Return the weights as matrices that rows are multiplied by from the left."""
        return EdgeWeights(
            self.geometry.weight.T,
            self.message.weight.T,
            self.message.bias,
            None if self.gate is None else self.gate.weight.T,
            None if self.gate is None else self.gate.bias,
            self.coordinate.weight.T,
            self.coordinate.bias,
            self.weight.weight.T,
        )
