"""The 3D scene of a trajectory, alone or against its reference: one builder for stills and movies.

The reference is solid: balls with tapering tubes behind them. The candidate is an open ring around
its twin with a thin pale trail; where the two part, a line joins them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from nbody_surrogate.metrics import rmse
from nbody_surrogate.rendering import shapes
from nbody_surrogate.rendering.camera import SIGHT, VIEW_ANGLE, Camera
from nbody_surrogate.rendering.tracks import COOL, INK, NEUTRAL, SUBFRAMES, WARM, Track, mixed

if TYPE_CHECKING:
    import pyvista as pv

__all__ = ["Scene"]

FAINT_INK, ERROR = (0.66, 0.71, 0.80), (1.00, 0.86, 0.45)
BOTTOM, TOP = (0.020, 0.026, 0.055), (0.085, 0.110, 0.200)  # of the backdrop
BACKDROP = (0.052, 0.068, 0.128)  # their mean, into which things fade
PALE = 0.55  # how far the candidate's colours are from the charge's towards white
SUPERSAMPLE = 2  # pixels rendered for each one kept, along each edge
MARGIN = 0.035  # of the picture's edges


class Scene:
    """The scene, drawn off screen; to be used in a `with` block, which closes it.

    Parameters
    ----------
    candidate : Track
    reference : Track or None
        Drawn solid where given, and the candidate as rings; else the candidate is drawn solid.
    trail : int
        Frames that a trail reaches back.
    window_size : tuple of int
        Width and height of the images, in pixels.
    title : str
    """

    def __init__(
        self,
        candidate: Track,
        reference: Track | None,
        trail: int,
        window_size: tuple[int, int],
        title: str,
    ) -> None:
        import pyvista as pv

        self._candidate, self._reference, self._trail = candidate, reference, trail
        self._lead = candidate if reference is None else reference
        self._size = SUPERSAMPLE * np.array(window_size)
        self._unit = float(np.sqrt(self._size.prod())) / 1386  # 1 for 1600 x 1200
        self._meshes: dict[str, pv.PolyData] = {}
        self._ball, self._ring = shapes.ball(), shapes.ring()
        self._plotter = pv.Plotter(
            off_screen=True, window_size=self._size.tolist(), lighting="light kit"
        )
        self._plotter.disable_anti_aliasing()  # supersampling does it
        self._plotter.renderer.set_background(BOTTOM, top=TOP)
        self._plotter.camera.view_angle = VIEW_ANGLE
        left, right, top = MARGIN, 1 - MARGIN, 1 - MARGIN * self._size[0] / self._size[1]
        self._text(title, (left, top), 38, INK, bold=True)
        self._clock = self._text("", (right, top), 38, INK)
        self._note = self._text("", (right, top - 60 * self._unit / self._size[1]), 24, FAINT_INK)
        self._legend()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._plotter.close()

    def image(self, frame: int, camera: Camera) -> UInt8[np.ndarray, "height width 3"]:
        """Return a frame as seen by a camera, anti-aliased."""
        first = not self._meshes
        self._show(frame, camera)
        if not first:
            self._plotter.render()  # the first screenshot does it by itself
        raw = np.asarray(self._plotter.screenshot(return_img=True))
        total = np.zeros((*self._size[::-1] // SUPERSAMPLE, 3), dtype=np.uint16)
        for i, j in np.ndindex(SUPERSAMPLE, SUPERSAMPLE):
            total += raw[i::SUPERSAMPLE, j::SUPERSAMPLE, :3]
        return (total // SUPERSAMPLE**2).astype(np.uint8)

    def _show(self, frame: int, camera: Camera) -> None:
        lead, ball = self._lead, _ball_radius(camera, len(self._lead.sizes))
        self._stamp("balls", self._ball, lead, frame, camera, ball)
        self._update("trails", self._trails(lead, frame, camera, 0.42 * ball))
        if self._reference is not None:
            rival = self._candidate
            self._stamp("rings", self._ring, rival, frame, camera, 1.4 * ball, PALE)
            self._update("rival", self._trails(rival, frame, camera, 0.16 * ball, PALE))
            self._update("errors", self._errors(frame, camera, 0.13 * ball))
        self._clock.input = _clock(lead.t, frame)
        self._note.input = self._remark(frame)
        view = self._plotter.camera
        view.position, view.focal_point, view.up = camera.position, camera.centre, camera.facing[1]
        distance = float(np.linalg.norm(camera.position - camera.centre))
        view.clipping_range = (0.02 * distance, distance + 2 * SIGHT * camera.radius)

    def _stamp(
        self,
        name: str,
        template: pv.PolyData,
        track: Track,
        frame: int,
        camera: Camera,
        radius: float,
        pale: float = 0.0,
    ) -> None:
        seen = camera.sees(track.x[frame])
        here, colours = track.x[frame][seen], track.colours(pale)[seen]
        colours = _hazed(colours, camera.depth(here))
        mesh = shapes.stamped(template, here, radius * track.sizes[seen], colours, camera.facing)
        self._update(name, mesh)

    def _trails(
        self, track: Track, frame: int, camera: Camera, width: float, pale: float = 0.0
    ) -> pv.PolyData:
        path = track.path(frame, self._trail)
        path = np.where(camera.sees(path)[..., None], path, np.nan)
        age = 1 - np.arange(len(path))[::-1, None] / max(1, self._trail * SUBFRAMES)  # (P, 1)
        colours = _hazed(track.colours(pale), camera.depth(path))
        colours = mixed(BACKDROP, colours, 0.3 + 0.7 * age[..., None] ** 0.7)
        widths = width * (0.05 + 0.95 * age**0.8) * track.sizes
        return shapes.tubes(path, colours, widths, 1e-4 * camera.radius)

    def _errors(self, frame: int, camera: Camera, width: float) -> pv.PolyData:
        both = self._comparable(frame) & camera.sees(self._lead.x[frame])
        start, gap = self._lead.x[frame][both], self._gaps(frame)[both]
        longest = np.abs(gap).max(axis=1, initial=camera.radius, keepdims=True)
        lines = np.stack([start, start + gap * np.minimum(1, SIGHT * camera.radius / longest)])
        colours = _hazed(np.broadcast_to(ERROR, lines.shape), camera.depth(lines))
        return shapes.tubes(lines, colours, np.full(lines.shape[:2], width), 1e-4 * camera.radius)

    def _gaps(self, frame: int) -> Float64[np.ndarray, "N 3"]:
        return np.asarray(self._candidate.x[frame] - self._lead.x[frame])

    def _comparable(self, frame: int) -> Bool[np.ndarray, " N"]:
        both = (self._lead, self._candidate)
        reached = frame <= min(track.last for track in both)
        return np.asarray(both[0].finite(frame) & both[1].finite(frame) & reached)

    def _remark(self, frame: int) -> str:
        for track in (self._candidate, self._lead):
            if frame > track.last:
                return f"{track.name} stopped at {_clock(track.t, track.last)}"
        both = self._comparable(frame)
        lost = "" if both.all() else f"{both.sum()} of {len(both)} finite"
        if self._reference is None or not both.any():
            return lost
        pair = (track.x[None, None, frame, both] for track in (self._lead, self._candidate))
        value = rmse(*(x[..., : self._lead.dimensions] for x in pair)).item()
        error = f"position RMSE {value:.2g}"
        return f"{error} ({lost})" if lost else error

    def _update(self, name: str, mesh: pv.PolyData) -> None:
        import pyvista as pv

        if name in self._meshes:
            self._meshes[name].copy_from(mesh)
            return
        self._meshes[name] = mesh
        mapper = pv.DataSetMapper(mesh)
        mapper.SetScalarModeToUsePointFieldData()
        mapper.SelectColorArray("rgb")
        mapper.SetColorModeToDirectScalars()
        actor = pv.Actor(mapper=mapper)
        actor.prop.interpolation = "Phong"
        actor.prop.specular, actor.prop.specular_power = 0.45, 30.0
        actor.prop.ambient, actor.prop.diffuse = (0.25, 0.95) if name == "balls" else (0.6, 0.6)
        self._add(actor)

    def _add(self, actor: Any) -> None:
        self._plotter.add_actor(actor, reset_camera=False, render=False)

    def _text(
        self,
        words: str,
        place: tuple[float, float],
        size: float,
        colour: tuple[float, float, float],
        bold: bool = False,
    ) -> pv.Text:
        import pyvista as pv

        text = pv.Text(words)
        text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        text.position = place
        text.prop.color, text.prop.bold = colour, bold
        text.prop.font_size = max(1, round(size * self._unit))
        text.prop.justification_horizontal = "right" if place[0] > 0.5 else "left"
        text.prop.justification_vertical = "center"
        self._add(text)
        return text

    def _legend(self) -> None:
        charges, disc = self._lead.charges, shapes.disc()
        rows = [
            (disc, colour, f"{kind} charge")
            for kind, colour, some in (
                ("positive", WARM, (charges > 0).any()),
                ("negative", COOL, (charges < 0).any()),
                ("no", NEUTRAL, (charges == 0).any()),
            )
            if some
        ]
        if self._reference is not None:
            rows += [
                (disc, INK, f"solid: {self._reference.name} (reference)"),
                (shapes.hoop(), INK, f"ring: {self._candidate.name}"),
                (shapes.dash(), ERROR, "line: error"),
            ]
        x = MARGIN * self._size[0] + 11 * self._unit
        for row, (icon, colour, words) in enumerate(reversed(rows)):
            y = MARGIN * self._size[0] + (11 + 38 * row) * self._unit
            self._icon(icon, (x, y), colour)
            place = ((x + 24 * self._unit) / self._size[0], (y - self._unit) / self._size[1])
            self._text(words, place, 22, FAINT_INK)

    def _icon(
        self, icon: pv.PolyData, place: tuple[float, float], colour: tuple[float, float, float]
    ) -> None:
        from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D

        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(icon.scale(11 * self._unit).translate((*place, 0.0)))
        actor = vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*colour)
        self._add(actor)


def _hazed(colours: np.ndarray, depth: np.ndarray) -> Float64[np.ndarray, "*axes 3"]:
    """Return colours that fade into the backdrop with depth, as on a hazy day."""
    return mixed(colours, BACKDROP, np.clip(0.05 + 0.3 * depth, 0.0, 0.45)[..., None])


def _ball_radius(camera: Camera, n: int) -> float:
    return float(camera.radius * 0.036 * min(30 / n, 4.0) ** 0.25)


def _clock(t: Float64[np.ndarray, " T"], frame: int) -> str:
    """Return the time, with the digits that the frame spacing needs."""
    dt = float(t[1] - t[0]) if len(t) > 1 else 0.1
    digits = next((k for k in range(6) if abs(round(dt, k) - dt) <= 1e-6 * dt), 6)
    return f"t = {t[frame]:.{digits}f}"
