"""The edge half of a sub-step of `SET` backwards, on one tile: names as in `edges.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_set.training.edges import (
    BOUND,
    CHARGES,
    CORRECTION,
    COULOMB,
    ENVELOPE,
    INVERSE,
    KAPPA,
    KERNEL,
    LARGEST,
    MASS,
    NONE,
    PLACE,
    PRIOR,
    PULL,
    RADIAL,
    SIGMA,
    SPARE,
    SPEED2,
    TAU,
    TO_C,
    TO_CORRECTION,
    TO_KAPPA,
    TO_RADIAL,
    TO_S,
    TO_SPEED2,
    C,
    S,
    sum_products,
)
from nbody_set.training.tiles import add_outer, add_product, dot, through_silu, tile_loop

__all__ = ["edge_backward"]


@tile_loop
def _force_backward(f: Any, k: Any, to_f: Any, count: int, consts: Any, size: int) -> None:
    """Write the gradients of c, phi_x and s by the force, given that of kappa."""
    real = f.dtype.type
    zero, bound, most = real(0), real(consts[BOUND]), real(consts[LARGEST])
    c, correction, kappa, inverse = k[C], k[CORRECTION], k[KAPPA], k[INVERSE]
    to_kappa, to_s, to_c, to_correction = k[TO_KAPPA], k[TO_S], k[TO_C], k[TO_CORRECTION]
    for t in range(size):
        to_c[t] = to_kappa[t] * inverse[t] * inverse[t] * inverse[t]
    for t in range(size):
        to_s[t] = -real(3) * kappa[t] * to_kappa[t] * inverse[t]
    for t in range(size):
        to_correction[t] = to_c[t]
    if bound == zero:
        return
    f3, f4, f5, spare = f[count + 3], f[count + 4], f[count + 5], k[SPARE]
    for t in range(size):  # the largest, of c
        spare[t] = bound * (abs(f3[t]) + abs(f4[t]) + abs(f5[t]))
    for t in range(size):
        largest = min(spare[t], most) * abs(c[t])
        if abs(correction[t]) > largest:  # so that its gradient goes to what bounds it
            to_correction[t] = zero
    for t in range(size):
        largest = min(spare[t], most) * abs(c[t])
        if abs(correction[t]) > largest:
            slope = to_kappa[t] * inverse[t] * inverse[t] * inverse[t] * np.sign(correction[t])
            to_c[t] += slope * min(spare[t], most) * np.sign(c[t])
    for e in range(3):
        row, out = f[count + 3 + e], to_f[count + 3 + e]
        for t in range(size):
            largest = min(spare[t], most) * abs(c[t])
            if abs(correction[t]) > largest and spare[t] <= most:
                slope = to_kappa[t] * inverse[t] * inverse[t] * inverse[t] * np.sign(correction[t])
                out[t] += slope * bound * abs(c[t]) * np.sign(row[t])


@tile_loop
def _prior_backward(
    f: Any, k: Any, to_f: Any, radial: Any, of_radial: Any, of_far: Any, consts: Any, size: int
) -> None:
    """Pass the gradient of a learned prior on to the basis, s and its weights."""
    kind = int(consts[PRIOR])
    if kind == COULOMB:
        return
    c, q, s, inverse = k[C], k[CHARGES], k[S], k[INVERSE]
    to_c, to_s, charged = k[TO_C], k[TO_S], k[SPARE]
    two = f.dtype.type(2)
    if kind == NONE:
        for t in range(size):
            to_s[t] += two * to_c[t] * c[t] * inverse[t]
        for t in range(size):
            to_c[t] *= s[t] * s[t]
    for t in range(size):
        charged[t] = q[t] * to_c[t]
    if kind == KERNEL:
        for t in range(size):
            of_far[0] += charged[t]
    for g in range(radial.shape[1]):
        of_radial[0, g] += dot(charged, f[g], size)
        of_radial[1, g] += dot(to_c, f[g], size)
        first, second, out = radial[0, g], radial[1, g], to_f[g]
        for t in range(size):
            out[t] += first * charged[t] + second * to_c[t]


@tile_loop
def _rates_backward(k: Any, to_f: Any, count: int, tau: Any, size: int) -> None:
    """Pass the gradients of the rates on to s, c, r.w and w.w; of r.a it is in the last rate's."""
    real = k.dtype.type
    one, two, three = real(1), real(2), real(3)
    inverse, radial, speed2, pull = k[INVERSE], k[RADIAL], k[SPEED2], k[PULL]
    c, mass, to_s = k[C], k[MASS], k[TO_S]
    to_radial, to_speed2 = k[TO_RADIAL], k[TO_SPEED2]
    f0, f1, f2 = to_f[count], to_f[count + 1], to_f[count + 2]
    f3, f4, f5 = to_f[count + 3], to_f[count + 4], to_f[count + 5]
    tau2 = tau * tau
    # f0 = r.w / s, f2 = tau r.w / s^2, f3 = tau^2 w.w / s^2, f4 = tau^2 c m / s^3 and
    # f5 = tau^2 r.a / s^2
    for t in range(size):
        i = inverse[t]
        to_s[t] -= radial[t] * i * i * (f0[t] + two * tau * i * f2[t])
    for t in range(size):
        i = inverse[t]
        to_s[t] -= two * tau2 * i * i * i * (speed2[t] * f3[t] + pull[t] * f5[t])
    for t in range(size):
        i = inverse[t]
        to_s[t] -= three * tau2 * i * i * i * i * c[t] * mass[t] * f4[t]
    for t in range(size):
        i = inverse[t]
        to_radial[t] = i * (f0[t] + tau * i * f2[t])
    for t in range(size):
        rate = tau * inverse[t]
        to_speed2[t] = f1[t] / (one + speed2[t]) + rate * rate * f3[t]
    for t in range(size):
        rate = tau * inverse[t]
        f5[t] *= rate * rate


@tile_loop
def _basis_backward(f: Any, k: Any, to_f: Any, count: int, consts: Any, size: int) -> None:
    """Pass the gradients of the Gaussians on to s."""
    real = f.dtype.type
    narrow = real(1 / consts[SIGMA])
    place, inverse, to_s, spare = k[PLACE], k[INVERSE], k[TO_S], k[SPARE]
    for t in range(size):
        spare[t] = real(0)
    for g in range(count):
        row, y, m = f[g], to_f[g], real(g)
        for t in range(size):
            spare[t] += y[t] * row[t] * (m - place[t])
    for t in range(size):
        to_s[t] += spare[t] * narrow * inverse[t]


@tile_loop
def edge_backward(
    motion: Any,
    to_motion: Any,
    to_force: Any,
    to_message: Any,
    k: Any,
    f: Any,
    to_f: Any,
    z: Any,
    z1: Any,
    g1: Any,
    hidden: Any,
    z2: Any,
    g2: Any,
    message: Any,
    weights: Any,
    transposed: Any,
    gradients: Any,
    dims: int,
    consts: Any,
    size: int,
) -> None:
    """Go back through a tile that `edge_forward` has evaluated.

    `to_force` (D, T) and `to_message` (d, T) are the gradients of what each pair gave to the
    particles. `to_motion` (3 D, T) is written, and `z1` becomes the gradient of z1.
    """
    share, radial = weights[4], weights[6]
    back_pair, back_message = transposed
    of_pair, of_pair_bias, of_message, of_message_bias, of_share, of_range, of_radial, of_far = (
        gradients
    )
    real = f.dtype.type
    one, four, zero = real(1), real(4), real(0)
    width, count = len(z1), f.shape[0] - 6
    r, w, a = motion[:dims], motion[dims : 2 * dims], motion[2 * dims :]
    for i in range(len(to_f)):
        row = to_f[i]
        for t in range(size):
            row[t] = zero
    sum_products(k[TO_KAPPA], to_force, r, dims, size)
    _force_backward(f, k, to_f, count, consts, size)
    to_s, to_c, to_correction, envelope = k[TO_S], k[TO_C], k[TO_CORRECTION], k[ENVELOPE]
    inverse, spare, mass = k[INVERSE], k[SPARE], k[MASS]
    for t in range(size):
        spare[t] = zero
    for o in range(width):
        each, row, weight = to_message[o], message[o], share[o]
        of_share[o] += dot(to_correction, row, size)
        for t in range(size):
            each[t] += weight * to_correction[t]
        for t in range(size):
            spare[t] += each[t] * row[t]  # times the envelope, of its gradient
        for t in range(size):
            each[t] *= envelope[t]
    for t in range(size):
        to_s[t] -= four * spare[t] * (one - envelope[t]) * inverse[t]
    for t in range(size):
        spare[t] *= four * (one - envelope[t])
    total = zero
    for t in range(size):
        total += spare[t]
    of_range[0] += total
    through_silu(to_message, z2, g2, size)
    add_outer(of_message, of_message_bias, to_message, hidden, size)
    for o in range(width):
        row = hidden[o]
        for t in range(size):
            row[t] = zero
    add_product(back_message, to_message, hidden, size)
    through_silu(hidden, z1, g1, size)
    q = k[CHARGES]
    for o in range(width):
        row, out, charged = hidden[o], z[o], z[width + o]
        for t in range(size):
            out[t] = row[t]
        for t in range(size):
            charged[t] = q[t] * row[t]
        copy = z1[o]
        for t in range(size):
            copy[t] = row[t]
    add_outer(of_pair, of_pair_bias, z, f, size)
    add_product(back_pair, z, to_f, size)
    tau = real(consts[TAU])
    fourth = to_f[count + 4]
    for t in range(size):
        rate = tau * inverse[t]
        to_c[t] += rate * rate * mass[t] * inverse[t] * fourth[t]
    _prior_backward(f, k, to_f, radial, of_radial, of_far, consts, size)
    _rates_backward(k, to_f, count, tau, size)
    _basis_backward(f, k, to_f, count, consts, size)
    _to_motion(r, w, a, to_motion, to_force, k, to_f[count + 5], dims, size)


@tile_loop
def _to_motion(
    r: Any,
    w: Any,
    a: Any,
    to_motion: Any,
    to_force: Any,
    k: Any,
    to_pull: Any,
    dims: int,
    size: int,
) -> None:
    """Write the gradients of r, w and a, given those of the invariants."""
    two = k.dtype.type(2)
    kappa, inverse, to_s = k[KAPPA], k[INVERSE], k[TO_S]
    to_radial, to_speed2 = k[TO_RADIAL], k[TO_SPEED2]
    for d in range(dims):
        x, y, z, g = r[d], w[d], a[d], to_force[d]
        out, out_w, out_a = to_motion[d], to_motion[dims + d], to_motion[2 * dims + d]
        for t in range(size):
            out[t] = kappa[t] * g[t] + to_s[t] * x[t] * inverse[t]
        for t in range(size):
            out[t] += to_radial[t] * y[t] + to_pull[t] * z[t]
        for t in range(size):
            out_w[t] = to_radial[t] * x[t] + two * to_speed2[t] * y[t]
        for t in range(size):
            out_a[t] = to_pull[t] * x[t]
