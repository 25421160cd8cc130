"""The pairs of a sub-step of `SET` as code: features, messages and forces.

Pairs are worked on in tiles that stay in the first-level cache. Geometry takes one pair in each
lane of a vector; the network takes one feature in each lane and `ROWS` pairs at a time, so that
both ends of a pair are rows of features and nothing is turned around.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nbody_set.domain import LARGEST
from nbody_set.fused.arguments import Arguments
from nbody_set.fused.weights import COULOMB, KERNEL, RATES
from nbody_surrogate.layers.code import Code, Pointer, Value, Variable
from nbody_surrogate.layers.code_functions import ROWS, affine, exp, log, log1p, silu

__all__ = ["TILE", "Trajectory", "corrected", "given_law"]

TILE = 64
"""Pairs that are worked on together."""
NEAR, FAR = -10.0, 14.0
"""Spacings below and above a Gaussian's centre, from where on it and the next three are taken as
they are there: 0 to rounding, but no numbers so small that processors are slow with them."""
STEPS = (math.exp(-0.5), math.exp(-2.0), math.exp(-4.5))


class Trajectory(NamedTuple):
    """What stays the same in the frames of a trajectory."""

    first: Pointer  # the pairs' particles
    second: Pointer
    group: Pointer  # where their first layer begins
    layer: Pointer
    pairs: Value
    inputs: Value
    doubled: Value
    layers_size: Value
    pair_charges: Pointer
    pair_inverse: Pointer
    charges: Pointer
    masses: Pointer


def corrected(
    code: Code, given: Arguments, one: Trajectory, k: Value, opened: Value, last: Value
) -> None:
    """Write the strengths of all pairs, F_ij over r_ij, and add up messages."""
    with code.loop(one.pairs, step=TILE) as start:
        left = one.pairs - start
        count = code.select(left < TILE, left, code.value(TILE, "i"))
        _features(code, given, one, k, opened, start, count)
        _messages(code, given, one, k, last, start, count)
        _strengths(code, given, start, count)


def given_law(code: Code, given: Arguments, one: Trajectory) -> None:
    """Write the strengths of all pairs by the given law alone."""
    real = given.real
    with code.loop(one.pairs, step=code.count) as p:
        x, y, z = given.at["r"].columns(p * 4)
        s2 = x * x + y * y + z * z + real["softening"] * real["softening"]
        strength = one.pair_charges.load(p, "v") * real["coupling"] / (s2 * code.sqrt(s2))
        given.at["strength"].store(p, strength)


def _features(
    code: Code,
    given: Arguments,
    one: Trajectory,
    k: Value,
    opened: Value,
    start: Value,
    count: Value,
) -> None:
    """Write the features of a tile, a row each, and s, c and the envelope of its pairs."""
    at, real, basis = given.at, given.real, given.i["basis"]
    softening2, tau = real["softening"] * real["softening"], real["tau"]
    with code.loop(count, step=code.count) as p:
        pair = start + p
        x, y, z = at["r"].columns(pair * 4)
        u, v, w = at["w"].columns(pair * 4)
        q = one.pair_charges.load(pair, "v")
        s2 = x * x + y * y + z * z + softening2
        s = code.sqrt(s2)
        tile = at["tile"] + p
        _gaussians(code, given, (log(s) - real["first_centre"]) * real["per_sigma"], tile)
        c = _prior(code, given, tile, q, s2)
        over = 1.0 / s
        radial = (x * u + y * v + z * w) * over
        speed2 = u * u + v * v + w * w
        rate = over * tau
        rate2 = rate * rate
        ax, ay, az = at["a"].columns(pair * 4)
        rates = (
            radial,
            log1p(speed2),
            rate * radial,
            rate2 * speed2,
            rate2 * c * one.pair_inverse.load(pair, "v") * over,
            rate2 * (x * ax + y * ay + z * az),
        )
        for number, each in enumerate(rates):
            (tile + basis * TILE).store(number * TILE, each)
        reach = s * at["inverse_range"].spread(k)
        reach = reach * reach
        at["envelope"].store(p, opened / (reach * reach + 1.0))
        at["s"].store(p, s)
        at["c"].store(p, c)
        with code.when(one.doubled.same(1)):  # each also times q_i q_j, and that by itself
            inputs = basis + RATES
            with code.loop(inputs) as f:
                (tile + (inputs + f) * TILE).store(0, q * tile.load(f * TILE, "v"))
            (tile + inputs * (2 * TILE)).store(0, q)


def _gaussians(code: Code, given: Arguments, place: Value, tile: Pointer) -> None:
    """Write exp(-(u - g)^2 / 2) for all centres g; `place` is u, in spacings of centres."""
    basis = given.i["basis"]
    if code.double:  # centres are as exact as the model has them, which is not evenly spaced
        with code.loop(basis) as g:
            apart = place - given.at["centres"].spread(g)
            (tile + g * TILE).store(0, exp(apart * apart * -0.5))
        return
    with code.loop(basis, step=4) as g:
        # Four centres in turn by two exponentials. Rows beyond the basis are written over.
        apart = code.maximum(code.minimum(place - g.to("r"), FAR), NEAR)
        value, ratio = exp(apart * apart * -0.5), exp(apart)
        row = tile + g * TILE
        row.store(0, value)
        for number, step in enumerate(STEPS, start=1):
            value = value * ratio
            row.store(number * TILE, value * step)


def _prior(code: Code, given: Arguments, tile: Pointer, q: Value, s2: Value) -> Value:
    """Return c of F = c r / s^3, without what was learned of messages."""
    kind, basis, radial = given.i["prior"], given.i["basis"], given.at["radial"]
    c = Variable(code, q * given.real["coupling"])
    with code.when(~kind.same(COULOMB)):
        zero = code.value(0.0, "v")
        charged, plain = Variable(code, zero), Variable(code, zero)
        with code.loop(basis) as g:
            e = tile.load(g * TILE, "v")
            charged.add(e * radial.spread(g))
            plain.add(e * radial.spread(basis + g))
        far = q * (charged.get() + given.real["far"]) + plain.get()
        near = (q * charged.get() + plain.get()) * s2
        kernel = code.value(1.0, "r"), code.value(0.0, "r")
        share = code.select(kind.same(KERNEL), *kernel)
        # one of the two, by a factor: a choice of vectors by one truth
        c.set(far * share + near * (1.0 - share))
    return c.get()


def _messages(
    code: Code,
    given: Arguments,
    one: Trajectory,
    k: Value,
    last: Value,
    start: Value,
    count: Value,
) -> None:
    """Write the corrections of a tile, and add its messages to what both ends received."""
    at, padded, width = given.at, given.i["padded"], given.i["width"]
    lanes, rows = code.count, range(ROWS)
    hidden, nodes, received = at["hidden"], at["nodes"], at["received"]
    second_layer = at["message"] + k * ((width + 1) * padded)
    weights = at["force"] + k * padded
    with code.loop(count, step=ROWS) as b:
        pair = start + b
        first_layer = one.layer + (k * one.layers_size + one.group.load(pair))
        ends = [
            (one.first.load(pair + r) * padded, one.second.load(pair + r) * padded) for r in rows
        ]
        with code.loop(padded, step=2 * lanes) as f:
            layer = first_layer + f
            bias = layer + one.inputs * padded
            of_nodes = nodes + f
            sums = [
                (
                    bias.load(0, "v") + (of_nodes.load(i, "v") + of_nodes.load(j, "v")),
                    bias.load(lanes, "v")
                    + (of_nodes.load(i + lanes, "v") + of_nodes.load(j + lanes, "v")),
                )
                for i, j in ends
            ]
            made = affine(layer, padded, one.inputs, at["tile"] + b, (1, TILE), sums)
            for r, pair_of in enumerate(made):
                for part, each in zip((0, lanes), pair_of, strict=True):
                    (hidden + (padded * r + f)).store(part, silu(each))
        zero = code.value(0.0, "v")
        felt = [Variable(code, zero) for _ in rows]
        with code.loop(padded, step=2 * lanes) as f:
            layer = second_layer + f
            bias = layer + width * padded
            sums = [(bias.load(0, "v"), bias.load(lanes, "v"))] * ROWS
            made = affine(layer, padded, width, hidden, (padded, 1), sums)
            u, w = (weights + f).load(0, "v"), (weights + f).load(lanes, "v")
            messages = []
            for r, (x, y) in enumerate(made):
                envelope = at["envelope"].spread(b + r)
                x, y = silu(x) * envelope, silu(y) * envelope
                felt[r].add(x * u + y * w)
                messages.append((x, y))
            with code.when(~last):  # after the last kick nobody reads features
                for (x, y), pair_ends in zip(messages, ends, strict=True):
                    for end in pair_ends:
                        place = received + (end + f)
                        place.store(0, place.load(0, "v") + x)
                        place.store(lanes, place.load(lanes, "v") + y)
        for r in rows:
            at["correction"].store(b + r, code.total(felt[r].get()))


def _strengths(code: Code, given: Arguments, start: Value, count: Value) -> None:
    """Write (c + phi) / s^3 of a tile, with phi bounded where it is."""
    at, basis = given.at, given.i["basis"]
    with code.loop(count, step=code.count) as p:
        c, s = at["c"].load(p, "v"), at["s"].load(p, "v")
        phi = Variable(code, at["correction"].load(p, "v"))
        with code.when(given.i["bounded"].same(1)):
            truncation = at["tile"] + ((basis + (RATES - 3)) * TILE + p)
            parts = [code.absolute(truncation.load(number * TILE, "v")) for number in range(3)]
            wrong = (parts[0] + parts[1]) + parts[2]
            most = code.minimum(wrong * given.real["bound"], LARGEST) * code.absolute(c)
            phi.set(code.maximum(-most, code.minimum(most, phi.get())))
        at["strength"].store(start + p, (c + phi.get()) / (s * s * s))
