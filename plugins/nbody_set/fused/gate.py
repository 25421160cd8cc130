"""Whether a frame is within the domain of a model, as code: `nbody_set.domain`, written anew."""

from __future__ import annotations

from nbody_set.domain import ALONE, FADE, REACH
from nbody_set.fused.arguments import Arguments
from nbody_set.fused.pairs import Trajectory
from nbody_surrogate.layers.code import Code, Pointer, Value, Variable

__all__ = ["gate"]


def gate(code: Code, given: Arguments, one: Trajectory, excess: Value) -> tuple[Variable, Variable]:
    """Return how far a frame is trusted to what was learned, and 1 where its steps are halved.

    `excess` is the gate of what does not change, of charges and masses.
    """
    opened, halved = Variable(code, excess), Variable(code, code.value(0, "i"))
    at, real, n = given.at, given.real, given.i["n"]
    fastest = Variable(code, code.value(0.0, "v"))
    farthest = Variable(code, code.value(0.0, "v"))
    with code.loop(one.pairs, step=code.count) as p:
        _pairs(code, given, one, p, fastest, farthest)
    row = n + 1
    sums = (at["sums"], at["sums"] + row, at["sums"] + row * 2)
    with code.loop(row * 3) as i:
        at["sums"].store(i, 0.0)
    with code.loop(one.pairs) as p:
        for end in (one.first.load(p), one.second.load(p)):
            for to, name in zip(sums, ("gate_kicks", "gate_crowds", "gate_tides"), strict=True):
                to.store(end, to.load(end) + at[name].load(p))
    zero = code.value(0.0, "r")
    kick, crowd = Variable(code, zero), Variable(code, zero)
    with code.loop(n) as i:
        kick.set(code.maximum(kick.get(), sums[0].load(i)))
        crowd.set(code.maximum(crowd.get(), sums[1].load(i)))
    tau2 = real["tau"] * real["tau"]
    for found in (
        crowd.get() / real["crowding"],
        tau2 * code.largest(farthest.get()) / real["drift_limit"],
        kick.get() / real["kick_limit"],
        code.sqrt(code.largest(fastest.get())) / real["speed"],
    ):
        opened.set(opened.get() * fade(code, found))
    with code.when(real["circularity"] > 0.0), code.loop(one.pairs) as p:
        i, j = one.first.load(p), one.second.load(p)
        tides = sums[2].load(i) + sums[2].load(j) - 2.0 * at["gate_tides"].load(p)
        with code.when(_lone(code, given, one, p, tides) & (i < n)):
            opened.set(zero)
            halved.set(code.value(1, "i"))
    return opened, halved


def fade(code: Code, excess: Value) -> Value:
    """Return 1 to an excess of 1, 0 from half as much again on, and smoothly between."""
    inside = code.minimum(code.maximum((1.0 + FADE - excess) / FADE, 0.0), 1.0)
    return inside * inside * (3.0 - 2.0 * inside)


def _pairs(
    code: Code, given: Arguments, one: Trajectory, p: Value, fastest: Variable, farthest: Variable
) -> None:
    """Write what each pair adds to its particles' sums, and keep the largest of others."""
    at, real = given.at, given.real
    softening2, tau = real["softening"] * real["softening"], real["tau"]
    x, y, z = at["r"].columns(p * 4)
    u, v, w = at["w"].columns(p * 4)
    charge, mass = one.pair_charges.load(p, "v"), one.pair_inverse.load(p, "v")
    speed2 = u * u + v * v + w * w
    tiny = 2.3e-308 if code.double else 1.2e-38  # of a pair at rest the time does not matter
    ahead = -(x * u + y * v + z * w) / code.maximum(speed2, tiny)
    ahead = code.minimum(code.maximum(ahead, 0.0), real["frame_dt"])
    nx, ny, nz = x + ahead * u, y + ahead * v, z + ahead * w
    s2 = nx * nx + ny * ny + nz * nz + softening2
    size = code.absolute(charge) * mass * code.absolute(real["coupling"])
    at["gate_kicks"].store(p, size * (tau * tau) / (s2 * code.sqrt(s2)))
    reach = real["softening"] * REACH
    reach = reach * reach
    at["gate_crowds"].store(p, 1.0 / (s2 * s2 / (reach * reach) + 1.0))
    fastest.set(code.maximum(speed2, fastest.get()))
    farthest.set(code.maximum(speed2 / s2, farthest.get()))
    s2 = x * x + y * y + z * z + softening2
    root = code.sqrt(s2)
    pull = -charge * mass * real["coupling"]
    at["gate_tides"].store(p, size / (s2 * root))
    at["gate_bindings"].store(p, pull * 2.0 / root - speed2)


def _lone(code: Code, given: Arguments, one: Trajectory, p: Value, tides: Value) -> Value:
    """Return whether a pair is nearly radial or pressed together, and alone, as `lone_pair`."""
    at, real = given.at, given.real
    pull = -one.pair_charges.load(p) * one.pair_inverse.load(p) * real["coupling"]
    binding = at["gate_bindings"].load(p)
    size = code.absolute(binding)
    alone = tides * pull * pull < size * size * size * ALONE

    def product(a: Pointer, b: Pointer) -> Value:
        parts = [a.load(p * 4 + c) * b.load(p * 4 + c) for c in range(3)]
        return parts[0] + parts[1] + parts[2]

    r2, w2 = product(at["r"], at["r"]), product(at["w"], at["w"])
    rw = product(at["r"], at["w"])
    orbit = real["circularity"] * pull
    across = (r2 * w2 - rw * rw) * binding
    radial = (binding > 0.0) & (pull > 0.0) & (across < orbit * orbit)
    pressed = (pull < 0.0) & (binding * real["softening"] < pull)
    return alone & (radial | pressed)
