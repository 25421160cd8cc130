"""A directed law along two measured surfaces: an envelope times products of cubic splines.

With d = x_i - x_j, r = |d|, rho the length of its horizontal part and z its height, the force on i
by j is

    F = q_i q_j env(r) [G_rho(u, w) d_rho / rho + G_z(u, w) z_hat],
    u = rho / (rho + b),  w = z / (z^2 + c^2)^(1/2),
    G(u, w) = sum_kl c_kl B((u - first) / spacing - k) B((w - height_first) / height_spacing - l),

with the envelope of `spline_pair`. It need not be reciprocal, as where grains drag wakes of ions
below them, and has no energy. Splines are held beyond the range in which they add up to one.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from functools import cache
from typing import Any

from nbody_simulators.force_laws.cardinal_splines import (
    BLOCK,
    Function,
    basis_in,
    in_place,
    rows_in,
)
from nbody_simulators.force_laws.spline_limits import BROADEST
from nbody_simulators.force_laws.spline_pair import ENVELOPE, envelope_in, envelope_numbers
from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import DirectedLaw

__all__ = ["spline_directed"]

HEAD = (
    *ENVELOPE,
    "scale",  # b
    "first",
    "spacing",
    "last",  # the range of u is 1 to `last`, in units of `spacing` from `first`
    "height2",  # c^2
    "height_first",
    "height_spacing",
    "height_last",
)
NAME = "SplineDirected"
TINY = 1e-30
"""Added to the horizontal distance: on the axis there is no direction, and the force is zero."""


def __getattr__(name: str) -> Any:
    """Return a class of parameters by its name, as what is compiled for it and kept on disk has."""
    sizes = name.removeprefix(NAME).split("x")
    known = {str(size) for size in range(BLOCK, BROADEST + 1, BLOCK)}
    if not name.startswith(NAME) or len(sizes) != 2 or not set(sizes) <= known:
        raise AttributeError(name)
    return _class_of(*map(int, sizes))


@cache
def _class_of(across: int, upright: int) -> Any:
    """Make the class of parameters of so many splines in u and in w, and make its law known."""
    numbers = [
        f"{kind}{k}_{m}" for kind in ("rho", "z") for m in range(upright) for k in range(across)
    ]
    fields = [*HEAD, *numbers]
    made: Any = namedtuple(f"{NAME}{across}x{upright}", fields)  # type: ignore[misc]
    made.__module__ = __name__
    register_law(DirectedLaw(made(*[0.0] * len(fields)), _factory_of(across, upright)))
    return made


@cache
def _factory_of(across: int, upright: int) -> Function:
    """Return the factory of the law with so many splines in u and in w."""
    of_z = len(HEAD) + across * upright

    def factory(sqrt: Function, where: Function) -> Function:
        envelope = envelope_in(sqrt, where)
        in_u, in_w = basis_in(across, sqrt, where), basis_in(upright, sqrt, where)
        along_rho = rows_in(len(HEAD), across, upright, sqrt)
        along_z = rows_in(of_z, across, upright, sqrt)

        def held(place: Any, last: Any) -> Any:
            place = where(place < 1.0, 1.0, place)
            return where(place < last, place, last)

        held = in_place(sqrt)(held)

        def law(p: Any, dx: Any, dy: Any, dz: Any, qi: Any, qj: Any, mi: Any, mj: Any) -> Any:
            rho2 = dx * dx + dy * dy
            rho, r2 = sqrt(rho2), rho2 + dz * dz
            u, w = rho / (rho + p.scale), dz / sqrt(dz * dz + p.height2)
            us = in_u(held((u - p.first) / p.spacing, p.last))
            ws = in_w(held((w - p.height_first) / p.height_spacing, p.height_last))
            weight = qi * qj * envelope(p, sqrt(r2), sqrt(r2 + p.core2))
            outward = weight * along_rho(p, us, ws) / (rho + TINY)
            return outward * dx, outward * dy, weight * along_z(p, us, ws)

        return law

    return factory


def spline_directed(
    power: int,
    core: float,
    screening_length: float | None,
    scale: float,
    first: float,
    spacing: float,
    coefficients_rho: Sequence[Sequence[float]],
    coefficients_z: Sequence[Sequence[float]],
    height_scale: float,
    height_first: float,
    height_spacing: float,
) -> DirectedLaw:
    """Return the law of two surfaces.

    Parameters
    ----------
    power, core, screening_length, scale
        p, a, lambda (None where it is infinite) and b.
    first, spacing, height_first, height_spacing : float
        Where the first spline stands in u and in w, and how far the next.
    coefficients_rho, coefficients_z : sequence of sequence of float, shape (K, L)
        Of splines in u, each with those in w; at least 4 of either.
    height_scale : float
        c.

    Returns
    -------
    DirectedLaw
    """
    across, upright = len(coefficients_rho), len(coefficients_rho[0])
    head = {
        **envelope_numbers(power, core, screening_length),
        "scale": scale,
        "first": first,
        "spacing": spacing,
        "last": across - 2,
        "height2": height_scale**2,
        "height_first": height_first,
        "height_spacing": height_spacing,
        "height_last": upright - 2,
    }
    sizes = (-(-across // BLOCK) * BLOCK, -(-upright // BLOCK) * BLOCK)
    numbers = []
    for surface in (coefficients_rho, coefficients_z):
        for m in range(sizes[1]):  # rows along u
            row = [each[m] for each in surface] if m < upright else [0.0] * across
            numbers += [*row, *[0.0] * (sizes[0] - across)]
    made = _class_of(*sizes)(*(float(head[key]) for key in HEAD), *map(float, numbers))
    return DirectedLaw(made, _factory_of(*sizes))
