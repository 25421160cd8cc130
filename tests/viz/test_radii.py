"""Particles with radii are drawn as balls of that size, in pictures, pages and notebooks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.html.scene import _data
from nbody_surrogate.viz.html.thumbnail import thumbnail
from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, still_camera
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.tracks import Track
from pictures import SIZE, moved, picture, trajectory


def sized(radii: float | list[float], n: int = 3) -> Trajectory:
    """Particles at rest, side by side, an equal way from the camera."""
    run = trajectory(n=n, frames=2, dim=2)
    x = np.stack([4.0 * np.arange(n), np.zeros(n)], axis=-1)
    particles = replace(run.particles, radii=radii)
    return replace(run, x=np.stack([x, x]), v=np.zeros((2, n, 2)), particles=particles)


def widths(image: np.ndarray, camera_height: float) -> list[float]:
    """Widths of the balls, which are apart from left to right, in units of length."""
    colourful = np.ptp(image, axis=2) > 60
    columns = np.flatnonzero(colourful[20:-20].any(axis=0))
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    return [len(each) * camera_height / image.shape[0] for each in runs]


@pytest.mark.parametrize("radii", [[0.5, 1.0, 1.5], [1.5, 1.5, 1.5]])
def test_a_picture_shows_true_sizes(tmp_path: Path, radii: list[float]) -> None:
    run = sized(radii)
    image = picture(run, tmp_path, title=" ", theme="light")
    view = View(SIZE[0] / SIZE[1])
    camera = still_camera(Track.of(run, ""), None, 1, 24, view)
    height = 2 * camera.distance * np.tan(np.radians(VIEW_ANGLE / 2))
    pixel = height / image.shape[0]
    found = widths(image, height)
    # a ball across the line of sight looks a little larger, by its place in the long lens
    np.testing.assert_allclose(found, 2 * np.array(radii), atol=3 * pixel)


def test_mass_matters_only_where_there_are_no_radii() -> None:
    run = trajectory(n=2)
    heavy = replace(run, particles=replace(run.particles, masses=[1.0, 8.0]))
    assert np.ptp(Track.of(heavy, "").balls(0.1)) > 0
    both = replace(heavy, particles=replace(heavy.particles, radii=0.3))
    track = Track.of(both, "")
    assert track.balls(0.1).tolist() == [0.3, 0.3]
    assert (track.widths(10.0) < 0.3).all()
    assert (track.widths(0.01) <= 0.018).all()


def test_a_page_has_them() -> None:
    run = sized([0.5, 1.0, 1.5])
    found = _data(run, moved(run))
    assert found["balls"] == [0.5, 1.0, 1.5]
    assert max(found["reaches"]) >= 4.0 + 1.5
    assert _data(trajectory(), None)["balls"] is None


def test_a_notebook_shows_true_proportions() -> None:
    circles = re.findall(
        r'<circle cx="([\d.]+)"[^>]* r="([\d.]+)"', thumbnail(sized([0.5, 1, 1.5]))
    )
    place, radius = np.array(sorted((float(x), float(r)) for x, r in circles)).T
    step = np.diff(place).mean()
    np.testing.assert_allclose(radius / step, np.array([0.5, 1.0, 1.5]) / 4.0, rtol=0.02)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_figure_has_true_sizes(dim: int) -> None:
    run = trajectory(n=3, dim=dim)
    run = replace(run, particles=replace(run.particles, radii=[3.0, 2.0, 1.0]))
    axes = run.plot().axes[0]
    # all of the largest ball is within the axes
    for (low, high), at in zip((axes.get_xlim(), axes.get_ylim()), run.x[-1, 0, :2], strict=True):
        assert low < at - 3.0 < at + 3.0 < high
