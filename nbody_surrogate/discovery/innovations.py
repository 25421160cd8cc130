r"""The equation of motion between frames, exact in the drag, and the colour of its noise.

A particle with x'' = u(t) - g x' + kicks, seen at frames dt apart, obeys without approximation

    x_t - (1 + a) x_{t-1} + a x_{t-2} = \int k(s) u(s) ds + \int k(s) dW(s),   a = exp(-g dt),

where the kernel k is a hat over the two intervals (of exponentials; straight for g = 0). It is the
weak form of the equation with that hat as its test function: no noise is ever differentiated, it
stands in the equation as measured. With position noise of standard deviation s and kicks of
intensity D, the right side's noise is a moving average of three terms, whose covariance is a
band of five. Dividing by its Cholesky factor gives the *innovations*: what each frame adds to all
frames before it, white, and independent of all that stands in the equation at earlier frames.
So least squares on innovations is unbiased although kicks drive the positions that the forces
depend on; test functions symmetric in time are not (in equilibrium they find no drag at all).

References
----------
Ljung, System Identification (1999), ch. 7, for prediction errors; Bruckner, Ronceray and
Broedersz, Phys. Rev. Lett. 125 (2020) 058103, for the bias of naive estimators.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import lapack

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    *("CAUSAL", "HUBER", "NUMEROV", "SMOOTH"),
    *("Hat", "Stencil", "Whitener", "hat", "misfit", "whitener"),
]

HUBER = 4.0
"""Innovations beyond so many standard deviations count linearly in robust estimates: Gaussian ones
do so once in 16 000."""


class Stencil(NamedTuple):
    """The frames, counted from t, at which a force is looked at for its integral over the hat."""

    nodes: tuple[int, ...]

    @property
    def before(self) -> int:
        """Frames before t that a row needs."""
        return max(2, -min(self.nodes))

    @property
    def after(self) -> int:
        """Frames after t that a row needs."""
        return max(0, max(self.nodes))


CAUSAL = Stencil((-1, -2, -3, -4, -5))
"""Forces at earlier frames alone, order 5: what noise of frame t would spoil is not looked at. With
three nodes the force of an oscillation of 60 frames is wrong by (2 pi / 60)^3 / 12 = 1e-4."""

NUMEROV = Stencil((0, -1, -2))
"""Forces at the three frames of a row, order 4: for paths that are known already."""

SMOOTH = Stencil((2, 1, 0, -1, -2, -3, -4))
"""Symmetric, order 8: for tracks without noise, where only the integral's error is left."""


class Hat(NamedTuple):
    """The kernel of one step: its decay, weights of the force at the nodes, and its covariances."""

    decay: float
    weights: tuple[float, ...]
    variance: float
    covariance: float


@lru_cache(maxsize=4096)
def hat(drag: float, dt: float, stencil: Stencil) -> Hat:
    """Return the kernel for a drag rate, a time between frames, and a stencil."""
    decay = float(np.exp(-drag * dt))
    nodes, gauss = np.polynomial.legendre.leggauss(8)
    s, w = 0.5 * (nodes + 1.0) * dt, 0.5 * gauss * dt  # since the start of an interval

    def reach(age: np.ndarray) -> np.ndarray:
        # how far a unit kick has carried: (1 - exp(-g age)) / g, also where g is nothing
        return age if abs(drag) * dt < 1e-9 else -np.expm1(-drag * age) / drag

    last = reach(dt - s)
    first = reach(2.0 * dt - s) - (1.0 + decay) * last
    weights = []
    for a in stencil.nodes:
        others = [b for b in stencil.nodes if b != a]

        def lagrange(place: np.ndarray, a: int = a, others: list[int] = others) -> np.ndarray:
            return np.asarray(np.prod([(place - b) / (a - b) for b in others], axis=0))

        late, early = lagrange(s / dt - 1.0), lagrange(s / dt - 2.0)
        weights.append(float(w @ (last * late) + w @ (first * early)))
    variance = float(w @ (last * last) + w @ (first * first))
    return Hat(decay, tuple(weights), variance, float(w @ (last * first)))


class Whitener:
    """Turns rows of one particle, axis and stretch into innovations."""

    def __init__(self, band: Float64[np.ndarray, "3 R"]) -> None:
        # LAPACK itself: there may be hundreds of short stretches, and each is taken many times
        self.factor, fault = lapack.dpbtrf(band, lower=1)
        if fault:
            raise ArithmeticError("a covariance is not positive")
        self.log_determinant = float(np.log(self.factor[0]).sum())

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return innovations of rows, shape (R, ...)."""
        out, fault = lapack.dtbtrs(self.factor, rows.reshape(len(rows), -1), uplo="L")
        if fault:
            raise ArithmeticError("a factor of the covariance is singular")
        return np.asarray(out.reshape(rows.shape))


def whitener(step: Hat, noise: Float64[np.ndarray, " R2"], kicks: float) -> Whitener:
    """Return what whitens R rows that end at the frames 2, 3, ... of `noise`.

    Parameters
    ----------
    step : Hat
    noise : ndarray, shape (R + 2,)
        Variance of the position of each frame; large where a frame was filled in.
    kicks : float
        Intensity of the kicks, velocity squared over time.
    """
    a = step.decay
    now, before, earlier = noise[2:], noise[1:-1], noise[:-2]
    band = np.zeros((3, now.size))
    band[0] = now + (1.0 + a) ** 2 * before + a**2 * earlier + kicks * step.variance
    # row t and row t + 1 share the frames t and t - 1, row t + 2 the frame t
    band[1, :-1] = -(1.0 + a) * now[:-1] - a * (1.0 + a) * before[:-1] + kicks * step.covariance
    band[2, :-2] = a * now[:-2]
    return Whitener(band)


def misfit(innovations: np.ndarray, robust: bool) -> float:
    """Return half the sum of squares; robust ones are weighted already by sqrt(HUBER / size)."""
    if not robust:
        return 0.5 * float((innovations**2).sum())
    # a weighted innovation is sqrt(HUBER size), and counts HUBER size - HUBER^2 / 2
    size = (innovations**2).sum(0)
    return float(np.where(size <= HUBER**2, 0.5 * size, size - 0.5 * HUBER**2).sum())
