"""Images into files, which appear under their names only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from nbody_surrogate.files.atomic import atomic_path

__all__ = ["Image", "gif_delays", "kept_rate", "kept_size", "write"]

Image = UInt8[np.ndarray, "height width 3"]

SHORTEST, LONGEST = 2, 65535
"""Delays of a GIF, in hundredths of a second: browsers show what is shorter for a tenth of a
second, and the format has two bytes for them."""


def kept_rate(path: Path, fps: float) -> float:
    """Return the frames per second, nearest to those asked for, that a movie's format keeps."""
    if path.suffix.lower() != ".gif":
        return fps
    return min(max(fps, 100 / LONGEST), 100 / SHORTEST)


def kept_size(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height, not smaller than those asked for, that a format keeps."""
    if path.suffix.lower() != ".mp4":
        return size
    width, height = size
    return width + width % 2, height + height % 2  # H.264 halves the resolution of its colours


def gif_delays(frames: int, fps: float) -> list[int]:
    """Return how long each frame is shown, in whole hundredths of a second.

    Their sums are rounded, not they themselves: at 30 frames per second they are 3, 4, 3, 3, ...
    and a movie of any length takes as long as it should.
    """
    ends = np.floor(np.arange(frames + 1) * (100 / fps) + 0.5).astype(int)
    return [int(delay) for delay in np.diff(ends).clip(SHORTEST, LONGEST)]


def write(
    path: Path,
    images: Iterator[Image],
    frames: int,
    fps: float,
    overwrite: bool = True,
    parameter: str = "render",
) -> None:
    """Write a picture (the first image) or a movie (all images), as the extension says.

    Parameters
    ----------
    path : Path
    images : iterator of ndarray, shape (height, width, 3)
        As many as `frames`, of a size that the format keeps.
    frames : int
    fps : float
        A rate that the format keeps.
    overwrite : bool
        Whether a file that is there may be replaced.
    parameter : str
        What messages call it.

    Raises
    ------
    RunError
        If the file cannot be written to its end, or is there and `overwrite` is False; nothing is
        left behind then.
    """
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    with atomic_path(path, parameter, keep_suffix=True, overwrite=overwrite) as unfinished:
        writers.get(path.suffix.lower(), _write_picture)(unfinished, images, frames, fps)


def _write_picture(path: Path, images: Iterator[Image], _frames: int, _fps: float) -> None:
    from PIL import Image as PILImage  # comes with pyvista

    PILImage.fromarray(next(images)).save(path, quality=95)


def _write_mp4(path: Path, images: Iterator[Image], _frames: int, fps: float) -> None:
    from imageio.v2 import get_writer

    # half the time of the usual preset for the same quality, in a file no larger
    more = {"output_params": ["-preset", "veryfast"]}
    options = {"codec": "libx264", "quality": 8, "macro_block_size": 1, **more}
    writer: Any  # imageio's types know its formats only in part
    with get_writer(path, format="FFMPEG", mode="I", fps=fps, **options) as writer:
        for image in images:
            writer.append_data(image)


def _write_gif(path: Path, images: Iterator[Image], frames: int, fps: float) -> None:
    from PIL import Image as PILImage  # imageio hands all frames one delay

    first = PILImage.fromarray(next(images))
    others = (PILImage.fromarray(image) for image in images)  # one by one, as they are large
    delays = [10 * delay for delay in gif_delays(frames, fps)]  # in milliseconds
    first.save(path, save_all=True, append_images=others, duration=delays, loop=0)
