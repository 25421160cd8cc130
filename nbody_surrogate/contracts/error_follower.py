"""How an error grows along the frames of a run: many frames in one call."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from nbody_surrogate.contracts.segment import Problem

__all__ = ["AbstractErrorFollower"]


class AbstractErrorFollower(ABC):
    """An integrator that carries an error along frames itself, without a segment for each of them.

    An error estimate asks for it, and does without where an integrator is none. With L the motion
    over a frame, by this method, the error of frame n + 1 is

        e_{n+1} = m_n - L(x_n - e_n) + r_n

    where m_n is L(x_n), by this method too, and r_n what frame n + 1 has added.
    """

    @abstractmethod
    def followed(
        self,
        problem: Problem,
        frames: np.ndarray,
        error: np.ndarray,
        mapped: np.ndarray,
        added: np.ndarray,
        largest: float,
    ) -> np.ndarray | None:
        """Carry an error along frames, all in reduced units; no array is changed.

        A state that does not stay finite stands still for the frame, as in `advance`. NaN in an
        error becomes 0.

        Parameters
        ----------
        problem : Problem
        frames : ndarray, float64, shape (2, B, F + 1, N, D)
            Positions and velocities: x_n.
        error : ndarray, float64, shape (2, B, N, D)
            Of the first of them.
        mapped, added : ndarray, float64, shape (2, B, F, N, D)
            m_n and r_n.
        largest : float
            No component of an error is beyond it.

        Returns
        -------
        ndarray, float64, shape (2, B, F, N, D), or None
            The error of each further frame; None where the method has no way of its own for the
            problem.
        """
