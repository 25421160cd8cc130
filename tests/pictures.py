"""Runs to be drawn, pictures of them, and their colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import RunInfo, Trajectory
from nbody_surrogate.viz.render import render

SIZE = (240, 180)


def trajectory(
    n: int = 8, frames: int = 12, dim: int = 3, charge: float | None = None
) -> Trajectory:
    """Particles on circles around the origin, in turn positive and negative."""
    t = 0.1 * np.arange(frames)
    phase = 2 * np.pi * np.arange(n) / n + t[:, None]
    axes = [np.cos(phase), np.sin(phase), 0.5 * np.cos(2 * phase)]
    rates = [-np.sin(phase), np.cos(phase), -np.sin(2 * phase)]
    charges = np.resize([1.0, -1.0], n) if charge is None else np.full(n, charge)
    return Trajectory(
        t=t,
        x=np.stack(axes[:dim], axis=-1),
        v=np.stack(rates[:dim], axis=-1),
        particles=Particles(charges[None], np.ones((1, n))),
        info=RunInfo(system={"system": "charged"}, method={"integrator": "dop853"}),
    )


def moved(run: Trajectory, by: float = 0.3) -> Trajectory:
    """The same run as another method might see it: more and more to the right."""
    drift = by * np.linspace(0, 1, len(run.t))[:, None, None] * np.eye(run.x.shape[2])[0]
    return replace(run, x=run.x + drift, info=replace(run.info, method={"integrator": "set"}))


def picture(run: Trajectory, folder: Path, **options: Any) -> np.ndarray:
    path = render(run, folder / "p.png", window_size=SIZE, overwrite=True, **options)
    return np.asarray(Image.open(path)).astype(int)


def warm(image: np.ndarray) -> int:
    return int((image[..., 0] - image[..., 2] > 80).sum())
