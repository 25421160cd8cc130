"""Numbers with a rate of change, in numba: what differentiates a law while it is evaluated.

A dual number stands for ``value + rate e`` with e^2 = 0. A law that is handed one for the squared
distance, its rate the rate at which that changes, returns force and rate of force: the chain rule,
term by term, exact but for rounding. It needs no second formula from a law's author. Laws are
written with arithmetic, powers, comparisons, ``sqrt`` and ``where``, and so many are known here.

In compiled code a dual number is two registers, and a loop over pairs still uses vectors.

References
----------
Griewank and Walther, "Evaluating Derivatives" (2008), chapter 3, the forward mode.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import (
    intrinsic,
    make_attribute_wrapper,
    models,
    overload,
    register_jitable,
    register_model,
)

from nbody_simulators.kernels.known_laws import factory_of

__all__ = ["differentiable_law", "dual", "rate_of", "value_of"]


class DualType(types.Type):
    """Numba's type of a dual number, of two float64."""

    def __init__(self) -> None:
        super().__init__(name="nbody_simulators.Dual")


DUAL = DualType()


@register_model(DualType)
class _DualModel(models.StructModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        members = [("value", types.float64), ("rate", types.float64)]
        super().__init__(manager, kind, members)  # type: ignore[no-untyped-call]


make_attribute_wrapper(DualType, "value", "value")
make_attribute_wrapper(DualType, "rate", "rate")


def _dual(typing_context: Any, value: Any, rate: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        proxy: Any = cgutils.create_struct_proxy  # which has no types
        made = proxy(DUAL)(context, builder)
        made.value, made.rate = arguments
        return made._getvalue()

    return DUAL(types.float64, types.float64), generate


dual: Any = intrinsic(_dual)
"""Make a dual number of two float64, in compiled code."""


def value_of(number: Any) -> Any:
    """Stand for the value of a number, dual or not, in compiled code."""


def rate_of(number: Any) -> Any:
    """Stand for the rate of a number in compiled code: what is not dual does not change."""


def where(condition: Any, yes: Any, no: Any) -> Any:
    """Stand for a choice of numbers, dual or not, in compiled code."""


@overload(value_of, strict=False)
def _value_of(number: Any) -> Any:
    return (lambda number: number.value) if number is DUAL else (lambda number: number + 0.0)


@overload(rate_of, strict=False)
def _rate_of(number: Any) -> Any:
    return (lambda number: number.rate) if number is DUAL else (lambda number: 0.0)


@overload(where, strict=False)
def _where(condition: Any, yes: Any, no: Any) -> Any:
    if DUAL not in (yes, no):
        return lambda condition, yes, no: yes if condition else no

    def choose(condition: Any, yes: Any, no: Any) -> Any:
        # all are numbers already, so that no branch is left to take
        value = value_of(yes) if condition else value_of(no)
        return dual(value, rate_of(yes) if condition else rate_of(no))

    return choose


def _overload(
    operations: tuple[Callable[..., Any], ...],
    both: Any = None,
    first: Any = None,
    second: Any = None,
) -> None:
    """Teach numba an operation: of two dual numbers, or with only the first, or the second, dual.

    Three formulas, as a constant is not a dual number of rate 0: 0 times an infinite derivative
    would be no number.
    """

    def chosen(a: Any, b: Any) -> Any:
        if a is DUAL and b is DUAL:
            return both
        if a is DUAL and isinstance(b, types.Number):
            return first
        return second if b is DUAL and isinstance(a, types.Number) else None

    for operation in operations:
        overload(operation, strict=False)(chosen)


_overload(
    (operator.add, operator.iadd),
    lambda a, b: dual(a.value + b.value, a.rate + b.rate),
    lambda a, b: dual(a.value + b, a.rate),
    lambda a, b: dual(a + b.value, b.rate),
)
_overload(
    (operator.sub, operator.isub),
    lambda a, b: dual(a.value - b.value, a.rate - b.rate),
    lambda a, b: dual(a.value - b, a.rate),
    lambda a, b: dual(a - b.value, -b.rate),
)
_overload(
    (operator.mul, operator.imul),
    lambda a, b: dual(a.value * b.value, a.value * b.rate + a.rate * b.value),
    lambda a, b: dual(a.value * b, a.rate * b),
    lambda a, b: dual(a * b.value, a * b.rate),
)


def _quotient(a: Any, b: Any) -> Any:
    value = a.value / b.value
    return dual(value, (a.rate - value * b.rate) / b.value)


def _inverse(a: Any, b: Any) -> Any:
    value = a / b.value
    # of a = 1 the same division once more, which the compiler does not do twice
    return dual(value, -value * b.rate * (1.0 / b.value))


def _power(a: Any, b: Any) -> Any:
    return dual(a.value**b, b * a.value ** (b - 1) * a.rate)


def _exponential(a: Any, b: Any) -> Any:
    value = a**b.value
    return dual(value, value * math.log(a) * b.rate)


_overload(
    (operator.truediv, operator.itruediv),
    _quotient,
    lambda a, b: dual(a.value / b, a.rate / b),
    _inverse,
)
_overload((operator.pow, operator.ipow), first=_power, second=_exponential)
for _comparison in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
    _overload(
        (_comparison,),
        (lambda compare: lambda a, b: compare(a.value, b.value))(_comparison),
        (lambda compare: lambda a, b: compare(a.value, b))(_comparison),
        (lambda compare: lambda a, b: compare(a, b.value))(_comparison),
    )


@overload(operator.neg, strict=False)
def _negative(a: Any) -> Any:
    return (lambda a: dual(-a.value, -a.rate)) if a is DUAL else None


@overload(operator.pos, strict=False)
def _positive(a: Any) -> Any:
    return (lambda a: a) if a is DUAL else None


@overload(abs, strict=False)
def _magnitude(a: Any) -> Any:
    return (lambda a: a if a.value >= 0.0 else -a) if a is DUAL else None


@overload(math.sqrt, strict=False)
def _root(x: Any) -> Any:
    def root(x: Any) -> Any:
        value = math.sqrt(x.value)
        return dual(value, 0.5 * x.rate / value)

    return root if x is DUAL else None


_laws: dict[type, Callable[..., Any]] = {}


def differentiable_law(kind: type) -> Callable[..., Any] | None:
    """Return the law that a class of parameters stands for, to be called with dual numbers."""
    if kind not in _laws and (factory := factory_of(kind)) is not None:
        # in place, so that the energy, which has no rate that anybody asks for, is left out
        inlined = register_jitable(forceinline=True)
        _laws.setdefault(kind, inlined(factory(math.sqrt, where)))
    return _laws.get(kind)
