"""What tells directions and lengths: the axes in a corner, and a scale bar."""

from __future__ import annotations

import math

import numpy as np

from nbody_surrogate.viz.scene.camera import VIEW_ANGLE, Camera
from nbody_surrogate.viz.scene.overlay import Overlay
from nbody_surrogate.viz.scene.palette import Palette

__all__ = ["Axes", "ScaleBar", "bar_length"]

ARM, LETTER = 62.0, 80.0  # units from where axes meet to their ends, and to their letters
SHORT = 0.2  # share of an arm below which it points at the viewer and has no letter
LONGEST = 260.0  # units of a scale bar
TICK = 7.0  # units, half the height of its ends


class Axes:
    """Arms along x, y and z that turn as the picture does, at the lower right.

    Parameters
    ----------
    overlay : Overlay
    corner : tuple of float
        Its lower right corner, in pixels.
    palette : Palette
    flat : bool
        Whether there is no z.
    """

    SIZE = 2 * LETTER + 24

    def __init__(
        self, overlay: Overlay, corner: tuple[float, float], palette: Palette, flat: bool
    ) -> None:
        self._overlay, size = overlay, self.SIZE * overlay.unit
        overlay.cover(corner[0] - size, corner[1], size, size)
        self._middle = np.array([corner[0] - size / 2, corner[1] + size / 2])
        ends = np.tile(self._middle, (2, 1))
        self._arms = []
        for letter in "xy" if flat else "xyz":
            line = overlay.line(ends, palette.faint_ink, 3.0)
            words = overlay.text(letter, self._place(self._middle), 24, palette.ink)
            words.prop.justification_horizontal = "center"
            self._arms.append((line, words))

    def turn(self, camera: Camera) -> None:
        """Turn it to how a camera sees the axes."""
        for axis, (line, words) in enumerate(self._arms):
            towards = camera.facing[:2, axis]
            end = self._middle + ARM * self._overlay.unit * towards
            line.points = np.pad(np.stack([self._middle, end]), ((0, 0), (0, 1)))
            place = self._middle + LETTER * self._overlay.unit * towards
            words.position = tuple(np.array(place) / self._overlay.size)
            words.SetVisibility(bool(np.linalg.norm(towards) > SHORT))

    def _place(self, place: np.ndarray) -> tuple[float, float]:
        return float(place[0]), float(place[1])


class ScaleBar:
    """A bar of a round length at the depth of the picture's middle, at the lower right.

    Parameters
    ----------
    overlay : Overlay
    corner : tuple of float
        Its lower right corner, in pixels.
    palette : Palette
    """

    HEIGHT = 52.0

    def __init__(self, overlay: Overlay, corner: tuple[float, float], palette: Palette) -> None:
        self._overlay, self._corner = overlay, corner
        unit = overlay.unit
        overlay.cover(corner[0] - LONGEST * unit, corner[1], LONGEST * unit, self.HEIGHT * unit)
        self._line = overlay.line(self._points(LONGEST * unit), palette.ink, 3.0)
        place = corner[0], corner[1] + 36 * unit
        self._words = overlay.text("", place, 22, palette.ink, right=True)

    def measure(self, camera: Camera) -> None:
        """Give it the length that a camera needs."""
        high = 2 * camera.distance * math.tan(math.radians(VIEW_ANGLE / 2))
        pixel = high / self._overlay.size[1]
        length = bar_length(LONGEST * self._overlay.unit * pixel)
        self._line.points = np.pad(self._points(length / pixel), ((0, 0), (0, 1)))
        self._words.input = f"{length:g}"

    def _points(self, length: float) -> np.ndarray:
        right, bottom = self._corner
        tick = TICK * self._overlay.unit
        left, low, high = right - length, bottom, bottom + 2 * tick
        corners = [(left, high), (left, low), (left, bottom + tick), (right, bottom + tick)]
        return np.array([*corners, (right, high), (right, low)])


def bar_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not larger."""
    power = math.floor(math.log10(longest))
    lengths = [float(f"{m}e{power + k}") for k in (-1, 0, 1) for m in (1, 2, 5)]
    return max(length for length in lengths if length <= longest * (1 + 1e-12))
