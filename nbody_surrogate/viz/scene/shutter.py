"""From a plotter's pixels to an image: several pixels for each one kept, over a shaded backdrop.

The scene is rendered over nothing, with its cover (alpha), and the backdrop is put behind it here:
in software a shaded one takes a third of the time of rendering.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import UInt8

from nbody_surrogate.viz.scene.palette import Colour

__all__ = ["SUPERSAMPLE", "Shutter"]

SUPERSAMPLE = 2  # pixels rendered for each one kept, along each edge


class Shutter:
    """Takes images of what a plotter has rendered off screen.

    Parameters
    ----------
    size : tuple of int
        Width and height of the images.
    bottom, top : Colour
        Of the backdrop, which shades from one to the other.
    """

    def __init__(self, size: tuple[int, int], bottom: Colour, top: Colour) -> None:
        from PIL import Image  # comes with pyvista
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

        self._size, self._pixels = size, vtkUnsignedCharArray()
        share = (np.arange(size[1]) + 0.5)[:, None, None] / size[1]
        rows = 255 * (np.array(top) + (np.array(bottom) - np.array(top)) * share)
        shade = np.broadcast_to(np.round(rows).astype(np.uint8), (*size[::-1], 3))
        self._backdrop = Image.fromarray(np.ascontiguousarray(shade))

    def image(self, window: Any) -> UInt8[np.ndarray, "height width 3"]:
        """Return what a render window shows, reduced and over the backdrop."""
        from PIL import Image, ImageChops
        from vtkmodules.util.numpy_support import vtk_to_numpy

        width, height = (SUPERSAMPLE * edge for edge in self._size)
        window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._pixels, 0)
        raw: np.ndarray = vtk_to_numpy(self._pixels)  # type: ignore[no-untyped-call]
        # a fourth channel that means nothing to the reduction: colours are over black already
        large = Image.frombuffer("RGBX", (width, height), raw, "raw", "RGBX", 0, 1)
        small = large.reduce(SUPERSAMPLE).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        *colours, cover = small.split()
        bare = Image.merge("RGB", [ImageChops.invert(cover)] * 3)
        behind = ImageChops.multiply(self._backdrop, bare)
        return np.asarray(ImageChops.add(Image.merge("RGB", colours), behind))
