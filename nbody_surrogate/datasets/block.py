"""Some trajectories of a data set with their particles, as they are read, made and handed on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.state import Particles, Selection, selected

__all__ = ["TrajectoryBlock"]


class TrajectoryBlock(NamedTuple):
    """Some trajectories.

    Unlike a `State`, it may hold NaN: a data set is read as it is.

    Attributes
    ----------
    x, v : ndarray, shape (B, T, N, D)
    particles : Particles, shape (B, N)
    hidden : mapping of str to ndarray, shape (B, T, N, ...)
        The hidden variables, where the data hold some. Windows for training never do.
    """

    x: np.ndarray
    v: np.ndarray
    particles: Particles
    hidden: Hidden = NOTHING_HIDDEN

    def __repr__(self) -> str:
        return brief(self)

    @classmethod
    def joined(cls, blocks: list[TrajectoryBlock]) -> TrajectoryBlock:
        """Put the trajectories of several blocks, at least one, behind one another."""
        if len(blocks) == 1:
            return blocks[0]
        charges = np.concatenate([block.particles.charges for block in blocks])
        masses = np.concatenate([block.particles.masses for block in blocks])
        bonds = [block.particles.couplings for block in blocks]
        there = [each for each in bonds if each is not None]
        sizes = [block.particles.radii for block in blocks if block.particles.radii is not None]
        couplings = np.concatenate(there) if there else None
        radii = np.concatenate(sizes) if sizes else None
        return cls(
            np.concatenate([block.x for block in blocks]),
            np.concatenate([block.v for block in blocks]),
            Particles(charges, masses, couplings, radii),
            {name: np.concatenate([b.hidden[name] for b in blocks]) for name in blocks[0].hidden},
        )

    def subset(self, index: Selection) -> TrajectoryBlock:
        """Return some of the trajectories, as `Particles` takes them.

        Raises
        ------
        InputError
            If they are not there, or there are none.
        """
        some = selected(index, len(self.x))
        hidden = {name: values[some] for name, values in self.hidden.items()}
        return TrajectoryBlock(self.x[some], self.v[some], self.particles[some], hidden)
