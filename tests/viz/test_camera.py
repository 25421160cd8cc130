"""Trails and cameras, in numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.scene.camera import Camera, moving_cameras, still_camera
from nbody_surrogate.viz.scene.framing import View
from nbody_surrogate.viz.scene.shapes import TUBE_SIDES, tubes
from nbody_surrogate.viz.scene.subject import KEPT, REACH, RIVAL_KEPT
from nbody_surrogate.viz.scene.tracks import SUBFRAMES, Track
from nbody_surrogate.viz.scene.viewpoint import viewpoint_of
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
    expected = [0, 3.2, 5, 7]  # ends of what is straight, and nothing for the one at rest
    assert np.array_equal(np.unique(np.round(mesh.points[:, 0], 6)), expected)
    assert np.linalg.norm(mesh.points[:, 1:], axis=1).max() == pytest.approx(0.1)
    bent = np.stack([np.cos(np.arange(6.0)), np.sin(np.arange(6.0)), np.zeros(6)], axis=1)[:, None]
    curve = tubes(bent, np.ones_like(bent), np.full((6, 1), 1e-3), shortest=0.5)
    assert curve.n_points == (6 + 2) * TUBE_SIDES  # every point of what turns, and both caps
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
    radii = np.array([0.5, -KEPT / 1.8, KEPT, 1e6, 1e300, np.inf, np.nan])
    seen = camera.sees(camera.anchor + camera.radius * radii[:, None] * np.ones(3))
    assert seen.tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize("far", [1e3, 1e9, 1e90])
def test_one_runaway_does_not_spoil_the_frame_and_is_not_drawn(far: float) -> None:
    x = trajectory(n=30).x.copy()
    calm = still_camera(*shots(x), 11, 5, View(1.0))
    x[:, 0] = far
    wild = still_camera(*shots(x), 11, 5, View(1.0))
    assert wild.radius == pytest.approx(calm.radius, rel=0.2)
    assert np.linalg.norm(wild.centre - calm.centre) < 0.3 * calm.radius
    movie = moving_cameras(*shots(x), 5, View(1.0))
    for frame, camera in enumerate([*movie, wild]):
        assert camera.distance < 1.2 * calm.distance
        assert camera.shows(x[min(frame, 11)]).tolist() == [False] + 29 * [True]


def test_one_that_leaves_late_is_never_drawn_and_one_that_stays_near_always() -> None:
    x = trajectory(n=30, frames=12).x.copy()
    x[:, 0, 0] += np.linspace(0, 5, 12)
    near = moving_cameras(*shots(x), 5, View(1.0))
    x[:, 0, 0] += np.linspace(0, 1e4, 12)
    far = moving_cameras(*shots(x), 5, View(1.0))
    assert all(camera.kept[0].all() for camera in near)
    assert not any(camera.kept[0][0] for camera in far)
    assert all(camera.kept[0][1:].all() for camera in far)


def test_a_candidate_that_blows_up_moves_the_camera_only_so_far() -> None:
    x = trajectory(n=30).x
    alone = still_camera(*shots(x), 11, 5, View(1.0))
    blown = still_camera(*shots(x, 1e9 * x), 11, 5, View(1.0))
    assert blown.radius == pytest.approx(REACH * alone.radius)
    assert distance(blown) < 1.2 * REACH * distance(alone)
    assert still_camera(*shots(x, np.nan * x), 11, 5, View(1.0)).radius == alone.radius


def test_a_ring_is_drawn_until_it_leaves() -> None:
    x = trajectory(n=30, frames=12).x
    rival = x.copy()
    rival[6:, 3] += 100.0
    rival[9:, 3] -= 100.0  # and does not come back
    cameras = moving_cameras(*shots(x, rival), 5, View(1.0))
    shown = [camera.shows(rival[k], rival=True)[3] for k, camera in enumerate(cameras)]
    assert shown == 6 * [True] + 6 * [False]
    assert RIVAL_KEPT < KEPT


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
        assert len(lengths) == 60
        assert (lengths[1:] / lengths[:-1]).max() < 1.5
        assert lengths[-1] > 20 * lengths[0]


def test_a_movie_of_a_cloud_that_keeps_its_size_stands_still() -> None:
    cameras = moving_cameras(*shots(trajectory(frames=40).x), 5, View(1.6))
    assert np.ptp([camera.distance for camera in cameras]) < 1e-12
    assert np.ptp([camera.anchor for camera in cameras], axis=0).max() == 0


# Viewpoints


@pytest.mark.parametrize(
    ("camera", "right", "up"),
    [
        ("xy", (1, 0, 0), (0, 1, 0)),
        ("xz", (1, 0, 0), (0, 0, 1)),
        ("yz", (0, 1, 0), (0, 0, 1)),
        ("-90,0", (1, 0, 0), (0, 0, 1)),
        ((0, 0), (0, 1, 0), (0, 0, 1)),
        ("0,0,-2", (-1, 0, 0), (0, 1, 0)),
        ((1e300, 0, 0), (0, 1, 0), (0, 0, 1)),
        ("30,90", (1, 0, 0), (0, 1, 0)),
    ],
)
def test_a_viewpoint_shows_its_plane_upright(camera, right, up) -> None:
    (facing,) = viewpoint_of(camera, None, False).facings(1)
    assert np.allclose(facing[:2], [right, up], atol=1e-12)
    assert np.allclose(facing[2], np.cross(right, up), atol=1e-12)


@pytest.mark.parametrize("camera", ["iso", "xy", "xz", "-60,20", (1.0, 2.0, 3.0)])
def test_an_orbit_turns_by_the_degrees_asked_for_and_ends_where_it_began(camera) -> None:
    facings = viewpoint_of(camera, 360.0, False).facings(37)
    assert np.allclose(facings[0], facings[-1])
    middle = viewpoint_of(camera, 0.0, False).facings(1)[0]
    assert np.allclose(facings[18], middle)
    turns = [np.degrees(np.arccos(np.clip(a[0] @ b[0], -1, 1))) for a, b in pairwise(facings)]
    assert np.allclose(turns, 10.0)
    assert np.allclose([each[1][2] for each in facings], facings[0][1][2])


@pytest.mark.parametrize("flat", [False, True])
def test_a_movie_turns_by_itself_only_where_no_plane_was_asked_for(flat: bool) -> None:
    turning = [
        not np.allclose(*viewpoint_of(camera, None, flat).facings(2))
        for camera in (None, "iso", "xy", "10,20")
    ]
    assert turning == [not flat, not flat, False, False]


@pytest.mark.parametrize(
    "camera", ["up", "", "1", "1,2,3,4", "0,0,0", "nan,1", "10,91", (), "a,b", "inf,0,0"]
)
def test_other_viewpoints_are_refused_in_one_line(camera) -> None:
    with pytest.raises(InputError, match=r"`camera` must be iso, xy.*; got [^\n]*$"):
        viewpoint_of(camera, None, False)


@pytest.mark.parametrize("orbit", [float("nan"), float("inf"), 3601, -4000])
def test_other_orbits_are_refused(orbit: float) -> None:
    with pytest.raises(InputError, match="`orbit` must be from -3600 to 3600"):
        viewpoint_of(None, orbit, False)
