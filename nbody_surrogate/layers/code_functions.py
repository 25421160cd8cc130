"""Functions of vectors in code that is made: exponentials and logarithms, rows of features.

Exponentials and logarithms are polynomials. The largest relative errors over all arguments,
rounding included, to which tests hold them:

==========  ==========  ==========
function    float32     float64
==========  ==========  ==========
`exp`       1.2e-7      2.5e-16
`log`       1.2e-7      2.5e-16
`log1p`     2.4e-7      6e-16
`silu`      2.4e-7      6e-16
==========  ==========  ==========

That of `log` is relative to the larger of 1 and its value. The arguments of `exp` are held within
the range whose results are normal numbers. What is not a number stays that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from nbody_surrogate.layers.code import Code, Pointer, Value, Variable

__all__ = [
    "ROWS",
    "affine",
    "affine_rows",
    "exp",
    "log",
    "log1p",
    "polynomial",
    "silu",
    "transposed",
]

LN2 = math.log(2.0)
LN2_REST = 2.3190468138462996e-17  # what float64 leaves of it
SERIES = [1.0 / math.factorial(k) for k in range(13, -1, -1)]
NEAREST = [
    0.0013941108469347112,
    0.008375126398416406,
    0.041666352896198126,
    0.16666415514649008,
    0.5000000047117971,
    1.0000000377162153,
    1.0,
]
"""Of e^r to |r| = log(2) / 2, interpolated at the nodes of Chebyshev: off by 3e-9 at most."""
ROWS = 4
"""Rows that are worked on together: with two vectors of each, sums stay in registers."""


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme; the coefficient of the highest power comes first."""
    value = x.code.value(coefficients[0], x.kind)
    for each in coefficients[1:]:
        value = value * x + each
    return value


def _bits(code: Code, x: Value) -> tuple[Any, Any, int]:
    """Return the bits of a vector, the type of them, and how many belong to the mantissa."""
    size = ir.IntType(64 if code.double else 32)
    kind = ir.VectorType(size, code.count)
    return code.builder.bitcast(x.made, kind), kind, 52 if code.double else 23


def _constant(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _ln2(code: Code) -> tuple[float, float]:
    """Two parts of log 2; products of the first with whole numbers are exact."""
    digits = 32 if code.double else 12
    high = math.ldexp(round(math.ldexp(LN2, digits)), -digits)
    return high, LN2 - high + LN2_REST


def exp(x: Value) -> Value:
    """Return e^x = 2^n e^r with |r| <= log(2) / 2, where e^r is a sum of powers."""
    code = x.code
    low, high = (-708.0, 709.0) if code.double else (-87.0, 88.0)
    x = code.maximum(low, code.minimum(high, x))
    _, kind, mantissa = _bits(code, x)
    # added to this, a number has its nearest whole one in its last bits
    magic = 1.5 * 2.0**mantissa
    shifted = x * (1.0 / LN2) + magic
    n = shifted - magic
    for part in _ln2(code):
        x = x - n * part
    p = polynomial(x, SERIES if code.double else NEAREST)
    power = code.builder.shl(_bits(code, shifted)[0], _constant(kind, mantissa))
    made = code.builder.add(_bits(code, p)[0], power)
    return Value(code, code.builder.bitcast(made, code.kinds["v"]), "v")


def log(x: Value) -> Value:
    """Return log x = e log 2 + 2 artanh((m - 1) / (m + 1)), with x = 2^e m, m near 1."""
    code, builder = x.code, x.code.builder
    bits, kind, mantissa = _bits(code, x)
    half = _constant(kind, 0x3FE6A09E667F3BCD if code.double else 0x3F3504F3)  # sqrt(1/2)
    bits = builder.sub(bits, half)
    e = builder.sitofp(builder.ashr(bits, _constant(kind, mantissa)), code.kinds["v"])
    exponent = Value(code, e, "v")
    kept = builder.add(builder.and_(bits, _constant(kind, 2**mantissa - 1)), half)
    m = Value(code, builder.bitcast(kept, code.kinds["v"]), "v")
    f = (m - 1.0) / (m + 1.0)
    terms = 11 if code.double else 5
    series = polynomial(f * f, [2.0 / (2 * k + 1) for k in range(terms - 1, -1, -1)])
    high, low = _ln2(code)
    found = exponent * high + (f * series + exponent * low)
    # bits of what is no number would give one: x + x is none then, and infinite where x is
    return code.select(x < (1.7e308 if code.double else 3.3e38), found, x + x)


def log1p(y: Value) -> Value:
    """Return log(1 + y) of what is not negative."""
    u = y + 1.0
    # what rounding took from u, over u: the first order of what it took from the logarithm
    return log(u) + (y - (u - 1.0)) / u


def silu(x: Value) -> Value:
    """Return x / (1 + e^(-x))."""
    return x / (exp(-x) + 1.0)


def affine(
    weights: Pointer,
    padded: Value,
    inputs: Value,
    x: Pointer,
    steps: tuple[Value | int, Value | int],
    sums: list[tuple[Value, Value]],
) -> list[tuple[Value, Value]]:
    """Add to sums, a pair of vectors for each row, a linear layer's products with its inputs.

    Parameters
    ----------
    weights : Pointer
        Of the two vectors that belong to the first input; `padded` elements on lies the next.
    padded, inputs : Value
    x : Pointer
    steps : pair of Value or int
        Elements of `x` from one row to the next, and from one input to the next.
    sums : list of pair of Value
    """
    code = weights.code
    held = [tuple(Variable(code, each) for each in pair) for pair in sums]
    row, step = (code.value(each, "i") for each in steps)
    with code.loop(inputs) as i:
        place, at = weights + i * padded, x + i * step
        u, w = place.load(0, "v"), place.load(code.count, "v")
        for r, (a, b) in enumerate(held):
            y = at.spread(row * r)
            a.add(y * u)
            b.add(y * w)
    return [(a.get(), b.get()) for a, b in held]


def affine_rows(
    x: Pointer,
    inputs: Value,
    row: Value,
    weights: Pointer,
    padded: Value,
    rows: Value,
    out: Pointer,
) -> None:
    """Map rows of features through a linear layer.

    Parameters
    ----------
    x : Pointer
        Rows of `row` elements, of which the first `inputs` count.
    weights : Pointer
        A row of `padded` elements for each input, and one of the bias.
    rows : Value
        A multiple of `ROWS`.
    out : Pointer
        Rows of `padded` elements.
    """
    code = x.code
    with code.loop(rows, step=ROWS) as r, code.loop(padded, step=2 * code.count) as f:
        layer = weights + f
        bias = layer + inputs * padded
        start = (bias.load(0, "v"), bias.load(code.count, "v"))
        made = affine(layer, padded, inputs, x + r * row, (row, 1), [start] * ROWS)
        for number, (a, b) in enumerate(made):
            place = out + ((r + number) * padded + f)
            place.store(0, a)
            place.store(code.count, b)


def transposed(rows: Sequence[Value]) -> list[Value]:
    """Return the columns of four vectors of four: lane k of each of them in the vector k."""
    code, kind = rows[0].code, rows[0].kind
    shuffle, indices = code.builder.shuffle_vector, code.indices
    made = [each.made for each in rows]
    pairs = [
        shuffle(made[k], made[k + 1], indices(mask))
        for mask in ((0, 4, 1, 5), (2, 6, 3, 7))
        for k in (0, 2)
    ]
    halves = ((0, 1, 4, 5), (2, 3, 6, 7))
    out = [shuffle(pairs[k], pairs[k + 1], indices(mask)) for k in (0, 2) for mask in halves]
    return [Value(code, each, kind) for each in out]
