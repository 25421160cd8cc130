"""A pair law along a measured curve: an envelope times a cubic spline.

With r the distance of a pair and u = r / (r + b), the force along the separation is

    F(r) = w env(r) S(u),    env(r) = (r^2 + a^2)^(p / 2) exp(-r / lambda),
    S(u) = sum_k c_k B((u - first) / spacing - k),

w the coupling of the pair, or q_i q_j; B the cardinal cubic B-spline about 0, of support [-2, 2].
S is held beyond the range in which the splines add up to one, so that the envelope carries on.

The energy is the integral of F from r to infinity. It has no closed form. It is the energy at the
next of some edges, kept as numbers, plus the integral from r to there. The edges are the knots of
S and a few distances beyond. Between two of them the force is a cubic in u times what is
analytic, and 16 nodes of Gauss and Legendre take it to rounding. They stand in

    z = 1 / (r + s),  s^2 = r^2 + a^2,   by which   s = (1 + a^2 z^2) / (2 z),  dr = -(s / z) dz,

so that no root is left and infinity is z = 0. Force and energy then agree to rounding.

The law is made for innermost loops of compiled code, which use vectors where it has neither
branches nor tables. So every spline is evaluated, by the positive parts of two lines, and exp is
the 128th power of a polynomial. `nbody_simulators.force_laws.spline_numbers` makes the numbers.

References
----------
de Boor, "A Practical Guide to Splines" (2001), chapter 9, for splines by positive parts.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from nbody_simulators.force_laws.cardinal_splines import (
    BLOCK,
    Function,
    in_place,
    splines_in,
    steps_in,
)
from nbody_simulators.force_laws.spline_limits import LARGEST
from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import PairLaw

__all__ = [
    *("CLASSES", "ENVELOPE", "HEAD", "NODES", "PANELS"),
    *("envelope_in", "envelope_numbers", "spline_law"),
]

ENVELOPE = (
    "core2",  # a^2
    "decay",  # 1 / lambda, or 0
    "falls",  # 1 where p < 0
    "bit1",  # the binary digits of |p|
    "bit2",
    "bit4",
    "bit8",
)
HEAD = (
    *ENVELOPE,
    "scale",  # b
    "first",
    "spacing",
    "last",  # the range of S is 1 to `last`, in units of `spacing` from `first`
    "steep",  # 1 where p < -1: nodes are in z, else in y = 1 / z
    "edge",  # z at the end of the range
    "far",  # z up to which the last panel goes
    "by_charge",  # 1 where the charges weigh a pair, 0 where its coupling does
)
PANELS = 8
"""Panels beyond the range of S, each four times as far as the one before."""

NODES = (
    (0.09501250983763744, 0.18945061045506864),
    (0.2816035507792589, 0.18260341504492364),
    (0.45801677765722737, 0.16915651939500265),
    (0.6178762444026438, 0.1495959888165767),
    (0.755404408355003, 0.12462897125553407),
    (0.8656312023878318, 0.0951585116824926),
    (0.9445750230732326, 0.062253523938647456),
    (0.9894009349916499, 0.027152459411754176),
)
"""Nodes and weights of Gauss and Legendre on [-1, 1], those above zero of 16."""

FARTHEST = 64.0
"""exp(-x) is taken at most here, where it is 2e-28."""


def _class_of(size: int) -> Any:
    """Make the class of parameters of so many splines."""
    splines = [f"spline{k}" for k in range(size)]
    knots = [f"energy{k}" for k in range(1, size + 1)]  # at the knots 1, 2, ...
    beyond = [f"beyond{k}" for k in range(PANELS)]  # at the edges of the panels
    fields = [*HEAD, *splines, *knots, *beyond]
    made: Any = namedtuple(f"SplinePair{size}", fields)  # type: ignore[misc]  # not a literal
    made.__module__ = __name__
    return made


# By name, as what is compiled for a class is found on disk by the name of the class.
SplinePair8, SplinePair16, SplinePair24, SplinePair32 = (_class_of(n) for n in (8, 16, 24, 32))
SplinePair40, SplinePair48, SplinePair56, SplinePair64 = (_class_of(n) for n in (40, 48, 56, 64))

CLASSES = (
    *(SplinePair8, SplinePair16, SplinePair24, SplinePair32),
    *(SplinePair40, SplinePair48, SplinePair56, SplinePair64),
)


def envelope_numbers(power: int, core: float, screening_length: float | None) -> dict[str, float]:
    """Return the parameters of an envelope by name."""
    bits = {f"bit{1 << k}": float(abs(power) >> k & 1) for k in range(4)}
    decay = 0.0 if screening_length is None else 1.0 / screening_length
    return {"core2": core * core, "decay": decay, "falls": float(power < 0), **bits}


def envelope_in(sqrt: Function, where: Function) -> Function:
    """Return ``f(p, r, s)``, the envelope at a distance r with s^2 = r^2 + a^2."""

    def envelope(p: Any, r: Any, s: Any) -> Any:
        # 1 / s or s, and each power or 1, by sums: `where` takes no parameter for a condition
        y = (p.falls + (1.0 - p.falls) * (s * s)) / s
        y2 = y * y
        y4 = y2 * y2
        power = (p.bit1 * y + (1.0 - p.bit1)) * (p.bit2 * y2 + (1.0 - p.bit2))
        power = power * (p.bit4 * y4 + (1.0 - p.bit4)) * (p.bit8 * (y4 * y4) + (1.0 - p.bit8))
        x = p.decay * r
        # exp(-t) by its series: t is at most 1/2, and what is left out 2e-17
        t = where(x < FARTHEST, x, FARTHEST) * (1.0 / 128.0)
        e = 1.0 - t * (1.0 / 14.0)
        e = 1.0 - t * (1.0 / 12.0) * (1.0 - t * (1.0 / 13.0) * e)
        e = 1.0 - t * (1.0 / 10.0) * (1.0 - t * (1.0 / 11.0) * e)
        e = 1.0 - t * (1.0 / 8.0) * (1.0 - t * (1.0 / 9.0) * e)
        e = 1.0 - t * (1.0 / 6.0) * (1.0 - t * (1.0 / 7.0) * e)
        e = 1.0 - t * (1.0 / 4.0) * (1.0 - t * (1.0 / 5.0) * e)
        e = 1.0 - t * (1.0 / 2.0) * (1.0 - t * (1.0 / 3.0) * e)
        e = 1.0 - t * e
        e = e * e
        e = e * e
        e = e * e
        e = e * e
        e = e * e
        e = e * e
        return power * (e * e)

    return in_place(sqrt)(envelope)


def integral_in(sqrt: Function, where: Function) -> Function:
    """Return ``f(p, z, end, start, cubic)``: the integral of the force from z to the end, over z.

    S is the cubic whose forward differences at thirds of a spacing from `start` are given.
    """
    wrap, envelope = in_place(sqrt), envelope_in(sqrt, where)
    nodes, weights = tuple(x for x, _ in NODES), tuple(w for _, w in NODES)

    def integrand(p: Any, node: Any, start: Any, d0: Any, d1: Any, d2: Any, d3: Any) -> Any:
        other = 1.0 / node
        y, z = (other, node) if p.steep > 0.0 else (node, other)
        bent = p.core2 * z
        r, s = 0.5 * (y - bent), 0.5 * (y + bent)
        third = 3.0 * ((r / (r + p.scale) - p.first) / p.spacing - start)
        tail = d2 + (third - 2.0) * (1.0 / 3.0) * d3
        cubic = d0 + third * (d1 + (third - 1.0) * 0.5 * tail)
        return envelope(p, r, s) * cubic * s * (y if p.steep > 0.0 else -z)

    integrand = wrap(integrand)

    def integral(p: Any, z: Any, end: Any, start: Any, d0: Any, d1: Any, d2: Any, d3: Any) -> Any:
        # in y, the integral's limits are 1 / z
        over = 1.0 / where(end > 0.0, end, 1.0)  # infinity is an end of z alone
        first, last = (end, z) if p.steep > 0.0 else (over, 1.0 / z)
        half, middle = 0.5 * (last - first), 0.5 * (last + first)

        total = 0.0 * half  # of the kind of numbers that the nodes are
        for k in range(8):  # a loop, as it takes minutes to compile what is written out
            x = half * nodes[k]
            upper = integrand(p, middle + x, start, d0, d1, d2, d3)
            lower = integrand(p, middle - x, start, d0, d1, d2, d3)
            total = total + (upper + lower) * weights[k]
        return half * total

    return wrap(integral)


def energy_in(size: int, sqrt: Function, where: Function) -> Function:
    """Return ``f(p, r, s, place, held)``, the energy of a pair of weight 1.

    `place` is that of r in spacings from `first`, and `held` the same within the range of S.
    """
    wrap, integral = in_place(sqrt), integral_in(sqrt, where)
    curve = splines_in(len(HEAD), size, sqrt, where)
    knots = steps_in(len(HEAD) + size, size, sqrt, where)
    o0, o1, o2, o3 = (len(HEAD) + 2 * size + k for k in range(4))
    o4, o5, o6, o7 = (len(HEAD) + 2 * size + k for k in range(4, 8))

    def beyond(p: Any, z: Any) -> Any:
        e0 = 0.25 * p.edge
        e1, e2, e3 = 0.25 * e0, 0.0625 * e0, 0.015625 * e0
        e4, e5, e6 = 0.25 * e3, 0.0625 * e3, 0.015625 * e3
        end, value = p.far + 0.0 * z, p[o7] + 0.0 * z
        end, value = where(z > e6, e6, end), where(z > e6, p[o6], value)
        end, value = where(z > e5, e5, end), where(z > e5, p[o5], value)
        end, value = where(z > e4, e4, end), where(z > e4, p[o4], value)
        end, value = where(z > e3, e3, end), where(z > e3, p[o3], value)
        end, value = where(z > e2, e2, end), where(z > e2, p[o2], value)
        end, value = where(z > e1, e1, end), where(z > e1, p[o1], value)
        return where(z > e0, e0, end), where(z > e0, p[o0], value)

    beyond = wrap(beyond)

    def before(p: Any, place: Any, held: Any) -> Any:
        knot, value = knots(p, held)
        knot = where(place < 1.0, 1.0, knot)
        value = where(place < 1.0, p[o0 - size], value)
        u = p.first + knot * p.spacing
        r, rest = p.scale * u, 1.0 - u  # the distance of the knot is r / rest
        return rest / (r + sqrt(r * r + p.core2 * rest * rest)), value, knot - 1.0

    before = wrap(before)

    def energy(p: Any, r: Any, s: Any, place: Any, held: Any) -> Any:
        z = 1.0 / (r + s)
        knot, at_knot, start = before(p, place, held)
        edge, at_edge = beyond(p, z)
        within = where(place < p.last, 1.0, 0.0 * place)
        end, value = where(within > 0.0, knot, edge), where(within > 0.0, at_knot, at_edge)
        # S between two knots, by its values at thirds of the way; held S does not change
        within = where(place < 1.0, 0.0, within)
        third = within * (1.0 / 3.0)
        start = where(within > 0.0, start, held)
        f0, f1 = curve(p, start), curve(p, start + third)
        f2, f3 = curve(p, start + 2.0 * third), curve(p, start + within)
        d1, d2 = f1 - f0, f2 - 2.0 * f1 + f0
        d1, d2, d3 = d1 * within, d2 * within, (f3 - 3.0 * (f2 - f1) - f0) * within
        return value + integral(p, z, end, start, f0, d1, d2, d3)

    return wrap(energy)


def _factory_of(size: int) -> Function:
    """Return the factory of the law with so many splines."""

    def factory(sqrt: Function, where: Function) -> Function:
        envelope, energy = envelope_in(sqrt, where), energy_in(size, sqrt, where)
        curve = splines_in(len(HEAD), size, sqrt, where)

        def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, bond: Any) -> Any:
            r, s = sqrt(r2), sqrt(r2 + p.core2)
            place = (r / (r + p.scale) - p.first) / p.spacing
            held = where(place < 1.0, 1.0, place)
            held = where(held < p.last, held, p.last)
            weight = p.by_charge * (qi * qj) + (1.0 - p.by_charge) * bond
            force = weight * (envelope(p, r, s) * curve(p, held)) / r
            return force, weight * energy(p, r, s, place, held)

        return law

    return factory


_FACTORIES = {size: _factory_of(size) for size in range(BLOCK, LARGEST + 1, BLOCK)}


def spline_law(parameters: Any) -> PairLaw:
    """Return the law of these parameters, which are of one of the classes."""
    size = (len(parameters) - len(HEAD) - PANELS) // 2
    return PairLaw(parameters, _FACTORIES[size])


for _kind, _size in zip(CLASSES, _FACTORIES, strict=True):
    register_law(spline_law(_kind(*[0.0] * (len(HEAD) + 2 * _size + PANELS))))
