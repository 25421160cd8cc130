"""Calls through addresses, in compiled code.

A solver that calls a system's forces through an address is compiled once, whatever the law.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

__all__ = ["call_force_rates", "call_pair_force", "call_right_hand_side"]

types: Any = numba.types
DOUBLE, LONG, NOTHING = ir.DoubleType(), ir.IntType(64), ir.VoidType()
POINTER = DOUBLE.as_pointer()


def _called(builder: Any, arguments: Any, kind: Any) -> Any:
    """Call the function at the first of the arguments with the rest of them."""
    function = builder.inttoptr(arguments[0], kind.as_pointer())
    given = [
        builder.inttoptr(value, wanted) if isinstance(wanted, ir.PointerType) else value
        for value, wanted in zip(arguments[1:], kind.args, strict=True)
    ]
    return builder.call(function, given)


def _right_hand_side(
    typing_context: Any, address: Any, rate: Any, t: Any, state: Any, arguments: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(NOTHING, [POINTER, DOUBLE, POINTER, POINTER])
        _called(builder, values, kind)
        return context.get_dummy_value()

    intp = types.intp
    return types.void(intp, intp, types.float64, intp, intp), generate


def _pair_force(typing_context: Any, address: Any, i: Any, j: Any, r2: Any, arguments: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _called(builder, values, ir.FunctionType(DOUBLE, [LONG, LONG, DOUBLE, POINTER]))

    intp = types.intp
    return types.float64(intp, types.int64, types.int64, types.float64, intp), generate


def _force_rates(
    typing_context: Any,
    address: Any,
    vectors: Any,
    lists: Any,
    active: Any,
    count: Any,
    arguments: Any,
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = [POINTER, POINTER, LONG.as_pointer(), LONG, POINTER]
        _called(builder, values, ir.FunctionType(NOTHING, given))
        return context.get_dummy_value()

    intp = types.intp
    return types.void(intp, intp, intp, intp, types.int64, intp), generate


call_force_rates: Any = intrinsic(_force_rates)
"""Call ``f(vectors, lists, active, count, arguments)`` at an address; see `force_rates`."""

call_right_hand_side: Any = intrinsic(_right_hand_side)
"""Call ``f(rate, t, state, arguments)`` at an address; all but t are addresses of float64."""

call_pair_force: Any = intrinsic(_pair_force)
"""Call ``f(i, j, r2, arguments)`` at an address; the arguments are one of float64."""
