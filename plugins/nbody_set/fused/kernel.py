"""Frames of `SET` as code: one trajectory after the other, each as if it were alone.

The order of operations is that of `nbody_set.model`: the state is summed in float64, relative
motion is carried beside absolute motion, kicks and drifts alternate.
"""

from __future__ import annotations

from nbody_set.fused.arguments import OF_TRAJECTORY, Arguments, arguments
from nbody_set.fused.gate import gate
from nbody_set.fused.pairs import Trajectory, corrected, given_law
from nbody_set.fused.particles import (
    accelerated,
    attended,
    drifted,
    kicked,
    relative,
    updated,
)
from nbody_surrogate.layers.code import Code, Pointer, Value, Variable
from nbody_surrogate.layers.code_functions import affine_rows

__all__ = ["frames"]


def frames(code: Code, table: Pointer, begin: Value, end: Value) -> None:
    """Make the frames of the trajectories from `begin` to `end`."""
    given = arguments(code, table)
    with code.loop(end, start=begin) as b:
        one = _trajectory(code, given, b)
        filled = Variable(code, given.at["filled_of"].load(b))
        _begin(code, given, b)
        with code.loop(given.i["frames"]) as frame:
            _frame(code, given, one, given.at["open_of"].load(b), filled.get())
            most = given.i["history"] - 1
            filled.set(code.minimum(filled.get() + 1, most))
            _summed(code, given, b, frame)
        given.at["filled_of"].store(b, filled.get())
        _end(code, given, b)


def _trajectory(code: Code, given: Arguments, b: Value) -> Trajectory:
    at, n = given.at, given.i["n"]
    row = at["trajectories"] + b * len(OF_TRAJECTORY)
    loaded = {name: row.load(number) for number, name in enumerate(OF_TRAJECTORY)}

    def place(name: str, kind: str) -> Pointer:
        return code.pointer(loaded[name], kind)

    return Trajectory(
        first=place("first", "i"),
        second=place("second", "i"),
        group=place("group", "i"),
        layer=place("layer", "r"),
        pairs=loaded["pairs"],
        inputs=loaded["inputs"],
        doubled=loaded["doubled"],
        layers_size=loaded["layers_size"],
        pair_charges=place("pair_charges", "r"),
        pair_inverse=place("pair_inverse", "r"),
        charges=at["charges_of"] + b * n,
        masses=at["masses_of"] + b * n,
    )


def _begin(code: Code, given: Arguments, b: Value) -> None:
    """Copy the state and the cache of a trajectory to where it is worked on."""
    at, n, dimensions = given.at, given.i["n"], given.i["dimensions"]
    with code.loop(n) as i, code.loop(dimensions) as c:
        of = (b * n + i) * dimensions + c
        at["x"].store(i * 4 + c, at["x_of"].load(of))
        at["v"].store(i * 4 + c, at["v_of"].load(of))
    size = (given.i["history"] - 1) * (given.i["width"] * 2)
    with code.loop(n) as i, code.loop(size) as m:
        at["past"].store(i * size + m, at["past_of"].load((i * given.i["batch"] + b) * size + m))


def _end(code: Code, given: Arguments, b: Value) -> None:
    """Copy the cache back."""
    at, size = given.at, (given.i["history"] - 1) * (given.i["width"] * 2)
    with code.loop(given.i["n"]) as i, code.loop(size) as m:
        at["past_of"].store((i * given.i["batch"] + b) * size + m, at["past"].load(i * size + m))


def _frame(code: Code, given: Arguments, one: Trajectory, trusted: Value, filled: Value) -> None:
    """Make the increments of a frame, dx and dv."""
    at, real, sizes = given.at, given.real, given.i
    relative(code, given, one)
    still = code.value(0.0, "q")
    with code.loop(sizes["n"] * 4, step=4) as m:
        at["v_here"].store(m, at["v"].load(m, "x").to("q"))
        at["dx"].store(m, still)
        at["dv"].store(m, still)
    with code.loop(sizes["rows"]) as i, code.loop(sizes["padded"], step=code.count) as f:
        at["h"].store(i * sizes["padded"] + f, at["initial"].load(f, "v"))
    opened, halved = Variable(code, code.value(1.0, "r")), Variable(code, code.value(0, "i"))
    with code.when(sizes["gated"].same(1) & (sizes["n"] > 1)):
        found, lone = gate(code, given, one, trusted)
        opened.set(found.get())
        halved.set(lone.get())
    shut, half, tau = opened.get() <= 0.0, halved.get().same(1), real["tau"]
    first = code.select(half, tau * 0.25, tau * 0.5)
    drifted(code, given, one, code.select(shut, first, at["drift"].load()))
    with code.loop(sizes["substeps"]) as k:
        last = k.same(sizes["substeps"] - 1)
        _forces(code, given, one, k, shut, opened.get(), last)
        accelerated(code, given, one)
        with code.when(~last):
            updated(code, given, k)
        with code.when(k.same(0)):
            attended(code, given, filled)
        step = code.select(half, tau * 0.5, tau)
        kicked(code, given, one, code.select(shut, step, at["kick"].load(k)), keep=True)
        ends = code.select(last, tau * 0.5, tau)
        step = code.select(half, tau * 0.5, ends)
        drifted(code, given, one, code.select(shut, step, at["drift"].load(k + 1)))
        with code.when(half):  # leapfrog's second step of the two
            given_law(code, given, one)
            accelerated(code, given, one)
            kicked(code, given, one, tau * 0.5, keep=False)
            drifted(code, given, one, ends * 0.5)


def _forces(
    code: Code,
    given: Arguments,
    one: Trajectory,
    k: Value,
    shut: Value,
    opened: Value,
    last: Value,
) -> None:
    """Write the strengths of all pairs; where the gate is shut nothing that is learned is asked."""
    at, sizes = given.at, given.i
    padded, width, rows = sizes["padded"], sizes["width"], sizes["rows"]
    with code.loop(rows * padded, step=code.count) as m:
        at["received"].store(m, code.value(0.0, "v"))
    with code.either(shut) as (then, otherwise):
        with then:
            given_law(code, given, one)
        with otherwise:
            layer = at["nodes_layer"] + k * ((width + 1) * padded)
            affine_rows(at["h"], width, padded, layer, padded, rows, at["nodes"])
            corrected(code, given, one, k, opened, last)


def _summed(code: Code, given: Arguments, b: Value, frame: Value) -> None:
    """Add increments to the state in float64, and write the frame."""
    at, n, dimensions = given.at, given.i["n"], given.i["dimensions"]
    for wide, increment, out in (("x", "dx", "frames_x"), ("v", "dv", "frames_v")):
        with code.loop(n) as i, code.loop(dimensions) as c:
            m = i * 4 + c
            y = at[wide].load(m) + at[increment].load(m).to("d")
            at[wide].store(m, y)
            to = ((b * given.i["frames"] + frame) * n + i) * dimensions + c
            at[out].store(to, y)
