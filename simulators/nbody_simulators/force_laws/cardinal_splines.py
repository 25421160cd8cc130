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

__all__ = ["BLOCK", "Function", "basis_in", "in_place", "rows_in", "splines_in", "steps_in"]

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


def hump_in(sqrt: Function, where: Function) -> Function:
    """Return ``f(s)``, 6 B(s)."""

    def hump(s: Any) -> Any:
        outer = 2.0 - abs(s)
        outer = where(outer > 0.0, outer, 0.0)
        inner = where(outer > 1.0, outer - 1.0, 0.0)
        return outer * outer * outer - 4.0 * (inner * inner * inner)

    return in_place(sqrt)(hump)


def splines_in(place: int, size: int, sqrt: Function, where: Function) -> Function:
    """Return ``f(p, s)``, the sum of p[place + k] B(s - k) over k < `size`.

    B(s) = ((2 - |s|)_+^3 - 4 (1 - |s|)_+^3) / 6.
    """
    wrap, hump = in_place(sqrt), hump_in(sqrt, where)

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
    # torch makes single precision of two numbers, where it is to choose between them
    return wrap(lambda p, s: found(p, s, 0.0 * s, 0.0 * s))


def basis_in(size: int, sqrt: Function, where: Function) -> Function:
    """Return ``f(s)``, the tuple of B(s - k) for k < `size`."""
    wrap, hump = in_place(sqrt), hump_in(sqrt, where)

    def block(first: int) -> Function:
        shift = float(first)

        def eight(s: Any) -> Any:
            t = s - shift
            left = hump(t) / 6.0, hump(t - 1.0) / 6.0, hump(t - 2.0) / 6.0, hump(t - 3.0) / 6.0
            t = t - 4.0
            right = hump(t) / 6.0, hump(t - 1.0) / 6.0, hump(t - 2.0) / 6.0, hump(t - 3.0) / 6.0
            return left + right

        return wrap(eight)

    def then(before: Function, after: Function) -> Function:
        return wrap(lambda s: before(s) + after(s))

    found = block(0)
    for first in range(BLOCK, size, BLOCK):
        found = then(found, block(first))
    return found


def rows_in(place: int, across: int, upright: int, sqrt: Function) -> Function:
    """Return ``f(p, us, ws)``, the sum of p[place + across m + k] us[k] ws[m] over all k and m."""
    wrap = in_place(sqrt)

    def block(row: int, first: int) -> Function:
        i, j = place + across * row + first, first
        i1, i2, i3, i4, i5, i6, i7 = (i + k for k in range(1, BLOCK))
        j1, j2, j3, j4, j5, j6, j7 = (j + k for k in range(1, BLOCK))

        def eight(p: Any, us: Any, ws: Any) -> Any:
            left = p[i] * us[j] + p[i1] * us[j1] + p[i2] * us[j2] + p[i3] * us[j3]
            right = p[i4] * us[j4] + p[i5] * us[j5] + p[i6] * us[j6] + p[i7] * us[j7]
            return (left + right) * ws[row]

        return wrap(eight)

    def plus(before: Function, after: Function) -> Function:
        return wrap(lambda p, us, ws: before(p, us, ws) + after(p, us, ws))

    # by halves: a chain would be as deep as there are blocks
    parts = [block(row, first) for row in range(upright) for first in range(0, across, BLOCK)]
    while len(parts) > 1:
        pairs = [plus(*parts[k : k + 2]) for k in range(0, len(parts) - 1, 2)]
        parts = pairs + parts[2 * len(pairs) :]
    return parts[0]
