"""Flat runs in layers: nothing moves on the picture, and each thing is before or behind another."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import make_system
from nbody_surrogate.viz.scene.camera import Camera
from nbody_surrogate.viz.scene.layers import Layers, moved
from nbody_surrogate.viz.scene.system_shapes import words_of

N = 4
CAMERA = Camera(
    centre=np.array([1.0, 2.0, 0.0]),
    radius=2.0,
    position=np.array([1.0, 2.0, 16.0]),
    facing=np.eye(3),
    anchor=np.array([1.0, 2.0, 0.0]),
    scale=2.0,
)
AGES = np.linspace(0, 1, 7)[:, None]


def seen(points):
    """Where points are on the picture."""
    rays = points - CAMERA.position
    return rays[..., :2] / rays[..., 2:]


def test_layers_keep_the_picture_and_part_all_things():
    layers, x = Layers(N, flat=True), np.random.default_rng(0).normal(size=(N, 3)) * (1, 1, 0)
    path = np.broadcast_to(x, (len(AGES), N, 3))
    depths = []
    for points, factors in [
        (x, layers.balls(CAMERA, rival=True)),
        (x, layers.balls(CAMERA, rival=False)),
        (path, layers.trails(CAMERA, AGES, rival=True)),
        (path, layers.trails(CAMERA, AGES, rival=False)),
    ]:
        shifted = moved(points, factors, CAMERA)
        np.testing.assert_allclose(seen(shifted), seen(points), rtol=1e-12)
        depths.append(-shifted[..., 2])
    rings, balls, thin, thick = depths
    assert rings.max() < balls.min() < balls.max() < 0 < thin.min() < thin.max() < thick.min()
    for each in (rings, balls):
        assert len(np.unique(each)) == N
    for each in (thin, thick):  # the newest in front, and no layer reaches into another
        assert (np.diff(each, axis=0) < 0).all()
        order = np.argsort(each[0])
        assert (each.max(0)[order][:-1] < each.min(0)[order][1:]).all()


def test_runs_in_space_are_left_as_they_are():
    layers = Layers(N, flat=False)
    assert (layers.balls(CAMERA, rival=True) == 1).all()
    assert (layers.trails(CAMERA, AGES, rival=False) == 1).all()


@pytest.mark.parametrize("name", ["penning", "trap"])
def test_what_a_system_shows_is_told_apart_by_its_look(name):
    system = make_system(name)
    words = words_of(system.scenery(*system.sample(0, 3)))
    assert words
    assert len({kind for kind, _ in words}) == len(words)
