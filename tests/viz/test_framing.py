"""What a picture holds: every particle whole, with its trail, in all frames, clear of words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate import make_system
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.scene.camera import (
    VIEW_ANGLE,
    Camera,
    all_around,
    moving_cameras,
    still_camera,
)
from nbody_surrogate.viz.scene.framing import Balls, Corner, View
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.subject import THICK
from nbody_surrogate.viz.scene.tracks import Track
from nbody_surrogate.viz.scene.viewpoint import Viewpoint, viewpoint_of
from pictures import SIZE, moved, picture, trajectory

WORDS = (
    Corner(False, True, 0.4, 0.1),
    Corner(True, True, 0.3, 0.15),
    Corner(False, False, 0.3, 0.2),
)
INSET = Corner(True, False, 0.27, 0.27)
SYSTEMS = ("charged", "charged-clipped", "gravity", "oscillator", "pendulum", "penning", "springs")
SYSTEMS += ("trap",)
CLOUD = np.random.default_rng(1).normal(size=(300, 3))
PLACES = {
    **{f"chain along {axis}": np.linspace(-1, 1, 7)[:, None] * unit
       for axis, unit in zip("xyz", np.eye(3), strict=True)},
    "two along z": np.array([[0, 0, -1.0], [0, 0, 1]]),
    **{f"plane across {axis}": np.insert(CLOUD[:60, :2], k, 0.0, axis=1)
       for k, axis in enumerate("xyz")},
    "one": np.zeros((1, 3)),
    "at one point": np.full((5, 3), 3.0),
    "one far out": np.concatenate([CLOUD[:30], [[9.0, -6.0, 5.0]]]),
    "cloud": CLOUD,
    "flat": CLOUD[:40, :2],
    "flat chain": np.linspace(-1, 1, 7)[:, None] * np.array([0.0, 1.0]),
}  # fmt: skip


def swinging(places: np.ndarray, unit: float = 1.0) -> Trajectory:
    """Particles that breathe to 1.3 of their places and back, unequal in mass, in any unit."""
    frames, (n, dim) = 9, places.shape
    run = trajectory(n=n, frames=frames, dim=dim)
    size = 1 + 0.3 * np.sin(np.arange(frames) / 3)[:, None, None]
    rate = np.cos(np.arange(frames) / 3)[:, None, None]
    masses = np.geomspace(0.1, 10.0, n)[None]
    particles = Particles(run.particles.charges, masses)
    return replace(run, x=unit * size * places, v=unit * rate * places, particles=particles)


def seen(camera: Camera, aspect: float, x: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Project points all over balls: -1 to 1 from left to right and from bottom to top."""
    normals = np.random.default_rng(2).normal(size=(40, 3))
    normals = np.concatenate([normals, camera.facing, -camera.facing])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = x[:, None] + radii[:, None, None] * normals
    right, up, back = np.moveaxis((points - camera.position) @ camera.facing.T, 2, 0)
    assert (back < 0).all()
    high = -back * np.tan(np.radians(VIEW_ANGLE / 2))
    return np.stack([right / (aspect * high), up / high], axis=-1).reshape(-1, 2)


def assert_in_sight(
    camera: Camera, view: View, track: Track, frame: int, rival: bool = False
) -> None:
    usual = camera.ball_radius(len(track.sizes))
    here = THICK * track.rings(usual) if rival else track.balls(usual)
    path = track.path(frame, 6)
    assert camera.shows(track.x[frame], rival=rival).all()
    assert camera.shows(path, rival=rival).all()
    wide = np.tile(track.widths(0.42 * usual), len(path))
    trail = seen(camera, view.aspect, path.reshape(-1, 3), wide)
    for places in (seen(camera, view.aspect, track.x[frame], here), trail):
        assert np.abs(places).max() < 1
        for right, top, width, height in view.corners:
            x, y = places.T * [[1 if right else -1], [1 if top else -1]]
            assert not ((x > 1 - 2 * width) & (y > 1 - 2 * height)).any()


@pytest.mark.thinned
@pytest.mark.parametrize("name", PLACES)
def test_every_ball_and_trail_is_in_sight_in_all_frames(name: str) -> None:
    track = Track.of(swinging(PLACES[name]), "")
    for view in (View(0.6), View(16 / 9, WORDS)):
        for frame, camera in enumerate(moving_cameras(track, None, 6, view)):
            assert_in_sight(camera, view, track, frame)
        assert_in_sight(still_camera(track, None, 5, 6, view), view, track, 5)


def ballistic(name: str, n: int, dim: int) -> Trajectory:
    """The start of a system, and how it would go on without forces, to twice its size or more."""
    state, particles = make_system(name).sample(rng=1, n=n, dimensions=dim)
    t = np.linspace(0, 4, 7)
    x, v = state.x[0] + t[:, None, None] * state.v[0], np.repeat(state.v, 7, axis=0)
    return replace(trajectory(n=n, frames=7, dim=dim), t=t, x=x, v=v, particles=particles)


def assert_all_in_sight(track: Track, viewpoint: Viewpoint) -> None:
    view, pivot = View(16 / 9, (*WORDS, INSET)), Balls(np.zeros((1, 3)), np.zeros(1))
    shots = moving_cameras(track, None, 6, view, viewpoint, landmarks=pivot)
    for frame, shot in list(enumerate(shots))[::2]:
        assert_in_sight(shot, view, track, frame)
    still = still_camera(track, None, 3, 6, view, viewpoint, pivot)
    assert_in_sight(still, view, track, 3)


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("n", "dim", "camera", "orbit"), [(1, 3, None, None), (2, 3, "yz", 0.0), (40, 3, "iso", 300.0)]
)
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_in_sight_in_all_frames(
    name: str, n: int, dim: int, camera: str | None, orbit: float | None
) -> None:
    """All of it, from several sides, in turning movies too, clear of words and of the inset."""
    viewpoint = viewpoint_of(camera, orbit, dim == 2)
    assert_all_in_sight(Track.of(ballistic(name, n, dim), ""), viewpoint)


@pytest.mark.thinned
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_flat_system_is_in_sight_in_all_frames(name: str) -> None:
    assert_all_in_sight(Track.of(ballistic(name, 30, 2), ""), viewpoint_of(None, None, True))


@pytest.mark.parametrize("name", ["penning", "trap"])
def test_many_particles_are_in_sight_in_all_frames(name: str) -> None:
    assert_all_in_sight(Track.of(ballistic(name, 300, 3), ""), viewpoint_of(None, None, False))


def test_pendulums_hang_in_the_middle_of_their_picture() -> None:
    """The middle of what is drawn, pivot included, is that of the picture."""
    track = Track.of(ballistic("pendulum", 30, 2), "")
    pivot = Balls(np.zeros((1, 3)), np.zeros(1))
    camera = still_camera(track, None, 0, 6, View(4 / 3), landmarks=pivot)
    balls = camera.ball_radius(30) * track.sizes
    places = np.concatenate(
        [seen(camera, 4 / 3, track.x[0], balls), seen(camera, 4 / 3, np.zeros((1, 3)), np.zeros(1))]
    )
    low, high = places.min(axis=0), places.max(axis=0)
    assert np.allclose(low + high, 0, atol=0.02)
    assert 0.9 < (high - low).max() / 2 < 0.96


@pytest.mark.parametrize("name", ["chain along z", "cloud", "flat"])
def test_rings_are_in_sight_too(name: str) -> None:
    run = swinging(PLACES[name])
    lead, rival, view = Track.of(run, ""), Track.of(moved(run), ""), View(1.5, WORDS)
    for frame, camera in enumerate(moving_cameras(lead, rival, 6, view)):
        assert_in_sight(camera, view, lead, frame)
        assert_in_sight(camera, view, rival, frame, rival=True)


@pytest.mark.thinned
@pytest.mark.parametrize("size", [0.02, 0.4, 5.0])
@pytest.mark.parametrize("name", ["two along z", "cloud", "flat"])
def test_balls_of_a_true_size_and_their_rings_are_in_sight(name: str, size: float) -> None:
    run = swinging(PLACES[name])
    radii = size * np.linspace(1.0, 2.0, run.particles.n)
    run = replace(run, particles=replace(run.particles, radii=radii))
    lead, rival = Track.of(run, ""), Track.of(moved(run), "")
    assert np.array_equal(lead.balls(0.1), radii)
    for view in (View(0.6), View(16 / 9, WORDS)):
        for frame, camera in list(enumerate(moving_cameras(lead, rival, 6, view)))[::3]:
            assert_in_sight(camera, view, lead, frame)
            assert_in_sight(camera, view, rival, frame, rival=True)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_one_ball_of_a_true_size_is_seen_in_any_unit(size: float) -> None:
    run = swinging(PLACES["one"], size)
    track = Track.of(replace(run, particles=replace(run.particles, radii=size)), "")
    view = View(4 / 3)
    camera = still_camera(track, None, 0, 6, view)
    assert_in_sight(camera, view, track, 0)
    edge = seen(camera, 4 / 3, track.x[0], track.balls(0.0))
    assert 0.1 < np.abs(edge).max() < 1


def test_a_page_holds_all_from_wherever_it_is_turned() -> None:
    track = Track.of(swinging(PLACES["chain along z"]), "")
    around = all_around(track, None, 6)
    for frame, (centre, radius, reach) in enumerate(zip(*around, strict=True)):
        far = np.linalg.norm(track.x[frame] - centre, axis=1)
        assert (far + 0.036 * radius * 4**0.25 * track.sizes <= reach).all()


def test_a_picture_is_no_smaller_than_it_must_be() -> None:
    """Whatever touches the edge of the free part decides; nothing is farther off than that."""
    track = Track.of(swinging(PLACES["chain along z"]), "")
    view = View(1.5)
    camera = still_camera(track, None, 7, 6, view)
    balls = camera.ball_radius(7) * track.sizes
    assert 0.9 < np.abs(seen(camera, 1.5, track.x[7], balls)).max() < 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("title", "unit"), [("a title", 1.0), ("", 1e-10), ("", 1e11)])
def test_a_chain_along_z_is_whole_in_its_picture(tmp_path: Path, title: str, unit: float) -> None:
    """Nothing but the backdrop is at the edges, and seven balls are apart from them."""
    run = swinging(PLACES["chain along z"], unit)
    image = picture(run, tmp_path, title=title, trail=0, frame=5)
    colourful = np.ptp(image, axis=2) > 60
    rows = np.flatnonzero(colourful[:, SIZE[0] // 2 - 20 : SIZE[0] // 2 + 20].any(axis=1))
    assert 1 <= rows.min() < 0.3 * SIZE[1]
    assert rows.max() > 0.7 * SIZE[1]
    edge = np.concatenate([colourful[0], colourful[-1], colourful[:, 0], colourful[:, -1]])
    assert not edge.any()


@pytest.mark.slow
def test_words_are_where_the_scene_says_they_are() -> None:
    run = swinging(PLACES["cloud"])
    track = Track.of(run, "")
    with Scene(track, None, 0, (320, 240), "a title") as scene:
        corners = {(corner.right, corner.top): corner for corner in scene.view().corners}
        empty = replace(still_camera(track, None, 0, 0, scene.view()), centre=np.full(3, 1e9))
        image = scene.image(0, empty).astype(int)
    written = (image - image[:, 160:161]).max(axis=2) > 25  # beside the middle, which is bare
    rows, columns = np.nonzero(written)
    x, y = columns / 320, 1 - rows / 240
    assert written.sum() > 100
    for right, top in ((False, True), (True, True), (False, False)):
        here = ((x > 0.5) == right) & ((y > 0.5) == top)
        corner = corners[right, top]
        across, up = (1 - x if right else x)[here], (1 - y if top else y)[here]
        assert across.max() <= corner.width + 0.02
        assert up.max() <= corner.height + 0.02
        kept = right and top  # where room is kept for a note under the clock
        assert kept or across.max() > corner.width - 0.1  # and no wider than they are
