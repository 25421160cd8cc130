"""Twins: states that share positions and velocities and differ in what is hidden.

A twin is given the hidden variables that another particle, or another pair, had elsewhere in like
surroundings. What is like is judged by the mean of the hidden variables given the surroundings, a
linear regression: the best single number to match by (Fearnhead and Prangle, J. R. Stat. Soc. B 74
(2012) 419). The difference of the two means is added (Beaumont, Zhang and Balding, Genetics 162
(2002) 2025), so that donors need not be alike to the last digit. Vectors are turned at random about
their mean, as no direction is preferred.

The more like the donors are, the nearer to the conditional distribution; where they are not, twins
differ too much, and the floor that is made of them is too high. It takes donors enough: of fewer
than twice the numbers that a regression fits, none are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.spatial import cKDTree

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.hidden_variables import Hidden, HiddenVariable
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.floor.surroundings import Scales, Surroundings

__all__ = ["Donors"]

NEIGHBOURS = 24
"""Donors to choose from, the nearest by their means."""

RIDGE = 1e-9
"""Of the mean square of each column."""

ENOUGH = 2
"""Particles, or pairs, of the donors over the columns of the regression. Frames of one trajectory
are much alike, and count as one."""


@dataclass(frozen=True)
class _Group:
    """Hidden variables that one particle, or one pair, has together.

    Attributes
    ----------
    variables : tuple of HiddenVariable
    of_pairs : bool
    numbers : ndarray, shape (F, C)
        Coefficients of numbers.
    vectors : ndarray, shape (H, V)
        Coefficients of vectors.
    values : ndarray, shape (E, C); and of vectors, shape (E, V, D)
    means : the same, of the regression
    tree : cKDTree or None
        Of the means of numbers, not widened, in units of what is left beside them.
    spread : ndarray
    """

    variables: tuple[HiddenVariable, ...]
    of_pairs: bool
    numbers: np.ndarray
    vectors: np.ndarray
    values: tuple[np.ndarray, np.ndarray]
    means: tuple[np.ndarray, np.ndarray]
    tree: cKDTree | None
    spread: np.ndarray


@final
class Donors:
    """States whose hidden variables are known, to make twins of others.

    Parameters
    ----------
    variables : sequence of HiddenVariable
    x, v : ndarray, shape (S, N, D)
    particles : Particles, shape (S, N)
    hidden : mapping of str to ndarray, shapes (S, N, ...)
    box : Box, optional
    frames : int
        How many of the states are of one trajectory.

    Raises
    ------
    InputError
        If a variable has axes for which there are no twins, or there are too few trajectories.
    """

    def __init__(
        self,
        variables: Sequence[HiddenVariable],
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        box: Box | None = None,
        *,
        frames: int = 1,
    ) -> None:
        for each in variables:
            of_pairs = each.shape[:1] == ("N",)
            rest = set(each.shape[1:] if of_pairs else each.shape[:-1])
            last = each.shape[-1:] == ("N",) and not of_pairs
            if rest & {"N", "D"} or last:
                raise _no_twins(each)
        self._box, self._scales = box, Scales.of(x, box)
        near = self._surroundings(x, v, particles)
        _demand_enough(variables, near, len(x) // frames, x.shape[1:])
        self._groups = [
            _group(some, pairs, near, hidden)
            for pairs in (False, True)
            if (some := tuple(each for each in variables if (each.shape[:1] == ("N",)) == pairs))
        ]

    def twins(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        count: int,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Draw hidden variables for states, `count` for each, shapes (count, S, N, ...).

        Parameters
        ----------
        x, v : ndarray, shape (S, N, D)
        particles : Particles, shape (S, N)
        count : int
        rng : numpy.random.Generator
        """
        near = self._surroundings(x, v, particles)
        drawn: dict[str, np.ndarray] = {}
        for group in self._groups:
            made = list(_drawn(group, near, x.shape, count, rng))
            drawn |= {name: np.stack([each[name] for each in made]) for name in made[0]}
        return drawn

    def _surroundings(self, x: np.ndarray, v: np.ndarray, particles: Particles) -> Surroundings:
        return Surroundings(x, v, particles, self._scales, self._box)


def _demand_enough(
    variables: Sequence[HiddenVariable],
    near: Surroundings,
    trajectories: int,
    shape: tuple[int, ...],
) -> None:
    """Raise where trajectories are too few for the regressions."""
    n, dimensions = shape
    least = 0
    for each in variables:
        of_pairs, of_vectors = each.shape[:1] == ("N",), each.shape[-1:] == ("D",)
        entities = n * (n - 1) // 2 if of_pairs else n * (dimensions if of_vectors else 1)
        columns, vectors = _columns(near, of_pairs)
        fitted = vectors.shape[1] if of_vectors else columns.shape[1]
        if entities:
            least = max(least, -(-ENOUGH * fitted // entities))
    if trajectories < least:
        raise InputError(
            f"`trajectories` must be at least {2 * least} for a floor of {n} particles of this "
            f"system, got {2 * trajectories}"
        )


def _no_twins(each: HiddenVariable) -> InputError:
    return InputError(
        f"`system` has the hidden variable {each.name!r} of axes {each.shape}, of which no twins "
        "are made; () and (K,) of particles, (K, 'D') of vectors, ('N',) and ('N', K) of pairs do"
    )


def _group(
    variables: tuple[HiddenVariable, ...], of_pairs: bool, near: Surroundings, hidden: Hidden
) -> _Group:
    columns, vectors = _columns(near, of_pairs)
    numbers, arrows = _values(variables, of_pairs, hidden)
    by_number = _regression(columns, numbers)
    flat = vectors.transpose(0, 2, 1).reshape(-1, vectors.shape[1])
    wanted = arrows.transpose(0, 2, 1).reshape(len(flat), -1)
    by_vector = _regression(flat, wanted)
    means = plain = columns @ by_number, _along(by_vector, vectors)
    # what a regression leaves of its own data is too little by the numbers that were fitted
    means = _widened(numbers, means[0], columns.shape), _widened(arrows, means[1], flat.shape)
    left = numbers - means[0]
    spread = np.maximum(left.std(0), 1e-300)
    # by the means themselves: those that were widened hold what is left, and where the mean hardly
    # varies the nearest would be donors with the least of it
    tree = cKDTree(plain[0] / spread) if numbers.shape[1] else None
    values = numbers, arrows
    return _Group(variables, of_pairs, by_number, by_vector, values, means, tree, spread)


def _drawn(
    group: _Group,
    near: Surroundings,
    shape: tuple[int, ...],
    count: int,
    rng: np.random.Generator,
) -> Iterator[dict[str, np.ndarray]]:
    """Draw one twin of each state after the other."""
    columns, vectors = _columns(near, group.of_pairs)
    mean, arrow = columns @ group.numbers, _along(group.vectors, vectors)
    (known, known_arrows), (means, mean_arrows) = group.values, group.means
    entities = np.arange(len(columns))
    like = None
    if group.tree is not None:
        most = min(NEIGHBOURS, len(known))
        like = group.tree.query(mean / group.spread, k=most)[1].reshape(len(columns), -1)
    for _ in range(count):
        if like is None:
            donor = rng.integers(len(known), size=len(columns))
        else:
            donor = like[entities, rng.integers(like.shape[1], size=len(columns))]
        numbers = known[donor] + mean - means[donor]
        if (
            numbers.size
        ):  # where nothing is alike a difference of means may lead beyond all there is
            numbers = np.clip(numbers, known.min(0), known.max(0))
        left = known_arrows[donor] - mean_arrows[donor]
        turned = np.linalg.qr(rng.normal(size=(len(donor), shape[2], shape[2])))[0]
        arrows = arrow + np.einsum("evd,ecd->evc", left, turned)
        yield _as_hidden(group, numbers, arrows, shape)


def _columns(near: Surroundings, of_pairs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers (E, F) with their squares and 1, and vectors (E, H, D)."""
    if of_pairs:
        i, j = np.triu_indices(near.pairs.shape[1], 1)
        numbers = near.pairs[:, i, j].reshape(-1, near.pairs.shape[-1])
        vectors = np.zeros((len(numbers), 1, near.vectors.shape[-1]))
    else:
        numbers = near.particles.reshape(-1, near.particles.shape[-1])
        vectors = near.vectors.reshape(-1, *near.vectors.shape[2:])
    return np.concatenate([np.ones((len(numbers), 1)), numbers, numbers**2], 1), vectors


def _values(
    variables: tuple[HiddenVariable, ...], of_pairs: bool, hidden: Hidden
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers (E, C) and vectors (E, V, D) of all variables of a group."""
    numbers, vectors = [], []
    for each in variables:
        y = hidden[each.name]
        if of_pairs:
            i, j = np.triu_indices(y.shape[1], 1)
            numbers.append(y[:, i, j].reshape(len(y) * len(i), -1))
        elif each.shape[-1:] == ("D",):
            vectors.append(y.reshape(y.shape[0] * y.shape[1], -1, y.shape[-1]))
        else:
            numbers.append(y.reshape(y.shape[0] * y.shape[1], -1))
    entities = len((numbers or vectors)[0])
    dimensions = vectors[0].shape[-1] if vectors else 1
    empty = np.zeros((entities, 0)), np.zeros((entities, 0, dimensions))
    return (
        np.concatenate([empty[0], *numbers], 1),
        np.concatenate([empty[1], *vectors], 1),
    )


def _as_hidden(
    group: _Group, numbers: np.ndarray, vectors: np.ndarray, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Take values of entities apart into hidden variables of states."""
    states, n, dimensions = shape
    made, at, to = {}, 0, 0
    for each in group.variables:
        axes = tuple(axis for axis in each.shape if isinstance(axis, int))
        width = int(np.prod(axes, dtype=int))
        if group.of_pairs:
            i, j = np.triu_indices(n, 1)
            y = np.zeros((states, n, n, *axes))
            y[:, i, j] = numbers[:, at : at + width].reshape(states, len(i), *axes)
            y[:, j, i] = y[:, i, j]
            at += width
        elif each.shape[-1:] == ("D",):
            y = vectors[:, to : to + width].reshape(states, n, *axes, dimensions)
            to += width
        else:
            y = numbers[:, at : at + width].reshape(states, n, *axes)
            at += width
        made[each.name] = np.ascontiguousarray(y)
    return made


def _regression(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return coefficients (F, C) of columns (E, F) for values (E, C), by least squares."""
    square = columns.T @ columns
    size = np.sqrt(np.maximum(square.diagonal(), 1e-300))
    scaled = square / size / size[:, None] + RIDGE * np.eye(len(size))
    return np.asarray(np.linalg.solve(scaled, columns.T @ values / size[:, None]) / size[:, None])


def _widened(values: np.ndarray, means: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return means from which values differ by as much as new ones would."""
    rows, fitted = shape
    return np.asarray(values - (values - means) * np.sqrt(rows / max(rows - fitted, 1)))


def _along(coefficients: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Combine vectors (E, H, D) by coefficients (H, V), (E, V, D)."""
    return np.asarray(np.einsum("ehd,hv->evd", vectors, coefficients))
