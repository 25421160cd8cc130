"""The matrices of pairs of `SETSpheres`, as code that is made: four lanes at a time.

A pair's functions are interpolated, its axial moments written as components in space, and of both
follow the matrices of its low moments with each other, and of its high ones with the low. They are
kept in float64, and in float32 for the steps of conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nbody_set import sphere_layout as layout
from nbody_set.sphere_harmonics import raised, raising
from nbody_set.sphere_layout import (
    ARGUMENTS,
    DEGREES,
    FAR_VALUES,
    FIRST,
    GROUPS,
    HIGH_SIGN,
    HIGHS,
    LOW_SIGN,
    LOWS,
    TURNS,
    VALUES,
    WEIGHTS,
)
from nbody_set.sphere_pairs import LOW
from nbody_surrogate.layers.code import Code, Pointer, Value
from nbody_surrogate.layers.code_functions import transposed

__all__ = ["Emit", "emit_pairs", "given", "lanes", "mixed", "spread"]

Emit = Callable[[Code, Pointer, Value, Value], None]
WHOLE = frozenset({"knots", "i", "j"})
SLOTS = ((1, 0), (1, 1), (2, 0), (2, 1))  # orders, cosine or sine, of the lanes of a vector


def given(code: Code, table: Pointer) -> dict[str, Pointer]:
    """Return the places of all arrays."""
    made = {}
    for k, name in enumerate(ARGUMENTS):
        kind = "i" if name in WHOLE else "r" if name.endswith("_r") else "d"
        made[name] = code.pointer(table.load(k + 1), kind)
    return made


def lanes(code: Code, numbers: np.ndarray) -> Value:
    """Return four numbers as a vector of float64."""
    from llvmlite import ir  # type: ignore[import-untyped]

    kind = code.kinds["x"]
    return Value(code, ir.Constant(kind, [float(each) for each in numbers]), "x")


def mixed(code: Code, first: Value, second: Value, count: int) -> Value:
    """Return a vector of one number in the first `count` lanes and of another in the rest."""
    mask = np.arange(4) < count
    return first * lanes(code, mask) + second * lanes(code, ~mask)


def emit_pairs(near: int) -> Emit:
    """Return what makes code for the pairs `begin` to `end` - 1, with high moments or without."""

    def pairs(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = given(code, table)
        with code.loop(end, begin) as q:
            pair = Pair.of(code, at, q)
            _interpolate(at, q, VALUES if near else FAR_VALUES, pair.values)
            _turn_low(code, pair)
            _low_matrices(code, at, pair, q)
            _low_field(code, at, pair)
            _turn_high(code, at, pair, q, near)
            _high_field(code, at, pair)
            if near:
                _high_matrices(code, at, pair, q)

    return pairs


class Pair(NamedTuple):
    """One pair inside the code."""

    i: Value
    j: Value
    values: Pointer
    turns: Pointer

    @classmethod
    def of(cls, code: Code, at: dict[str, Pointer], q: Value) -> Pair:
        """Take the pair of a number."""
        return cls(
            at["i"].load(q),
            at["j"].load(q),
            at["values"] + q * (2 * VALUES),
            at["turns"] + q * TURNS.size,
        )

    def value(self, kind: str, mutual: int, l: int, k: int) -> Value:
        """Return a function of order 0, in all lanes."""
        return self.values.load(layout.single(kind, mutual, l, k)).to("x")

    def of_slot(self, slot: int, kind: str, mutual: int, l: int, k: int) -> Value:
        """Return a function of the order of a slot, in all lanes; slot 0 is that of order 0."""
        if slot == 0:
            return self.value(kind, mutual, l, k)
        return self.values.load(layout.quad(kind, mutual, l, k) + slot - 1).to("x")


def _interpolate(at: dict[str, Pointer], q: Value, count: int, values: Pointer) -> None:
    """Write functions and their slopes, from two rows of the table (cubic Hermite)."""
    weights = at["weights"] + q * WEIGHTS
    a, b, c, d, e, f, g, fade, fading = (weights.load(k).to("x") for k in range(9))
    low = at["functions"] + at["knots"].load(q) * (2 * VALUES)
    high = low + 2 * VALUES
    for k in range(0, count, 4):
        v0, w0 = low.load(k, "x"), low.load(VALUES + k, "x")
        v1, w1 = high.load(k, "x"), high.load(VALUES + k, "x")
        value = a * v0 + b * w0 + c * v1 + d * w1
        slope = e * (v1 - v0) + f * w0 + g * w1
        values.store(k, fade * value)
        values.store(VALUES + k, fade * slope + fading * value)


def _turn_low(code: Code, pair: Pair) -> None:
    """Write the low components slot by slot."""
    for first in range(0, LOWS, 4):
        rows = [pair.turns.load(TURNS.low + 4 * (first + k), "x") for k in range(4)]
        for slot, row in enumerate(transposed(rows)):
            pair.turns.store(TURNS.low_rows + LOWS * slot + first, row)


def _turn_high(code: Code, at: dict[str, Pointer], pair: Pair, q: Value, near: int) -> None:
    """Write the high components: of the axis times the degree below what is of the next.

    Far apart those of order 0 alone, which charges make.
    """
    axis = [(at["axes"] + q * 4).load(k) for k in range(3)]
    turns = pair.turns
    rows = [turns.load(TURNS.low + 4 * c, "x") for c in range(3, LOWS)]
    singles = [turns.load(TURNS.low_single + c) for c in range(3, LOWS)]
    for degree in range(DEGREES):
        l = LOW + degree
        factors = _raised(axis, l)
        singles = [_sum(some, singles) * (1.0 / raised(l, 0)) for some in factors]
        for a, made in enumerate(singles):
            turns.store(TURNS.high_single + FIRST[degree] + a, made)
        if not near:
            continue
        scale = lanes(code, np.array([1.0 / raised(l, m) for m, _ in SLOTS]))
        rows = [_sum(some, rows) * scale for some in factors]
        for a, made in enumerate(rows):
            turns.store(TURNS.high + 4 * (FIRST[degree] + a), made)
    for first in range(0, 4 * GROUPS if near else 0, 4):
        kept = [turns.load(TURNS.high + 4 * (first + k), "x") for k in range(4)]
        for slot, row in enumerate(transposed(kept)):
            turns.store(TURNS.high_rows + HIGHS * slot + first, row)


def _raised(axis: list[Value], degree: int) -> list[list[tuple[int, Value]]]:
    """Return of each component of the next degree, by which of this one it is made, and how."""
    up, made = raising(degree), []
    for a in range(2 * degree + 3):
        row = []
        for c in range(2 * degree + 1):
            some = [axis[d] * float(up[d, a, c]) for d in range(3) if up[d, a, c]]
            if some:
                row.append((c, sum(some[1:], some[0])))
        made.append(row)
    return made


def _sum(factors: list[tuple[int, Value]], of: list[Value]) -> Value:
    products = [
        (factor if of[c].kind == "d" else factor.to(of[c].kind)) * of[c] for c, factor in factors
    ]
    return sum(products[1:], products[0])


def _low_row(pair: Pair, slot: int) -> list[Value]:
    place = TURNS.low_single if slot == 0 else TURNS.low_rows + LOWS * (slot - 1)
    return [pair.turns.load(place + 4 * k, "x") for k in range(LOWS // 4)]


def _low_component(pair: Pair, slot: int, c: int) -> Value:
    place = TURNS.low_single if slot == 0 else TURNS.low_rows + LOWS * (slot - 1)
    return pair.turns.load(place + c).to("x")


def _high_row(pair: Pair, slot: int) -> list[Value]:
    place = TURNS.high_single if slot == 0 else TURNS.high_rows + HIGHS * (slot - 1)
    return [pair.turns.load(place + 4 * k, "x") for k in range(GROUPS)]


def _slots_of(c: int) -> range:
    """Slots that a low component has any of: degree 1 ends with order 1."""
    return range(3 if c < 3 else 5)


def _low_rows(code: Code, pair: Pair, mutual: int) -> list[list[Value]]:
    """Return the matrix (8, 8) of low moments, two vectors a row."""
    odd = -1.0 if mutual else 1.0
    factors = []
    for slot in range(5):
        inner = pair.of_slot(slot, "S", mutual, 2, 2)
        if slot < 3:
            one, two = (pair.of_slot(slot, "S", mutual, 1, k) for k in (1, 2))
            factors.append((mixed(code, one, two, 3), two, mixed(code, two * odd, inner, 3), inner))
        else:
            # of degree 1 there is nothing in these slots
            factors.append((inner, inner, inner, inner))
    scaled = []  # rows of a slot, for those of degree 1 and those of degree 2
    for slot, some in enumerate(factors):
        row = _low_row(pair, slot)
        scaled.append([[f * row[k % 2] for k, f in enumerate(some)][h : h + 2] for h in (0, 2)])
    made = []
    for c in range(LOWS):
        sums: list[Value] = []
        for slot in _slots_of(c):
            own = _low_component(pair, slot, c)
            parts = [own * each for each in scaled[slot][0 if c < 3 else 1]]
            sums = parts if not sums else [a + b for a, b in zip(sums, parts, strict=True)]
        made.append(sums)
    return made


def _low_matrices(code: Code, at: dict[str, Pointer], pair: Pair, q: Value) -> None:
    for c, row in enumerate(_low_rows(code, pair, 0)):
        for k, part in enumerate(row):
            here = LOWS * c + 4 * k
            _add(at["own"] + pair.i * (LOWS * LOWS) + here, part)
            signs = lanes(code, LOW_SIGN[c] * LOW_SIGN[4 * k : 4 * k + 4])
            _add(at["own"] + pair.j * (LOWS * LOWS) + here, part * signs)
    for c, row in enumerate(_low_rows(code, pair, 1)):
        for k, part in enumerate(row):
            place = q * (LOWS * LOWS) + LOWS * c + 4 * k
            at["mutual"].store(place, part)
            at["mutual_r"].store(place, part.to("q"))


def _low_field(code: Code, at: dict[str, Pointer], pair: Pair) -> None:
    """Add what charges do to low moments."""
    qi, qj = (at["charges"].load(each).to("x") for each in (pair.i, pair.j))
    alone, other = ([pair.value("S", mutual, 0, k) for k in (1, 2)] for mutual in (0, 1))
    parts = [
        (mixed(code, one, two, 3), two) for one, two in ((alone[0], alone[1]), (other[0], other[1]))
    ]
    for k, row in enumerate(_low_row(pair, 0)):
        signs = lanes(code, LOW_SIGN[4 * k : 4 * k + 4])
        by_alone, by_other = parts[0][k] * row, parts[1][k] * row
        _add(at["field"] + pair.i * LOWS + 4 * k, qi * by_alone + signs * (qj * by_other))
        _add(at["field"] + pair.j * LOWS + 4 * k, signs * (qj * by_alone) + qi * by_other)


def spread(code: Code, factors: Sequence[Value]) -> list[Value]:
    """Return factors of the high degrees for the vectors of high components."""
    made = []
    for group in range(GROUPS):
        lowest, highest = (
            next(d for d in range(DEGREES) if at < FIRST[d + 1])
            for at in (4 * group, min(4 * group + 3, FIRST[-1] - 1))
        )
        if lowest == highest:
            made.append(factors[lowest])
        else:
            count = FIRST[highest] - 4 * group
            made.append(mixed(code, factors[lowest], factors[highest], count))
    return made


def _high_matrices(code: Code, at: dict[str, Pointer], pair: Pair, q: Value) -> None:
    """Write by what high moments follow low ones: group by group, so that it stays in registers."""
    for mutual in (0, 1):
        for group in range(GROUPS):
            rows = _high_group(code, pair, mutual, group)
            for c, part in enumerate(rows):
                place = HIGHS * c + 4 * group
                if mutual:
                    at["response"].store(q * (LOWS * HIGHS) + place, part)
                    at["response_r"].store(q * (LOWS * HIGHS) + place, part.to("q"))
                    continue
                _add(at["own_response"] + pair.i * (LOWS * HIGHS) + place, part)
                signs = lanes(code, LOW_SIGN[c] * HIGH_SIGN[4 * group : 4 * group + 4])
                _add(at["own_response"] + pair.j * (LOWS * HIGHS) + place, part * signs)
            if mutual:  # the other way round
                for first in range(0, LOWS, 4):
                    columns = transposed(rows[first : first + 4])
                    for a, column in enumerate(columns):
                        place = LOWS * (4 * group + a) + first
                        at["back_r"].store(q * (LOWS * HIGHS) + place, column.to("q"))


def _high_group(code: Code, pair: Pair, mutual: int, group: int) -> list[Value]:
    """Return four high components of the response to each low one."""
    scaled = {}
    for slot in range(5):
        place = TURNS.high_single if slot == 0 else TURNS.high_rows + HIGHS * (slot - 1)
        row = pair.turns.load(place + 4 * group, "x")
        for k in (1, 2) if slot < 3 else (2,):
            factors = [pair.of_slot(slot, "R", mutual, d, k) for d in range(DEGREES)]
            scaled[slot, k] = spread(code, factors)[group] * row
    made = []
    for c in range(LOWS):
        total: Value | None = None
        for slot in _slots_of(c):
            part = _low_component(pair, slot, c) * scaled[slot, 1 if c < 3 else 2]
            total = part if total is None else total + part
        assert total is not None
        made.append(total)
    return made


def _high_field(code: Code, at: dict[str, Pointer], pair: Pair) -> None:
    """Add what charges do to high moments."""
    qi, qj = (at["charges"].load(each).to("x") for each in (pair.i, pair.j))
    alone, other = (
        spread(code, [pair.value("R", mutual, d, 0) for d in range(DEGREES)]) for mutual in (0, 1)
    )
    for k, row in enumerate(_high_row(pair, 0)):
        signs = lanes(code, HIGH_SIGN[4 * k : 4 * k + 4])
        by_alone, by_other = alone[k] * row, other[k] * row
        _add(at["direct"] + pair.i * HIGHS + 4 * k, qi * by_alone + qj * by_other)
        _add(at["direct"] + pair.j * HIGHS + 4 * k, signs * (qj * by_alone + qi * by_other))


def _add(to: Pointer, part: Value) -> None:
    to.store(0, to.load(0, "x") + part)
