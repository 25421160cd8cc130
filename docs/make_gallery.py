"""Makes the pictures of gallery.md: `python docs/make_gallery.py [FOLDER]`.

Each is a sheet of small pictures, all of them rendered by `nb.render` with its defaults.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

import nbody_surrogate as nb

SYSTEMS = {
    "charged": 30,
    "charged-clipped": 5,
    "gravity": 30,
    "oscillator": 12,
    "pendulum": 8,
    "penning": 30,
    "springs": 10,
    "trap": 30,
}
WHOLE = (800, 600)  # pixels of a picture as it is rendered, of which each edge is then halved
MOVIE = (640, 360)
GAP = 6  # pixels between pictures
COLOURS = 128  # of particles on a sheet, of 256 in all


def trajectory(name: str, dimensions: int = 3, integrator: str = "dop853", n: int = 0) -> Any:
    """Run a system from a drawn start, for 5 time units."""
    system = nb.make_system(name)
    n = n or SYSTEMS[name]
    state, particles = system.sample(rng=1, n=n, dimensions=dimensions)
    return nb.simulate(system, state, particles, frames=50, integrator=integrator)[0]


def still(folder: Path, run: Any, **options: Any) -> Image.Image:
    """Render a picture at half its size."""
    path = nb.render(run, folder / "p.png", window_size=WHOLE, overwrite=True, **options)
    return Image.open(path).convert("RGB").reduce(2)


def moments(folder: Path, run: Any, **options: Any) -> list[Image.Image]:
    """Render a movie, and return its first frame, the middle one and the last."""
    path = nb.render(run, folder / "p.mp4", window_size=MOVIE, overwrite=True, **options)
    frames = iio.imread(path)
    return [Image.fromarray(frames[k]) for k in (0, len(frames) // 2, -1)]


def sheet(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Put pictures of one size side by side."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    size = columns * (width + GAP) - GAP, rows * (height + GAP) - GAP
    whole = Image.new("RGB", size, "white")
    for k, picture in enumerate(pictures):
        whole.paste(picture, ((k % columns) * (width + GAP), (k // columns) * (height + GAP)))
    return whole


def save(picture: Image.Image, path: Path) -> None:
    """Write a small file, and say how small it is.

    Most pixels are backdrop, and would take most of the colours: they are counted apart.
    """
    pixels = np.asarray(picture).reshape(-1, 3)
    bright = pixels.max(axis=1).astype(int) - pixels.min(axis=1) > 60
    colours: list[int] = []
    for some, share in ((bright, COLOURS), (~bright, 256 - COLOURS)):
        part = Image.fromarray(pixels[some][None]).quantize(share, kmeans=1)
        colours += (part.getpalette() or [])[: 3 * share]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def looks() -> list[dict[str, Any]]:
    """Return the options of pictures of one run."""
    return [
        {"theme": "light", "axes": True, "scale_bar": True},
        {"camera": "xy", "scale_bar": True},
        {"camera": (20.0, 65.0), "axes": True, "colouring": "speed"},
        {"background": "black", "inset": True},
    ]


def main(folder: Path) -> None:
    """Make all sheets."""
    warnings.simplefilter("ignore", nb.NBodyWarning)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        space = [still(scratch, trajectory(system)) for system in SYSTEMS]
        save(sheet(space, 4), folder / "gallery-systems.png")
        flat = [still(scratch, trajectory(system, 2)) for system in SYSTEMS]
        save(sheet(flat, 4), folder / "gallery-flat.png")
        frames = [moments(scratch, trajectory(system)) for system in ("trap", "penning")]
        save(sheet([each for row in frames for each in row], 3), folder / "gallery-movies.png")
        run = trajectory("trap")
        save(
            sheet([still(scratch, run, **look) for look in looks()], 2),
            folder / "gallery-looks.png",
        )
        rough = trajectory("charged", integrator="leapfrog")
        both = still(scratch, rough, reference=trajectory("charged"), inset=True)
        same = still(scratch, run, reference=run, inset=True)
        save(sheet([both, same], 2), folder / "gallery-against.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
