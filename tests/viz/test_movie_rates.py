"""How fast movies play: as asked for, or as near as their format can, and told."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.viz.scene.writer import gif_delays, kept_rate, kept_size, write


def images(frames: int) -> list[np.ndarray]:
    """Frames that differ, as those that do not are joined."""
    return [np.full((8, 10, 3), 10 * frame, np.uint8) for frame in range(frames)]


def delays(path: Path) -> list[int]:
    with Image.open(path) as movie:
        found = []
        for frame in range(movie.n_frames):
            movie.seek(frame)
            found.append(round(movie.info["duration"] / 10))
        return found


@pytest.mark.parametrize("fps", [0.5, 10, 24, 29.97, 30, 33, 45, 50])
def test_a_gif_takes_as_long_as_asked_for(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "p.gif"
    assert kept_rate(path, fps) == fps
    write(path, iter(images(24)), 24, fps)
    found = delays(path)
    assert found == gif_delays(24, fps)
    assert sum(found) == pytest.approx(2400 / fps, abs=0.51)
    assert max(found) - min(found) <= 1
    assert min(found) >= 2  # which browsers play as it is


@pytest.mark.parametrize(("fps", "kept"), [(60, 50), (50.1, 50), (1e-4, 100 / 65535)])
def test_a_gif_plays_at_the_nearest_rate_that_there_is(tmp_path: Path, fps: float, kept: float):
    path = tmp_path / "p.GIF"
    assert kept_rate(path, fps) == pytest.approx(kept)
    write(path, iter(images(3)), 3, kept_rate(path, fps))
    assert delays(path) == pytest.approx([100 / kept] * 3)


def test_other_movies_keep_any_rate_and_even_sizes() -> None:
    assert kept_rate(Path("p.mp4"), 59.94) == 59.94
    assert kept_size(Path("p.mp4"), (161, 120)) == (162, 120)
    assert kept_size(Path("p.gif"), (161, 121)) == (161, 121)


@pytest.mark.parametrize(("name", "told"), [("p.gif", True), ("p.mp4", False), ("p.png", False)])
def test_another_rate_is_told_in_one_line(tmp_path: Path, name: str, told: bool) -> None:
    pytest.importorskip("imageio")
    from nbody_surrogate.viz.render import render
    from pictures import trajectory

    telling = pytest.warns(NBodyWarning, match=r"^a \.gif cannot .* 60 .* it plays at 50; .*\.mp4")
    with warnings.catch_warnings(), telling if told else nullcontext():
        if not told:
            warnings.simplefilter("error")
        render(trajectory(n=2, frames=2), tmp_path / name, window_size=(64, 64), fps=60)
