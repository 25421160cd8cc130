"""Lists of neighbours: the pairs of particles that a force with a cut-off has to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.arrays import demand_vectors, real_array
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["NeighbourRequest", "Neighbours", "every_pair", "neighbour_pairs"]

ROUNDING = 8 * np.finfo(np.float64).eps  # of a distance, over the coordinates it comes from


@final
@dataclass(frozen=True)
class NeighbourRequest:
    """Which neighbours a system asks for.

    Parameters
    ----------
    cutoff : float
        Distance from which on pairs have no force on each other, in reduced units.
    skin : float
        By how much farther a list reaches. It holds all pairs within the cut-off as long as no
        particle has moved more than half the skin (Verlet, Phys. Rev. 159 (1967) 98), so a wide
        one is made anew less often, and costs more pairs. No result depends on it.

    Raises
    ------
    InputError
        If one is not finite, the cut-off not positive or the skin negative.
    """

    cutoff: float
    skin: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cutoff) and self.cutoff > 0):
            raise InputError(f"`cutoff` must be finite and > 0, got {self.cutoff}")
        if not (math.isfinite(self.skin) and self.skin >= 0):
            raise InputError(f"`skin` must be finite and >= 0, got {self.skin}")

    def refuse_small_box(self, box: Box | None) -> None:
        """Raise where the cut-off reaches a second image of a particle.

        Parameters
        ----------
        box : Box or None
            None for open space.

        Raises
        ------
        InputError
            If it is above half the shortest period of the box.
        """
        if box is not None and self.cutoff > box.shortest / 2:
            raise InputError(
                f"`cutoff` must be at most half the shortest period of the box, "
                f"{box.shortest / 2:g}, got {self.cutoff:g}; use a larger box"
            )


@final
@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs of near particles of B trajectories, as a force is handed them, in reduced units.

    Each pair is there twice, (i, j) and (j, i), sorted by trajectory, then i, then j. So a force
    on a particle is the sum over its own row, which threads can share out, and it is the same to
    the bit whatever is listed beyond the cut-off, since zeros are added there.

    Attributes
    ----------
    request : NeighbourRequest or None
        None for a list of all pairs.
    x : ndarray, shape (B, N, D)
        Positions that the list was made for.
    j : ndarray of int, shape (P,)
        The second particle of each pair, 0 to N - 1.
    rows : ndarray of int, shape (B N + 1,)
        The pairs of particle i of trajectory b are ``rows[b * N + i]`` up to, not including,
        ``rows[b * N + i + 1]``.
    """

    request: NeighbourRequest | None
    x: Float64[np.ndarray, "B N D"]
    j: Int64[np.ndarray, " P"]
    rows: Int64[np.ndarray, " R"]

    __repr__ = brief

    @cached_property
    def owner(self) -> Int64[np.ndarray, " P"]:
        """``b * N + i`` of each pair, shape (P,)."""
        return np.repeat(np.arange(len(self.rows) - 1), np.diff(self.rows))

    @cached_property
    def trajectory(self) -> Int64[np.ndarray, " P"]:
        """The trajectory b of each pair, shape (P,)."""
        return np.asarray(self.owner // self.x.shape[1])

    @cached_property
    def i(self) -> Int64[np.ndarray, " P"]:
        """The first particle of each pair, 0 to N - 1, shape (P,)."""
        return np.asarray(self.owner % self.x.shape[1])

    def sum(self, values: Float64[np.ndarray, "P ..."]) -> Float64[np.ndarray, "B N ..."]:
        """Add up values of pairs for the first particle of each, one pair after the other.

        Parameters
        ----------
        values : ndarray, shape (P, ...)

        Returns
        -------
        ndarray, shape (B, N, ...)

        Raises
        ------
        InputError
            If there is not one value for each pair.
        """
        batch, n, _ = self.x.shape
        values = real_array("values", values)
        if values.shape[:1] != self.j.shape:
            raise InputError(
                f"`values` must have shape (P, ...), one for each of the {len(self.j)} pairs, "
                f"got {values.shape}"
            )
        if 0 in values.shape[1:]:  # no columns
            return np.zeros((batch, n, *values.shape[1:]))
        # not -1 for the last axis, which NumPy cannot tell where there are no pairs
        columns = values.reshape(len(values), math.prod(values.shape[1:])).T
        # bincount adds in order, where reduceat would group, and so depend on zeros in between
        sums = [np.bincount(self.owner, column, batch * n) for column in columns]
        return np.stack(sums, axis=-1, dtype=np.float64).reshape(batch, n, *values.shape[1:])

    def cover(self, x: Float64[np.ndarray, "B N D"]) -> bool:
        """Whether all pairs within the cut-off are in the list.

        Parameters
        ----------
        x : ndarray, shape (B, N, D)
            Unwrapped, as `Neighbours.x` is.

        Returns
        -------
        bool

        Raises
        ------
        InputError
            If `x` is of another shape than the positions that the list was made for.
        """
        x = real_array("x", x)
        if x.shape != self.x.shape:
            raise InputError(f"`x` must have shape (B, N, D) = {self.x.shape}, got {x.shape}")
        if self.request is None:
            return True
        # half the skin each, since two particles may come towards one another
        moved = np.linalg.norm(x - self.x, axis=2)
        return bool((moved <= self.request.skin / 2).all())


def neighbour_pairs(
    x: Float64[np.ndarray, "B N D"], request: NeighbourRequest, box: Box | None = None
) -> Neighbours:
    """List all pairs within cut-off and skin, by SciPy's k-d trees.

    Parameters
    ----------
    x : ndarray, shape (B, N, D)
        Unwrapped, in reduced units. A trajectory with positions that are not finite has no pairs.
    request : NeighbourRequest
    box : Box, optional
        By default open space.

    Returns
    -------
    Neighbours

    Raises
    ------
    InputError
        If the cut-off is above half the shortest period of the box, or `x` is of another shape.
    """
    request.refuse_small_box(box)
    x = demand_vectors("x", x, "B N D", (2, 3) if box is None else (box.dimension,))
    return _listed([_near(each, request, box) for each in x], x, request)


def every_pair(x: Float64[np.ndarray, "B N D"]) -> Neighbours:
    """List all pairs, for a force that is to look at each of them.

    Parameters
    ----------
    x : ndarray, shape (B, N, D)
        Unwrapped, in reduced units.

    Returns
    -------
    Neighbours
        Of no request.

    Raises
    ------
    InputError
        If `x` is of another shape.
    """
    x = demand_vectors("x", x, "B N D", (2, 3))
    pairs = np.stack(np.triu_indices(x.shape[1], 1), axis=1)
    return _listed([pairs] * len(x), x, None)


def _near(x: np.ndarray, request: NeighbourRequest, box: Box | None) -> np.ndarray:
    """Pairs i < j of one trajectory, shape (P, 2); x is (N, D)."""
    from scipy.spatial import cKDTree  # here, for the time that a program takes to start

    # cKDTree refuses such positions; the method's frames will say that the trajectory failed
    if not np.isfinite(x).all():
        return np.empty((0, 2), dtype=np.int64)
    # a pair at the very cut-off is listed, whatever the rounding of differences elsewhere
    reach = (request.cutoff + request.skin) * (1 + ROUNDING) + ROUNDING * float(np.abs(x).max())
    periods = None if box is None else [length or 0.0 for length in box.lengths]  # 0: open
    # cKDTree wants positions folded into the box, where a state has them unwrapped
    tree = cKDTree(x if box is None else box.wrap(x), boxsize=periods)
    return np.asarray(tree.query_pairs(reach, output_type="ndarray"), dtype=np.int64)


def _listed(
    pairs: Sequence[np.ndarray], x: np.ndarray, request: NeighbourRequest | None
) -> Neighbours:
    """Make rows of pairs i < j, an array (P, 2) for each trajectory."""
    n, seconds, counts = x.shape[1], [], [np.zeros(1, dtype=np.int64)]
    for each in pairs:
        both = np.concatenate([each, each[:, ::-1]])
        # lexsort goes by its last key first: by i, then by j
        order = np.lexsort((both[:, 1], both[:, 0]))
        seconds.append(both[order, 1])
        counts.append(np.bincount(both[:, 0], minlength=n))
    # a copy, as `cover` asks how far x has moved since, also where a method moves it in place
    return Neighbours(request, x.copy(), np.concatenate(seconds), np.concatenate(counts).cumsum())
