"""Pictures and movies as files: what is refused, and that nothing half-written stays."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nbody_surrogate.errors import InputError, NBodyWarning, RunError
from nbody_surrogate.viz.render import render
from nbody_surrogate.viz.scene import check_picture_path
from nbody_surrogate.viz.scene.scene import Scene
from pictures import SIZE, moved, trajectory, warm

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
        ({"colouring": "weight"}, "`colouring`.*auto, charge, mass, identity, speed.*weight"),
        ({"colouring": "error"}, "`colouring`.*reference"),
        ({"fps": float("nan")}, "`fps`"),
        ({"reference": trajectory(n=7)}, r"`reference`.*\(8, 3\).*\(7, 3\)"),
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
    odd = pytest.warns(NBodyWarning, match="even sizes: it is 162 x 122 pixels, not 161 x 121")
    told: list[tuple[int, int]] = []
    with odd if name == "p.mp4" else nullcontext():
        path = render(
            moved(run),
            tmp_path / name,
            reference=run,
            window_size=(161, 121),
            fps=10,
            progress=lambda *now: told.append(now),
        )
    assert told == [(done, 5) for done in range(1, 6)]
    images = [np.asarray(image)[..., :3].astype(int) for image in imageio.mimread(path)]
    size = (162, 122) if name == "p.mp4" else (161, 121)
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
    )


def test_drawing_prints_nothing(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n" + (
        "from pathlib import Path; from pictures import picture, trajectory\n"
        "picture(trajectory(), Path(sys.argv[1]))"
    )
    done = python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "p.png").exists()
