"""Forces of pairs of `SETSpheres` from moments of least energy, as code that is made.

Along the axis of a pair they follow from slopes of the functions. Across it from the torques on the
moments of both spheres: a pair that turns together with its moments keeps its energy.
"""

from __future__ import annotations

from typing import NamedTuple

from nbody_set import sphere_layout as layout
from nbody_set.sphere_code import Emit, Pair, given, mixed, spread
from nbody_set.sphere_layout import DEGREES, FIRST, HIGHS, LOWS, TURNS, VALUES, low_pairs
from nbody_set.sphere_pairs import LOW
from nbody_surrogate.layers.code import Code, Pointer, Value

__all__ = ["emit_forces"]


class Axial(NamedTuple):
    """A moment of one degree about the axis: order 0, and a vector of the others, if it has any."""

    single: Value
    rest: Value | None


class Sums:
    """What adds up: of each degree one, or the slope."""

    def __init__(self) -> None:
        self.single: Value | None = None
        self.rest: Value | None = None

    def add(self, part: Value) -> None:
        """Add to the sum of its kind."""
        name = "single" if part.kind == "d" else "rest"
        now = getattr(self, name)
        setattr(self, name, part if now is None else now + part)


def emit_forces(near: int) -> Emit:
    """Return what makes code for the pairs `begin` to `end` - 1, with high moments or without."""

    def forces(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        at = given(code, table)
        with code.loop(end, begin) as q:
            pair = Pair.of(code, at, q)
            low = [_low(at, pair, each) for each in (pair.i, pair.j)]
            along, g = Sums(), [[Sums() for _ in range(LOW + 1)] for _ in range(2)]
            _low_part(pair, low, along, g)
            torque = [code.value(0.0, "x") for _ in range(3)]
            high = [_high(at, pair, each, near) for each in (pair.i, pair.j)]
            h = [[Sums() for _ in range(DEGREES)] for _ in range(2)]
            _high_part(pair, low, high, along, g, h, near)
            for sphere, some in zip((pair.i, pair.j), h, strict=True):
                _add_high_torque(code, at, pair, sphere, some, torque)
            for sphere, some in zip((pair.i, pair.j), g, strict=True):
                _add_low_torque(code, at, pair, sphere, some, torque)
            _push(code, at, q, along, torque)

    return forces


def _axial(
    moments: Pointer, turns: Pointer, places: tuple[int, int], components: range, near: int = 1
) -> Axial:
    parts = [(turns.load(places[1] + c) * moments.load(c)) for c in components]
    single = sum(parts[1:], parts[0])
    if not near:
        return Axial(single, None)
    parts = [turns.load(places[0] + 4 * c, "x") * moments.load(c).to("x") for c in components]
    return Axial(single, sum(parts[1:], parts[0]))


def _low(at: dict[str, Pointer], pair: Pair, sphere: Value) -> list[Axial]:
    u, places = at["u"] + sphere * LOWS, (TURNS.low, TURNS.low_single)
    return [
        Axial(at["charges"].load(sphere), None),
        *(_axial(u, pair.turns, places, some) for some in (range(3), range(3, LOWS))),
    ]


def _high(at: dict[str, Pointer], pair: Pair, sphere: Value, near: int) -> list[Axial]:
    t, places = at["t"] + sphere * HIGHS, (TURNS.high, TURNS.high_single)
    return [
        _axial(t, pair.turns, places, range(FIRST[d], FIRST[d + 1]), near) for d in range(DEGREES)
    ]


def _parts(pair: Pair, kind: str, l: int, k: int) -> list[tuple[int, tuple[Value, ...]]]:
    """Return values and slopes, of own and mutual functions: of order 0, and of the others."""
    made = []
    for part, place in enumerate((layout.single, layout.quad)):
        if part and (k == 0 or (kind == "S" and l == 0)):
            continue
        wide = "x" if part else "d"
        made.append(
            (
                part,
                tuple(
                    pair.values.load(shift + place(kind, mutual, l, k), wide)
                    for shift in (0, VALUES)
                    for mutual in (0, 1)
                ),
            )
        )
    return made


def _low_part(pair: Pair, y: list[list[Axial]], along: Sums, g: list[list[Sums]]) -> None:
    """Add the slope of the energy, and its derivatives by low moments of both spheres."""
    for l, k in low_pairs:
        odd, share = (-1.0) ** (l + k), 0.5 if l == k else 1.0
        for part, (own, other, own_slope, other_slope) in _parts(pair, "S", l, k):
            il, ik, jl, jk = (_of(y[e][degree], part) for e in (0, 1) for degree in (l, k))
            cross = il * jk
            if l != k:
                cross = cross + odd * (ik * jl)
            along.add(own_slope * share * (il * ik + odd * (jl * jk)) + other_slope * cross)
            if l:  # charges do not turn
                g[0][l].add(own * ik + other * jk)
                g[1][l].add(odd * (own * jk + other * ik))
            if l != k:
                g[0][k].add(own * il + odd * (other * jl))
                g[1][k].add(odd * (own * jl) + other * il)


def _high_part(
    pair: Pair,
    y: list[list[Axial]],
    t: list[list[Axial]],
    along: Sums,
    g: list[list[Sums]],
    h: list[list[Sums]],
    near: int,
) -> None:
    """Add the same of high moments, and how they follow low ones."""
    for d in range(DEGREES):
        for k in range(LOW + 1 if near else 1):
            odd = (-1.0) ** (d + LOW + 1 + k)
            for part, (own, other, own_slope, other_slope) in _parts(pair, "R", d, k):
                i, j = _of(y[0][k], part), _of(y[1][k], part)
                first, second = _of(t[0][d], part), _of(t[1][d], part) * odd
                along.add(0.0 - own_slope * (first * i + second * j))
                along.add(0.0 - other_slope * (first * j + second * i))
                h[0][d].add(own * i + other * j)
                h[1][d].add(odd * (own * j + other * i))
                if k:
                    g[0][k].add(0.0 - (own * first + other * second))
                    g[1][k].add(0.0 - (own * second + other * first))


def _of(moment: Axial, part: int) -> Value:
    if part == 0:
        return moment.single
    assert moment.rest is not None
    return moment.rest


def _slots(code: Code, sums: Sums) -> list[Value]:
    """Return the five slots of a moment, each in all lanes."""
    from llvmlite import ir  # type: ignore[import-untyped]

    assert sums.single is not None
    made, rest = [sums.single.to("x")], sums.rest
    if rest is not None:
        for lane in range(4):
            one = code.builder.extract_element(rest.made, ir.IntType(32)(lane))
            made.append(Value(code, one, "d").to("x"))
    return made


def _add_low_torque(
    code: Code,
    at: dict[str, Pointer],
    pair: Pair,
    sphere: Value,
    g: list[Sums],
    torque: list[Value],
) -> None:
    """Add what turns the low moments of a sphere: derivatives by them, times how they move."""
    one, two = _slots(code, g[1]), _slots(code, g[2])
    first = second = None
    for slot in range(5):
        place = TURNS.low_single if slot == 0 else TURNS.low_rows + LOWS * (slot - 1)
        rows = [pair.turns.load(place + 4 * k, "x") for k in (0, 1)]
        near = mixed(code, one[slot], two[slot], 3) * rows[0]
        far = two[slot] * rows[1]
        first = near if first is None else first + near
        second = far if second is None else second + far
    assert first is not None
    assert second is not None
    moved = at["moved"] + sphere * (3 * LOWS)
    for d in range(3):
        row = [moved.load(LOWS * d + 4 * k, "x") for k in (0, 1)]
        torque[d] = torque[d] + first * row[0] + second * row[1]


def _add_high_torque(
    code: Code,
    at: dict[str, Pointer],
    pair: Pair,
    sphere: Value,
    h: list[Sums],
    torque: list[Value],
) -> None:
    """Add the same of high moments, whose share of the energy is negative."""
    degrees = [_slots(code, some) for some in h]
    sums: list[Value] = []
    for slot in range(len(degrees[0])):
        place = TURNS.high_single if slot == 0 else TURNS.high_rows + HIGHS * (slot - 1)
        factors = spread(code, [slots[slot] for slots in degrees])
        parts = [f * pair.turns.load(place + 4 * k, "x") for k, f in enumerate(factors)]
        sums = parts if not sums else [a + b for a, b in zip(sums, parts, strict=True)]
    moved = at["high_moved"] + sphere * (3 * HIGHS)
    for d in range(3):
        for k, part in enumerate(sums):
            torque[d] = torque[d] - part * moved.load(HIGHS * d + 4 * k, "x")


def _push(code: Code, at: dict[str, Pointer], q: Value, along: Sums, torque: list[Value]) -> None:
    """Write the derivative of the energy by the place of j."""
    assert along.single is not None
    assert along.rest is not None
    slope = along.single + code.total(along.rest)
    x, y, z = (code.total(each) for each in torque)
    place = at["axes"] + q * 4
    axis = [place.load(k) for k in range(4)]
    inverse = axis[3]
    turned = (
        y * axis[2] - z * axis[1],
        z * axis[0] - x * axis[2],
        x * axis[1] - y * axis[0],
    )
    for d in range(3):
        # across the axis: minus the torque, crossed with the axis
        at["pushed"].store(q * 4 + d, slope * axis[d] - turned[d] * inverse)
