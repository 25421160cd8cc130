"""Exponentials and logarithms of vectors in compiled code, by polynomials of a known error.

The largest relative errors, over all arguments and including rounding; tests hold them to it:

==========  ==========  ==========
function    float32     float64
==========  ==========  ==========
`exp`       1.2e-7      2.3e-16
`log`       1.2e-7      2.3e-16
`log1p`     2.4e-7      6e-16
`silu`      2.4e-7      6e-16
==========  ==========  ==========

That of `log` is relative to the larger of 1 and its value. The arguments of `exp` are held within
the range whose results are normal numbers. What is not a number stays that.
"""

from __future__ import annotations

import math
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic, register_jitable

from nbody_surrogate.layers.lanes import CONTRACT

__all__ = ["exp", "log", "log1p", "silu"]

types: Any = numba.types

LN2 = math.log(2.0)
LN2_REST = 2.3190468138462996e-17  # what float64 leaves of it


class _Emit:
    """Arithmetic of vectors with constants."""

    def __init__(self, context: Any, builder: Any, lanes: Any) -> None:
        self.builder = builder
        self.double = lanes.element == types.float64
        self.vector = context.get_value_type(lanes)
        self.integers = ir.VectorType(ir.IntType(64 if self.double else 32), lanes.count)
        self.mantissa = 52 if self.double else 23

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * self.vector.count)

    def integer(self, value: int) -> Any:
        return ir.Constant(self.integers, [value] * self.integers.count)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=CONTRACT)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=CONTRACT)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=CONTRACT)

    def polynomial(self, x: Any, coefficients: list[float]) -> Any:
        """Horner's scheme; the coefficient of the highest power comes first."""
        value = self.constant(coefficients[0])
        for each in coefficients[1:]:
            value = self.add(self.mul(value, x), self.constant(each))
        return value

    def bits(self, x: Any) -> Any:
        return self.builder.bitcast(x, self.integers)

    def number(self, bits: Any) -> Any:
        return self.builder.bitcast(bits, self.vector)

    @property
    def ln2(self) -> tuple[float, float]:
        """Two parts of log 2; products of the first with whole numbers are exact."""
        digits = 32 if self.double else 12
        high = math.ldexp(round(math.ldexp(LN2, digits)), -digits)
        return high, LN2 - high + LN2_REST


def _exp(typing_context: Any, lanes: Any) -> Any:
    """e^x = 2^n e^r with |r| <= log(2) / 2, where e^r is a sum of powers."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        emit, (x,) = _Emit(context, builder, lanes), values
        low, high = (-708.0, 709.0) if emit.double else (-87.0, 88.0)
        x = builder.select(builder.fcmp_ordered(">", x, emit.constant(high)), emit.constant(high), x)
        x = builder.select(builder.fcmp_ordered("<", x, emit.constant(low)), emit.constant(low), x)
        # added to this, a number has its nearest whole one in its last bits
        magic = emit.constant(1.5 * 2.0**emit.mantissa)
        shifted = emit.add(emit.mul(x, emit.constant(1.0 / LN2)), magic)
        n = emit.sub(shifted, magic)
        for part in emit.ln2:
            x = emit.sub(x, emit.mul(n, emit.constant(part)))
        order = 13 if emit.double else 7
        p = emit.polynomial(x, [1.0 / math.factorial(k) for k in range(order, -1, -1)])
        power = builder.shl(emit.bits(shifted), emit.integer(emit.mantissa))
        return emit.number(builder.add(emit.bits(p), power))

    return lanes(lanes), generate


def _log(typing_context: Any, lanes: Any) -> Any:
    """log x = e log 2 + 2 artanh((m - 1) / (m + 1)) with x = 2^e m, m from sqrt(1/2) to sqrt(2)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        emit, (x,) = _Emit(context, builder, lanes), values
        half = 0x3FE6A09E667F3BCD if emit.double else 0x3F3504F3  # the bits of sqrt(1/2)
        bits = builder.sub(emit.bits(x), emit.integer(half))
        exponent = builder.ashr(bits, emit.integer(emit.mantissa))
        kept = builder.and_(bits, emit.integer(2**emit.mantissa - 1))
        m = emit.number(builder.add(kept, emit.integer(half)))
        one = emit.constant(1.0)
        f = builder.fdiv(emit.sub(m, one), emit.add(m, one))
        terms = 11 if emit.double else 5
        series = emit.polynomial(
            emit.mul(f, f), [2.0 / (2 * k + 1) for k in range(terms - 1, -1, -1)]
        )
        e = builder.sitofp(exponent, emit.vector)
        high, low = emit.ln2
        found = emit.add(emit.mul(f, series), emit.mul(e, emit.constant(low)))
        found = emit.add(found, emit.mul(e, emit.constant(high)))
        # bits of what is no number would give one: x + x is none then, and infinite where x is
        finite = builder.fcmp_ordered("<", x, emit.constant(1.7e308 if emit.double else 3.3e38))
        return builder.select(finite, found, builder.fadd(x, x))

    return lanes(lanes), generate


exp: Any = intrinsic(_exp)
"""``exp(lanes)``; arguments beyond what normal numbers can be are taken as their limits."""

log: Any = intrinsic(_log)
"""``log(lanes)`` of positive normal numbers."""


@register_jitable
def log1p(y: Any) -> Any:
    """log(1 + y) of vectors that are not negative, in compiled code."""
    u = y + 1.0
    # what rounding took from u, divided by u: the first order of what it took from the logarithm
    return log(u) + (y - (u - 1.0)) / u


@register_jitable
def silu(x: Any) -> Any:
    """x / (1 + e^(-x)) of vectors, in compiled code."""
    return x / (exp(0.0 - x) + 1.0)
