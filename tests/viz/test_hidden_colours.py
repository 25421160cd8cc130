"""Pictures and pages that are coloured by a hidden variable, and scenery that is shown them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nbody_surrogate import InputError, save, simulate
from nbody_surrogate.registry.registry import make_system, register_system
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene.camera import still_camera
from nbody_surrogate.viz.scene.colour_bar import bar_title
from nbody_surrogate.viz.scene.colouring import check_colouring, scale_of
from nbody_surrogate.viz.scene.palette import DARK
from nbody_surrogate.viz.scene.scene import Scene
from nbody_surrogate.viz.scene.system_shapes import scenery_of, unchanging
from nbody_surrogate.viz.scene.tracks import Track
from pictures import moved, picture, trajectory
from tests.commands import bad, good
from tests.hidden_systems import Bonding


def filling(n: int = 8, frames: int = 12) -> Trajectory:
    """A run whose particles fill up, the later ones more so; and a variable of each pair."""
    run = trajectory(n, frames)
    fill = np.linspace(0.0, 1.0, frames)[:, None] * (1.0 + np.arange(n))
    return replace(run, hidden={"fill": fill, "bond": np.ones((frames, n, n)), "charge": -fill})


def track(run: Trajectory) -> Track:
    return Track.of(run, "run")


# Scales


def test_the_scale_is_that_of_all_frames_and_called_by_the_name() -> None:
    run = filling()
    scale = scale_of("fill", track(run), None, DARK)
    np.testing.assert_array_equal(scale.values, run.hidden["fill"])
    low, high = np.percentile(run.hidden["fill"], (2, 98))
    assert (scale.low, scale.high) == (low, high)
    assert bar_title(scale) == "fill (reduced units)"
    first, last = scale.colours(0), scale.colours(11)
    assert np.ptp(first) < np.ptp(last) + 1
    np.testing.assert_allclose(first, np.tile(DARK.ramp.at(np.array(0.0)), (8, 1)))
    assert not np.allclose(last[0], last[7])


def test_a_trail_has_the_colours_of_what_was_then() -> None:
    scale = scale_of("fill", track(filling()), None, DARK)
    along = scale.along(slice(0, 12), 1)
    for frame in (0, 5, 11):
        np.testing.assert_allclose(along[frame], scale.colours(frame))


def test_where_one_of_two_runs_keeps_none_it_has_the_colours_of_the_other() -> None:
    with_it, without = filling(), moved(trajectory())
    for lead, candidate in ((with_it, without), (without, with_it)):
        scale = scale_of("fill", track(candidate), track(lead), DARK)
        np.testing.assert_array_equal(scale.values, with_it.hidden["fill"])
        np.testing.assert_array_equal(scale.rival, with_it.hidden["fill"])
    other = replace(with_it, hidden={"fill": 2 * with_it.hidden["fill"]})
    scale = scale_of("fill", track(other), track(with_it), DARK)
    np.testing.assert_array_equal(scale.rival, 2 * scale.values)


def test_a_name_of_another_colouring_is_told_apart_by_a_prefix() -> None:
    run = filling()
    assert scale_of("charge", track(run), None, DARK).rows
    scale = scale_of("hidden.charge", track(run), None, DARK)
    np.testing.assert_array_equal(scale.values, run.hidden["charge"])


@pytest.mark.parametrize("name", ["bond", "feel", "hidden.feel", ""])
def test_what_there_is_not_is_refused_with_what_there_is(tmp_path: Path, name: str) -> None:
    known = "auto, charge, mass, identity, speed, error, hidden.charge, fill"
    with pytest.raises(InputError) as caught:
        render(filling(), tmp_path / "p.png", colouring=name)
    assert str(caught.value) == f"`colouring` must be one of {known}, got {name!r}"
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"speed, error, got 'fill'$"):
        check_colouring("fill", False)


# Pictures


def test_a_picture_has_the_colours_of_its_frame(tmp_path: Path) -> None:
    run = filling()
    last = picture(run, tmp_path, colouring="fill", trail=0)
    usual = picture(run, tmp_path, trail=0)
    assert not np.array_equal(last, usual)
    # all have the same value at the start, and so one hue
    start = picture(run, tmp_path, colouring="fill", trail=0, frame=0)
    assert hues(last) > 1.5 * hues(start)


def hues(image: np.ndarray) -> int:
    """How many kinds of colour there are where particles are, the bar at the lower left apart."""
    part = image[:120].reshape(-1, 3).astype(float)
    bright = part[part.max(1) > 120]
    shares = bright / bright.sum(1, keepdims=True)
    return len(np.unique(np.round(20 * shares), axis=0))


def test_a_movie_is_drawn(tmp_path: Path) -> None:
    path = render(filling(frames=3), tmp_path / "m.gif", colouring="fill", window_size=(160, 120))
    assert path is not None
    with Image.open(path) as movie:
        assert getattr(movie, "n_frames", 0) == 3


# Pages


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r"\{\"n\".*\}", path.read_text())
    assert found is not None
    data: dict[str, Any] = json.loads(found[0])
    return data


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_a_page_holds_the_shades_of_all_frames(tmp_path: Path) -> None:
    run = filling()
    path = render(run, tmp_path / "p.html", colouring="fill")
    assert path is not None
    data = data_of(path)["shades"]
    assert data["label"] == "fill"
    scale = scale_of("fill", track(run), None, DARK)
    np.testing.assert_allclose(floats(data["values"][0]), scale.shares().ravel(), atol=1e-6)
    np.testing.assert_allclose(floats(data["shown"]), run.hidden["fill"].ravel(), rtol=1e-6)
    assert len(data["dark"]) == len(data["light"]) == 33
    assert "fill 0" in path.read_text()


def test_a_page_of_two_runs_holds_both(tmp_path: Path) -> None:
    run, other = filling(), replace(moved(filling()), hidden={})
    path = render(other, tmp_path / "p.html", reference=run, colouring="fill")
    assert path is not None
    values = data_of(path)["shades"]["values"]
    assert len(values) == 2
    assert values[0] == values[1]


def test_a_page_is_as_before_without(tmp_path: Path) -> None:
    path = render(filling(), tmp_path / "p.html")
    assert path is not None
    assert data_of(path)["shades"] is None


# The command, and scenery


@pytest.fixture
def bonding(registered: None) -> None:
    register_system("bonding")(Bonding)


@pytest.mark.usefixtures("bonding")
def test_scenery_is_of_what_is_hidden_at_the_start() -> None:
    system = Bonding()
    run = simulate(system, *system.sample(3, 6, 1), 3)[0]
    (bonds,) = scenery_of(run)
    strong = np.argwhere(np.triu(run.hidden["strength"][0] > 0.5, 1))
    np.testing.assert_array_equal(bonds.pairs, strong)
    assert scenery_of(replace(run, hidden={})) == ()


def test_the_command_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(filling(), "run.h5")
    good("render", "run.h5", "-o", "p.png", "--size", "160", "120", "--colouring", "fill", "-q")
    assert (tmp_path / "p.png").exists()
    line = bad(2, "render", "run.h5", "-o", "q.png", "--colouring", "feel")
    assert "must be one of auto, charge, mass" in line
    assert "fill" in line


def test_bonds_are_those_of_the_frame_and_pages_show_none_that_change():
    system = make_system("ties")
    state, particles = system.sample(0, 5)
    (run,) = simulate(system, state, particles, 40, "dop853")
    tied = np.triu(run.hidden["tie"] > 0, 1)
    frame = int((tied != tied[0]).any((1, 2)).argmax())
    assert frame > 0
    first, then = scenery_of(run), scenery_of(run, frame)
    assert first[0].pairs.tolist() != then[0].pairs.tolist()
    assert unchanging(run) == ()
    with Scene(
        Track.of(run, "candidate"), None, 5, (200, 150), "", links_at=partial(scenery_of, run),
        scenery=first,
    ) as scene:  # fmt: skip
        view = scene.view()
        counts = []
        for at in (0, frame):
            camera = still_camera(Track.of(run, "candidate"), None, at, 5, view)
            scene.image(at, camera)
            counts.append(scene._meshes["links"].n_points)
    per_bond = counts[0] / max(len(first[0].pairs), 1)
    assert counts[1] == pytest.approx(per_bond * len(then[0].pairs))
