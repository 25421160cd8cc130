"""Sums of cardinal cubic B-splines inside of laws, for any number of coefficients.

A law's parameters are one flat named tuple of floats. Compiled code takes a number out of it at no
cost where its place is a constant, and by a search where it is not, as in a loop. So sums are put
together from functions of eight terms each, whose places are constants of those functions.

Compiled code has all of them put in place where they are called: only then do loops over pairs use
vectors, and only then is what nobody asks for left out, such as energies where forces are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["BLOCK", "Function", "in_place", "splines_in", "steps_in"]

BLOCK = 8
"""Terms of one function; numbers of coefficients are multiples of it."""

Function = Callable[..., Any]


def in_place(sqrt: Function) -> Callable[[Function], Function]:
    """Return what makes a function one that a law with this root may call."""
    if sqrt is not math.sqrt:  # NumPy and torch call any function
        return lambda function: function
    from numba.extending import register_jitable

    wrap: Callable[[Function], Function] = register_jitable(forceinline=True)
    return wrap


def splines_in(place: int, size: int, sqrt: Function, where: Function) -> Function:
    """Return ``f(p, s)``, the sum of p[place + k] B(s - k) over k < `size`.

    B(s) = ((2 - |s|)_+^3 - 4 (1 - |s|)_+^3) / 6.
    """
    wrap = in_place(sqrt)

    def hump(s: Any) -> Any:
        outer = 2.0 - abs(s)
        outer = where(outer > 0.0, outer, 0.0)
        inner = where(outer > 1.0, outer - 1.0, 0.0)
        return outer * outer * outer - 4.0 * (inner * inner * inner)

    hump = wrap(hump)

    def block(first: int) -> Function:
        i, shift = place + first, float(first)
        j, k, m, n = i + 1, i + 2, i + 3, i + 4
        a, b, c = i + 5, i + 6, i + 7

        def eight(p: Any, s: Any) -> Any:
            t = s - shift
            left = p[i] * hump(t) + p[j] * hump(t - 1.0) + p[k] * hump(t - 2.0)
            right = p[m] * hump(t - 3.0) + p[n] * hump(t - 4.0) + p[a] * hump(t - 5.0)
            return left + right + p[b] * hump(t - 6.0) + p[c] * hump(t - 7.0)

        return wrap(eight)

    def plus(before: Function, after: Function) -> Function:
        return wrap(lambda p, s: before(p, s) + after(p, s))

    total = block(0)
    for first in range(BLOCK, size, BLOCK):
        total = plus(total, block(first))
    return wrap(lambda p, s: total(p, s) * (1.0 / 6.0))


def steps_in(place: int, size: int, sqrt: Function, where: Function) -> Function:
    """Return ``f(p, s)``: the first whole number above s, of 1 to `size`, and its number in p.

    That of 1 stands at `place`. Above `size` it is 0, and 0.
    """
    wrap = in_place(sqrt)

    def block(first: int) -> Function:
        i, shift = place + first, float(first)
        j, k, m, n = i + 1, i + 2, i + 3, i + 4
        a, b, c = i + 5, i + 6, i + 7

        def eight(p: Any, s: Any, edge: Any, value: Any) -> Any:
            t = s - shift  # from the last of them, as the first that is above s is to stay
            edge, value = where(t < 8.0, shift + 8.0, edge), where(t < 8.0, p[c], value)
            edge, value = where(t < 7.0, shift + 7.0, edge), where(t < 7.0, p[b], value)
            edge, value = where(t < 6.0, shift + 6.0, edge), where(t < 6.0, p[a], value)
            edge, value = where(t < 5.0, shift + 5.0, edge), where(t < 5.0, p[n], value)
            edge, value = where(t < 4.0, shift + 4.0, edge), where(t < 4.0, p[m], value)
            edge, value = where(t < 3.0, shift + 3.0, edge), where(t < 3.0, p[k], value)
            edge, value = where(t < 2.0, shift + 2.0, edge), where(t < 2.0, p[j], value)
            edge, value = where(t < 1.0, shift + 1.0, edge), where(t < 1.0, p[i], value)
            return edge, value

        return wrap(eight)

    def then(before: Function, after: Function) -> Function:
        def both(p: Any, s: Any, edge: Any, value: Any) -> Any:
            edge, value = before(p, s, edge, value)
            return after(p, s, edge, value)

        return wrap(both)

    firsts = range(0, size, BLOCK)[::-1]
    found = block(firsts[0])
    for first in firsts[1:]:
        found = then(found, block(first))
    return wrap(lambda p, s: found(p, s, 0.0, 0.0))
