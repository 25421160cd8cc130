"""Pictures and movies: what they show, what is refused, and that nothing half-written stays."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.results.trajectory import RunInfo, Trajectory
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene import check_picture_path
from nbody_surrogate.viz.scene.camera import REACH, moving_cameras, still_camera
from nbody_surrogate.viz.scene.colouring import RAMP, scale_of
from nbody_surrogate.viz.scene.inset import energy_errors
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.shapes import tubes
from nbody_surrogate.viz.scene.tracks import SUBFRAMES, Track

SIZE = (240, 180)
EXACT = 1e-12  # cubic Hermite reproduces cubics: only rounding is left
SAME_PICTURE = 0.5  # mean grey levels of 255; rounding of coordinates moves edges by less


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


def cool(image: np.ndarray) -> int:
    return int((image[..., 2] - image[..., 0] > 80).sum())


def yellow(image: np.ndarray) -> int:
    red, green, blue = np.moveaxis(image, -1, 0)
    return int(((red > 150) & (green > 0.75 * red) & (blue < 0.65 * red)).sum())


# What a picture shows


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.PNG"])
def test_a_picture_has_the_size_asked_for_and_both_kinds_of_charge(
    tmp_path: Path, name: str
) -> None:
    path = render(trajectory(), tmp_path / name, window_size=(320, 200))
    image = np.asarray(Image.open(path)).astype(int)
    assert path == tmp_path / name
    assert image.shape == (200, 320, 3)
    assert warm(image) > 100
    assert cool(image) > 100


@pytest.mark.parametrize(
    ("charge", "is_warm", "is_cool"), [(2.0, True, False), (-2.0, False, True), (0.0, False, False)]
)
def test_colours_tell_the_sign_of_a_charge(
    tmp_path: Path, charge: float, is_warm: bool, is_cool: bool
) -> None:
    image = picture(trajectory(charge=charge), tmp_path)
    assert (warm(image) > 100, cool(image) > 100) == (is_warm, is_cool)
    assert is_warm or warm(image) == 0
    assert is_cool or cool(image) == 0


def test_a_weak_charge_is_greyer_than_a_strong_one() -> None:
    run = trajectory(n=3)
    run = replace(run, particles=Particles([[1.0, 0.2, 0.0]], np.ones((1, 3))))
    red_over_blue = np.diff(Track.of(run, "").colours()[:, ::2], axis=1)[:, 0]
    assert red_over_blue[0] < red_over_blue[1] < red_over_blue[2]


def test_frames_differ_and_the_last_is_shown_unless_asked_otherwise(tmp_path: Path) -> None:
    run = trajectory()
    last = picture(run, tmp_path, title="")
    assert np.array_equal(last, picture(run, tmp_path, frame=len(run.t) - 1, title=""))
    assert not np.array_equal(last, picture(run, tmp_path, frame=3, title=""))


def test_a_particle_at_rest_is_drawn_at_the_middle_of_the_picture(tmp_path: Path) -> None:
    for dim in (2, 3):
        run = trajectory(n=1, frames=5, dim=dim)
        run = replace(run, x=np.full_like(run.x, 7.0), v=np.zeros_like(run.v))
        centre = picture(run, tmp_path, title="")[SIZE[1] // 2, SIZE[0] // 2]
        assert centre[0] - centre[2] > 80


def test_without_a_trail_less_is_drawn(tmp_path: Path) -> None:
    run = trajectory(n=3)
    assert warm(picture(run, tmp_path, trail=0)) < 0.8 * warm(picture(run, tmp_path, trail=10))


def test_a_reference_adds_rings_and_a_gap_adds_error_lines(tmp_path: Path) -> None:
    run = trajectory()
    alone = picture(run, tmp_path)
    same = picture(run, tmp_path, reference=run)
    apart = picture(moved(run), tmp_path, reference=run)
    assert not np.array_equal(alone, same)
    assert yellow(apart) > yellow(same) + 30


def test_colours_may_stand_for_speed_or_error() -> None:
    run = trajectory(n=4)
    fast = replace(run, v=run.v * np.arange(1, 5)[:, None])
    scale = scale_of("speed", Track.of(fast, ""), None)
    assert scale is not None
    np.testing.assert_allclose(scale.values, np.linalg.norm(fast.v, axis=2))
    shift = np.array([1e-3, 1e-2, 1e-1, 0.0])[:, None]
    lead = Track.of(run, "")
    scale = scale_of("error", Track.of(replace(run, x=run.x + shift), ""), lead)
    assert scale is not None
    assert scale.logarithmic
    np.testing.assert_allclose(scale.values[3], np.sqrt(3) * shift[:, 0], atol=1e-12)
    red_over_blue = np.diff(scale.colours(3)[:3, ::2], axis=1)[:, 0]
    assert red_over_blue[0] > red_over_blue[1] > red_over_blue[2]  # blue to red
    np.testing.assert_array_equal(scale.colours(3)[3], RAMP[0])
    assert scale_of("charge", lead, None) is None


def test_speed_gives_other_colours_and_a_bar(tmp_path: Path) -> None:
    run = trajectory(charge=1.0)
    slow = np.linspace(0.1, 1, 8)[:, None]
    run = replace(run, v=slow * run.v)
    by_charge, by_speed = (
        picture(run, tmp_path, colouring=name, trail=0) for name in ("charge", "speed")
    )
    assert cool(by_charge) == 0
    assert cool(by_speed[:120]) > 20  # the slow ones
    assert cool(by_speed[120:, :80]) > 20  # the bar, at the lower left


def test_the_inset_shows_the_energy_error_at_the_lower_right(tmp_path: Path) -> None:
    run = trajectory()
    plain, chart = (picture(run, tmp_path, inset=inset) for inset in (False, True))
    changed = np.argwhere((plain != chart).any(axis=2))
    assert len(changed) > 100
    assert changed[:, 0].min() > SIZE[1] / 2
    assert changed[:, 1].min() > SIZE[0] / 2
    unknown = replace(run, info=RunInfo(system={}, method={"integrator": "dop853"}))
    assert energy_errors(unknown, None) is None
    found = energy_errors(run, run)
    assert found is not None
    assert found.curves[0][0] == 0
    np.testing.assert_array_equal(*found.curves)


def test_the_picture_does_not_depend_on_the_unit_of_length(tmp_path: Path) -> None:
    run = trajectory()
    large = replace(run, x=1000 * run.x, v=1000 * run.v)
    assert np.abs(picture(run, tmp_path) - picture(large, tmp_path)).mean() < SAME_PICTURE


def test_a_flat_run_is_seen_from_above(tmp_path: Path) -> None:
    run = trajectory(n=2, dim=2, charge=1.0)  # one on the right, its twin on the left
    image = picture(replace(run, x=run.x[:1].repeat(12, axis=0), v=0 * run.v), tmp_path, title="")
    columns = np.flatnonzero((image[20:150, :, 0] - image[20:150, :, 2] > 80).any(axis=0))
    rows = np.flatnonzero((image[20:150, :, 0] - image[20:150, :, 2] > 80).any(axis=1)) + 20
    assert columns.min() + columns.max() == pytest.approx(SIZE[0], abs=3)
    assert rows.mean() == pytest.approx(SIZE[1] / 2, abs=2)
    assert np.ptp(columns) > 4 * np.ptp(rows)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("n", [1, 2])
def test_the_smallest_runs_can_be_drawn(tmp_path: Path, n: int, frames: int) -> None:
    run = trajectory(n=n, frames=frames)
    assert warm(picture(moved(run), tmp_path, reference=run)) > 50


# What is not there or not reached


def test_particles_without_a_finite_position_are_left_out(tmp_path: Path) -> None:
    run = trajectory()
    x = run.x.copy()
    x[-1, ::2] = np.nan  # the positive ones
    x[5, 1] = np.inf  # a gap in a trail
    image = picture(replace(run, x=x), tmp_path, title="", trail=8)
    assert warm(image) < 0.5 * warm(picture(run, tmp_path, title="", trail=8))
    assert cool(image) > 100
    picture(replace(run, x=x), tmp_path, reference=run)
    picture(run, tmp_path, reference=replace(run, x=x))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [1e4, 1e9, 1e30, 1e200])
def test_a_candidate_that_blows_up_leaves_the_reference_in_sight(
    tmp_path: Path, far: float
) -> None:
    run = trajectory()
    x, v = run.x.copy(), run.v.copy()
    x[4:, :2] *= far
    v[4:, :2] *= far
    image = picture(replace(run, x=x, v=v), tmp_path, reference=run, title="")
    assert warm(image) > 100
    assert cool(image) > 100


def test_a_stopped_run_keeps_its_last_trail_and_says_so(tmp_path: Path) -> None:
    run = trajectory()
    x, v = run.x.copy(), run.v.copy()
    x[6:], v[6:] = x[5], v[5]
    frozen = replace(run, x=x, v=v)
    stopped = replace(frozen, info=replace(run.info, status=(-1,), good=(6,)))
    assert np.array_equal(Track.of(stopped, "").path(11, 4), Track.of(run, "").path(5, 4))
    plain, told = (picture(each, tmp_path, trail=0) for each in (frozen, stopped))
    where = np.argwhere((plain != told).any(axis=2))
    assert len(where)
    assert (where[:, 0] < 50).all()  # the note at the top right is all that is new
    assert (where[:, 1] > 120).all()


# Trails and cameras, in numbers


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


def test_what_is_lost_in_the_distance_is_not_drawn() -> None:
    x = trajectory().x
    camera = still_camera(x, x, 0, 0, 1.0)
    radii = np.array([1.0, -10.0, 1e6, 1e300, np.inf, np.nan])
    seen = camera.sees(camera.centre + camera.radius * radii[:, None] * np.ones(3))
    assert seen.tolist() == [True, True, False, False, False, False]


def test_one_runaway_does_not_spoil_the_frame() -> None:
    x = trajectory(n=30).x.copy()
    calm = still_camera(x, x, 11, 5, 1.0)
    x[:, 0] = 1e9
    wild = still_camera(x, x, 11, 5, 1.0)
    assert wild.radius == pytest.approx(calm.radius, rel=0.2)
    assert np.linalg.norm(wild.centre - calm.centre) < 0.3 * calm.radius


def test_a_candidate_that_blows_up_moves_the_camera_only_so_far() -> None:
    x = trajectory(n=30).x
    assert still_camera(x, 1e9 * x, 11, 5, 1.0).radius == pytest.approx(
        REACH * still_camera(x, x, 11, 5, 1.0).radius
    )
    assert still_camera(x, np.nan * x, 11, 5, 1.0).radius == still_camera(x, x, 11, 5, 1.0).radius


def test_a_narrow_picture_is_taken_from_farther_away() -> None:
    x = trajectory().x
    distances = [
        np.linalg.norm((camera := still_camera(x, x, 0, 5, aspect)).position - camera.centre)
        for aspect in (0.5, 1.0, 2.0)
    ]
    assert distances[0] == pytest.approx(2 * distances[1])
    assert distances[1] == pytest.approx(distances[2])


def test_a_movie_turns_around_a_cloud_and_not_around_a_plane() -> None:
    x = trajectory(frames=40).x
    cameras = moving_cameras(x, x, 5, 1.0)
    steps = [
        np.degrees(np.arccos(min(1.0, one.facing[2] @ other.facing[2])))
        for one, other in pairwise(cameras)
    ]
    assert len(cameras) == 40
    assert 0 < min(steps) <= max(steps) < 1
    for camera in cameras:
        assert np.allclose(camera.facing @ camera.facing.T, np.eye(3))
    for camera in moving_cameras(x[..., :2], x[..., :2], 5, 1.0):
        assert np.array_equal(camera.facing, np.eye(3))


def test_a_movie_follows_a_growing_cloud_smoothly() -> None:
    growth = np.where(np.arange(60) < 30, 1.0, 50.0)[:, None, None]  # all at once
    x = growth * trajectory(frames=60).x
    radii = np.array([camera.radius for camera in moving_cameras(x, x, 0, 1.0)])
    assert (radii[1:] / radii[:-1]).max() < 1.5
    assert radii[-1] > 20 * radii[0]


# What is refused


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("p.bmp", r"`render`.*\.png, \.jpg, \.mp4, \.gif.*p\.bmp"),
        ("p", r"`render`.*\.png.*p'"),
        ("no/p.png", r"`render`.*existing folder.*p\.png"),
        ("there.png", r"`render`.*there\.png.*overwrite"),
        ("folder.png", r"`render`.*folder.*folder\.png"),
    ],
)
def test_paths_that_cannot_be_written_are_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "there.png").write_bytes(b"precious")
    (tmp_path / "folder.png").mkdir()
    for refuse in (check_picture_path, lambda path: render(trajectory(), path)):
        with pytest.raises(InputError, match=said) as caught:
            refuse(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "there.png").read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(InputError, match="may write"):
        check_picture_path(tmp_path / "p.png")


@pytest.mark.parametrize("missing", ["imageio", "imageio_ffmpeg"])
@pytest.mark.parametrize("name", ["p.mp4", "p.gif"])
def test_a_movie_without_its_libraries_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=r"pip install 'nbody-surrogate\[movie\]'"):
        check_picture_path(tmp_path / name)
    assert check_picture_path(tmp_path / "p.png") == tmp_path / "p.png"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frame": 12}, "`frame`.*-12 to 11.*12"),
        ({"frame": -13}, "`frame`"),
        ({"trail": -1}, "`trail`"),
        ({"window_size": (10, 200)}, "`window_size`"),
        ({"window_size": (200, 100_000)}, "`window_size`"),
        ({"fps": 0}, "`fps`"),
        ({"colouring": "mass"}, "`colouring`.*charge, speed, error.*mass"),
        ({"colouring": "error"}, "`colouring`.*reference"),
        ({"fps": float("nan")}, "`fps`"),
        ({"reference": trajectory(n=7)}, r"`reference`.*\(12, 8, 3\).*\(12, 7, 3\)"),
        ({"reference": trajectory(frames=11)}, "`reference`"),
        ({"reference": trajectory(dim=2)}, "`reference`"),
        ({"reference": trajectory(charge=1.0)}, "`reference`.*charges"),
        ({"reference": replace(trajectory(), t=2 * trajectory().t)}, "`reference`.*times"),
        ({"reference": replace(trajectory(), x=np.nan * trajectory().x)}, "`x`.*finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        render(trajectory(), tmp_path / "p.png", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# Files


def test_a_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(b"old")
    render(trajectory(), path, window_size=SIZE, overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError("no space left"), RunError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_failure_leaves_nothing_behind_and_the_old_file_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, raised: type
) -> None:
    def save(self: Image.Image, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", save)
    path = tmp_path / "p.png"
    path.write_bytes(b"old")
    with pytest.raises(raised):
        render(trajectory(), path, window_size=SIZE, overwrite=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_movie_that_fails_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio")
    draw = Scene.image

    def image(self: Scene, frame: int, camera: Any) -> np.ndarray:
        if frame == 3:
            raise RuntimeError("lost the display")
        return draw(self, frame, camera)

    monkeypatch.setattr(Scene, "image", image)
    for name in ("p.mp4", "p.gif"):
        with pytest.raises(RuntimeError, match="lost the display"):
            render(trajectory(), tmp_path / name, window_size=SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["p.gif", "p.mp4"])
def test_a_movie_shows_every_frame(tmp_path: Path, name: str) -> None:
    imageio = pytest.importorskip("imageio.v2")
    run = trajectory(frames=5)
    path = render(moved(run), tmp_path / name, reference=run, window_size=(161, 121), fps=10)
    images = [np.asarray(image)[..., :3].astype(int) for image in imageio.mimread(path)]
    size = (160, 120) if name == "p.mp4" else (161, 121)
    assert [image.shape for image in images] == [(size[1], size[0], 3)] * 5
    for one, other in pairwise(images):
        assert (np.abs(one - other).max(axis=2) > 40).sum() > 20  # particles moved on
    assert min(map(warm, images)) > 30
    assert list(tmp_path.iterdir()) == [path]


# Manners


def python(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_checking_a_path_loads_neither_pyvista_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from nbody_surrogate.viz.scene import check_picture_path\n"
        "from nbody_surrogate.viz.render import render\n"
        "check_picture_path(sys.argv[1])\n"
        "print([name for name in ('pyvista', 'vtkmodules', 'torch') if name in sys.modules])"
    )
    assert python(code, tmp_path / "p.png").stdout.strip() == "[]"


def test_drawing_prints_nothing(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + (
        "from pathlib import Path; from test_render import picture, trajectory\n"
        "picture(trajectory(), Path(sys.argv[1]))"
    )
    done = python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "p.png").exists()
