"""The graph convolution: its pieces and its gradient by hand are those of the plain formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import silu

from nbody_surrogate.layers import egcl
from nbody_surrogate.layers.egcl import EGCL, EdgeWeights, edge_sums

S, N, DIMS, WIDTH, EDGES, VECTORS = 5, 3, 3, 4, 2, 2

ROUNDING = 1e-12
"""Sums are taken in another order."""


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(params=[True, False], ids=["gated", "plain"])
def given(request, monkeypatch):
    """Arguments, in pieces of two samples, the last of one."""
    monkeypatch.setattr(egcl, "PIECE", 2 * N * N * WIDTH)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gate = (random(WIDTH, 1), random(1)) if request.param else (None, None)
        square = [(random(WIDTH, WIDTH), random(WIDTH)) for _ in range(2)]
        weights = EdgeWeights(
            random(1 + EDGES, WIDTH), *square[0], *gate, *square[1], random(WIDTH, VECTORS)
        )
        return (random(S, N, WIDTH), random(S, N, WIDTH), random(S, N, DIMS),
                random(S, N, N, EDGES), weights)  # fmt: skip


def plain(of_i, of_j, x, edges, w):
    """Return the sums as they are written in the paper, over j other than i."""
    received, pull = torch.zeros(S, N, WIDTH).double(), torch.zeros(S, N, VECTORS, DIMS).double()
    for i in range(N):
        for j in set(range(N)) - {i}:
            r = x[:, i] - x[:, j]
            geometry = torch.cat([(r * r).sum(-1, keepdim=True), edges[:, i, j]], dim=-1)
            m = silu(of_i[:, i] + of_j[:, j] + geometry @ w.geometry)
            m = silu(m @ w.message + w.message_bias)
            if w.gate is not None:
                m = m * torch.sigmoid(m @ w.gate + w.gate_bias)
            weight = silu(m @ w.coordinate + w.coordinate_bias) @ w.weight
            received[:, i] += m
            pull[:, i] += weight[:, :, None] * r[:, None]
    return received, pull


def test_sums_are_those_of_the_formula(given):
    for got, wanted in zip(edge_sums(*given), plain(*given), strict=True):
        torch.testing.assert_close(got, wanted, rtol=ROUNDING, atol=ROUNDING)


def test_gradients_are_those_of_the_formula(given):
    *inputs, weights = given
    leaves = [y for y in (*inputs, *weights) if y is not None]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ahead = [torch.randn_like(y) for y in plain(*given)]
    found = [
        torch.autograd.grad(
            [(a * y).sum() for a, y in zip(ahead, way(*given), strict=True)], leaves
        )
        for way in (edge_sums, plain)
    ]
    for got, wanted in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def test_at_the_start_of_training_nothing_moves_much():
    layer = EGCL(8, 2)
    h, x, v, edges = torch.randn(2, 4, 8), torch.randn(2, 4, 3), torch.randn(2, 4, 3), None
    edges = torch.randn(2, 4, 4, 2)
    change, vectors = layer(h, x, v, edges)
    assert change.shape == h.shape
    assert vectors.shape == (2, 4, 1, 3)
    assert vectors.abs().max() < 0.02
