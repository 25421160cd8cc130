"""Test trajectories turned at random: what a model that is not equivariant has not seen."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.evaluation.one_shot_task import OneShotTask

__all__ = ["turned_task"]

SEED = 0  # one for all models and studies, so that all are tested on the same trajectories


def turned_task(task: OneShotTask, about: str) -> OneShotTask | None:
    """Turn each trajectory by a rotation of its own.

    Parameters
    ----------
    task : OneShotTask
        In three dimensions.
    about : str
        ``y`` or ``z``, an axis; ``all``, uniform over all rotations; ``none``.

    Returns
    -------
    OneShotTask or None
        None for ``none``.
    """
    if about == "none":
        return None
    rng = np.random.default_rng(SEED)
    if about == "all":
        return task.turned(_uniform(rng, len(task.x)))
    return task.turned(_about_axis(rng, len(task.x), about))


def _uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw rotations (B, 3, 3) uniformly (Mezzadri, Notices of the AMS 54, 592, 2007)."""
    q, r = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    # QR leaves the signs of the columns to the routine; a positive diagonal of r settles them, and
    # makes q uniform over orthogonal matrices.
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    q[:, :, 0] *= np.linalg.det(q)[:, None]  # no reflections
    return q


def _about_axis(rng: np.random.Generator, count: int, axis: str) -> np.ndarray:
    """Draw rotations (B, 3, 3) by angles that are uniform."""
    angle = rng.uniform(0, 2 * np.pi, size=count)
    one, other = (0, 2) if axis == "y" else (0, 1)
    matrices = np.tile(np.eye(3), (count, 1, 1))
    matrices[:, one, one] = matrices[:, other, other] = np.cos(angle)
    matrices[:, one, other], matrices[:, other, one] = np.sin(angle), -np.sin(angle)
    return matrices
