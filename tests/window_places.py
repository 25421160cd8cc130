"""Windows one by one, and passes that are taken up again."""

from __future__ import annotations

from nbody_surrogate.datasets import (
    Windows,
)


def singles(batches):
    """Windows of batches one by one."""
    return [Windows(*columns) for batch in batches for columns in zip(*batch, strict=True)]
