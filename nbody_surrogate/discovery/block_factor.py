"""Cholesky factors of covariances that couple all particles of a frame to those of two before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import blas, lapack

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["BlockFactor", "block_factor"]

WIDTH = 48
"""Rows of a block at least: of smaller ones the calls would take the time."""


@dataclass(frozen=True)
class BlockFactor:
    """A lower factor of blocks of several frames each, block bidiagonal.

    Attributes
    ----------
    diagonal, below : ndarray, shape (K, W, W)
        Of the diagonal, and left of it.
    rows : int
        Frames; those that fill up the last block are identities.
    size : int
        Rows of a frame.
    log_determinant : float
        Of the factor.
    """

    diagonal: Float64[np.ndarray, "K W W"]
    below: Float64[np.ndarray, "K W W"]
    rows: int
    size: int
    log_determinant: float

    def whiten(self, columns: Float64[np.ndarray, "R n C"]) -> Float64[np.ndarray, "R n C"]:
        """Divide columns by the factor: what has this covariance becomes white."""
        blocks = self._blocks(columns)
        for k, block in enumerate(blocks):
            if k:
                block -= self.below[k] @ blocks[k - 1]
            _divide(block, self.diagonal[k], transposed=False)
        return self._frames(blocks)

    def unwhiten(self, white: Float64[np.ndarray, "R n C"]) -> Float64[np.ndarray, "R n C"]:
        """Divide columns by the transposed factor."""
        blocks = self._blocks(white)
        for k in reversed(range(len(blocks))):
            block = blocks[k]
            if k + 1 < len(blocks):
                block -= self.below[k + 1].T @ blocks[k + 1]
            _divide(block, self.diagonal[k], transposed=True)
        return self._frames(blocks)

    def _blocks(self, columns: np.ndarray) -> np.ndarray:
        count, width = self.diagonal.shape[:2]
        blocks = np.zeros((count, width, columns.shape[2]))
        blocks.reshape(-1, columns.shape[2])[: self.rows * self.size] = columns.reshape(
            -1, columns.shape[2]
        )
        return blocks

    def _frames(self, blocks: np.ndarray) -> np.ndarray:
        flat = blocks.reshape(-1, blocks.shape[2])[: self.rows * self.size]
        return flat.reshape(self.rows, self.size, -1)


def _divide(block: np.ndarray, factor: np.ndarray, transposed: bool) -> None:
    """Divide a block by a lower factor, in place: as it lies, it is a transpose of BLAS."""
    blas.dtrsm(1.0, factor.T, block.T, side=1, lower=0, trans_a=int(transposed), overwrite_b=1)


def block_factor(
    same: Float64[np.ndarray, "R n n"],
    one: Float64[np.ndarray, "R1 n n"],
    two: Float64[np.ndarray, "R2 n n"],
) -> BlockFactor:
    """Return the factor of a covariance.

    Parameters
    ----------
    same : ndarray, shape (R, n, n)
        Of each frame with itself.
    one, two : ndarray, shapes (R - 1, n, n) and (R - 2, n, n)
        Of each with the one before, from the second on, and with the one before that.

    Raises
    ------
    ArithmeticError
        If it is not positive.
    """
    rows, size, _ = same.shape
    frames = max(2, -(-WIDTH // size))
    count = -(-rows // frames)
    width = frames * size
    inside = np.zeros((count, frames, size, frames, size))
    left = np.zeros_like(inside)
    full = np.zeros((count * frames, size, size))
    full[:] = np.eye(size)
    full[:rows] = same
    shifted = [np.zeros_like(full) for _ in range(2)]
    shifted[0][1:rows], shifted[1][2:rows] = one, two
    full = full.reshape(count, frames, size, size)
    behind = [each.reshape(count, frames, size, size) for each in shifted]
    for s in range(frames):
        inside[:, s, :, s] = full[:, s]
        for lag, each in enumerate(behind, 1):
            if s >= lag:
                inside[:, s, :, s - lag] = each[:, s]
            else:
                left[:, s, :, frames + s - lag] = each[:, s]
    diagonal = inside.reshape(count, width, width)
    below = left.reshape(count, width, width)
    total = 0.0
    for k in range(count):
        block = diagonal[k]
        if k:
            below[k] = blas.dtrsm(1.0, diagonal[k - 1], below[k].T, lower=1).T
            block = block - below[k] @ below[k].T
        diagonal[k], fault = lapack.dpotrf(block, lower=1, clean=1)
        if fault:
            raise ArithmeticError("a covariance is not positive")
        total += float(np.log(np.diag(diagonal[k])).sum())
    return BlockFactor(diagonal, below, rows, size, total)
