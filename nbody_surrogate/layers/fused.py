"""Code that was made for the processor, compiled: for the steps of a surrogate without torch.

`AbstractSurrogate.fused_steps` may be written with it: `layers.code` says what there is to do,
`layers.code_functions` has exponentials and layers, and what stands here compiles it, keeps it on
disk as numba does, and calls it. This module imports numba; `nbody_surrogate.layers` does not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic, register_jitable

from nbody_surrogate.layers.code import INTEGER, Code, Pointer, Value

__all__ = [
    "emitted",
    "emitted_by_number",
    "field_address",
    "over_trajectories",
    "packed",
    "padding",
    "source_number",
]

types: Any = numba.types
carray: Any = numba.carray  # type: ignore[attr-defined]

Emit = Callable[[Code, Pointer, Value, Value], None]


class Law(Protocol):
    """The law of a field, as `contracts.FieldLaw` is."""

    def __hash__(self) -> int: ...

    @property
    def parameters(self) -> tuple[float, ...]: ...

    @property
    def factory(self) -> Callable[..., Callable[..., Any]]: ...


def padding(dtype: Any) -> int:
    """Return what the length of a row of features is a multiple of: two vectors.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Returns
    -------
    int
    """
    return 64 // int(np.dtype(dtype).itemsize)


def packed(weight: np.ndarray, bias: np.ndarray | None, dtype: Any) -> np.ndarray:
    """Lay out a linear layer for `affine_rows`: an input a row, and the bias as the last one.

    Parameters
    ----------
    weight : ndarray, shape (out, in)
        As torch keeps it.
    bias : ndarray, shape (out,), or None
    dtype : dtype

    Returns
    -------
    ndarray, shape ((in + 1) * padded,)
        Of the dtype; padded is the length of a row.
    """
    out, inputs = weight.shape
    padded = -(-out // padding(dtype)) * padding(dtype)
    made = np.zeros((inputs + 1, padded), dtype)
    made[:-1, :out] = weight.T
    if bias is not None:
        made[-1, :out] = bias
    return made.ravel()


def emitted(emit: Emit) -> Any:
    """Return ``f(like, table, begin, end)`` for compiled code that calls what `emit` makes.

    The code is made for the precision of `like`, an array; `table` is an array of int64 whose
    place `emit` is handed, and with it `begin` and `end`.

    Parameters
    ----------
    emit : callable
        Takes a `Code`, a `Pointer` and two `Value`.

    Returns
    -------
    intrinsic
        To be called in a function that ``numba.njit(cache=True, nogil=True)`` compiles.
    """

    def typed(typing_context: Any, like: Any, table: Any, begin: Any, end: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            function = _function(builder.module, emit, like.dtype == types.float64)
            data = context.make_array(table)(context, builder, values[1]).data
            builder.call(function, [data, *values[2:]])
            return context.get_dummy_value()

        return types.void(like, table, types.intp, types.intp), generate

    return intrinsic(typed)


def emitted_by_number(emit_of: Callable[[int], Emit]) -> Any:
    """Return ``f(like, table, begin, end, number)`` for code that differs with a whole number.

    The number is a constant of the function that calls it, such as a free variable. Numba knows
    what it keeps on disk by the free variables of a function: a number is the same in every
    process, which what `emitted` returns is not, so that stands at the top of a module only.

    Parameters
    ----------
    emit_of : callable
        Takes the number, and returns what `emitted` takes.

    Returns
    -------
    intrinsic
        As that of `emitted`; a function that calls it more than once has its code once.
    """

    def typed(typing_context: Any, like: Any, table: Any, begin: Any, end: Any, number: Any) -> Any:
        if not isinstance(number, types.IntegerLiteral):
            return None
        value = number.literal_value

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            name = f"{emit_of.__module__}.{emit_of.__qualname__}.{value}"
            double = like.dtype == types.float64
            function = _function(builder.module, emit_of(value), double, name)
            data = context.make_array(table)(context, builder, values[1]).data
            builder.call(function, [data, *values[2:4]])
            return context.get_dummy_value()

        return types.void(like, table, types.intp, types.intp, number), generate

    return intrinsic(prefer_literal=True)(typed)


def source_number(*modules: ModuleType) -> int:
    """Return a number that another text of modules does not have.

    Numba keeps what it compiled under the file and the free variables of a function, and does not
    see when code that the function calls is another. A function that has this number among its free
    variables is compiled anew then.

    Parameters
    ----------
    *modules : module

    Returns
    -------
    int
    """
    texts = (Path(str(module.__file__)).read_bytes() for module in modules)
    return int.from_bytes(hashlib.sha256(b"".join(texts)).digest()[:7], "little")


def _function(module: Any, emit: Emit, double: bool, known_as: str | None = None) -> Any:
    """Write the function into a module, unless the one that is known by a name is there."""
    name = f"{known_as or emit.__module__}.{double}"
    if known_as is not None and name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [INTEGER.as_pointer(), INTEGER, INTEGER])
    function = ir.Function(module, kind, module.get_unique_name(name))
    function.linkage = "internal"
    function.attributes.add("noinline")
    entry = function.append_basic_block("entry")
    builder = ir.IRBuilder(entry)
    begin = builder.append_basic_block("begin")
    builder.position_at_end(begin)
    code = Code(builder, double)
    table, first, last = function.args
    emit(code, Pointer(code, table, "i"), Value(code, first, "i"), Value(code, last, "i"))
    builder.ret_void()
    builder.position_at_end(entry)  # which by now has all places of variables
    builder.branch(begin)
    return function


@lru_cache(maxsize=64)
def _field_function(law: Law) -> Any:
    formula, parameters = law.factory(math.sqrt, _where), law.parameters
    if not hasattr(formula, "py_func"):
        formula = register_jitable(formula)

    def field(given: Any, made: Any) -> None:
        y, out = carray(given, 8), carray(made, 3)
        a, _ = formula(parameters, (y[0], y[1], y[2]), (y[3], y[4], y[5]), y[6], y[7])
        out[0], out[1], out[2] = a[0], a[1], a[2]

    pointer = types.CPointer(types.float64)
    return numba.cfunc(types.void(pointer, pointer), error_model="numpy")(field)


@register_jitable
def _where(condition: bool, yes: float, no: float) -> float:
    return yes if condition else no


def field_address(law: Law | None) -> int:
    """Compile the law of an external field, and return its address for `Code.call`; 0 for none.

    Parameters
    ----------
    law : contracts.FieldLaw or None

    Returns
    -------
    int
        Of a function of two places of float64: x, v, of three components each, the charge and the
        mass; and the three components of the acceleration, which it writes.
    """
    return 0 if law is None else int(_field_function(law).address)


def over_trajectories(work: Callable[[int, int], None], batch: int, threads: int) -> None:
    """Call code that releases the interpreter's lock on ranges of a batch.

    Parameters
    ----------
    work : callable
        Takes the first trajectory and the one after the last.
    batch, threads : int
    """
    threads = min(threads, batch)
    if threads <= 1:
        work(0, batch)
        return
    bounds = [batch * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
