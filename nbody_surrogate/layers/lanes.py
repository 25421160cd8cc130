"""Vectors of a processor's register as numbers of compiled code.

Numba leaves it to the compiler to find vectors in loops, which it does for simple ones only. Here a
vector is a value: `load` makes one of neighbouring elements of an array, arithmetic acts on all
lanes alike, `store` writes it back. So code says what stays in registers, and every lane is
computed as it would be alone: the bits do not depend on what its neighbours are.

The arrays have one dimension, are contiguous and of float32 or float64. Nobody checks an index.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, signature
from numba.extending import intrinsic, lower_builtin, register_model

__all__ = [
    "CONTRACT",
    "REGISTER",
    "Lanes",
    "absolute",
    "lanes_of",
    "llvm_function",
    "load",
    "maximum",
    "minimum",
    "spread",
    "sqrt",
    "store",
    "total",
]

types: Any = numba.types

REGISTER = 32
"""Bytes of a vector: the width of AVX2. Where registers are half as wide, it takes two."""

CONTRACT = ("contract",)
"""What the compiler may do to sums: join a product with the sum that it is part of, and nothing
else. Order stays, and NaN and infinity stay what they are."""


def lanes_of(dtype: Any) -> int:
    """Return how many elements of a dtype a vector has.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Returns
    -------
    int
    """
    import numpy as np

    return REGISTER // int(np.dtype(dtype).itemsize)


class Lanes(types.Type):  # type: ignore[misc]
    """The type of a vector in compiled code.

    Parameters
    ----------
    element : numba type
        float32 or float64.
    """

    def __init__(self, element: Any) -> None:
        self.element = element
        self.count = 8 * REGISTER // int(element.bitwidth)
        super().__init__(name=f"Lanes({element})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, _vector(kind))


def _vector(kind: Lanes) -> Any:
    element = ir.FloatType() if kind.element == types.float32 else ir.DoubleType()
    return ir.VectorType(element, kind.count)


def _splat(builder: Any, kind: Lanes, value: Any) -> Any:
    """Put one element in all lanes."""
    vector = _vector(kind)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


# Arithmetic: of two vectors, or of a vector and a number


def _lanes_in(arguments: tuple[Any, ...]) -> Lanes | None:
    """Return the type of the vectors among arguments, where the others are numbers."""
    found = next((each for each in arguments if isinstance(each, Lanes)), None)
    fits = all(each == found or isinstance(each, (types.Float, types.Integer)) for each in arguments)
    return found if fits else None


def _as_lanes(context: Any, builder: Any, kind: Lanes, given: Any, value: Any) -> Any:
    if given == kind:
        return value
    return _splat(builder, kind, context.cast(builder, value, given, kind.element))


def _define(operation: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    """Give two vectors, or a vector and a number, an operation."""

    class Typed(AbstractTemplate):  # type: ignore[misc]
        key = operation

        def generic(self, args: Any, kws: Any) -> Any:
            kind = _lanes_in(args) if len(args) == 2 else None
            return None if kind is None else signature(kind, *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.return_type
        pairs = zip(sig.args, args, strict=True)
        return emit(builder, *(_as_lanes(context, builder, kind, *each) for each in pairs))

    numba.core.typing.templates.infer_global(operation)(Typed)
    for arguments in (
        (Lanes, Lanes),
        (Lanes, types.Float),
        (types.Float, Lanes),
        (Lanes, types.Integer),
        (types.Integer, Lanes),
    ):
        lower_builtin(operation, *arguments)(lower)


_define(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=CONTRACT))
_define(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=CONTRACT))
_define(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=CONTRACT))
_define(operator.truediv, lambda builder, a, b: builder.fdiv(a, b, flags=CONTRACT))


def _lesser(builder: Any, a: Any, b: Any) -> Any:
    # of b where it is no number: what is not finite must be found in the end
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _greater(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def minimum(a: Any, b: Any) -> Any:
    """Return the lesser of two in each lane, in compiled code; `b` where either is no number."""
    raise NotImplementedError("of compiled code")


def maximum(a: Any, b: Any) -> Any:
    """Return the greater of two in each lane, in compiled code; `b` where either is no number."""
    raise NotImplementedError("of compiled code")


_define(minimum, _lesser)
_define(maximum, _greater)


# Memory


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


def _load(typing_context: Any, array: Any, index: Any) -> Any:
    kind = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, array, *values)
        place = builder.bitcast(place, _vector(kind).as_pointer())
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp), generate


def _spread(typing_context: Any, array: Any, index: Any) -> Any:
    kind = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, array, *values)
        return _splat(builder, kind, builder.load(place))

    return kind(array, types.intp), generate


def _store(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, array, *values[:2])
        place = builder.bitcast(place, _vector(lanes).as_pointer())
        builder.store(values[2], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


load: Any = intrinsic(_load)
"""``load(array, index)``: the vector of the elements from an index on."""

spread: Any = intrinsic(_spread)
"""``spread(array, index)``: a vector that has one element of an array in all lanes."""

store: Any = intrinsic(_store)
"""``store(array, index, lanes)``: write a vector to the elements from an index on."""


# Across lanes


def _total(typing_context: Any, lanes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # halves onto each other: an order that is fixed, and few steps
        value, count = values[0], lanes.count
        while count > 1:
            count //= 2
            halves = [
                builder.shuffle_vector(value, value, _indices(range(first, first + count)))
                for first in (0, count)
            ]
            value = builder.fadd(*halves)
        return builder.extract_element(value, ir.IntType(32)(0))

    return lanes.element(lanes), generate


def _indices(which: range) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(which)), list(which))


total: Any = intrinsic(_total)
"""``total(lanes)``: the sum over the lanes, a number."""


# Functions that every processor has


def llvm_function(builder: Any, name: str, kind: Lanes, value: Any) -> Any:
    """Emit a call of a function of LLVM, such as ``sqrt``, on a vector."""
    vector = _vector(kind)
    element = "f32" if kind.element == types.float32 else "f64"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector]),
        f"llvm.{name}.v{kind.count}{element}",
    )
    return builder.call(function, [value])


def _function(name: str) -> Any:
    def typed(typing_context: Any, lanes: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return llvm_function(builder, name, lanes, values[0])

        return lanes(lanes), generate

    return intrinsic(typed)


sqrt: Any = _function("sqrt")
"""``sqrt(lanes)``, correctly rounded."""

absolute: Any = _function("fabs")
"""``absolute(lanes)``."""
