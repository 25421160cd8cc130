"""Pictures: what they show, and what they leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.viz.html.scene import scene_script
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene.camera import still_camera
from nbody_surrogate.viz.scene.colouring import scale_of
from nbody_surrogate.viz.scene.inset import energy_errors
from nbody_surrogate.viz.scene.palette import DARK
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.tracks import Track
from pictures import SIZE, moved, picture, trajectory, warm

SAME_PICTURE = 0.5  # mean grey levels of 255; rounding of coordinates moves edges by less


def cool(image: np.ndarray) -> int:
    return int((image[..., 2] - image[..., 0] > 80).sum())


def violet(image: np.ndarray) -> int:
    red, green, blue = np.moveaxis(image, -1, 0)
    return int(((red > 110) & (blue > 0.9 * red) & (green < 0.6 * red)).sum())


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
    image = picture(trajectory(charge=charge), tmp_path, colouring="charge")
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
    assert violet(apart) > violet(same) + 30


def test_colours_may_stand_for_speed_or_error() -> None:
    run = trajectory(n=4)
    fast = replace(run, v=run.v * np.arange(1, 5)[:, None])
    scale = scale_of("speed", Track.of(fast, ""), None)
    np.testing.assert_allclose(scale.values, np.linalg.norm(fast.v, axis=2))
    shift = np.array([1e-3, 1e-2, 1e-1, 0.0])[:, None]
    lead = Track.of(run, "")
    scale = scale_of("error", Track.of(replace(run, x=run.x + shift), ""), lead)
    assert scale.logarithmic
    np.testing.assert_allclose(scale.values[3], np.sqrt(3) * shift[:, 0], atol=1e-12)
    red_over_blue = np.diff(scale.colours(3)[:3, ::2], axis=1)[:, 0]
    assert red_over_blue[0] > red_over_blue[1] > red_over_blue[2]  # blue to red
    np.testing.assert_array_equal(scale.colours(3)[3], DARK.ramp.colours[0])


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
    corner = np.s_[-45:, -75:]
    plain, chart = (picture(run, tmp_path, inset=inset)[corner] for inset in (False, True))
    assert (chart.max(axis=2) > 60).sum() > 50 + (plain.max(axis=2) > 60).sum()
    assert warm(chart) + cool(chart) == 0  # and no particle is under it
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


def test_a_stopped_run_is_shown_up_to_its_last_valid_frame_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trajectory()
    x, v = run.x.copy(), run.v.copy()
    x[6:], v[6:] = x[5], v[5]
    stopped = replace(run, x=x, v=v, info=replace(run.info, status=(-1,), good=(6,)))
    short = replace(run, t=run.t[:6], x=run.x[:6], v=run.v[:6])
    plain = picture(short, tmp_path)
    with pytest.warns(NBodyWarning, match=r"6 of 12 frames are valid, up to t = 0\.5; only"):
        told = picture(stopped, tmp_path)
    assert not np.array_equal(plain, told)
    track = Track.of(short, "", stopped=True)
    with Scene(track, None, 0, SIZE, "") as scene:
        camera = still_camera(track, None, 5, 0, scene.view())
        visible = []
        for frame in (4, 5):
            scene.show(frame, camera)
            visible.append([(each.input, each.GetVisibility()) for each in scene._ends])
    assert visible == [[("dop853 stopped at t = 0.5", 0)], [("dop853 stopped at t = 0.5", 1)]]
    # nor may it stand still beside one that goes on
    drawn, draw = [], Scene.image
    monkeypatch.setattr(Scene, "image", lambda s, k, c: drawn.append(k) or draw(s, k, c))
    with pytest.warns(NBodyWarning, match="reference .* 6 of 12 frames are valid"):
        picture(run, tmp_path, reference=stopped)
    assert drawn == [5]
    for frame in (6, 11, -1):
        with pytest.raises(InputError, match=r"`frame` .* not valid: the last that is valid is 5"):
            picture(stopped, tmp_path, frame=frame)


def test_movies_and_pages_end_where_a_run_stopped(tmp_path: Path) -> None:
    run = trajectory(n=2)
    stopped = replace(run, info=replace(run.info, status=(-1,), good=(3,)))
    with pytest.warns(NBodyWarning, match="3 of 12 frames"):
        movie = render(run, tmp_path / "m.gif", reference=stopped, window_size=(64, 64))
    with Image.open(movie) as images:
        assert images.n_frames == 3
    script = scene_script(run, stopped)
    assert '"t": [0.0, 0.1, 0.2]' in script
    assert '"stopped": "dop853 stopped here"' in script
