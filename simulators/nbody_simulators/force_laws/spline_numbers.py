"""The numbers of `spline_pair`: a curve as it was measured, with its energies at some distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbody_simulators.force_laws.cardinal_splines import BLOCK
from nbody_simulators.force_laws.spline_pair import CLASSES, HEAD, NODES, PANELS, spline_law
from nbody_surrogate.contracts import PairLaw

__all__ = ["curve_values", "spline_pair"]


def curve_values(
    r: np.ndarray,
    power: int,
    core: float,
    screening_length: float | None,
    scale: float,
    first: float,
    spacing: float,
    coefficients: Sequence[float],
) -> np.ndarray:
    """Evaluate the curve env(r) S(u(r)), see `spline_pair`.

    Parameters
    ----------
    r : ndarray, shape (...)
        Distances.
    power, core, screening_length, scale
        p, a, lambda (None where it is infinite) and b.
    first, spacing : float
        Where the first spline stands in u, and how far the next.
    coefficients : sequence of float, length K
        At least 4.

    Returns
    -------
    ndarray, shape (...)
        The force along the separation, of a pair of weight 1.
    """
    place = np.clip((r / (r + scale) - first) / spacing, 1.0, len(coefficients) - 2.0)
    near = np.abs(place[..., None] - np.arange(len(coefficients)))
    outer, inner = np.maximum(2.0 - near, 0.0), np.maximum(1.0 - near, 0.0)
    splines = (outer**3 - 4.0 * inner**3) / 6.0
    decay = 0.0 if screening_length is None else 1.0 / screening_length
    envelope = np.sqrt(r * r + core * core) ** power * np.exp(-decay * r)
    values: np.ndarray = envelope * (splines @ np.asarray(coefficients, float))
    return values


def spline_pair(
    power: int,
    core: float,
    screening_length: float | None,
    scale: float,
    first: float,
    spacing: float,
    coefficients: Sequence[float],
    by_charge: bool = True,
) -> PairLaw:
    """Return the law of a curve; see `curve_values` for what it is handed.

    Parameters
    ----------
    by_charge : bool
        Whether q_i q_j weighs a pair, or else its coupling.

    Returns
    -------
    PairLaw
    """
    count = len(coefficients)
    size = -(-count // BLOCK) * BLOCK
    knots = np.arange(1.0, count - 1.0)
    u = first + spacing * knots
    r = scale * u / (1.0 - u)
    # infinity is z = 0, and the energy there, where it has one
    screened, steep = screening_length is not None, power < -1

    def z_of(r: Any) -> Any:
        return 1.0 / (r + np.hypot(r, core))

    def force(r: np.ndarray) -> np.ndarray:
        return curve_values(r, power, core, screening_length, scale, first, spacing, coefficients)

    # z at the knots is not that of distances where these are negative: no pair is ever there
    z = (1.0 - u) / (scale * u + np.hypot(scale * u, core * (1.0 - u)))
    beyond = z[-1] * 0.25 ** np.arange(1, PANELS + 1)
    beyond[-1] = 0.0 if steep else beyond[-1]
    inner = [_energy(force, a, b, core, steep) for a, b in zip(z[:-1], z[1:], strict=True)]
    outer = [
        _energy(force, a, b, core, steep)
        for a, b in zip([z[-1], *beyond[:-1]], beyond, strict=True)
    ]
    head = {
        "core2": core * core,
        "decay": 1.0 / screening_length if screening_length is not None else 0.0,
        "scale": scale,
        "first": first,
        "spacing": spacing,
        "last": knots[-1],
        "falls": power < 0,
        "steep": steep,
        **{f"bit{1 << k}": abs(power) >> k & 1 for k in range(4)},
        "edge": z[-1],
        "far": beyond[-1],
        "by_charge": by_charge,
    }
    del screened, z_of, r
    # energies from the far end, so that each is as exact as it is small
    at_beyond = np.append(np.cumsum(outer[:0:-1])[::-1], 0.0)
    at_last = at_beyond[0] + outer[0]
    if not steep:  # no limit far away, or none that is near enough: it counts from the last knot
        at_beyond, at_last = -np.cumsum(outer), 0.0
    at_knots = at_last + np.append(np.cumsum(inner[::-1])[::-1], 0.0)
    pad = np.zeros(size - count)
    rest = (*coefficients, *pad, *at_knots, 0.0, 0.0, *pad, *at_beyond)
    made = CLASSES[size // BLOCK - 1](*(float(head[key]) for key in HEAD), *map(float, rest))
    return spline_law(made)


def _energy(
    force: Callable[[np.ndarray], np.ndarray], z: float, end: float, core: float, steep: bool
) -> float:
    """Integrate a force from one distance to another, in the variable that the law takes."""
    x = np.array([node for node, _ in NODES])
    weights = np.array([weight for _, weight in NODES])
    first, last = (end, z) if steep else (1.0 / end, 1.0 / z)
    half, middle = 0.5 * (last - first), 0.5 * (last + first)
    node = np.concatenate([middle + half * x, middle - half * x])
    y = 1.0 / node if steep else node
    s = 0.5 * (y + core * core / y)
    slope = s * y if steep else -s / y
    return float(half * (np.tile(weights, 2) * force(y - s) * slope).sum())
