"""Trails and cameras, in numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nbody_surrogate.viz.scene.camera import REACH, Camera, moving_cameras, still_camera
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.shapes import tubes
from nbody_surrogate.viz.scene.tracks import SUBFRAMES, Track
from pictures import trajectory

EXACT = 1e-12  # cubic Hermite reproduces cubics: only rounding is left


def test_a_trail_passes_through_the_frames_and_follows_cubics_between_them() -> None:
    run = trajectory(n=2, frames=6)
    t, powers = run.t, np.array([3, 2, 1])
    at = lambda s: np.repeat(s[:, None, None] ** powers, 2, axis=1)  # noqa: E731
    rate = np.repeat(powers * t[:, None, None] ** (powers - 1), 2, axis=1)
    path = Track.of(replace(run, x=at(t), v=rate), "").path(frame=4, trail=3)
    fine = np.linspace(t[1], t[4], 3 * SUBFRAMES + 1)
    assert np.abs(path - at(fine)).max() < EXACT


def test_a_tube_skips_halts_and_what_comes_before_a_gap(
    capfd: pytest.CaptureFixture[str],
) -> None:
    halting = np.array([0.0, 1, 1, 1.2, 2.2, 3.2])
    broken = np.array([0.0, 1, np.nan, 5, 6, 7])
    paths = np.stack([halting, broken, np.ones(6)], axis=1)[..., None] * np.array([1.0, 0, 0])
    mesh = tubes(paths, np.ones_like(paths), np.full((6, 3), 0.1), shortest=0.5)
    expected = [0, 1.2, 2.2, 3.2, 5, 6, 7]  # and nothing for the one at rest
    assert np.array_equal(np.unique(np.round(mesh.points[:, 0], 6)), expected)
    assert np.linalg.norm(mesh.points[:, 1:], axis=1).max() == pytest.approx(0.1)
    assert not tubes(paths[:, 2:], paths[:, 2:], np.ones((6, 1)), shortest=0.5).n_points
    assert capfd.readouterr().err == ""  # VTK grumbles at tubes that go nowhere


def shots(x: np.ndarray, rival: np.ndarray | None = None) -> tuple[Track, Track | None]:
    """Tracks of positions; their trails are straight."""
    frames, n, dim = x.shape
    run = replace(trajectory(n=n, frames=frames, dim=dim), x=x, v=0 * x)
    other = None if rival is None else Track.of(replace(run, x=rival), "")
    return Track.of(run, ""), other


def test_what_is_lost_in_the_distance_is_not_drawn() -> None:
    camera = still_camera(*shots(trajectory().x), 0, 0, View(1.0))
    radii = np.array([1.0, -10.0, 1e6, 1e300, np.inf, np.nan])
    seen = camera.sees(camera.centre + camera.radius * radii[:, None] * np.ones(3))
    assert seen.tolist() == [True, True, False, False, False, False]


def test_one_runaway_does_not_spoil_the_frame() -> None:
    x = trajectory(n=30).x.copy()
    calm = still_camera(*shots(x), 11, 5, View(1.0))
    x[:, 0] = 1e9
    wild = still_camera(*shots(x), 11, 5, View(1.0))
    assert wild.radius == pytest.approx(calm.radius, rel=0.2)
    assert np.linalg.norm(wild.centre - calm.centre) < 0.3 * calm.radius
    assert distance(wild) < 1.2 * distance(calm)
    movie = moving_cameras(*shots(x), 5, View(1.0))
    assert max(map(distance, movie)) < 1.2 * distance(calm)


def test_a_candidate_that_blows_up_moves_the_camera_only_so_far() -> None:
    x = trajectory(n=30).x
    alone = still_camera(*shots(x), 11, 5, View(1.0))
    blown = still_camera(*shots(x, 1e9 * x), 11, 5, View(1.0))
    assert blown.radius == pytest.approx(REACH * alone.radius)
    assert distance(blown) < 1.2 * REACH * distance(alone)
    assert still_camera(*shots(x, np.nan * x), 11, 5, View(1.0)).radius == alone.radius


def distance(camera: Camera) -> float:
    return float(np.linalg.norm(camera.position - camera.centre))


def test_a_narrow_picture_is_taken_from_farther_away() -> None:
    distances = [
        distance(still_camera(*shots(trajectory().x), 0, 5, View(aspect)))
        for aspect in (0.5, 1.0, 2.0)
    ]
    assert distances[0] > 1.8 * distances[1]
    assert distances[1] >= distances[2]


def test_a_movie_turns_around_a_cloud_and_not_around_a_plane() -> None:
    x = trajectory(frames=40).x
    cameras = moving_cameras(*shots(x), 5, View(1.0))
    steps = [
        np.degrees(np.arccos(min(1.0, one.facing[2] @ other.facing[2])))
        for one, other in pairwise(cameras)
    ]
    assert len(cameras) == 40
    assert 0 < min(steps) <= max(steps) < 1
    for camera in cameras:
        assert np.allclose(camera.facing @ camera.facing.T, np.eye(3))
    for camera in moving_cameras(*shots(x[..., :2]), 5, View(1.0)):
        assert np.array_equal(camera.facing, np.eye(3))


def test_a_movie_follows_a_growing_cloud_smoothly() -> None:
    growth = np.where(np.arange(60) < 30, 1.0, 50.0)[:, None, None]  # all at once
    cameras = moving_cameras(*shots(growth * trajectory(frames=60).x), 0, View(1.0))
    for lengths in (np.array([c.radius for c in cameras]), np.array([*map(distance, cameras)])):
        assert (lengths[1:] / lengths[:-1]).max() < 1.5
        assert lengths[-1] > 20 * lengths[0]
