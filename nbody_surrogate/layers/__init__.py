"""Blocks that surrogates are built of, in torch, and what compiled steps are made with.

The names below load torch when they are first used: code that is made for the processor, which
systems use too, needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbody_surrogate.lazy import lazy_names

if TYPE_CHECKING:
    from nbody_surrogate.layers.egcl import EGCL, EdgeWeights, edge_sums
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"nbody_surrogate.layers.egcl": ["EGCL", "EdgeWeights", "edge_sums"]}
    )

__all__ = ["EGCL", "EdgeWeights", "edge_sums"]
