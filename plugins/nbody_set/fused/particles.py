"""The particles of a sub-step of `SET` as code: motion, features and attention.

Vectors of space are rows of four, of which the last is 0, so that one register holds one.
"""

from __future__ import annotations

import math

from nbody_set.fused.arguments import Arguments
from nbody_set.fused.pairs import Trajectory
from nbody_surrogate.layers.code import Code, Pointer, Value, Variable
from nbody_surrogate.layers.code_functions import affine_rows, exp, silu

__all__ = ["accelerated", "attended", "drifted", "kicked", "relative", "updated"]


def relative(code: Code, given: Arguments, one: Trajectory) -> None:
    """Take differences of positions and velocities in float64, then round."""
    at = given.at
    with code.loop(one.pairs) as p:
        i, j = one.first.load(p) * 4, one.second.load(p) * 4
        for wide, to in (("x", "r"), ("v", "w")):
            difference = at[wide].load(i, "x") - at[wide].load(j, "x")
            at[to].store(p * 4, difference.to("q"))
        at["a"].store(p * 4, code.value(0.0, "q"))


def drifted(code: Code, given: Arguments, one: Trajectory, time: Value) -> None:
    """Move for a time, particles and pairs."""
    at = given.at
    with code.loop(given.i["n"] * 4, step=4) as m:
        v = at["v_here"].load(m, "q") + at["dv"].load(m, "q")
        at["dx"].store(m, at["dx"].load(m, "q") + v * time)
    with code.loop(one.pairs * 4, step=code.count) as m:
        at["r"].store(m, at["r"].load(m, "v") + at["w"].load(m, "v") * time)


def accelerated(code: Code, given: Arguments, one: Trajectory) -> None:
    """Sum the forces of pairs on both of their ends, and divide by masses."""
    at, n = given.at, given.i["n"]
    sums = at["acceleration"]
    with code.loop((n + 1) * 4, step=4) as m:
        sums.store(m, code.value(0.0, "q"))
    with code.loop(one.pairs) as p:
        i, j = one.first.load(p) * 4, one.second.load(p) * 4
        force = at["r"].load(p * 4, "q") * at["strength"].load(p)
        sums.store(i, sums.load(i, "q") + force)
        sums.store(j, sums.load(j, "q") - force)
    with code.loop(n) as i:
        sums.store(i * 4, sums.load(i * 4, "q") / one.masses.load(i))


def kicked(code: Code, given: Arguments, one: Trajectory, time: Value, keep: bool) -> None:
    """Change velocities by accelerations and by the field; keep those of pairs as features."""
    at, n = given.at, given.i["n"]
    with code.loop(n * 4, step=4) as m:
        at["kicks"].store(m, at["acceleration"].load(m, "q") * time)
    with code.when(~given.i["field"].same(0)), code.loop(n) as i:
        _pulled(code, given, one, i, time)
    with code.loop(n * 4, step=4) as m:
        at["dv"].store(m, at["dv"].load(m, "q") + at["kicks"].load(m, "q"))
    with code.loop(one.pairs) as p:
        i, j = one.first.load(p) * 4, one.second.load(p) * 4
        kick = at["kicks"].load(i, "q") - at["kicks"].load(j, "q")
        at["w"].store(p * 4, at["w"].load(p * 4, "q") + kick)
        if keep:
            a = at["acceleration"].load(i, "q") - at["acceleration"].load(j, "q")
            at["a"].store(p * 4, a)


def _pulled(code: Code, given: Arguments, one: Trajectory, i: Value, time: Value) -> None:
    """Add what the field does to a particle to its kick."""
    at = given.at
    for c in range(3):
        m = i * 4 + c
        at["given"].store(c, at["x"].load(m) + at["dx"].load(m).to("d"))
        at["given"].store(3 + c, at["v"].load(m) + at["dv"].load(m).to("d"))
    at["given"].store(6, one.charges.load(i).to("d"))
    at["given"].store(7, one.masses.load(i).to("d"))
    code.call(given.i["field"], at["given"], at["made"])
    for c in range(3):
        m = i * 4 + c
        at["kicks"].store(m, at["kicks"].load(m) + at["made"].load(c).to("r") * time)


def updated(code: Code, given: Arguments, k: Value) -> None:
    """Make h + phi_h(h, sum_j m_ij) of h, in place."""
    at, padded, width, rows = given.at, given.i["padded"], given.i["width"], given.i["rows"]
    layer, all_features = k * ((width + 1) * padded), rows * padded
    h, made, other = at["h"], at["nodes"], at["other"]
    affine_rows(h, width, padded, at["from_features"] + layer, padded, rows, made)
    received = at["received"]
    affine_rows(received, width, padded, at["from_messages"] + layer, padded, rows, other)
    with code.loop(all_features, step=code.count) as m:
        made.store(m, silu(made.load(m, "v") + other.load(m, "v")))
    affine_rows(made, width, padded, at["to_features"] + layer, padded, rows, other)
    with code.loop(all_features, step=code.count) as m:
        h.store(m, h.load(m, "v") + other.load(m, "v"))


def attended(code: Code, given: Arguments, filled: Value) -> None:
    """Let each particle attend to its last frames, h in place; put this one among the cached."""
    at, sizes = given.at, given.i
    padded, width, rows, history = (sizes[name] for name in ("padded", "width", "rows", "history"))
    size = (width + 1) * padded
    h, out = at["h"], at["query"]
    for number, name in enumerate(("query", "key", "value")):
        layer = at["attention"] + size * number
        affine_rows(h, width, padded, layer, padded, rows, at[name])
    frame = width * 2
    with code.loop(sizes["n"]) as i:
        past = at["past"] + i * ((history - 1) * frame)
        _mixed(code, given, i, past, filled)
        with code.when(history > 1):
            with code.loop((history - 2) * frame) as m:
                past.store(m, past.load(m + frame))
            newest = past + (history - 2) * frame
            with code.loop(width) as m:
                newest.store(m, at["key"].load(i * padded + m))
                newest.store(m + width, at["value"].load(i * padded + m))
    affine_rows(at["mixed"], width, padded, at["attention"] + size * 3, padded, rows, out)
    with code.loop(rows * padded, step=code.count) as m:
        h.store(m, h.load(m, "v") + out.load(m, "v"))


def _mixed(code: Code, given: Arguments, i: Value, past: Pointer, filled: Value) -> None:
    """Write the values of one particle's frames, weighted by the softmax of their scores."""
    at, sizes = given.at, given.i
    padded, width, history, heads = (
        sizes[name] for name in ("padded", "width", "history", "heads")
    )
    builder, scores, frame = code.builder, at["scores"], width * 2
    deep = Value(code, builder.sdiv(width.made, heads.made), "i")
    scale = 1.0 / code.sqrt(deep.to("r"))
    with code.loop(heads) as head:
        here = i * padded + head * deep
        query, key, value = (at[name] + here for name in ("query", "key", "value"))
        largest = Variable(code, code.value(-math.inf, "r"))
        with code.loop(filled + 1) as lag:  # 0 is the frame itself, of which nothing is cached yet
            before = past + ((history - 1 - lag) * frame + head * deep)
            product = Variable(code, code.value(0.0, "r"))
            new = lag.same(0)
            with code.loop(deep) as m:
                known = _either(code, new, key + m, before + m)
                product.add(query.load(m) * known.load())
            score = product.get() * scale + at["lag_bias"].load(head * history + lag)
            scores.store(lag, score)
            largest.set(code.maximum(score, largest.get()))
        with code.loop(filled + 1, step=code.count) as lag:
            scores.store(lag, exp(scores.load(lag, "v") - largest.get()))
        together = Variable(code, code.value(0.0, "r"))
        with code.loop(filled + 1) as lag:
            together.add(scores.load(lag))
        with code.loop(deep) as m:
            found = Variable(code, code.value(0.0, "r"))
            with code.loop(filled + 1) as lag:
                before = past + ((history - 1 - lag) * frame + width + head * deep)
                known = _either(code, lag.same(0), value + m, before + m)
                found.add(scores.load(lag) * known.load())
            (at["mixed"] + here).store(m, found.get() / together.get())


def _either(code: Code, condition: Value, a: Pointer, b: Pointer) -> Pointer:
    """Return one of two places."""
    return Pointer(code, code.builder.select(condition.made, a.made, b.made), a.kind)
