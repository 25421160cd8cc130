"""Where the compiled code of `SETSpheres` keeps its numbers: vectors of four, and rows of them.

A moment about the axis of a pair has five slots: order 0, and the cosines and sines of the orders 1
and 2. Order 0 is a number, the other four fill a vector. Functions are laid out for that: of order
0 one after the other, and of two degrees above 0 a vector (f1, f1, f2, f2), or (f1, f1, 0, 0).

Low components of a sphere are 3 of degree 1 and 5 of degree 2, two vectors of which the first has
lanes of both; high ones are 7, 9 and 11, seven vectors of which the second has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nbody_set.sphere_harmonics import generators
from nbody_set.sphere_pairs import HIGH, LOW, TERMS

__all__ = [
    "ARGUMENTS",
    "DEGREES",
    "FAR_VALUES",
    "FIRST",
    "GROUPS",
    "HIGHS",
    "HIGH_SIGN",
    "LOWS",
    "LOW_SIGN",
    "TURNS",
    "VALUES",
    "WEIGHTS",
    "Workspace",
    "lanes_of",
    "low_pairs",
    "quad",
    "single",
    "workspace",
]

LOWS = (LOW + 1) ** 2 - 1  # induced low components of a sphere: 3 of degree 1, 5 of degree 2
DEGREES = HIGH - LOW
FIRST = [(LOW + 1 + d) ** 2 - (LOW + 1) ** 2 for d in range(DEGREES + 1)]
"""The first high component of each degree, and their number."""
GROUPS = -(-FIRST[-1] // 4)  # vectors of four that hold high components
HIGHS = -(-FIRST[-1] // 8) * 8  # numbers of a row of them: the last ones are zero
LOW_SIGN = np.array([(-1.0) ** l for l in range(1, LOW + 1) for _ in range(2 * l + 1)])
HIGH_SIGN = np.ones(HIGHS)
HIGH_SIGN[: FIRST[-1]] = [(-1.0) ** l for l in range(LOW + 1, HIGH + 1) for _ in range(2 * l + 1)]

low_pairs = [(l, k) for l in range(LOW + 1) for k in range(l, LOW + 1)]
_LOW_QUADS = [(l, k) for l, k in low_pairs if l]
_HIGH_SINGLES = [(d, k) for k in range(LOW + 1) for d in range(DEGREES)]
_HIGH_QUADS = [(d, k) for d, k in _HIGH_SINGLES if k]

_STARTS: list[int] = np.cumsum(
    [0, 2 * len(low_pairs), 8 * len(_LOW_QUADS), 2 * len(_HIGH_SINGLES), 8 * len(_HIGH_QUADS)]
).tolist()
FAR_VALUES, VALUES = (-(-count // 4) * 4 for count in (_STARTS[2] + 2 * DEGREES, _STARTS[4]))
"""Numbers of a row of functions: of low moments and what charges do to high ones, which is all that
pairs far apart have; and of all. Both are whole vectors."""


def single(kind: str, mutual: int, l: int, k: int) -> int:
    """Return the place of a function of order 0; of "R" l counts high degrees from 0."""
    if kind == "S":
        return _STARTS[0] + 2 * low_pairs.index((l, k)) + mutual
    return _STARTS[2] + 2 * _HIGH_SINGLES.index((l, k)) + mutual


def quad(kind: str, mutual: int, l: int, k: int) -> int:
    """Return the place of the vector of the other orders."""
    if kind == "S":
        return _STARTS[1] + 4 * (2 * _LOW_QUADS.index((l, k)) + mutual)
    return _STARTS[3] + 4 * (2 * _HIGH_QUADS.index((l, k)) + mutual)


def lanes_of(table: np.ndarray) -> np.ndarray:
    """Lay out functions (..., F) in rows (..., `VALUES`)."""
    made = np.zeros((*table.shape[:-1], VALUES))
    for f, term in enumerate(TERMS):
        first = term.l if term.kind == "S" else term.l - LOW - 1
        where = (term.kind, int(term.mutual), first, term.k)
        if term.m == 0:
            made[..., single(*where)] = table[..., f]
        else:
            place = quad(*where) + 2 * (term.m - 1)
            made[..., place] = made[..., place + 1] = table[..., f]
    return made


WEIGHTS = 12
"""Of the rows of a table, by which functions are interpolated: see `sphere_kernel`."""


class _Turns(NamedTuple):
    """Places in what is kept of a pair's axis: components of axial moments."""

    low: int  # (8, 4) of each low component the slots that are not of order 0
    low_single: int  # (8,) order 0
    high: int  # (HIGHS, 4)
    high_single: int  # (HIGHS,)
    low_rows: int  # (4, 8) as `low`, of each slot all components
    high_rows: int  # (4, HIGHS)
    size: int


TURNS = _Turns(*np.cumsum([0, 4 * LOWS, LOWS, 4 * HIGHS, HIGHS, 4 * LOWS, 4 * HIGHS]).tolist())

ARGUMENTS = (
    *("functions", "knots", "weights", "values", "i", "j", "axes", "turns"),
    *("charges", "field", "direct", "mutual", "response", "own", "own_response"),
    *("mutual_r", "response_r", "back_r", "own_r", "own_response_r", "own_back_r"),
    *("u", "t", "out", "seen", "seen_out", "high_seen"),
    *("u_r", "t_r", "out_r", "seen_r", "seen_out_r", "high_seen_r"),
    *("moved", "high_moved", "pushed"),
)
"""Arrays whose addresses the code is handed, and before them the number of spheres.

Those that end in "_r" are of float32. Of a sphere seen from the other end of a pair, components of
odd degree change sign: "seen". So a pair's matrix serves both its spheres.
"""


class Workspace(NamedTuple):
    """Arrays that one configuration after the other is solved in; P unordered pairs, H = `HIGHS`.

    Pairs near each other come first, whose high moments follow low ones.

    Attributes
    ----------
    table : ndarray of int64
        See `ARGUMENTS`.
    knots, i, j : ndarray of int64, shape (P,)
    weights : ndarray, shape (P, `WEIGHTS`)
    axes : ndarray, shape (P, 4)
        From i to j, and the inverse of the distance.
    turns : ndarray, shape (P, size)
        See `TURNS`.
    charges, field, direct : ndarray, shapes (N,), (N, 8), (N, H)
        What drives low moments, and what high ones are by charges alone.
    own, own_response : ndarray, shapes (N, 8, 8), (N, 8, H)
    own_r, own_response_r, own_back_r : ndarray of float32
        The same, and the transposed of the second.
    u, t, out, u_r, t_r, out_r : ndarray, shapes (N, 8), (N, H), (N, 8)
        Moments, and the derivative of the energy by the low ones.
    seen, seen_out, high_seen, seen_r, seen_out_r, high_seen_r : ndarray
    rest, direction : ndarray of float32, shape (N, 8)
        Of conjugate gradients.
    moved, high_moved : ndarray, shapes (N, 3, 8), (N, 3, H)
        How moments change as they turn about x, y, z.
    pushed : ndarray, shape (P, 4)
        Derivative of the energy by the place of j, less that of i.
    functions, values, mutual, response, mutual_r, response_r, back_r : ndarray
        What the table points to besides.
    """

    table: np.ndarray
    knots: np.ndarray
    i: np.ndarray
    j: np.ndarray
    weights: np.ndarray
    axes: np.ndarray
    turns: np.ndarray
    charges: np.ndarray
    field: np.ndarray
    direct: np.ndarray
    own: np.ndarray
    own_response: np.ndarray
    own_r: np.ndarray
    own_response_r: np.ndarray
    own_back_r: np.ndarray
    u: np.ndarray
    t: np.ndarray
    out: np.ndarray
    u_r: np.ndarray
    t_r: np.ndarray
    out_r: np.ndarray
    seen: np.ndarray
    seen_out: np.ndarray
    high_seen: np.ndarray
    seen_r: np.ndarray
    seen_out_r: np.ndarray
    high_seen_r: np.ndarray
    rest: np.ndarray
    direction: np.ndarray
    moved: np.ndarray
    high_moved: np.ndarray
    pushed: np.ndarray
    functions: np.ndarray
    values: np.ndarray
    mutual: np.ndarray
    response: np.ndarray
    mutual_r: np.ndarray
    response_r: np.ndarray
    back_r: np.ndarray


def workspace(n: int, functions: np.ndarray) -> Workspace:
    """Make the arrays for N spheres and functions (steps + 1, 2, `VALUES`)."""
    pairs = max(n * (n - 1) // 2, 1)
    whole = {"knots", "i", "j"}
    shapes: dict[str, tuple[int, ...]] = {
        "knots": (pairs,),
        "i": (pairs,),
        "j": (pairs,),
        "weights": (pairs, WEIGHTS),
        "values": (pairs, 2, VALUES),
        "axes": (pairs, 4),
        "turns": (pairs, TURNS.size),
        "charges": (n,),
        "field": (n, LOWS),
        "direct": (n, HIGHS),
        "mutual": (pairs, LOWS, LOWS),
        "response": (pairs, LOWS, HIGHS),
        "back": (pairs, HIGHS, LOWS),
        "own": (n, LOWS, LOWS),
        "own_response": (n, LOWS, HIGHS),
        "own_back": (n, HIGHS, LOWS),
        **dict.fromkeys(("u", "out", "seen", "seen_out", "rest", "direction"), (n, LOWS)),
        **dict.fromkeys(("t", "high_seen"), (n, HIGHS)),
        "moved": (n, 3, LOWS),
        "high_moved": (n, 3, HIGHS),
        "pushed": (pairs, 4),
    }

    def made(name: str) -> np.ndarray:
        single_precision = name.endswith("_r") or name in {"rest", "direction"}
        kind: Any = np.int64 if name in whole else np.float32 if single_precision else np.float64
        return np.zeros(shapes[name.removesuffix("_r")], kind)

    names = Workspace._fields[1:]
    arrays = {name: made(name) for name in names if name != "functions"}
    arrays["functions"] = np.ascontiguousarray(functions)
    table = np.array([n, *(arrays[name].ctypes.data for name in ARGUMENTS)], dtype=np.int64)
    return Workspace(table, *(arrays[name] for name in names))


def sparse(degrees: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return non-zero places (n, 3) of generators, of axis, row and column, and their values."""
    places, values, first = [], [], 0
    for l in degrees:
        for k, a, b in zip(*np.nonzero(generators(l)), strict=True):
            places.append((k, first + a, first + b))
            values.append(generators(l)[k, a, b])
        first += 2 * l + 1
    return np.array(places), np.array(values)
