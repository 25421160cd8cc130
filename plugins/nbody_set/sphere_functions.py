"""The functions of the distance of `SETSpheres`: polynomials in t = 2 / r, and what bounds them.

Each is that of two spheres alone (its known part far away, and t^p times a polynomial), and what is
learned: a higher power times a polynomial; in Chebyshev's basis on t of the range of distances.
Within a gap of `NEAR` radii the distance is held above 2, where all is finite, and where spheres
overlap what they induce fades: there nothing is known, and all stays bounded and smooth. How high
moments follow low ones ends between `FADE` radii, beyond which it is below 1e-5 of the charges; how
they follow charges does not end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbody_set.sphere_pairs import TERMS, leading, pair_energy, term_values

__all__ = [
    "FADE",
    "NEAR",
    "OVERLAP",
    "STEPS",
    "T_NEAR",
    "Values",
    "faded",
    "looked_up",
    "pair_coefficients",
    "pair_functions",
    "pair_share",
    "polynomials",
    "tables",
]

NEAR = 0.05
T_NEAR = 2.0 / (2.0 + NEAR / 2)  # at the least distance that is held
T_FAR = 0.1
USUAL = 0.07  # gaps that matter are seldom smaller: polynomials are to be good beyond it
FADE = (4.0, 5.0)
OVERLAP = (1.7, 2.0)
PAIR_DEGREE = 40
ALONE_DEGREE = 20
CLOSE = 2.0
"""Further powers of t that what is learned has: what three spheres do is of close ones."""
STEPS = (
    512  # of tables: slopes are off by 1e-7 of what polynomials say, and are those of the values
)
ENDING = np.array([term.kind == "R" and term.k > 0 for term in TERMS])


class Values(NamedTuple):
    """Functions and their derivatives by the distance, (..., F)."""

    value: Tensor
    slope: Tensor


def held(r: Tensor) -> Values:
    """Return the distance, bounded below near contact, twice differentiable."""
    near = (2.0 + NEAR - r).clamp(min=0.0)
    square, cube = near * near, near * near * near
    below = square + NEAR * NEAR
    slope = 1.0 - (square * square + 3.0 * square * NEAR * NEAR) / (below * below)
    return Values(r + cube / below, slope)


def _step(x: Tensor) -> Values:
    """Return a smooth step from 0 at x = 0 to 1 at x = 1, and its slope."""
    y = x.clamp(0.0, 1.0)
    value = y * y * y * (10.0 + y * (6.0 * y - 15.0))
    return Values(value, 30.0 * (y * (1.0 - y)) ** 2)


def _chebyshev(t: Tensor, degree: int) -> Values:
    """Return polynomials and derivatives by t, (..., degree + 1)."""
    scale = 2.0 / (T_NEAR - T_FAR)
    z = (t - T_FAR) * scale - 1.0
    values, slopes = [torch.ones_like(z), z], [torch.zeros_like(z), torch.ones_like(z)]
    for _ in range(2, degree + 1):
        slopes.append(2.0 * values[-1] + 2.0 * z * slopes[-1] - slopes[-2])
        values.append(2.0 * z * values[-1] - values[-2])
    stacked = [torch.stack(each[: degree + 1], dim=-1) for each in (values, slopes)]
    return Values(stacked[0], scale * stacked[1])


def _polynomials(t: Tensor, coefficients: Tensor, known: tuple[Tensor, Tensor, Tensor]) -> Values:
    """Return factor t^power + t^rest sum_k c_k T_k, and the derivative by t, (..., F)."""
    factor, power, rest = known
    basis = _chebyshev(t, coefficients.shape[-1] - 1)
    value, slope = (each @ coefficients.mT for each in basis)
    t = t[..., None]
    near, before = t**rest, t ** (rest - 1.0)
    far, last = t**power, t ** (power - 1.0)
    return Values(
        factor * far + near * value,
        factor * power * last + near * slope + rest * before * value,
    )


PAIR_KNOWN = ((-0.0625, 0.5), (4.0, 1.0), (6.0, 7.0))
"""-alpha_1 / r^4 of a charge and what it induces, and Coulomb's 1 / r; then the next powers."""


def tables(coefficients: Tensor, alone: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return functions at `STEPS` steps of t from 0 to `T_NEAR`: what frames take them from.

    Parameters
    ----------
    coefficients : Tensor, shape (F, K)
        What is learned.
    alone, pairs : Tensor, shapes (F, K') and (2, K'')
        See `pair_functions` and `pair_coefficients`.

    Returns
    -------
    functions, pair_functions : Tensor, shapes (steps + 1, 2, F) and (steps + 1, 2, 2)
        Values, and derivatives by the number of the step. The exact energies of pairs are taken off
        the functions that they are part of.
    """
    t = torch.linspace(0.0, T_NEAR, STEPS + 1).to(coefficients)
    known = [_tensors(some, t) for some in _known()]
    made = _sum(_polynomials(t, alone, known[0]), _polynomials(t, coefficients, _learned(known[0])))
    exact = _polynomials(t, pairs, known[1])
    r = 2.0 / t.clamp(min=1e-6)[:, None]
    fade = _step((FADE[1] - r) / (FADE[1] - FADE[0]))
    by_t = fade.slope * 0.5 * r * r / (FADE[1] - FADE[0])
    ends = torch.as_tensor(ENDING, device=t.device)
    value = torch.where(ends, made.value * fade.value, made.value)
    slope = torch.where(ends, made.slope * fade.value + made.value * by_t, made.slope)
    share = pair_share().to(t)
    value, slope = value - exact.value @ share, slope - exact.slope @ share
    step = T_NEAR / STEPS
    return torch.stack([value, step * slope], 1), torch.stack([exact.value, step * exact.slope], 1)


def pair_share() -> Tensor:
    """Where the exact energies of pairs are within the functions, (2, F)."""
    rows = [[float(t.l == t.k == 0 and t.mutual == mutual) for t in TERMS] for mutual in (0, 1)]
    return torch.tensor(rows, dtype=torch.float64)


def _learned(known: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    factors, powers, rest = known
    return torch.zeros_like(factors), powers, rest + CLOSE


def _sum(first: Values, second: Values) -> Values:
    return Values(first.value + second.value, first.slope + second.slope)


def _tensors(some: tuple[np.ndarray, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    factors, powers, rest = (torch.as_tensor(each).to(like) for each in some)
    return factors, powers, rest


def _known() -> tuple[tuple[np.ndarray, ...], ...]:
    return leading(), tuple(np.array(each) for each in PAIR_KNOWN)


def looked_up(r: Tensor, table: Tensor) -> Values:
    """Return functions of a table at distances in radii, by cubic Hermite interpolation."""
    kept = held(r)
    t = 2.0 / kept.value
    place = t * (STEPS / T_NEAR)
    k = place.detach().long().clamp(max=STEPS - 1)
    s = (place - k)[..., None]
    q = 1.0 - s
    (v0, w0), (v1, w1) = table[k].unbind(-2), table[k + 1].unbind(-2)
    value = q * q * (1.0 + 2.0 * s) * v0 + s * q * q * w0
    value = value + s * s * (3.0 - 2.0 * s) * v1 - s * s * q * w1
    slope = 6.0 * s * q * (v1 - v0) + q * (1.0 - 3.0 * s) * w0 + s * (3.0 * s - 2.0) * w1
    return Values(value, slope * (-0.5 * t * t * kept.slope * (STEPS / T_NEAR))[..., None])


def polynomials(r: Tensor, coefficients: Tensor, alone: Tensor) -> Values:
    """Return functions as `looked_up` does but for its small errors, (S, P, F).

    Parameters
    ----------
    r : Tensor, shape (S, P)
    coefficients : Tensor, shape (S, F, K)
        Of each sample, so that each has derivatives of its own.
    alone : Tensor, shape (F, K')
    """
    known = _tensors(leading(), r)
    kept = held(r)
    t = 2.0 / kept.value
    made = _sum(_polynomials(t, alone, known), _polynomials(t, coefficients, _learned(known)))
    slope = made.slope * (-2.0 / kept.value**2 * kept.slope)[..., None]
    width = FADE[1] - FADE[0]
    fade = _step((FADE[1] - r) / width)
    ends = torch.as_tensor(ENDING, device=r.device)
    value = torch.where(ends, made.value * fade.value[..., None], made.value)
    fading = slope * fade.value[..., None] - made.value * fade.slope[..., None] / width
    return Values(value, torch.where(ends, fading, slope))


def faded(r: Tensor, made: Values) -> Values:
    """Let functions fade where spheres overlap."""
    width = OVERLAP[1] - OVERLAP[0]
    step = _step((r - OVERLAP[0]) / width)
    value, slope = step.value[..., None], step.slope[..., None] / width
    return Values(made.value * value, made.slope * value + made.value * slope)


def _fitted(
    t: np.ndarray, wanted: np.ndarray, known: tuple[np.ndarray, ...], degree: int
) -> np.ndarray:
    factor, power, rest = known
    basis = _chebyshev(torch.from_numpy(t), degree).value.numpy()
    return np.stack(
        [
            np.linalg.lstsq(
                basis * (t ** rest[f])[:, None],
                wanted[:, f] - factor[f] * t ** power[f],
                rcond=None,
            )[0]
            for f in range(wanted.shape[1])
        ]
    )


def _nodes(count: int) -> np.ndarray:
    return T_FAR + 0.5 * (T_NEAR - T_FAR) * (1 + np.cos(np.pi * (np.arange(count) + 0.5) / count))


def pair_functions() -> np.ndarray:
    """Return coefficients (F, `ALONE_DEGREE` + 1) of the functions of two spheres alone."""
    t = _nodes(4 * ALONE_DEGREE + 20)
    t = t[t < 2.0 / (2.0 + USUAL)]
    return _fitted(t, term_values(2.0 / t), leading(), ALONE_DEGREE)


def pair_coefficients() -> np.ndarray:
    """Return coefficients (2, `PAIR_DEGREE` + 1) of the energy of a pair."""
    t = _nodes(4 * PAIR_DEGREE + 20)
    return _fitted(t, pair_energy(2.0 / t), tuple(map(np.array, PAIR_KNOWN)), PAIR_DEGREE)
