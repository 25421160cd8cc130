"""Products of the matrices of `SETSpheres` with moments, as code that is made.

In float64 vectors have four lanes, in float32 eight. High moments t follow from low ones u by
responses R, which pairs near each other have; the energy's derivative by u is (1 + S) u - R^T t.
Each function adds up what the pairs `begin` to `end` - 1 say; what spheres say by themselves
`emit_own_high` and `emit_own` write first, and `emit_seen` adds what was seen from other ends.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

from nbody_set.sphere_code import Emit, given
from nbody_set.sphere_layout import HIGH_SIGN, HIGHS, LOW_SIGN, LOWS
from nbody_surrogate.layers.code import Code, Pointer, Value
from nbody_surrogate.layers.code_functions import transposed

__all__ = ["emit_drive", "emit_mutual", "emit_own", "emit_respond", "emit_seen_high"]


class Arrays:
    """The arrays of one precision."""

    def __init__(self, code: Code, table: Pointer, wide: int) -> None:
        self._code, self._at, self.wide = code, given(code, table), wide
        self.kind, self.step = ("x", 4) if wide else ("v", 8)
        self.n = table.load(0)

    def __getitem__(self, name: str) -> Pointer:
        return self._at[name if self.wide else f"{name}_r"]

    def ends(self, q: Value) -> tuple[Value, Value]:
        """Return the spheres of a pair."""
        return self._at["i"].load(q), self._at["j"].load(q)

    def row(self, place: Pointer, count: int) -> list[Value]:
        """Load a row of so many numbers."""
        return [place.load(k, self.kind) for k in range(0, count, self.step)]

    def spread(self, place: Pointer, at: int) -> Value:
        """Load a number into all lanes."""
        return place.load(at).to(self.kind)

    def add(self, place: Pointer, parts: list[Value], sign: float = 1.0) -> None:
        """Add a row to what is there."""
        for k, part in enumerate(parts):
            now = place.load(self.step * k, self.kind)
            place.store(self.step * k, now + part if sign > 0 else now - part)

    def put(self, place: Pointer, parts: list[Value]) -> None:
        """Write a row."""
        for k, part in enumerate(parts):
            place.store(self.step * k, part)

    def signed(self, parts: list[Value], signs: np.ndarray) -> list[Value]:
        """Change signs of a row, lane by lane."""
        kind = self._code.kinds[self.kind]
        made = []
        for k, part in enumerate(parts):
            some = [float(each) for each in signs[self.step * k : self.step * (k + 1)]]
            made.append(part * Value(self._code, ir.Constant(kind, some), self.kind))
        return made

    def product(self, matrix: Pointer, of: Pointer, rows: int, columns: int) -> list[Value]:
        """Return the product of a row of numbers with a matrix of so many rows and columns."""
        return _sum(
            [
                [self.spread(of, c) * part for part in self.row(matrix + columns * c, columns)]
                for c in range(rows)
            ]
        )


def _sum(rows: list[list[Value]]) -> list[Value]:
    # two sums, so that products need not wait for each other
    sums = [rows[0], rows[1]]
    for k, row in enumerate(rows[2:]):
        sums[k % 2] = [a + b for a, b in zip(sums[k % 2], row, strict=True)]
    return [a + b for a, b in zip(*sums, strict=True)]


def emit_respond(wide: int) -> Emit:
    """Return what makes code that adds the high moments of spheres and pairs to t.

    Before it, t is what it is to be added to. Pairs are those up to `end`.
    """

    def respond(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = Arrays(code, table, wide)
        with code.loop(at.n) as i:
            u = at["u"] + i * LOWS
            at.put(at["seen"] + i * LOWS, at.signed(at.row(u, LOWS), LOW_SIGN))
            own = at.product(at["own_response"] + i * (LOWS * HIGHS), u, LOWS, HIGHS)
            at.add(at["t"] + i * HIGHS, own)
            at.put(at["high_seen"] + i * HIGHS, [code.value(0.0, at.kind)] * len(own))
        with code.loop(end, begin) as q:
            i, j = at.ends(q)
            u, seen = at["u"] + j * LOWS, at["seen"] + i * LOWS
            of_i: list[list[Value]] = []
            of_j: list[list[Value]] = []
            for c in range(LOWS):
                row = at.row(at["response"] + (q * (LOWS * HIGHS) + HIGHS * c), HIGHS)
                first, second = at.spread(u, c), at.spread(seen, c)
                of_i.append([part * first for part in row])
                of_j.append([part * second for part in row])
            at.add(at["t"] + i * HIGHS, _sum(of_i))
            at.add(at["high_seen"] + j * HIGHS, _sum(of_j))
        with code.loop(at.n) as i:
            seen = at["high_seen"] + i * HIGHS
            at.add(at["t"] + i * HIGHS, at.signed(at.row(seen, HIGHS), HIGH_SIGN))

    return respond


def emit_own(wide: int) -> Emit:
    """Return what makes code that writes what spheres `begin` to `end` - 1 do to themselves."""

    def own(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = Arrays(code, table, wide)
        with code.loop(end, begin) as i:
            made = at.product(at["own"] + i * (LOWS * LOWS), at["u"] + i * LOWS, LOWS, LOWS)
            at.put(at["out"] + i * LOWS, made)

    return own


def emit_mutual(wide: int) -> Emit:
    """Return what makes code that adds what low moments of pairs do to each other.

    "seen" is written by `emit_respond`, and "seen_out" begun.
    """

    def mutual(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = Arrays(code, table, wide)
        with code.loop(at.n) as i:
            zeros = [code.value(0.0, at.kind)] * (LOWS // at.step)
            at.put(at["seen_out"] + i * LOWS, zeros)
        with code.loop(end, begin) as q:
            i, j = at.ends(q)
            matrix = at["mutual"] + q * (LOWS * LOWS)
            of_j: list[list[Value]] = []
            of_i: list[list[Value]] = []
            for c in range(LOWS):
                row = at.row(matrix + LOWS * c, LOWS)
                first, second = (
                    at.spread(at["u"] + i * LOWS, c),
                    at.spread(at["seen"] + j * LOWS, c),
                )
                of_j.append([part * first for part in row])
                of_i.append([part * second for part in row])
            at.add(at["out"] + j * LOWS, _sum(of_j))
            at.add(at["seen_out"] + i * LOWS, _sum(of_i))

    return mutual


def emit_seen_high(wide: int) -> Emit:
    """Return what makes code that turns high moments to how they look from the other end."""

    def seen_high(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = Arrays(code, table, wide)
        with code.loop(end, begin) as i:
            row = at.row(at["t"] + i * HIGHS, HIGHS)
            at.put(at["high_seen"] + i * HIGHS, at.signed(row, HIGH_SIGN))

    return seen_high


def emit_drive(wide: int) -> Emit:
    """Return what makes code that takes off what high moments do to low ones.

    "high_seen" is that of `emit_seen_high`; "seen_out" is added to "out" at the end.
    """

    def drive(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = Arrays(code, table, wide)
        with code.loop(end, begin) as q:
            i, j = at.ends(q)
            t, seen = at["t"] + i * HIGHS, at["high_seen"] + j * HIGHS
            place = q * (LOWS * HIGHS)
            if wide:
                by_j, by_i = _row_sums(code, at, at["response"] + place, (t, seen))
            else:
                by_j = at.product(at["back"] + place, t, HIGHS, LOWS)
                by_i = at.product(at["back"] + place, seen, HIGHS, LOWS)
            at.add(at["out"] + j * LOWS, by_j, -1.0)
            at.add(at["seen_out"] + i * LOWS, by_i, -1.0)
        with code.loop(at.n) as i:
            own = at["own_response" if wide else "own_back"] + i * (LOWS * HIGHS)
            t = at["t"] + i * HIGHS
            made = _row_sums(code, at, own, (t,))[0] if wide else at.product(own, t, HIGHS, LOWS)
            to = at["out"] + i * LOWS
            at.add(to, made, -1.0)
            at.add(to, at.signed(at.row(at["seen_out"] + i * LOWS, LOWS), LOW_SIGN))

    return drive


def _row_sums(
    code: Code, at: Arrays, matrix: Pointer, vectors: tuple[Pointer, ...]
) -> list[list[Value]]:
    """Return products of a matrix (8, H) with vectors of high components."""
    given_rows = [at.row(each, HIGHS) for each in vectors]
    made: list[list[Value]] = [[] for _ in vectors]
    for first in range(0, LOWS, 4):
        rows = [at.row(matrix + HIGHS * (first + c), HIGHS) for c in range(4)]
        for k, vector in enumerate(given_rows):
            parts = []
            for row in rows:
                total = row[0] * vector[0]
                for a, b in zip(row[1:], vector[1:], strict=True):
                    total = total + a * b
                parts.append(total)
            columns = transposed(parts)
            made[k].append((columns[0] + columns[1]) + (columns[2] + columns[3]))
    return made
