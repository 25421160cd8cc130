"""What users ask of a picture's looks: themes, measures, paces, and the keys of the window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import bad, good
from nbody_surrogate.errors import InputError
from nbody_surrogate.viz.html import write_report
from nbody_surrogate.viz.html.look import PageLook
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, still_camera
from nbody_surrogate.viz.scene.inset import Inset
from nbody_surrogate.viz.scene.look import palette_of
from nbody_surrogate.viz.scene.measures import bar_length
from nbody_surrogate.viz.scene.pace import pace_of
from nbody_surrogate.viz.scene.palette import DARK, LIGHT
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.tracks import Track
from nbody_surrogate.viz.scene.viewpoint import viewpoint_of
from nbody_surrogate.viz.scene.window import Player, reserve
from pictures import moved, picture, trajectory

# Themes


@pytest.mark.parametrize(
    ("theme", "background", "palette"),
    [
        (None, None, DARK),
        ("light", None, LIGHT),
        (None, "white", LIGHT),
        (None, "#102030", DARK),
        ("dark", "white", DARK),
        (None, "rgb(250, 240, 230)", LIGHT),
    ],
)
def test_words_suit_the_background_unless_a_theme_is_named(theme, background, palette) -> None:
    found = palette_of(theme, background)
    assert found.ink == palette.ink
    assert (found.bottom == found.top) == (background is not None)


def test_a_background_is_what_the_picture_has(tmp_path: Path) -> None:
    image = picture(trajectory(), tmp_path, background="#20a060", title="")
    assert (image[:5, :5] == (0x20, 0xA0, 0x60)).all()
    light = picture(trajectory(), tmp_path, theme="light")
    assert light[:5, :5].min() > 230


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"theme": "blue"}, "`theme` must be one of dark, light, got 'blue'"),
        ({"background": "nocolour"}, "`background` must be a colour.*'nocolour'"),
        ({"background": ""}, "`background`"),
        ({"background": "#11223344"}, "`background`"),
        ({"camera": "above"}, "`camera`.*'above'"),
        ({"orbit": 90.0}, "`orbit` means nothing for a .png file"),
        ({"seconds": 5.0}, "`seconds` means nothing for a .png file"),
        ({"seconds": -1.0}, "`seconds` must be > 0"),
        ({"seconds": float("nan")}, "`seconds` must be > 0"),
    ],
)
def test_other_looks_are_refused_in_one_line(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        render(trajectory(), tmp_path / "p.png", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [{"scale_bar": True}, {"axes": True}, {"orbit": 90.0}])
def test_what_a_page_does_not_have_is_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"means nothing for a \.html file"):
        render(trajectory(), tmp_path / "p.html", **option)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"camera": "above"}, "`camera`.*'above'"),
        ({"theme": "blue"}, "`theme` must be one of dark, light"),
        ({"background": "nothing"}, "`background` must be a colour"),
    ],
)
def test_a_page_refuses_what_a_picture_refuses(
    tmp_path: Path, option: dict[str, Any], said: str
) -> None:
    run = trajectory()
    for write in (render, lambda run, path, **options: write_report(run, path=path, **options)):
        with pytest.raises(InputError, match=said):
            write(run, tmp_path / "p.html", **option)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("camera", [None, "iso", "xy", "xz", "yz", "-60,20", "1,2,3", "0,0,-1"])
@pytest.mark.parametrize("flat", [False, True])
def test_a_page_is_seen_from_where_a_picture_is(camera: str | None, flat: bool) -> None:
    """By the page's own formulas: its right, its up and the direction towards the camera."""
    look = PageLook.of(flat, camera)
    cy, sy, cp, sp = (f(a) for a in (look.yaw, look.pitch) for f in (np.cos, np.sin))
    facing = [[-sy, cy, 0.0], [-sp * cy, -sp * sy, cp], [cp * cy, cp * sy, sp]]
    np.testing.assert_allclose(facing, viewpoint_of(camera, 0.0, flat).facings(1)[0], atol=1e-9)
    assert look.turns == (not flat or camera not in (None, "xy"))


def test_a_page_takes_theme_and_background(tmp_path: Path) -> None:
    plain, light, beige = (
        render(trajectory(), tmp_path / f"{k}.html", **options).read_text()
        for k, options in enumerate([{}, {"theme": "light"}, {"background": "#f5f5dc"}])
    )
    assert "prefers-color-scheme: dark) {" in plain
    for page in (light, beige):
        assert "@media not all {" in page
        assert "color-scheme: light;" in page
        assert '"theme": "light"' in page
    assert 'style="--sky-top: 245 245 220; --sky-bottom: 245 245 220"' in beige


# Movies of a length


@pytest.mark.parametrize(
    ("frames", "seconds", "shown", "fps"),
    [(51, None, 51, 20), (1001, 10, 200, 20), (51, 10, 51, 5.1), (2, 4, 2, 0.5), (1, 3, 1, 1 / 3),
     (1001, 0.01, 2, 60)],
)  # fmt: skip
def test_a_movie_takes_the_time_asked_for(frames, seconds, shown, fps) -> None:
    pace = pace_of(frames, 20.0, seconds)
    assert len(pace.frames) == shown
    assert pace.fps == pytest.approx(fps)
    assert pace.frames[0] == 0
    assert pace.frames[-1] == frames - 1
    assert np.ptp(np.diff(pace.frames, prepend=-1)[1:]) <= 1 if shown > 2 else True


def test_a_short_movie_shows_frames_at_even_distances(tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    path = render(
        trajectory(n=2, frames=9), tmp_path / "p.gif", window_size=(64, 64), seconds=0.5, fps=10
    )
    assert len(imageio.imread(path, index=None)) == 5


# Measures


@pytest.mark.parametrize(
    ("longest", "length"),
    [(1.0, 1.0), (0.99, 0.5), (4.9, 2.0), (5.0, 5.0), (99.0, 50.0), (3e-13, 2e-13), (7e20, 5e20)],
)
def test_a_scale_bar_has_a_round_length(longest: float, length: float) -> None:
    assert bar_length(longest) == pytest.approx(length)


@pytest.mark.parametrize("unit", [1.0, 1e-10])
def test_a_scale_bar_is_as_long_as_it_says(unit: float) -> None:
    run = trajectory()
    track = Track.of(replace(run, x=unit * run.x, v=unit * run.v), "")
    with Scene(track, None, 0, (160, 120), "", scale_bar=True, axes=True) as scene:
        camera = still_camera(track, None, 0, 0, scene.view())
        scene.show(0, camera)
        x = np.ptp(np.asarray(scene._bar._line.points)[:, 0])
        said = float(scene._bar._words.input)
        letters = [words.input for _, words in scene._axes._arms]
    high = 2 * camera.distance * np.tan(np.radians(VIEW_ANGLE / 2))
    assert x * high / (2 * 120) == pytest.approx(said, rel=1e-5)
    assert letters == ["x", "y", "z"]


# One run against itself


def test_what_lies_on_its_reference_is_drawn_once_and_said_so(tmp_path: Path) -> None:
    run = trajectory()
    track = Track.of(run, "")
    with Scene(track, track, 0, (160, 120), "") as scene:
        scene.show(0, still_camera(track, track, 0, 0, scene.view()))
        assert "rings" not in scene._meshes
        rows = [words for _, _, words in scene._legend_rows()]
    assert "dop853 and its reference: the same positions" in rows
    with Scene(Track.of(moved(run), ""), track, 0, (160, 120), "") as scene:
        assert any(words.startswith("ring") for _, _, words in scene._legend_rows())


def test_equal_curves_of_the_inset_are_one() -> None:
    t, curve = np.arange(3.0), np.array([0.0, 1e-9, np.nan])
    assert len(Inset(t, (curve, curve.copy()), ("a", "b"))._different) == 1
    assert len(Inset(t, (curve, 2 * curve), ("a", "b"))._different) == 2
    assert len(Inset(t, (curve,), ("a",))._different) == 1


# The window


def test_h_lists_the_keys_and_hides_them() -> None:
    track = Track.of(trajectory(), "")
    with Scene(track, None, 0, (320, 240), "") as scene:
        reserve(scene)
        shots = [(k, still_camera(track, None, k, 0, scene.view())) for k in range(3)]
        player = Player(scene, shots)
        plain = scene.image(*shots[-1])
        player.toggle_keys()
        listed = scene.image(*shots[-1])
        player.toggle_keys()
        assert np.array_equal(scene.image(*shots[-1]), plain)
    written = (listed.astype(int) - plain).max(axis=2) > 60
    assert written[60:180].sum() > 200
    assert not written[:40].any()


def test_the_slider_has_a_place_of_its_own() -> None:
    track = Track.of(trajectory(), "")
    with Scene(track, None, 0, (320, 240), "") as scene:
        reserve(scene)
        corners = [c for c in scene.view().corners if not c.top and c.width > 0.5]
    assert corners
    assert corners[0].height > 0.08


# The command line


@pytest.mark.slow
def test_the_command_takes_all_of_it_and_says_how_long_a_movie_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("imageio")
    from nbody_surrogate import make_system, simulate

    system = make_system("trap")
    state, particles = system.sample(rng=0, n=3)
    simulate(system, state, particles, frames=8, output=tmp_path / "a.h5")
    given = ("render", tmp_path / "a.h5", "--size", 64, 64, "-o")
    words = [
        "--seconds",
        "0.5",
        "--camera",
        "-60,20",
        "--orbit",
        "90",
        "--theme",
        "light",
        "--axes",
        "--scale-bar",
    ]
    printed = good(*given, tmp_path / "a.mp4", *words)
    assert "Movie: 9 of 9 frames at 18 frames per second: 0.5 seconds" in printed
    assert "`theme`" in bad(2, *given, tmp_path / "b.png", "--theme", "no")
