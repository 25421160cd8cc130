"""Blocks that surrogates are built of, in torch."""

from __future__ import annotations

from nbody_surrogate.layers.egcl import EGCL, EdgeWeights, edge_sums

__all__ = ["EGCL", "EdgeWeights", "edge_sums"]
