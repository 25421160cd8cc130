"""What lies flat over a scene: words, icons, lines and filled shapes, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.viz.scene.framing import Corner

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["MARGIN", "Colour", "Overlay"]

Colour = tuple[float, float, float]
MARGIN = 0.035  # of the picture's width, at its left and right


class Overlay:
    """Draws over the scene of a plotter.

    Parameters
    ----------
    plotter : Plotter
    size : ndarray, shape (2,)
        Width and height of what is rendered, in pixels.

    Attributes
    ----------
    unit : float
        Pixels per unit of length: what is drawn is as large in a picture of any size. It is 1 for
        1600 x 1200.
    """

    def __init__(self, plotter: pv.Plotter, size: np.ndarray) -> None:
        self._plotter, self.size = plotter, size
        self._covered: list[tuple[float, float, float, float]] = []
        self.unit = float(np.sqrt(size.prod())) / 1386

    def text(
        self,
        words: str,
        place: tuple[float, float],
        size: float,
        colour: Colour,
        *,
        bold: bool = False,
        right: bool = False,
    ) -> pv.Text:
        """Write words, centred vertically at a place in pixels; `right` is where they end."""
        import pyvista as pv

        text = pv.Text(words)
        text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        text.position = (place[0] / self.size[0], place[1] / self.size[1])
        text.prop.color, text.prop.bold = colour, bold
        text.prop.font_size = max(1, round(size * self.unit))
        text.prop.justification_horizontal = "right" if right else "left"
        text.prop.justification_vertical = "center"
        self.add(text)
        self._cover_text(text, words, place, right)
        return text

    def reserve(self, text: pv.Text, words: str, place: tuple[float, float], right: bool) -> None:
        """Count as covered what a text will cover that is still to be written."""
        self._cover_text(text, words, place, right)

    def corners(self) -> list[Corner]:
        """Return what of the picture's corners is covered."""
        found: dict[tuple[bool, bool], tuple[float, float]] = {}
        width, height = self.size
        for left, bottom, end, top in self._covered:
            which = bool(left + end > width), bool(bottom + top > height)
            across = (width - left if which[0] else end) / width
            up = (height - bottom if which[1] else top) / height
            before = found.get(which, (0.0, 0.0))
            found[which] = max(before[0], float(across)), max(before[1], float(up))
        return [Corner(*which, *shares) for which, shares in found.items()]

    def length(self, text: pv.Text, words: str) -> float:
        """Return how long words are as a text has them, in pixels."""
        return float(self._extent(text, words)[0])

    def _extent(self, text: pv.Text, words: str) -> tuple[int, int]:
        from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

        box = [0, 0, 0, 0]
        # at 72 dots per inch, as render windows have it
        vtkFreeTypeTools.GetInstance().GetBoundingBox(text.prop, words, 72, box)
        return box[1] - box[0], box[3] - box[2]

    def _cover_text(
        self, text: pv.Text, words: str, place: tuple[float, float], right: bool
    ) -> None:
        if not words:
            return
        length, high = self._extent(text, words)
        left = place[0] - length if right else place[0]
        self.cover(left, place[1] - high / 2, length, high)

    def cover(self, left: float, bottom: float, width: float, height: float) -> None:
        """Count a rectangle as covered: particles are kept out of it."""
        self._covered.append((left, bottom, left + width, bottom + height))

    def icon(self, icon: pv.PolyData, place: tuple[float, float], colour: Colour) -> None:
        """Draw a flat shape of unit size at a place in pixels."""
        radius = 11 * self.unit
        mesh = icon.scale(radius).translate((*place, 0.0))
        self.cover(place[0] - radius, place[1] - radius, 2 * radius, 2 * radius)
        self._flat(mesh).GetProperty().SetColor(*colour)

    def line(
        self,
        points: Float64[np.ndarray, "P 2"],
        colour: Colour,
        width: float,
        opacity: float = 1.0,
    ) -> Any:
        """Draw a line through points in pixels; what comes back may be given other points."""
        import pyvista as pv

        mesh = pv.lines_from_points(np.pad(points, ((0, 0), (0, 1))))
        properties = self._flat(mesh).GetProperty()
        properties.SetColor(*colour)
        properties.SetOpacity(opacity)
        properties.SetLineWidth(max(1.0, width * self.unit))
        return mesh

    def strip(
        self, corner: tuple[float, float], size: tuple[float, float], colours: np.ndarray
    ) -> None:
        """Fill a rectangle, from its left to its right, with K colours, shape (K, 3), 0 to 1."""
        import pyvista as pv

        self.cover(*corner, *size)
        x = corner[0] + size[0] * np.linspace(0, 1, len(colours))
        y = np.repeat([corner[1], corner[1] + size[1]], len(x))
        points = np.stack([np.tile(x, 2), y, np.zeros_like(y)], axis=1)
        k = np.arange(len(colours) - 1)
        faces: np.ndarray = np.stack([k, k + 1, k + 1 + len(x), k + len(x)], axis=1)
        mesh = pv.PolyData.from_regular_faces(points, faces)
        mesh.point_data["rgb"] = np.tile(np.round(255 * colours).astype(np.uint8), (2, 1))
        mapper = self._flat(mesh).GetMapper()
        mesh.point_data.active_scalars_name = "rgb"
        mapper.SetColorModeToDefault()
        mapper.ScalarVisibilityOn()

    def panel(
        self,
        corner: tuple[float, float],
        size: tuple[float, float],
        colour: Colour,
        opacity: float,
    ) -> None:
        """Dim a rectangle, for what is written on it."""
        import pyvista as pv

        self.cover(*corner, *size)
        centre = (corner[0] + size[0] / 2, corner[1] + size[1] / 2, 0.0)
        plane = pv.Plane(
            center=centre, i_size=size[0], j_size=size[1], i_resolution=1, j_resolution=1
        )
        properties = self._flat(plane).GetProperty()
        properties.SetColor(*colour)
        properties.SetOpacity(opacity)

    def add(self, actor: Any) -> None:
        """Put an actor into the scene."""
        self._plotter.add_actor(actor, reset_camera=False, render=False)

    def _flat(self, mesh: pv.PolyData) -> Any:
        from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D

        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(mesh)
        actor = vtkActor2D()
        actor.SetMapper(mapper)
        self.add(actor)
        return actor
