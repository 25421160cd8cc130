"""Blocks of compiled code for the steps of a surrogate, without torch.

What `AbstractSurrogate.fused_steps` is written with: vectors (`lanes`), their functions
(`lane_functions`), rows of features through linear layers, an external field by its address, and
trajectories spread over threads. This module imports numba; `nbody_surrogate.layers` does not.

Rows of features are arrays of one dimension. A row has a multiple of `padding` elements, of which
those after the last feature are 0, and the number of rows is a multiple of `ROWS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic, register_jitable

from nbody_surrogate.contracts.force_laws import FieldLaw
from nbody_surrogate.layers.lane_functions import exp, log, log1p, silu
from nbody_surrogate.layers.lanes import (
    Lanes,
    absolute,
    lanes_of,
    load,
    maximum,
    minimum,
    spread,
    sqrt,
    store,
    total,
)

__all__ = [
    "ROWS",
    "Lanes",
    "absolute",
    "affine_rows",
    "call_field",
    "exp",
    "field_address",
    "lanes_of",
    "load",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "over_trajectories",
    "packed",
    "padding",
    "silu",
    "spread",
    "sqrt",
    "store",
    "total",
]

types: Any = numba.types
ROWS = 4
"""Rows that are worked on together: with two vectors of each, sums stay in registers."""


def padding(dtype: Any) -> int:
    """Return what the length of a row is a multiple of: two vectors.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Returns
    -------
    int
    """
    return 2 * lanes_of(dtype)


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


@register_jitable(error_model="numpy")
def affine_rows(
    x: Any, inputs: int, row: int, weights: Any, at: int, padded: int, lanes: int, rows: int, out: Any
) -> None:
    """Map rows through a linear layer, in compiled code.

    Parameters
    ----------
    x : ndarray
        Rows of `row` elements, of which the first `inputs` count.
    weights : ndarray
        As of `packed`, from the element `at` on.
    padded, lanes : int
        Length of a row of the result, and elements of a vector.
    rows : int
        A multiple of `ROWS`.
    out : ndarray
        Rows of `padded` elements, written.
    """
    bias = at + inputs * padded
    for r in range(0, rows, 4):
        for f in range(0, padded, 2 * lanes):
            a0, b0 = load(weights, bias + f), load(weights, bias + f + lanes)
            a1, a2, a3, b1, b2, b3 = a0, a0, a0, b0, b0, b0
            place, first = at + f, r * row
            for i in range(first, first + inputs):
                u, w = load(weights, place), load(weights, place + lanes)
                y = spread(x, i)
                a0, b0 = a0 + y * u, b0 + y * w
                y = spread(x, i + row)
                a1, b1 = a1 + y * u, b1 + y * w
                y = spread(x, i + 2 * row)
                a2, b2 = a2 + y * u, b2 + y * w
                y = spread(x, i + 3 * row)
                a3, b3 = a3 + y * u, b3 + y * w
                place += padded
            to = r * padded + f
            store(out, to, a0)
            store(out, to + lanes, b0)
            store(out, to + padded, a1)
            store(out, to + padded + lanes, b1)
            store(out, to + 2 * padded, a2)
            store(out, to + 2 * padded + lanes, b2)
            store(out, to + 3 * padded, a3)
            store(out, to + 3 * padded + lanes, b3)


# External fields


def _call(typing_context: Any, address: Any, given: Any, made: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        double = ir.DoubleType().as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [double, double])
        function = builder.inttoptr(values[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(each, double) for each in values[1:]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


call_field: Any = intrinsic(_call)
"""``call_field(address, given, made)`` in compiled code: a field that `field_address` made.

`given` and `made` are addresses of float64: x, v, of three components each, the charge and the
mass; and the three components of the acceleration.
"""


@lru_cache(maxsize=64)
def _field_function(law: FieldLaw) -> Any:
    formula, parameters = law.factory(math.sqrt, _where), law.parameters
    if not hasattr(formula, "py_func"):
        formula = register_jitable(formula)

    def field(given: Any, made: Any) -> None:
        y, out = numba.carray(given, 8), numba.carray(made, 3)
        a, _ = formula(parameters, (y[0], y[1], y[2]), (y[3], y[4], y[5]), y[6], y[7])
        out[0], out[1], out[2] = a[0], a[1], a[2]

    pointer = types.CPointer(types.float64)
    return numba.cfunc(types.void(pointer, pointer), error_model="numpy")(field)


@register_jitable
def _where(condition: bool, yes: float, no: float) -> float:
    return yes if condition else no


def field_address(law: FieldLaw | None) -> int:
    """Compile the law of an external field, and return its address for `call_field`; 0 for none.

    Parameters
    ----------
    law : FieldLaw or None

    Returns
    -------
    int
    """
    return 0 if law is None else int(_field_function(law).address)


# Threads


def over_trajectories(work: Callable[[int, int], None], batch: int, threads: int) -> None:
    """Call compiled code that releases the interpreter's lock on ranges of a batch.

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
