"""The kicks of a bath, drawn so that a run is a pure function of its start and its seed.

A trajectory has a key: a hash of the seed and of its start, so that it depends on no other one.
Each frame has a stream of its own, of a generator that counts (Philox) under that key: wherever a
run is cut, interrupted or resumed, a frame has the same noise.

The velocity that a bath gives a particle within a time h is I = int e^{-g (h - s)} dW(s) times a
factor. It is drawn for a whole frame first, and then parted into halves and quarters, as P. Levy
makes a Brownian path: of two halves with integrals I_1 and I_2,

    I = a I_1 + I_2,   I_1 = a I / (1 + a^2) + s z / sqrt(1 + a^2),   a = e^{-g h / 2},

where s^2 is the variance of either and z a new normal number. So steps half as long see the same
path: a run with twice the sub-steps is a more accurate version of the same one, not another one.

References
----------
Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011), for Philox; Levy, "Processus
stochastiques et mouvement brownien" (1948), for the path; Kloeden and Platen, "Numerical Solution
of Stochastic Differential Equations" (1992), 4.4, for the integral.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts import Particles, State

__all__ = ["Bath", "BathNoise", "noise_keys"]

WORDS = 2  # of 64 bits, that Philox has in its key


def noise_keys(seed: int, state: State, particles: Particles) -> np.ndarray:
    """Return the key of each trajectory, shape (B, 2), of its start and a seed."""
    keys = np.empty((len(state.x), WORDS), dtype=np.uint64)
    for b in range(len(state.x)):
        digest = hashlib.sha256(str(seed).encode())
        for values in (state.x, state.v, particles.charges, particles.masses):
            digest.update((values[b] + 0.0).astype("<f8").tobytes())  # + 0.0: -0 is 0
        keys[b] = np.frombuffer(digest.digest()[: 8 * WORDS], dtype="<u8")
    return keys


class Bath(NamedTuple):
    """What kicks are made of, for W trajectories.

    Attributes
    ----------
    keys : ndarray of uint64, shape (W, 2)
    rates : ndarray, shape (W, N)
        Of the drag.
    squares : ndarray, shape (W, N)
        T / m, the mean square of a component of a velocity in the end.
    """

    keys: np.ndarray
    rates: np.ndarray
    squares: np.ndarray

    def decay(self, time: float) -> np.ndarray:
        """Return what a time leaves of velocities, shape (W, N)."""
        return np.stack([np.exp(-time * rate) for rate in self.rates])

    def variance(self, time: float) -> np.ndarray:
        """Return that of what is gained within a time, shape (W, N)."""
        # row by row: as the same function of a row, whatever the others, to the last bit
        left = np.stack([-np.expm1(-2.0 * time * rate) for rate in self.rates])
        gained: np.ndarray = self.squares * left
        return gained


@final
class BathNoise:
    """What the bath adds to velocities, step after step, from a boundary on.

    Parameters
    ----------
    bath : Bath
    frame : int
        Number of the frame at the boundary.
    dt : float
        Time between frames.
    substeps : int
        Of a frame.
    dimensions : int
    """

    def __init__(self, bath: Bath, frame: int, dt: float, substeps: int, dimensions: int) -> None:
        self._bath, self._frame, self._dt, self._substeps = bath, frame, dt, substeps
        self._dimensions = dimensions
        self._philox = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._philox)
        self._unused: Any = self._philox.state  # with no numbers left over in its buffer
        self._left = np.empty((0, dimensions, *bath.rates.T.shape))
        self._quiet = not bath.squares.any()

    def take(self, steps: int) -> np.ndarray:
        """Return the kicks of the next steps, shape (steps, D, N, W)."""
        wanted = max(-((len(self._left) - steps) // self._substeps), 0)
        if wanted:
            self._left = np.concatenate([self._left, self._next(wanted)])
        taken, self._left = self._left[:steps], self._left[steps:]
        return taken

    def _next(self, frames: int) -> np.ndarray:
        """Make the kicks of the next frames, shape (steps, D, N, W)."""
        shape = self._dimensions, *self._bath.rates.T.shape
        if self._quiet:
            return np.zeros((frames * self._substeps, *shape))
        normal = self._drawn(frames)
        self._frame += frames
        pieces = self._substeps
        while pieces % 2 == 0:
            pieces //= 2
        h = self._dt / pieces
        kicks = np.sqrt(self._bath.variance(h).T) * normal[:, :pieces]
        while pieces < self._substeps:
            kicks = self._halved(kicks, normal[:, pieces : 2 * pieces], 0.5 * h)
            pieces, h = 2 * pieces, 0.5 * h
        return np.asarray(kicks).reshape(frames * pieces, *shape)

    def _halved(self, whole: np.ndarray, normal: np.ndarray, h: float) -> np.ndarray:
        """Part kicks (F, P, D, N, W) into those of halves h, shape (F, 2 P, D, N, W)."""
        a = self._bath.decay(h).T
        share, spread = a / (1.0 + a * a), np.sqrt(self._bath.variance(h).T / (1.0 + a * a))
        parts = np.empty((len(whole), whole.shape[1], 2, *whole.shape[2:]))
        parts[:, :, 0] = share * whole + spread * normal
        parts[:, :, 1] = whole - a * parts[:, :, 0]
        return parts.reshape(len(whole), -1, *whole.shape[2:])

    def _drawn(self, frames: int) -> np.ndarray:
        """Draw normal numbers, shape (F, substeps, D, N, W); more sub-steps begin with the same."""
        keys, n = self._bath.keys, self._bath.rates.shape[1]
        drawn = np.empty((frames, self._substeps, self._dimensions, n, len(keys)))
        state: Any = dict(self._unused)
        for w, key in enumerate(keys):
            for f in range(frames):
                state["state"] = {
                    "counter": np.array([0, 0, 0, self._frame + f], np.uint64),
                    "key": key,
                }
                self._philox.state = state
                drawn[f, ..., w] = self._generator.standard_normal(drawn.shape[1:4])
        return drawn
