"""Fields of four pairs at a time, as code that is made for an order.

A pair is turned onto the z axis, where moments act only on those of the same m; then the fields are
turned back. That takes O(p^3) products rather than the O(p^4) of the matrix T, and a quarter of
them for each of the two directions. With all lengths in the table, T becomes constants:

    T[lm, l'm] = (-1)^(l+m) F[l, l'] r^-(l + 1/2) r^-(l' + 1/2),

where the powers of r are put into the rotations, and the signs where values are loaded.

References
----------
White and Head-Gordon, J. Chem. Phys. 105 (1996) 5061, for rotations about the axis of translation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nbody_simulators.multipoles.layout import (
    LANES,
    matrices,
    moment,
    table_size,
    translations,
)
from nbody_simulators.multipoles.rotations import ladder
from nbody_surrogate.layers.code import Code, Pointer, Value, Variable

__all__ = ["ARGUMENTS", "GEOMETRY", "emit_fields", "emit_forces", "emit_tables"]

Emit = Callable[[Code, Pointer, Value, Value], None]
Pair = tuple[Value, Value]

ARGUMENTS = (
    *("padded", "rows", "starts", "moments", "fields", "geometry", "tables", "room"),
    *("shifts", "terms", "places", "forces"),
)
"""What the code is handed: a number, and addresses of arrays.

`rows` are the first places j of the blocks, and those of sphere i begin at `starts` of i.
"""

GEOMETRY = ("cos_phi", "sin_phi", "cos_theta", "sin_theta", "inverse")
"""Vectors of each block: directions of x_j - x_i, and the inverse of its length."""


class Given(NamedTuple):
    """The arguments inside the code."""

    padded: Value
    rows: Pointer
    starts: Pointer
    moments: Pointer
    fields: Pointer
    geometry: Pointer
    tables: Pointer
    room: Pointer
    shifts: Pointer
    terms: Pointer
    places: Pointer
    forces: Pointer


def _given(code: Code, table: Pointer) -> Given:
    whole = ("rows", "starts", "places")
    places = [
        code.pointer(table.load(k), "i" if name in whole else "r")
        for k, name in enumerate(ARGUMENTS)
        if k
    ]
    return Given(table.load(0), *places)


class Room(NamedTuple):
    """Vectors of a block: moments of both spheres, turned, their fields, and sums of i."""

    a: Pointer
    b: Pointer
    field_a: Pointer
    field_b: Pointer
    sums: Pointer


def _room(given: Given, order: int) -> Room:
    size = LANES * (order + 1) ** 2
    return Room(*(given.room + k * size for k in range(5)))


def emit_tables(order: int) -> Emit:
    """Return what makes code for the tables of blocks `begin` to `end` - 1."""

    def tables(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        given = _given(code, table)
        with code.loop(end, begin) as block:
            place = given.tables + block * (LANES * table_size(order))
            one = [
                (given.geometry + block * (LANES * len(GEOMETRY))).load(LANES * k, "v")
                for k in range(len(GEOMETRY))
            ]
            for m, phase in enumerate(_multiples(one[0], one[1], order)[1:]):
                for part in (0, 1):
                    place.store(LANES * (m + part * order), phase[part])
            angles = _multiples(one[2], one[3], order)
            scale, terms, places = code.sqrt(one[4]), given.terms, given.places
            for degree, sine, size, first in matrices(order):
                if degree and not sine:
                    scale = scale * one[4]
                matrix = place + LANES * first
                even = (size * size + 1) // 2
                for count, part in ((even, 0), (size * size - even, 1)):
                    trig = [angle[part] * scale for angle in angles[: degree + 1]]
                    with code.loop(count) as e:
                        row = terms + e * (degree + 1)
                        total = row.spread(part) * trig[part] if degree else trig[0]
                        for k in range(part + 1, degree + 1):
                            total = total + row.spread(k) * trig[k]
                        matrix.store(places.load(e) * LANES, total)
                    terms, places = terms + count * (degree + 1), places + count

    return tables


def emit_fields(order: int) -> Emit:
    """Return what makes code that adds the fields of the pairs of spheres `begin` to `end` - 1."""

    def fields(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        given = _given(code, table)
        room = _room(given, order)
        size = (order + 1) ** 2
        with code.loop(end, begin) as i:
            with code.loop(size * LANES) as k:
                room.sums.store(k, 0.0)
            with code.loop(given.starts.load(i + 1), given.starts.load(i)) as block:
                j = given.rows.load(block)
                place = given.tables + block * (LANES * table_size(order))
                _turn(code, given, room, order, (i, j), place)
                _translate(code, given, room, order)
                _turn_back(code, given, room, order, j, place)
            with code.loop(size) as k:
                to = given.fields + (k * given.padded + i)
                to.store(0, to.load() + code.total(room.sums.load(k * LANES, "v")))

    return fields


def emit_forces(order: int) -> Emit:
    """Return what makes code for the forces on j of the pairs of spheres `begin` to `end` - 1."""

    def forces(code: Code, table: Pointer, begin: Value, end: Value) -> None:
        given = _given(code, table)
        room = _room(given, order)
        blocks = given.starts
        with code.loop(end, begin) as i, code.loop(blocks.load(i + 1), blocks.load(i)) as block:
            place = given.tables + block * (LANES * table_size(order))
            _turn(code, given, room, order, (i, given.rows.load(block)), place)
            _translate(code, given, room, order)
            geometry = given.geometry + block * (LANES * len(GEOMETRY))
            for k, each in enumerate(_pushed(code, room, order, geometry)):
                given.forces.store((block * 3 + k) * LANES, each)

    return forces


def _multiples(cosine: Value, sine: Value, count: int) -> list[Pair]:
    """Return cosines and sines of 0 to `count` times an angle."""
    code = cosine.code
    made = [(code.value(1.0, "v"), code.value(0.0, "v"))]
    for _ in range(count):
        c, s = made[-1]
        made.append((c * cosine - s * sine, s * cosine + c * sine))
    return made


def _phase(place: Pointer, order: int, m: Value) -> Pair:
    return place.load((m - 1) * LANES, "v"), place.load((m + (order - 1)) * LANES, "v")


def _rows(
    code: Code,
    matrix: Pointer,
    size: int,
    steps: tuple[int, int],
    operands: tuple[Sequence[Value], Sequence[Value]],
    to: tuple[Pointer, Pointer],
) -> None:
    """Multiply two columns by a matrix of vectors, whose rows and columns are `steps` apart."""
    with code.loop(size) as r:
        row = matrix + r * (LANES * steps[0])
        sums: list[Value | None] = [None, None]
        for c in range(size):
            element = row.load(LANES * steps[1] * c, "v")
            for k in (0, 1):
                product, before = element * operands[k][c], sums[k]
                sums[k] = product if before is None else before + product
        for k in (0, 1):
            total = sums[k]
            assert total is not None
            to[k].store(r * LANES, total)


def _turn(
    code: Code, given: Given, room: Room, order: int, pair: tuple[Value, Value], place: Pointer
) -> None:
    """Turn the moments of a block's spheres onto the z axis."""
    i, j = given.moments + pair[0], given.moments + pair[1]
    # first about z, into the place that the fields take later
    for sphere, kind, to in ((i, "r", room.field_a), (j, "v", room.field_b)):
        with code.loop(order + 1) as degree:
            row = degree * degree
            to.store(row * LANES, sphere.load(row * given.padded, kind).to("v"))
            with code.loop(degree + 1, 1) as m:
                first, second = row + m, row + degree + m
                c, s = (sphere.load(k * given.padded, kind).to("v") for k in (first, second))
                cos, sin = _phase(place, order, m)
                to.store(first * LANES, c * cos + s * sin)
                to.store(second * LANES, s * cos - c * sin)
    for l, sine, size, start in matrices(order):  # noqa: E741
        places = [LANES * moment(l, m, sine) for m in range(int(sine), l + 1)]
        columns = (
            [room.field_a.load(k, "v") for k in places],
            [room.field_b.load(k, "v") for k in places],
        )
        at = LANES * moment(l, int(sine), sine)
        _rows(code, place + LANES * start, size, (size, 1), columns, (room.a + at, room.b + at))


def _translate(code: Code, given: Given, room: Room, order: int) -> None:
    """Take the field of each to the centre of the other, along z."""
    for m, sine, size, first in translations(order):
        places = [LANES * moment(degree, m, sine) for degree in range(m, order + 1)]
        a = [room.a.load(place, "v") for place in places]
        # of odd l + m: m is the degree of the first
        b = [_signed(room.b.load(place, "v"), k) for k, place in enumerate(places)]
        with code.loop(size) as r:
            row = given.shifts + (first + r * size)
            of_a = of_b = code.value(0.0, "v")
            for c in range(size):
                element = row.spread(c)
                of_a, of_b = of_a + element * b[c], of_b + element * a[c]
            degree = r + m
            at = (degree * degree + m) * LANES
            at = at + degree * LANES if sine else at
            room.field_a.store(at, of_a)
            room.field_b.store(at, of_b)  # without its sign


def _signed(value: Value, k: int) -> Value:
    return -value if k % 2 else value


def _turn_back(code: Code, given: Given, room: Room, order: int, j: Value, place: Pointer) -> None:
    """Turn the fields back, and add them to those of the spheres."""
    for degree, sine, size, start in matrices(order):
        columns: tuple[list[Value], list[Value]] = ([], [])
        for order_m in range(int(sine), degree + 1):
            at = LANES * moment(degree, order_m, sine)
            columns[0].append(room.field_a.load(at, "v"))
            columns[1].append(_signed(room.field_b.load(at, "v"), degree + order_m))
        at = LANES * moment(degree, int(sine), sine)
        # the inverse of a rotation is its transpose
        _rows(code, place + LANES * start, size, (1, size), columns, (room.a + at, room.b + at))
    for turned, to, step in (
        (room.a, room.sums, code.value(LANES, "i")),
        (room.b, given.fields + j, given.padded),
    ):
        with code.loop(order + 1) as l:  # noqa: E741
            row = l * l
            _add(to + row * step, turned.load(row * LANES, "v"))
            with code.loop(l + 1, 1) as m:
                first, second = row + m, row + l + m
                c, s = turned.load(first * LANES, "v"), turned.load(second * LANES, "v")
                cos, sin = _phase(place, order, m)
                _add(to + first * step, c * cos - s * sin)
                _add(to + second * step, c * sin + s * cos)


def _add(to: Pointer, value: Value) -> None:
    to.store(0, to.load(0, "v") + value)


def _pushed(code: Code, room: Room, order: int, geometry: Pointer) -> list[Value]:
    """Return the force on j of each pair, in space.

    Along the pair it is the derivative by r of its powers. Across, it is what keeps angular
    momentum where moments are turned by torques: r x F = -(torque on i + torque on j).
    """
    cos_phi, sin_phi, cos_theta, sin_theta, inverse = (
        geometry.load(LANES * k, "v") for k in range(len(GEOMETRY))
    )
    along, about_x, about_y = (Variable(code, code.value(0.0, "v")) for _ in range(3))
    for turned, field, signs in ((room.a, room.field_a, 0), (room.b, room.field_b, 1)):
        for degree in range(order + 1):
            work = code.value(0.0, "v")
            for m, sine in _of_degree(degree):
                at = LANES * moment(degree, m, sine)
                work = work + turned.load(at, "v") * _signed(
                    field.load(at, "v"), signs * (degree + m)
                )
            along.add(work * (degree + 0.5))  # the half, twice, is the 1 of l + l' + 1
            for total, turning in ((about_x, _about_x), (about_y, _about_y)):
                for to, of, factor in turning(degree):
                    field_at = LANES * moment(degree, *to)
                    moved = turned.load(LANES * moment(degree, *of), "v") * factor
                    here = _signed(field.load(field_at, "v"), signs * (degree + to[0]))
                    total.add(moved * here)
    z = along.get() * inverse
    x, y = about_y.get() * inverse, -about_x.get() * inverse
    away, up = x * cos_theta + z * sin_theta, z * cos_theta - x * sin_theta
    return [away * cos_phi - y * sin_phi, away * sin_phi + y * cos_phi, up]


def _of_degree(degree: int) -> list[tuple[int, bool]]:
    return [(m, sine) for m in range(degree + 1) for sine in ((False, True) if m else (False,))]


Turning = list[tuple[tuple[int, bool], tuple[int, bool], float]]


def _about_y(degree: int) -> Turning:
    """List what changes, by which moment, and by how much, as all are turned about y."""
    made: Turning = []
    for sine in (False, True):
        for m in range(int(sine), degree):
            up = 0.5 * ladder(degree, m) * (math.sqrt(2.0) if m == 0 else 1.0)
            made += [((m, sine), (m + 1, sine), -up), ((m + 1, sine), (m, sine), up)]
    return made


def _about_x(degree: int) -> Turning:
    """List what changes, by which moment, and by how much, as all are turned about x."""
    made: Turning = []
    for m in range(degree):
        up = 0.5 * ladder(degree, m) * (math.sqrt(2.0) if m == 0 else 1.0)
        made += [((m, False), (m + 1, True), up), ((m + 1, True), (m, False), -up)]
        if m:
            made += [((m + 1, False), (m, True), up), ((m, True), (m + 1, False), -up)]
    return made
