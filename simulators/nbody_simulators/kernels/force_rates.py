"""Forces and their rates of change, for particles that are named, in numba.

What a scheme with derivatives needs: the acceleration of a particle, and how fast that changes as
all particles move on, by the laws themselves (`dual_numbers`). As a C function, so that a scheme is
compiled once whatever the laws are; it is handed

==========  ==========================================================================
argument    what
==========  ==========================================================================
vectors     (4, 3, N): positions and velocities; accelerations and rates to write to
lists       (3, N): how long the next step of each is, and how far ahead the present one
            ends; and to write to: how many others it may meet within that
active      the numbers of those that are wanted, and how many
arguments   as `integrators.right_hand_side` lays them out
==========  ==========================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload, register_jitable

from nbody_simulators.kernels.block_steps import NEAR
from nbody_simulators.kernels.dual_numbers import differentiable_law, dual, rate_of, value_of
from nbody_simulators.kernels.forces import REASSOCIATE

__all__ = ["add_field_rates", "rate_rows"]


def pair_rates(
    parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
) -> Any:
    """Stand for the pair law and its rate of change, where r2 changes at a rate `slope`."""


def field_rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    """Stand for the acceleration of a field, and its rate of change along v."""


@overload(pair_rates, strict=False)
def _pair_rates(
    parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
) -> Any:
    law: Any = differentiable_law(parameters.instance_class)

    def rates(
        parameters: Any, r2: Any, slope: Any, qi: Any, qj: Any, mi: Any, mj: Any, coupling: Any
    ) -> Any:
        force, _ = law(parameters, dual(r2, slope), qi, qj, mi, mj, coupling)
        return value_of(force), rate_of(force)

    return rates


@overload(field_rates, strict=False)
def _field_rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
    law: Any = differentiable_law(parameters.instance_class)

    def rates(parameters: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        place = (dual(x[0], v[0]), dual(x[1], v[1]), dual(x[2], v[2]))
        a, _ = law(parameters, place, v, charge, mass)
        value = (value_of(a[0]), value_of(a[1]), value_of(a[2]))
        return value, (rate_of(a[0]), rate_of(a[1]), rate_of(a[2]))

    return rates


@register_jitable(error_model="numpy", fastmath=REASSOCIATE)
def rate_rows(
    active: Any,
    x: Any,
    v: Any,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    wanted: np.ndarray,
    ahead: np.ndarray,
    near: np.ndarray,
    a: np.ndarray,
    jerk: np.ndarray,
) -> None:
    """Sum the forces on active particles and their rates, and count whom each may meet.

    x, v are tuples of three components (N,). A pair may meet that passes its closest point before
    the next step of either ends.
    """
    for i in active:
        xi, yi, zi, ui, vi, wi = x[0][i], x[1][i], x[2][i], v[0][i], v[1][i], v[2][i]
        qi, mi, own = charges[i], masses[i], wanted[i]
        fx, fy, fz, gx, gy, gz, met = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(charges.size):
            dx, dy, dz = xi - x[0][j], yi - x[1][j], zi - x[2][j]
            du, dv, dw = ui - v[0][j], vi - v[1][j], wi - v[2][j]
            r2 = dx * dx + dy * dy + dz * dz
            closing = dx * du + dy * dv + dz * dw
            u2 = du * du + dv * dv + dw * dw
            bond = 1.0 if couplings is None else couplings[i, j]
            force, rate = pair_rates(pair, r2, 2.0 * closing, qi, charges[j], mi, masses[j], bond)
            # a choice of numbers, not a branch, which would keep this loop from using vectors
            force = force if i != j else 0.0
            rate = rate if i != j else 0.0
            fx, fy, fz = fx + force * dx, fy + force * dy, fz + force * dz
            gx += force * du + rate * dx
            gy += force * dv + rate * dy
            gz += force * dw + rate * dz
            # as `passing` has it, without its branches
            until = own if own > ahead[j] else ahead[j]
            soon = (-closing < until * u2) & (NEAR * NEAR * r2 < until * until * u2)
            met += 1.0 if (closing < 0.0) & soon else 0.0
        a[0, i], a[1, i], a[2, i] = fx / mi, fy / mi, fz / mi
        jerk[0, i], jerk[1, i], jerk[2, i] = gx / mi, gy / mi, gz / mi
        near[i] = met


@register_jitable(error_model="numpy")
def add_field_rates(
    active: Any,
    x: np.ndarray,
    v: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    field: Any,
    a: np.ndarray,
    jerk: np.ndarray,
) -> None:
    """Add the accelerations of the field, and their rates; vectors are of shape (3, N)."""
    for i in active:
        place, velocity = (x[0, i], x[1, i], x[2, i]), (v[0, i], v[1, i], v[2, i])
        pull, change = field_rates(field, place, velocity, charges[i], masses[i])
        a[0, i], a[1, i], a[2, i] = a[0, i] + pull[0], a[1, i] + pull[1], a[2, i] + pull[2]
        jerk[0, i] += change[0]
        jerk[1, i] += change[1]
        jerk[2, i] += change[2]
