"""Where a picture or a movie may go: checked before a long run, and again before drawing."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from nbody_surrogate.errors import InputError
from nbody_surrogate.files.output_path import check_output_file

__all__ = ["check_picture_path", "is_data", "is_movie", "is_page"]

PICTURES, MOVIES = (".png", ".jpg"), (".mp4", ".gif")
PAGES, DATA = (".html",), (".vtkhdf",)


def check_picture_path(
    path: str | os.PathLike[str], overwrite: bool = False, parameter: str = "render"
) -> Path:
    """Refuse a file that `render` could not write.

    Parameters
    ----------
    path : path
    overwrite : bool
        Whether a file that is there already may be replaced.
    parameter : str
        What the user calls it.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the extension is unknown, the folder is missing or not writable, the file exists and
        `overwrite` is False, or a movie is asked for without the libraries to write it.
    """
    file = check_output_file(path, parameter, PICTURES + MOVIES + PAGES + DATA, overwrite)
    if is_movie(file) and not all(map(find_spec, ("imageio", "imageio_ffmpeg"))):
        raise InputError(
            f"`{parameter}` needs imageio with ffmpeg for '{file}': "
            "pip install 'nbody-surrogate[movie]', or write a .png"
        )
    return file


def is_movie(path: Path) -> bool:
    """Whether a path asks for all frames rather than one."""
    return path.suffix.lower() in MOVIES


def is_page(path: Path) -> bool:
    """Whether a path asks for a page for the browser."""
    return path.suffix.lower() in PAGES


def is_data(path: Path) -> bool:
    """Whether a path asks for a file for ParaView."""
    return path.suffix.lower() in DATA
