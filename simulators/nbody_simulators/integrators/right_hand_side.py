"""The equations of motion as a C function y' = f(t, y), for compiled solvers, and pair forces.

With y = (x, v), both by component: all first coordinates, then all second ones, and so on.
What else it needs comes as one array of float64:

====================  ==========================================================
place                 what
====================  ==========================================================
0                     how often it was called; it counts there
1                     N
2                     clip
3                     the address of a float64: where that is not zero, there are no forces, and the
                      solver gives up at once
then                  parameters of the pair law, of the field law, of the directed law
then                  N charges, N masses
then                  N zeros and N to write to, for the third component in 2D
then                  N times N couplings, where there are any
====================  ==========================================================

The force of one pair is a C function of its numbers i and j, the squared distance and that array.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic
from numba.np.unsafe import ndarray as unsafe

from nbody_simulators.kernels.compiled_laws import is_own, laws_of, pair_force, parameters_of
from nbody_simulators.kernels.force_rates import add_field_rates, rate_rows
from nbody_simulators.kernels.forces import add_directed, add_field, rows
from nbody_surrogate.contracts import Problem

__all__ = ["address_of", "arguments_of", "pair_address_of", "rates_address_of"]

CALLS, HEAD = 0, 4
SIGNATURE = "void(CPointer(float64), float64, CPointer(float64), CPointer(float64))"
RATES_SIGNATURE = (
    "void(CPointer(float64), CPointer(float64), CPointer(int64), int64, CPointer(float64))"
)
PAIR_SIGNATURE = "float64(int64, int64, float64, CPointer(float64))"
types: Any = numba.types
carray: Any = numba.carray  # type: ignore[attr-defined]
to_fixed_tuple: Any = unsafe.to_fixed_tuple


def arguments_of(problem: Problem, stopped: np.ndarray) -> np.ndarray:
    """Lay out what the function needs, one row for each trajectory.

    Parameters
    ----------
    problem : Problem
    stopped : ndarray of float64, shape (1,)
        Kept by the caller as long as there are runs, which end once it is not zero.
    """
    laws = laws_of(problem)
    particles = problem.particles
    every = parameters_of(laws)
    # an address has less than the 53 bits of a float64
    fixed = [0.0, particles.n, laws.clip, float(stopped.ctypes.data)]
    head = np.array([*fixed, *(number for each in every for number in each or ())])
    parts = [np.tile(head, (particles.batch, 1)), particles.charges, particles.masses]
    parts.append(np.zeros((particles.batch, 2 * particles.n)))
    if particles.couplings is not None:
        parts.append(particles.couplings.reshape(particles.batch, -1))
    return np.concatenate(parts, axis=1)


def address_of(problem: Problem, dimensions: int) -> int:
    """Compile the function for the problem's laws, or find it compiled."""
    every = parameters_of(laws_of(problem))
    coupled = problem.particles.couplings is not None
    shapes = [(None, 0) if each is None else (type(each), len(each)) for each in every]
    callback = _compiled(*shapes[0], *shapes[1], *shapes[2], coupled, dimensions, is_own(*every))
    return int(callback.address)


def pair_address_of(problem: Problem) -> int:
    """Compile the magnitude of a pair's force, or find it compiled; 0 where there are no pairs."""
    pair, *others = parameters_of(laws_of(problem))
    if pair is None:
        return 0
    coupled = problem.particles.couplings is not None
    after = sum(len(each) for each in others if each is not None)
    kind: Any = type(pair)
    callback = _compiled_pair(kind, len(pair), after, coupled, is_own(pair))
    return int(callback.address)


def rates_address_of(problem: Problem) -> int:
    """Compile forces and their rates of change, see `kernels.force_rates`, or find it done."""
    pair, field, _ = parameters_of(laws_of(problem))  # no method that asks takes a directed law
    coupled = problem.particles.couplings is not None
    shapes = [(None, 0) if each is None else (type(each), len(each)) for each in (pair, field)]
    callback = _compiled_rates(*shapes[0], *shapes[1], coupled, is_own(pair, field))
    return int(callback.address)


def _pointer(typing_context: Any, address: Any) -> Any:
    """Make a pointer to float64 of an address, in compiled code."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(types.intp), generate


pointer: Any = intrinsic(_pointer)


@cache
def _compiled(
    pair_class: Any,
    pair_size: int,
    field_class: Any,
    field_size: int,
    directed_class: Any,
    directed_size: int,
    coupled: bool,
    dimensions: int,
    own: bool,
) -> Any:
    """Compile the function for the classes of the laws' parameters."""
    has_pair, has_field = pair_class is not None, field_class is not None
    has_directed = directed_class is not None
    flat, matrices = dimensions == 2, int(coupled)
    first = HEAD + pair_size
    second = first + field_size
    charge = second + directed_size

    def right_hand_side(dy: Any, t: float, y: Any, arguments: Any) -> None:
        head = carray(arguments, HEAD)
        head[CALLS] += 1.0  # the solver does not say how often it called; each run has its own copy
        n, clip = int(head[1]), head[2]
        # The pointer says nothing of its length: N, read first, does.
        given = carray(arguments, charge + 4 * n + matrices * n * n)
        lists = given[charge : charge + 4 * n].reshape((4, n))
        charges, masses, zeros, spare = lists[0], lists[1], lists[2], lists[3]
        now, slope = carray(y, (2, dimensions, n)), carray(dy, (2, dimensions, n))
        if carray(pointer(int(head[3])), 1)[0] != 0.0:
            slope[:] = np.nan
            return
        x = (now[0, 0], now[0, 1], zeros if flat else now[0, 2])
        v = (now[1, 0], now[1, 1], zeros if flat else now[1, 2])
        a = (slope[1, 0], slope[1, 1], spare if flat else slope[1, 2])
        for d in range(dimensions):
            for i in range(n):
                slope[0, d, i] = now[1, d, i]
                slope[1, d, i] = 0.0  # without pairs nobody else sets it before the field adds
        if has_pair:
            # By its class numba finds the law; as a tuple of known length it costs no array.
            pair = pair_class(*to_fixed_tuple(given[HEAD:first], pair_size))
            if coupled:  # two calls, as None and an array are different types to numba
                bonds = given[charge + 4 * n :].reshape((n, n))
                rows(x, charges, masses, bonds, pair, clip, 0, n, a)
            else:
                rows(x, charges, masses, None, pair, clip, 0, n, a)
        if has_directed:
            directed = directed_class(*to_fixed_tuple(given[second:charge], directed_size))
            add_directed(x, charges, masses, directed, 0, n, a)
        if has_field:
            field = field_class(*to_fixed_tuple(given[first:second], field_size))
            add_field(x, v, charges, masses, field, a)

    return _c_function(right_hand_side, SIGNATURE, own)


@cache
def _compiled_pair(
    pair_class: Any, pair_size: int, other_sizes: int, coupled: bool, own: bool
) -> Any:
    """Compile the magnitude of a pair's force for the class of the law's parameters."""
    first = HEAD + pair_size
    charge = first + other_sizes

    def magnitude(i: int, j: int, r2: float, arguments: Any) -> float:
        head = carray(arguments, HEAD)
        n, clip = int(head[1]), head[2]
        given = carray(arguments, charge + 4 * n + int(coupled) * n * n)
        pair = pair_class(*to_fixed_tuple(given[HEAD:first], pair_size))
        bond = given[charge + 4 * n + n * i + j] if coupled else 1.0
        qi, qj = given[charge + i], given[charge + j]
        mi, mj = given[charge + n + i], given[charge + n + j]
        force, _ = pair_force(pair, r2, qi, qj, mi, mj, bond)
        pull: float = min(abs(force) * np.sqrt(r2), clip)
        return pull

    return _c_function(magnitude, PAIR_SIGNATURE, own)


@cache
def _compiled_rates(
    pair_class: Any,
    pair_size: int,
    field_class: Any,
    field_size: int,
    coupled: bool,
    own: bool,
) -> Any:
    """Compile forces and their rates of change for the classes of the laws' parameters."""
    has_pair, has_field = pair_class is not None, field_class is not None
    matrices = int(coupled)
    first = HEAD + pair_size
    charge = first + field_size

    def rates(vectors: Any, lists: Any, active: Any, count: int, arguments: Any) -> None:
        n = int(carray(arguments, HEAD)[1])
        given = carray(arguments, charge + 2 * n + matrices * (2 * n + n * n))
        charges, masses = given[charge : charge + n], given[charge + n : charge + 2 * n]
        now, some = carray(vectors, (4, 3, n)), carray(active, count)
        step = carray(lists, (3, n))
        wanted, ahead, near, a, jerk = step[0], step[1], step[2], now[2], now[3]
        for i in some:
            for d in range(3):
                a[d, i], jerk[d, i] = 0.0, 0.0
        if has_pair:
            pair = pair_class(*to_fixed_tuple(given[HEAD:first], pair_size))
            x, v = (now[0, 0], now[0, 1], now[0, 2]), (now[1, 0], now[1, 1], now[1, 2])
            if coupled:  # two calls, as None and an array are different types to numba
                bonds = given[charge + 4 * n :].reshape((n, n))
                rate_rows(some, x, v, charges, masses, bonds, pair, wanted, ahead, near, a, jerk)
            else:
                rate_rows(some, x, v, charges, masses, None, pair, wanted, ahead, near, a, jerk)
        if has_field:
            field = field_class(*to_fixed_tuple(given[first:charge], field_size))
            add_field_rates(some, now[0], now[1], charges, masses, field, a, jerk)

    return _c_function(rates, RATES_SIGNATURE, own)


def _c_function(function: Callable[..., Any], signature: str, own: bool) -> Any:
    """Compile a function for C, and keep it on disk where its law is of this package."""

    def compile_it(cache: bool) -> Any:
        decorate: Callable[..., Any] = numba.cfunc(signature, cache=cache, error_model="numpy")
        return decorate(function)

    try:
        return compile_it(cache=own)
    except OSError:  # it cannot be kept, as on a full disk
        return compile_it(cache=False)
