"""Whether a frame is within the domain of a model, in compiled code: `nbody_set.domain`, anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from nbody_set.domain import ALONE, FADE, REACH
from nbody_surrogate.layers.fused import absolute, load, maximum, minimum, sqrt, store

__all__ = ["gate"]


@register_jitable(error_model="numpy")
def _fade(excess: float) -> float:
    inside = min(max((1.0 + FADE - excess) / FADE, 0.0), 1.0)
    return inside * inside * (3.0 - 2.0 * inside)


@register_jitable(error_model="numpy")
def gate(
    numbers: Any,
    pairs: int,
    first: Any,
    second: Any,
    motion: Any,
    charges: Any,
    inverse: Any,
    bounds: Any,
    kicks: Any,
    crowds: Any,
    tides: Any,
    bindings: Any,
    nodes: Any,
) -> Any:
    """Return how far a frame is trusted to what was learned, and whether its steps are halved.

    `bounds` holds the lowest and highest |q_i q_j| and 1 / m_i + 1 / m_j; `kicks`, `crowds`,
    `tides` and `bindings` are room for numbers of pairs, `nodes` (3 rows) of particles.
    """
    lanes = numbers.lanes
    rx, ry, rz, wx, wy, wz, _, _, _ = motion
    tau, soft2 = numbers.frame_dt / numbers.substeps, numbers.softening * numbers.softening
    tiny = np.finfo(kicks.dtype).tiny
    reach4 = (REACH * numbers.softening) ** 4
    rate = abs(numbers.coupling) * tau * tau
    zero = load(rx, 0) * 0.0
    fastest, farthest = zero, zero
    for p in range(0, pairs, lanes):
        x, y, z = load(rx, p), load(ry, p), load(rz, p)
        u, v, w = load(wx, p), load(wy, p), load(wz, p)
        q, m = absolute(load(charges, p)), load(inverse, p)
        speed2 = u * u + v * v + w * w
        approach = x * u + y * v + z * w
        ahead = (0.0 - approach) / maximum(speed2, zero + tiny)
        ahead = minimum(maximum(ahead, zero), zero + numbers.frame_dt)
        nx, ny, nz = x + ahead * u, y + ahead * v, z + ahead * w
        s2 = nx * nx + ny * ny + nz * nz + soft2
        store(kicks, p, q * m * rate / (s2 * sqrt(s2)))
        store(crowds, p, 1.0 / (s2 * s2 * (1.0 / reach4) + 1.0))
        fastest = maximum(fastest, speed2)
        farthest = maximum(farthest, speed2 / s2)
        if numbers.circularity > 0.0:
            s2 = x * x + y * y + z * z + soft2
            root = sqrt(s2)
            pull = load(charges, p) * m * (0.0 - numbers.coupling)
            store(tides, p, absolute(pull) / (s2 * root))
            store(bindings, p, pull * 2.0 / root - speed2)
    n = nodes.size // 3
    nodes[:] = 0.0
    for p in range(pairs):
        i, j = first[p], second[p]
        nodes[i] += kicks[p]
        nodes[j] += kicks[p]
        nodes[n + i] += crowds[p]
        nodes[n + j] += crowds[p]
    kick, crowd = 0.0, 0.0
    for i in range(n - 1):  # the last row is nobody's
        kick, crowd = max(kick, nodes[i]), max(crowd, nodes[n + i])
    store(kicks, 0, fastest)
    store(crowds, 0, farthest)
    speed2, drift = 0.0, 0.0
    for lane in range(lanes):
        speed2, drift = max(speed2, kicks[lane]), max(drift, crowds[lane])
    opened = _fade(crowd / numbers.crowding) * _fade(tau * tau * drift / numbers.drift)
    opened *= _fade(kick / numbers.kick) * _fade(np.sqrt(speed2) / numbers.speed)
    opened *= _fade(1.0 + (numbers.least_charges - bounds[0]) / numbers.most_charges)
    opened *= _fade(bounds[1] / numbers.most_charges)
    opened *= _fade(1.0 + (numbers.least_inverse - bounds[2]) / numbers.most_inverse)
    opened *= _fade(bounds[3] / numbers.most_inverse)
    if numbers.circularity > 0.0 and _lone_pair(
        numbers, pairs, first, second, motion, charges, inverse, tides, bindings, nodes
    ):
        return 0.0, True
    return opened, False


@register_jitable(error_model="numpy")
def _lone_pair(
    numbers: Any,
    pairs: int,
    first: Any,
    second: Any,
    motion: Any,
    charges: Any,
    inverse: Any,
    tides: Any,
    bindings: Any,
    nodes: Any,
) -> bool:
    """Return whether a pair, nearly radial or pressed together, is alone, as of `lone_pair`."""
    n = nodes.size // 3
    at = 2 * n
    for p in range(pairs):
        nodes[at + first[p]] += tides[p]
        nodes[at + second[p]] += tides[p]
    rx, ry, rz, wx, wy, wz, _, _, _ = motion
    for p in range(pairs):
        i, j = first[p], second[p]
        if i == n - 1:
            continue
        others = nodes[at + i] + nodes[at + j] - 2.0 * tides[p]
        pull = -numbers.coupling * charges[p] * inverse[p]
        binding = bindings[p]
        if others * pull * pull < ALONE * abs(binding) ** 3:
            r2 = rx[p] * rx[p] + ry[p] * ry[p] + rz[p] * rz[p]
            w2 = wx[p] * wx[p] + wy[p] * wy[p] + wz[p] * wz[p]
            rw = rx[p] * wx[p] + ry[p] * wy[p] + rz[p] * wz[p]
            across = (r2 * w2 - rw * rw) * binding
            radial = binding > 0.0 and pull > 0.0 and across < (numbers.circularity * pull) ** 2
            if radial or (pull < 0.0 and binding * numbers.softening < pull):
                return True
    return False
