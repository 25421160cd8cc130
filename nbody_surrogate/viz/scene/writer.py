"""Images into files, which appear under their names only when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from nbody_surrogate.files.atomic import atomic_path

__all__ = ["Image", "write"]

Image = UInt8[np.ndarray, "height width 3"]


def write(path: Path, images: Iterator[Image], fps: float, overwrite: bool = True) -> None:
    """Write a picture (the first image) or a movie (all images), as the extension says.

    Raises
    ------
    RunError
        If the file cannot be written to its end, or is there and `overwrite` is False; nothing is
        left behind then.
    """
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    with atomic_path(path, "render", keep_suffix=True, overwrite=overwrite) as unfinished:
        writers.get(path.suffix.lower(), _write_picture)(unfinished, images, fps)


def _write_picture(path: Path, images: Iterator[Image], _fps: float) -> None:
    from PIL import Image as PILImage  # comes with pyvista

    PILImage.fromarray(next(images)).save(path, quality=95)


def _write_mp4(path: Path, images: Iterator[Image], fps: float) -> None:
    from imageio.v2 import get_writer

    options = {"codec": "libx264", "quality": 8, "macro_block_size": 1}
    writer: Any  # imageio's types know its formats only in part
    with get_writer(path, format="FFMPEG", mode="I", fps=fps, **options) as writer:
        for image in images:
            height, width = image.shape[:2]
            even = image[: height - height % 2, : width - width % 2]  # H.264 halves its colours
            writer.append_data(np.ascontiguousarray(even))


def _write_gif(path: Path, images: Iterator[Image], fps: float) -> None:
    from imageio.v2 import get_writer

    writer: Any
    with get_writer(path, format="GIF", mode="I", duration=1000 / fps, loop=0) as writer:
        for image in images:
            writer.append_data(image)
